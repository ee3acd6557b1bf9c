"""The `mora` command as a user meets it: help that suffices, mistakes told in one message, files in and out."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import h3
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from mora_pipeline.cli import main
from mora_pipeline.contract import schemas
from mora_pipeline.lake import Lake
from tests.region_yaml import REGION_YAML

HERE = (40.7128, -74.006)
Mora = Callable[..., Result]


@pytest.fixture
def mora(mora_home: Path, monkeypatch: pytest.MonkeyPatch) -> Mora:
    monkeypatch.setenv("DAGSTER_HOME", "")  # so that what a command sets is taken back after the test
    return lambda *arguments: CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def town(tmp_path: Path) -> Path:
    folder = tmp_path / "town"
    folder.mkdir()
    (folder / "trips.csv").write_text("a,b,c,d\n40.7,-74.0,40.8,-73.9\n")
    (folder / "region.yaml").write_text(REGION_YAML.format(name="town"))
    return folder / "region.yaml"


@pytest.fixture
def published(mora_home: Path) -> np.ndarray:
    """Embeddings of the cell at `HERE` and its neighbours, in the lake; the vector of `HERE`."""
    cells = np.array(sorted(h3.str_to_int(cell) for cell in h3.grid_disk(h3.latlng_to_cell(*HERE, 7), 1)))
    vectors = np.arange(len(cells) * 128, dtype=np.float32).reshape(-1, 128)
    flat = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), 128)
    names = [h3.int_to_str(int(cell)) for cell in cells]
    centres = np.array([h3.cell_to_latlng(name) for name in names])
    unknown = pa.nulls(len(cells), pa.float32())
    table = pa.table([cells, names, *centres.T, flat, unknown], schema=schemas.embeddings(128))
    draft = Lake.at_home().begin("embeddings", "town")
    draft.write(table)
    draft.commit()
    return vectors[names.index(h3.latlng_to_cell(*HERE, 7))]


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name)


@pytest.mark.parametrize("path", list(commands(main)), ids=" ".join)
def test_the_help_of_every_command_suffices(mora: Mora, path: tuple[str, ...]) -> None:
    """It says what the command does, explains each option, and gives an example that can be typed."""
    shown = mora(*path, "--help")
    assert shown.exit_code == 0
    command: click.Command = main
    for name in path:
        assert isinstance(command, click.Group)
        command = command.commands[name]
    if not isinstance(command, click.Group):
        assert f"mora {' '.join(path)}" in shown.output.split("Example", 1)[1]
    for parameter in command.params:
        assert not isinstance(parameter, click.Option) or parameter.help


def test_help_comes_at_once() -> None:
    """Torch, Spark and Dagster take seconds to import; help needs none of them."""
    code = "import sys; from mora_pipeline.cli import main; print([m for m in sys.argv[1:] if m in sys.modules])"
    heavy = ["torch", "pyspark", "dagster", "mlflow", "pandas", "pyarrow", "numpy", "h3"]
    loaded = subprocess.run([sys.executable, "-c", code, *heavy], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["region", "add", "nowhere.yaml"], "nowhere.yaml does not exist"),
        (["region", "show", "town"], "Region 'town' is not known"),
        (["region", "remove", "town"], "Region 'town' is not known"),
        (["materialize", "town"], "mora region add"),
        (["materialize", "town", "--set", "nonsense"], "write ASSET.KEY=VALUE"),
        (["materialize", "town", "--set", "a.b=[1"], "not YAML"),
        (["materialize", "town", "--config", "missing.yaml"], "missing.yaml"),
        (["materialize", "town", "--encoder", "city"], "mora region add"),
        (["backfill"], "say --all"),
        (["backfill", "--all"], "No region yet"),
        (["backfill", "town"], "not known"),
        (["benchmark", "town"], "mora materialize town"),
        (["benchmark", "../town"], "cannot name a region"),
        (["benchmark", "town", "--full"], "say --run"),
        (["benchmark", "town", "--set", "seeds=[1]"], "say --run"),
        (["benchmark", "town", "--run", "--set", "seeds"], "write KEY=VALUE"),
        (["ablate", "town"], "mora region add"),
        (["embed", "town", "1,2"], "mora materialize town"),
        (["embed", "town"], "Give points"),
        (["embed", "town", "nonsense"], "is not LAT,LON"),
        (["embed", "town", "--sourc=cell"], "is not LAT,LON"),
        (["embed", "town", "91,0"], "must be a number from -90 to 90"),
        (["embed", "town", "nan,0"], "must be a number from -90 to 90"),
        (["embed", "town", "--input", "missing.csv"], "missing.csv cannot be read"),
        (["embed", "town", "1,2", "--output", "x.json"], "must end in"),
        (["embed", "../../etc", "1,2"], "cannot name a region"),
        (["lake", "list", "town"], "mora materialize town"),
        (["lake", "versions", "edges", "town"], "has not been made yet"),
        (["lake", "versions", "../edges", "town"], "cannot name a dataset"),
        (["lake", "restore", "edges", "town"], "has not been made yet"),
        (["lake", "restore", "edges", "town", "20260101"], "has no version 20260101"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_told_in_one_message(mora: Mora, arguments: list[str], message: str) -> None:
    """On standard error, without a traceback, with exit code 2."""
    ended = mora(*arguments)
    assert ended.exit_code == 2
    assert message in ended.stderr
    assert "Traceback" not in ended.output
    assert ended.stdout == ""


def test_the_benchmark_is_printed_and_written_as_one_page(
    mora: Mora, town: Path, published: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also by `--report`, into a folder that is not there yet."""
    assert mora("region", "add", town).exit_code == 0
    row, both = {"task": "income", "split": "random", "model": "lightgbm"}, (("mora", 0.61), ("raw", 0.5))
    scores = [{**row, "method": name, "seed": 42, "n": 9, "r2": r2, "rmse": 1.0} for name, r2 in both]
    difference = {"baseline": "raw", "difference": 0.11, "difference_low": 0.02, "difference_high": 0.2}
    intervals = [{**row, "method": "mora", "r2": 0.61, "low": 0.5, "high": 0.7, **difference}]
    here = {"method": "mora", "task": "income", "split": "random", "cell": h3.str_to_int(h3.latlng_to_cell(*HERE, 7))}
    predictions = [{**here, "truth": at, "predicted": at / 2} for at in range(9)]
    made = {"benchmark": scores, "intervals": intervals, "predictions": predictions}
    for name, rows in made.items():
        draft = Lake.at_home().begin(name, "town")
        draft.write(pa.Table.from_pylist(rows, schema=getattr(schemas, name.upper())))
        draft.commit({"parameters": {"seeds": [42]}, "tasks": {}, "facts": {}})
    page = tmp_path / "new" / "town.html"
    shown = mora("benchmark", "town", "--report", page)
    assert shown.exit_code == 0
    assert "| mora | **0.610** |" in shown.stdout
    assert "mora is ahead of a task's best baseline in 1 of 1 tasks" in shown.stdout
    assert "Where it errs" in page.read_text()
    monkeypatch.chdir(tmp_path)
    assert "Wrote town.html" in mora("benchmark", "town", "--report").stdout
    assert (tmp_path / "town.html").read_text() == page.read_text()


def test_ablations_are_a_job_of_their_own_that_says_what_is_missing(mora: Mora, town: Path) -> None:
    mora("region", "add", town)
    ended = mora("ablate", "town", "--set", "families=[layers]")
    assert ended.exit_code == 1
    assert "region.yaml of 'town' has no tasks, so nothing can be ablated" in ended.stderr


def test_a_benchmark_of_an_earlier_form_says_how_to_make_it_anew(mora: Mora, town: Path, published: np.ndarray) -> None:
    mora("region", "add", town)
    draft = Lake.at_home().begin("benchmark", "town")
    row = {
        "method": "m",
        "task": "t",
        "split": "random",
        "seed": 1,
        "model": "linear_probe",
        "n": 1,
        "r2": 0.1,
        "rmse": 1.0,
    }
    draft.write(pa.Table.from_pylist([row], schema=schemas.BENCHMARK))
    draft.commit()
    ended = mora("benchmark", "town")
    assert ended.exit_code == 2
    assert "mora benchmark town --run" in ended.stderr
    draft = Lake.at_home().begin("benchmark", "town")
    draft.write(pa.Table.from_pylist([row], schema=schemas.BENCHMARK))
    draft.commit({"parameters": {"seeds": [42], "a_setting_of_old": 3}})
    assert "mora benchmark town --run" in mora("benchmark", "town").stderr


def test_the_installed_command_shows_no_traceback(mora_home: Path) -> None:
    command = [sys.executable, "-m", "mora_pipeline.cli", "region", "show", "town"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("Region 'town' is not known")
    assert "Traceback" not in ended.stderr


def test_regions_are_added_listed_shown_and_removed(mora: Mora, town: Path, mora_home: Path) -> None:
    import dagster as dg

    assert "No region yet" in mora("region", "list").output
    added = mora("region", "add", town.parent)
    assert added.exit_code == 0, added.output
    assert "mora materialize town" in added.output
    with dg.DagsterInstance.get() as instance:
        assert instance.root_directory == str(mora_home / "dagster")
        assert instance.get_dynamic_partitions("regions") == ["town"]
    assert str(town) in mora("region", "list").output
    assert "resolution: 7" in mora("region", "show", "town").output
    assert mora("region", "remove", "town").exit_code == 0
    with dg.DagsterInstance.get() as instance:
        assert instance.get_dynamic_partitions("regions") == []
    assert town.exists()


def test_points_of_the_command_line_become_vectors(mora: Mora, published: np.ndarray) -> None:
    """The longitude is negative, which must not be taken for an option."""
    ended = mora("embed", "town", f"{HERE[0]},{HERE[1]}")
    assert ended.exit_code == 0, ended.output
    (row,) = csv.DictReader(ended.stdout.splitlines())
    assert (float(row["latitude"]), float(row["longitude"])) == HERE
    assert [float(row[f"v{number}"]) for number in range(128)] == published.tolist()


def test_southern_points_are_no_options(mora: Mora, published: np.ndarray) -> None:
    ended = mora("embed", "town", "-33.8688,151.2093", "--source", "cell")
    assert "-33.8688" in ended.stderr
    assert ended.exit_code == 2


def test_an_outdated_distilled_encoder_is_told_with_the_remedy(mora: Mora, published: np.ndarray) -> None:
    """Vectors of two spaces must not be printed side by side; those of cells are sound all the while."""
    lake = Lake.at_home()
    draft = lake.begin("distilled_encoder", "town", {"embeddings": lake.read("embeddings", "town")})
    draft.write(pa.table({"cell": [1]}))
    draft.commit()
    anew = lake.begin("embeddings", "town")
    anew.write(lake.read("embeddings", "town").table())
    anew.commit()
    elsewhere = mora("embed", "town", "--", f"{HERE[0]},{HERE[1]}", "-33.8688,151.2093")
    assert elsewhere.exit_code != 0
    assert "older than" in elsewhere.stderr
    assert "mora materialize town --select distilled_encoder" in elsewhere.stderr
    assert elsewhere.stdout == ""
    assert mora("embed", "town", f"{HERE[0]},{HERE[1]}", "--source", "cell").exit_code == 0


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "parquet"])
def test_a_file_of_points_keeps_its_columns_and_order(
    mora: Mora, published: np.ndarray, tmp_path: Path, kind: str
) -> None:
    shops, output = tmp_path / "shops.csv", tmp_path / f"out.{kind}"
    shops.write_text(f"name,Lat,lng\nb,{HERE[0]},{HERE[1]}\na,{HERE[0]},{HERE[1]}\n")
    ended = mora("embed", "town", "--input", shops, "--output", output)
    assert ended.exit_code == 0, ended.output
    if kind == "parquet":
        table = pq.read_table(output)
        assert table["vector"].to_pylist() == [published.tolist()] * 2
    else:
        table = pa.csv.read_csv(output)
        assert [table[f"v{number}"][1].as_py() for number in range(128)] == published.tolist()
    assert table["name"].to_pylist() == ["b", "a"]


def test_a_file_without_coordinates_says_what_it_has(mora: Mora, published: np.ndarray, tmp_path: Path) -> None:
    shops = tmp_path / "shops.csv"
    shops.write_text("name,where\na,b\n")
    assert "has no column 'latitude'; it has name, where" in mora("embed", "town", "--input", shops).stderr


def test_going_back_is_one_command(mora: Mora) -> None:
    for value in (1, 2, 3):
        draft = Lake.at_home().begin("edges", "town")
        draft.write(pa.table({"cell": [value]}))
        draft.commit()
    listed = mora("lake", "versions", "edges", "town").stdout.splitlines()
    assert [line[0] for line in listed] == [" ", " ", "*"]
    assert mora("lake", "restore", "edges", "town").exit_code == 0
    assert Lake.at_home().read("edges", "town").table()["cell"].to_pylist() == [2]
    newest = listed[-1].split()[1]
    assert newest in mora("lake", "restore", "edges", "town", newest).stdout
    assert Lake.at_home().read("edges", "town").table()["cell"].to_pylist() == [3]
    assert "edges" in mora("lake", "list", "town").stdout


def test_a_run_is_recorded_with_its_partition(mora: Mora, town: Path) -> None:
    import dagster as dg

    mora("region", "add", town)
    ended = mora("materialize", "town", "--select", "raw_files")
    assert ended.exit_code == 0, ended.output
    assert "raw_files done" in ended.stdout
    with dg.DagsterInstance.get() as instance:
        (run,) = instance.get_runs()
    assert run.status == dg.DagsterRunStatus.SUCCESS
    assert run.tags["dagster/partition"] == "town"
    assert run.job_name == "materialize_region"


def test_a_failing_step_shows_its_message_alone(mora: Mora, town: Path) -> None:
    mora("region", "add", town)
    town.with_name("trips.csv").write_text("a,b,c,e\n1,2,3,4\n")
    ended = mora("materialize", "town", "--select", "raw_files")
    assert ended.exit_code == 1
    assert ended.stderr.startswith("raw_files: region.yaml: mobility.columns.destination_longitude is 'd'")
    assert "Traceback" not in ended.output


def test_a_run_whose_process_dies_is_recorded_as_failed(mora: Mora, town: Path, mora_home: Path) -> None:
    import dagster as dg

    from mora_pipeline.commands.execution import region_run
    from mora_pipeline.commands.instance import dagster_instance
    from mora_pipeline.commands.progress import RunState

    mora("region", "add", town)
    with dagster_instance() as instance, region_run(instance, "town", "raw_files", {}) as running:
        running.process.kill()
        state = RunState.of(running.steps())
        for entry in running.events():
            state.take(entry)
        run = running.run
    assert "ended with code -9" in state.errors[0]
    assert run.status == dg.DagsterRunStatus.FAILURE
    assert not state.succeeded


def test_a_second_run_of_a_region_is_refused_while_the_first_works(mora: Mora, town: Path, mora_home: Path) -> None:
    """Both would publish into the same datasets."""
    from mora_pipeline.commands.execution import region_run
    from mora_pipeline.commands.instance import dagster_instance

    mora("region", "add", town)
    with dagster_instance() as instance:
        with region_run(instance, "town", "raw_files", {}) as running:
            second = mora("materialize", "town", "--select", "raw_files")
            assert second.exit_code == 2
            assert f"'town' is being made by run {running.run.run_id} already" in second.stderr
            for _ in running.events():
                pass
        assert len(instance.get_runs()) == 1
    assert mora("materialize", "town", "--select", "raw_files").exit_code == 0


@pytest.mark.parametrize(("sent", "in_background"), [(signal.SIGINT, False), (signal.SIGTERM, True)])
def test_an_interrupted_run_is_recorded_as_cancelled(
    mora: Mora, town: Path, mora_home: Path, sent: signal.Signals, in_background: bool
) -> None:
    """Ctrl-C reaches `mora` alone: the run's process is in a group of its own, and must end all the same.

    What a script starts with `&` ignores Ctrl-C, but not `kill`.
    """
    import dagster as dg

    mora("region", "add", town)
    # Spark takes longer to start than a signal to arrive, however busy the machine is.
    command = [sys.executable, "-m", "mora_pipeline.cli", "materialize", "town", "--select", "raw_files,edges"]
    before = signal.signal(signal.SIGINT, signal.SIG_IGN) if in_background else None  # a child inherits it
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    finally:
        if before is not None:
            signal.signal(signal.SIGINT, before)
    assert process.stdout is not None
    process.stdout.readline()  # the run has been started
    process.send_signal(sent)
    assert process.wait(timeout=50) == 1  # before `mora` would kill it
    with dg.DagsterInstance.get() as instance:
        assert [run.status for run in instance.get_runs()] == [dg.DagsterRunStatus.CANCELED]


def test_the_nightly_schedule_is_switched_on_and_off(mora: Mora) -> None:
    import dagster as dg

    for switch, status in (("on", "RUNNING"), ("on", "RUNNING"), ("off", "STOPPED"), ("off", "STOPPED")):
        ended = mora("nightly", switch)
        assert ended.exit_code == 0, ended.output
        with dg.DagsterInstance.get() as instance:
            assert [state.status.value for state in instance.all_instigator_state()] == [status]


@pytest.mark.parametrize(
    ("select", "message"),
    [("raw_file", "Did you mean 'raw_files'"), (",", "is empty"), ("group:none", "selects nothing")],
)
def test_a_wrong_selection_names_the_assets(mora: Mora, town: Path, select: str, message: str) -> None:
    mora("region", "add", town)
    ended = mora("materialize", "town", "--select", select)
    assert ended.exit_code == 2
    assert message in ended.stderr


def test_a_wrong_setting_names_the_right_ones(mora: Mora, town: Path) -> None:
    mora("region", "add", town)
    ended = mora("materialize", "town", "--set", "embeddings.sharpnes=3")
    assert ended.exit_code == 2
    assert "ops.embeddings.config has no 'sharpnes'" in ended.stderr
    assert "Did you mean 'sharpness'?" in ended.stderr
    assert "ops.embeddings.config.seed" in mora("materialize", "town", "--set", "embeddings.seed=2020-01-01").stderr


def test_settings_of_the_command_line_win_over_the_file(tmp_path: Path) -> None:
    from mora_pipeline.commands.run_config import run_config

    file = tmp_path / "settings.yaml"
    file.write_text("ops: {embeddings: {config: {seed: 1, layers: 2}}}")
    merged = run_config(file, ["embeddings.seed=5", "embeddings.temperatures.poi=0.5", "line_vectors.order=1"])
    assert json.loads(json.dumps(merged))["ops"] == {
        "embeddings": {"config": {"seed": 5, "layers": 2, "temperatures": {"poi": 0.5}}},
        "line_vectors": {"config": {"order": 1}},
    }


def test_a_date_is_text_in_the_settings_and_what_json_cannot_hold_is_named(mora: Mora, tmp_path: Path) -> None:
    from mora_pipeline.commands.run_config import run_config

    file = tmp_path / "settings.yaml"
    file.write_text("ops: {embeddings: {config: {seed: 2020-01-01}}}")
    assert run_config(file, [])["ops"]["embeddings"]["config"] == {"seed": "2020-01-01"}
    assert run_config(None, ["embeddings.seed=2020-01-01"]) == run_config(file, [])
    ended = mora("materialize", "town", "--set", "embeddings.seed=!!set {a}")
    assert ended.exit_code == 2
    assert ended.stderr.startswith("--set embeddings.seed=!!set {a}: the value is not YAML")
    file.write_text("ops: {embeddings: {config: {seed: !!set {a}}}}")
    assert f"{file}: cannot be read as YAML" in mora("materialize", "town", "--config", file).stderr


def test_a_taken_port_is_told_before_anything_starts(mora: Mora) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ended = mora("dev", "--port", str(taken.getsockname()[1]))
    assert ended.exit_code == 2
    assert "choose another port" in ended.stderr


def test_a_deployments_dagster_home_is_respected(
    mora: Mora, town: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own"
    monkeypatch.setenv("DAGSTER_HOME", str(own))
    assert mora("region", "add", town).exit_code == 0
    assert os.environ["DAGSTER_HOME"] == str(own)
    assert not (own / "dagster.yaml").exists()


def test_a_dagster_yaml_of_the_users_own_stays(mora: Mora, town: Path, mora_home: Path) -> None:
    (mora_home / "dagster").mkdir()
    (mora_home / "dagster" / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    assert mora("region", "add", town).exit_code == 0
    assert (mora_home / "dagster" / "dagster.yaml").read_text() == "telemetry: {enabled: false}\n"


def test_help_is_fast() -> None:
    started = time.monotonic()
    subprocess.run([sys.executable, "-m", "mora_pipeline.cli", "--help"], check=True, capture_output=True)
    assert time.monotonic() - started < 5  # 0.2 s here; a loaded machine may take its time
