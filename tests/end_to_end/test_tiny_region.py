"""The whole chain for a tiny region: real Spark children, real encoders, MLflow on SQLite."""

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pytest
import yaml

from mora_pipeline.definitions import defs
from mora_pipeline.evaluation.promotion import CHAMPION
from mora_pipeline.evaluation.report.ablations import base_graph_of
from mora_pipeline.lake import Lake
from mora_pipeline.presets.inductive.region import embed_region
from mora_pipeline.presets.paper.checkpoint import Checkpoint
from mora_pipeline.presets.paper.learner import Learner
from mora_pipeline.steps import all_steps, checks
from mora_pipeline.tracking import TrackingSettings, connect
from tests.end_to_end.conftest import ASSET_NAMES, ASSETS, Home

NUM_CELLS = 100
INDUCTIVE: dict[str, object] = {"preset": "inductive", "inductive": {"units": 64}}


@pytest.fixture(scope="module")
def whole(home: Home, write_region) -> dg.ExecuteInProcessResult:
    """The main job on a region with every kind of modality."""
    home.add(write_region(home.path / "raw" / "tiny", "tiny"), "tiny")
    done = home.materialize("tiny")
    home.first = contents(home.lake, "tiny")  # later tests make some of it again, with other settings
    return done


@pytest.fixture(scope="module")
def alone(home: Home, write_region) -> dg.ExecuteInProcessResult:
    """The main job on a region with mobility alone."""
    home.add(write_region(home.path / "raw" / "alone", "alone", with_modalities=False), "alone")
    return home.materialize("alone")


def contents(lake: Lake, region: str) -> dict[str, list[bytes]]:
    """The bytes of every Parquet file of a region's current versions, by dataset."""
    records = lake.root.rglob(f"region={region}/current.json")
    datasets = sorted(str(record.parent.parent.relative_to(lake.root)) for record in records)
    return {name: [file.read_bytes() for file in lake.read(name, region).files()] for name in datasets}


def materializations(done: dg.ExecuteInProcessResult) -> list[dg.AssetMaterialization]:
    events = done.get_asset_materialization_events()
    return [event.step_materialization_data.materialization for event in events]


def metadata(done: dg.ExecuteInProcessResult, asset: str) -> dict[str, object]:
    (event,) = [event for event in materializations(done) if event.asset_key == dg.AssetKey(asset)]
    return {name: value.value for name, value in event.metadata.items()}


def failures(done: dg.ExecuteInProcessResult) -> list[str]:
    return [f"{event.step_key}: {event.step_failure_data.error}" for event in done.all_events if event.is_step_failure]


def message(done: dg.ExecuteInProcessResult) -> str:
    (failure,) = [event for event in done.all_events if event.is_step_failure]
    return str(failure.step_failure_data.user_failure_data.description)


def test_every_asset_is_made_and_every_check_passes(whole) -> None:
    assert failures(whole) == []
    made = {event.asset_key.to_user_string() for event in whole.get_asset_materialization_events() if event.asset_key}
    assert made == set(ASSET_NAMES)
    evaluations = whole.get_asset_check_evaluations()
    assert len(evaluations) == sum(len(list(asset.check_specs)) for asset in ASSETS)
    assert all(item.passed for item in evaluations)


def unchanged(done: dg.ExecuteInProcessResult) -> set[str]:
    """The assets whose last version stayed."""
    events = done.get_asset_materialization_events()
    return {str(item.asset_key.to_user_string()) for item in events if "unchanged" in item.materialization.metadata}


def test_embeddings_stand_in_the_order_of_the_cells(whole, home: Home) -> None:
    cells = home.lake.read("cells", "tiny").table()
    embeddings = home.lake.read("embeddings", "tiny").table()
    assert len(cells) == NUM_CELLS
    assert cells["node"].to_pylist() == list(range(NUM_CELLS))
    assert embeddings["cell"].to_pylist() == cells["cell"].to_pylist() == sorted(cells["cell"].to_pylist())
    assert embeddings["h3"].to_pylist() == [f"{cell:x}" for cell in cells["cell"].to_pylist()]
    assert embeddings["latitude"].to_pylist() == cells["latitude"].to_pylist()
    assert home.vectors("embeddings", "tiny").vectors.shape == (NUM_CELLS, 128)


def test_every_modality_reaches_the_lake_for_the_cells_it_covers(whole, home: Home) -> None:
    places = pd.read_csv(home.path / "raw" / "tiny" / "places.csv")
    pois = pd.read_csv(home.path / "raw" / "tiny" / "pois.csv.gz")
    covered = places.merge(pois[["latitude", "longitude"]].drop_duplicates(), on=["latitude", "longitude"])
    assert len(home.vectors("features/poi", "tiny").cells) == len(covered)
    assert len(home.vectors("features/ages", "tiny").cells) == 90
    assert len(home.vectors("features/sky", "tiny").cells) == NUM_CELLS


def test_edges_keep_the_flow_between_cells_and_cells_keep_the_rest(whole, home: Home) -> None:
    flows = pd.read_parquet(home.path / "raw" / "tiny" / "flows.parquet")
    inside = flows["from"] == flows["to"]
    edges, cells = home.lake.read("edges", "tiny").table(), home.lake.read("cells", "tiny").table()
    assert np.isclose(sum(edges["flow"].to_pylist()), flows.loc[~inside, "trips"].sum())
    assert np.isclose(sum(cells["internal_flow"].to_pylist()), flows.loc[inside, "trips"].sum())


def test_metadata_shows_rows_costs_pictures_and_the_mlflow_run(whole) -> None:
    for asset in ASSET_NAMES:
        told = metadata(whole, asset)
        assert float(str(told["seconds"])) >= 0
        assert 0.05 < float(str(told["peak_memory_gib"])) < 8
    told = metadata(whole, "embeddings")
    assert told["dagster/row_count"] == NUM_CELLS
    assert str(told["map"]).startswith("![map](data:image/png;base64,")
    assert str(told["loss"]).startswith("![loss](data:image/png;base64,")
    assert "| mora |" in str(metadata(whole, "benchmark")["table"])
    assert Path(str(metadata(whole, "benchmark")["report"])).is_file()


def test_inputs_are_recorded_all_the_way(whole, home: Home) -> None:
    embeddings = home.lake.read("embeddings", "tiny")
    named = {f"{made}/{name}" for made in ("features", "amounts") for name in ("poi", "ages", "sky")}
    assert set(embeddings.inputs) == {"cells", "graph", "line_vectors", *named}
    assert embeddings.inputs["graph"] == home.lake.read("graph", "tiny").version
    assert home.lake.read("graph", "tiny").inputs == {"edges": home.lake.read("edges", "tiny").version}


def test_every_training_step_left_an_mlflow_run_and_the_model_is_champion(whole, home: Home) -> None:
    client = connect(TrackingSettings.of(home.path))
    experiment = client.get_experiment_by_name("mora/tiny")
    runs = {run.data.tags["step"]: run for run in client.search_runs([experiment.experiment_id])}
    assert set(runs) >= {"line_vectors", "embeddings", "distilled_encoder", "benchmark"}
    assert all(run.info.status == "FINISHED" for run in runs.values())
    tags = runs["embeddings"].data.tags
    assert tags["dagster.run_id"] == whole.run_id
    assert tags["input.graph"] == home.lake.read("graph", "tiny").version
    assert runs["embeddings"].data.params["maximum_epochs"] == "4"
    assert len(client.get_metric_history(runs["embeddings"].info.run_id, "train_loss")) == 4
    assert [item.path for item in client.list_artifacts(runs["embeddings"].info.run_id)] == ["alignment.safetensors"]
    assert str(client.get_model_version_by_alias("mora_tiny", CHAMPION).version) == "1"


def test_the_champion_answers_as_the_published_encoder_does(whole, home: Home) -> None:
    import mlflow

    connect(TrackingSettings.of(home.path))
    cells = home.lake.read("cells", "tiny").table(["latitude", "longitude"]).to_pandas()
    answer = mlflow.pyfunc.load_model("models:/mora_tiny@champion").predict(cells)
    np.testing.assert_allclose(answer, home.vectors("distilled_encoder", "tiny").vectors, rtol=1e-5, atol=1e-6)


def test_the_benchmark_leaves_intervals_predictions_and_a_page(whole, home: Home) -> None:
    benchmark, intervals = home.lake.read("benchmark", "tiny"), home.lake.read("intervals", "tiny").table()
    methods = set(benchmark.table()["method"].to_pylist())
    assert methods == {"mora", "inputs", "inputs_surroundings", "raw", "distilled", "coordinates"}
    assert set(intervals["method"].to_pylist()) == methods
    assert home.lake.read("predictions", "tiny").rows > 0
    page = (home.lake.read("report", "tiny").path / "report.html").read_text()
    assert "Where it errs" in page
    assert benchmark.details["parameters"]["folds"] == 3


# From here on tests make versions anew; those above look at what the first run made.


def test_a_second_run_makes_nothing_and_shows_all_again(whole, home: Home) -> None:
    done = home.materialize("tiny", force=False)
    assert failures(done) == []
    assert unchanged(done) == set(ASSET_NAMES)
    assert contents(home.lake, "tiny") == home.first
    assert str(metadata(done, "embeddings")["map"]).startswith("![map](data:image/png;base64,")
    assert metadata(done, "embeddings")["dagster/row_count"] == NUM_CELLS
    assert all(item.passed for item in done.get_asset_check_evaluations())
    assert len(done.get_asset_check_evaluations()) == len(whole.get_asset_check_evaluations())
    versions = [
        {event.asset_key: event.materialization.tags["dagster/data_version"] for event in run if event.materialization}
        for run in (whole.get_asset_materialization_events(), done.get_asset_materialization_events())
    ]
    assert versions[0] == versions[1]


def test_other_tasks_make_the_benchmark_alone(whole, home: Home) -> None:
    region_yaml = home.path / "raw" / "tiny" / "region.yaml"
    text = region_yaml.read_text()
    described = yaml.safe_load(text)
    described["tasks"] = dict(itertools.islice(described["tasks"].items(), 1, None))
    region_yaml.write_text(yaml.safe_dump(described, sort_keys=False))
    done = home.materialize("tiny", force=False)
    assert failures(done) == []
    made = set(ASSET_NAMES) - unchanged(done)
    assert made == {"raw_files", "benchmark", "champion"}
    region_yaml.write_text(text)
    assert failures(home.materialize("tiny", force=False)) == []


def test_a_raw_file_that_was_only_touched_makes_its_own_step_alone(whole, home: Home) -> None:
    before = home.lake.read("edges", "tiny").version
    os.utime(home.path / "raw" / "tiny" / "flows.parquet")
    done = home.materialize("tiny", force=False)
    assert failures(done) == []
    assert set(ASSET_NAMES) - unchanged(done) == {"raw_files", "edges"}
    assert home.lake.read("edges", "tiny").version == before


def test_a_run_that_failed_goes_on_where_it_was(whole, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    other = {"embeddings": {**INDUCTIVE, "inductive": {"units": 32}}}
    with monkeypatch.context() as patch:
        patch.setattr(checks, "MINIMUM_DIRECTIONS", 1000.0)
        assert not home.materialize("tiny", settings=other, force=False).success
    done = home.materialize("tiny", settings=other, force=False)
    assert failures(done) == []
    made = set(ASSET_NAMES) - unchanged(done)
    assert made == {"embeddings", "distilled_encoder", "benchmark", "champion"}
    assert failures(home.materialize("tiny", force=False)) == []


def test_each_variant_of_the_ablations_is_scored_and_has_an_mlflow_run(whole, home: Home) -> None:
    done = defs.resolve_job_def("ablate_region").execute_in_process(
        instance=home.instance,
        partition_key="tiny",
        run_config={"ops": {"ablations": home.settings["ops"]["ablations"]}},
        raise_on_error=False,
    )
    assert failures(done) == []
    table = home.lake.read("ablations", "tiny").table()
    assert base_graph_of(table) == "top 30 %"
    scores = table.to_pandas()
    graphs = {"graph: full", "graph: neighbours", "graph: rewired by chance"}
    assert set(scores["variant"]) == {"base", "layers: 1", *graphs}
    client = connect(TrackingSettings.of(home.path))
    experiment = client.get_experiment_by_name("mora/tiny")
    runs = client.search_runs([experiment.experiment_id], "tags.step = 'ablations'")
    assert {run.data.params["variant"] for run in runs} == set(scores["variant"])
    assert all(run.data.metrics["seconds"] >= 0 for run in runs)


def test_a_second_run_with_the_same_seed_gives_equal_vectors(whole, home: Home) -> None:
    before = {name: home.vectors(name, "tiny").vectors for name in ("line_vectors", "embeddings")}
    version = home.lake.read("embeddings", "tiny").version
    assert failures(home.materialize("tiny", "line_vectors", "embeddings")) == []
    assert home.lake.read("embeddings", "tiny").version != version
    for name, vectors in before.items():
        np.testing.assert_array_equal(home.vectors(name, "tiny").vectors, vectors)


def test_a_training_that_broke_off_goes_on_in_its_mlflow_run(
    whole, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, validate = home.vectors("embeddings", "tiny").vectors, Learner.validate

    def break_off(self: Learner) -> dict[str, float]:
        if next(epochs) == 3:
            raise RuntimeError("the machine went down")
        return validate(self)

    epochs = itertools.count(1)
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "is_due", lambda self: True)
        patch.setattr(Learner, "validate", break_off)
        assert not home.materialize("tiny", "embeddings").success
    assert len(list(home.path.glob("checkpoints/tiny/embeddings/*.safetensors"))) == 1
    assert failures(home.materialize("tiny", "embeddings")) == []
    np.testing.assert_array_equal(home.vectors("embeddings", "tiny").vectors, before)
    assert list(home.path.glob("checkpoints/tiny/embeddings/*")) == []
    client = connect(TrackingSettings.of(home.path))
    run = client.get_run(home.lake.read("embeddings", "tiny").details["mlflow_run"])
    assert (run.info.status, run.data.tags["resumed"]) == ("FINISHED", "true")
    assert [item.step for item in client.get_metric_history(run.info.run_id, "train_loss")] == [1, 2, 3, 4]


def test_a_failed_check_leaves_the_published_version_and_stops_what_follows(
    whole, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = home.lake.read("embeddings", "tiny").version
    monkeypatch.setattr(checks, "MINIMUM_DIRECTIONS", 1000.0)
    done = home.materialize("tiny", "embeddings", "distilled_encoder")
    assert not done.success
    assert {item.check_name for item in done.get_asset_check_evaluations() if not item.passed} == {"not_collapsed"}
    assert home.lake.read("embeddings", "tiny").version == before
    assert done.asset_materializations_for_node("distilled_encoder") == []
    assert list(home.lake.root.rglob("draft-2*")) == []
    # Nothing was published, so what was trained is not thrown away.
    assert len(list(home.path.glob("checkpoints/tiny/embeddings/*.safetensors"))) == 1


def test_a_region_with_mobility_alone_works(alone, home: Home) -> None:
    assert failures(alone) == []
    assert home.vectors("embeddings", "alone").vectors.shape == (NUM_CELLS, 128)
    assert not (home.lake.root / "features" / "poi" / "region=alone").exists()
    assert metadata(alone, "text_features")["modalities"] == 0
    assert set(home.lake.read("benchmark", "alone").table()["method"].to_pylist()) == {
        "mora",
        "inputs",
        "inputs_surroundings",
        "distilled",
        "coordinates",
    }


def test_a_damaged_file_of_the_lake_is_named(alone, home: Home) -> None:
    damaged = home.lake.read("line_vectors", "alone").files()[0]
    content = damaged.read_bytes()
    damaged.write_bytes(content[: len(content) // 2])
    done = home.materialize("alone", "embeddings")
    damaged.write_bytes(content)
    whole, half = len(content), len(content) // 2
    assert f"{damaged} has {half:,} bytes, but {whole:,} bytes were committed" in message(done)


def test_an_inductive_encoder_is_published_and_embeds_a_region_it_never_saw(alone, whole, home: Home) -> None:
    trained = home.materialize("alone", "embeddings", settings={"embeddings": INDUCTIVE})
    assert failures(trained) == []
    encoder, vectors = home.lake.read("encoder", "alone"), home.lake.read("embeddings", "alone")
    assert {file.name for file in encoder.path.iterdir()} == {"encoder.json", "encoder.safetensors", "version.json"}
    assert vectors.details["preset"] == "inductive"
    assert vectors.details["encoder_version"] == encoder.version
    assert home.vectors("embeddings", "alone").vectors.shape == (NUM_CELLS, 128)
    assert 0 < float(str(metadata(trained, "embeddings")["explained"])) <= 1

    used = home.materialize("tiny", "embeddings", settings={"embeddings": {"preset": "inductive", "encoder": "alone"}})
    assert failures(used) == []
    told = metadata(used, "embeddings")
    assert (told["encoder_region"], told["encoder"]) == ("alone", encoder.version)
    assert told["modalities_left_out"] == ["ages", "poi", "sky"]
    made = home.lake.read("embeddings", "tiny")
    assert made.details == {
        "preset": "inductive",
        "encoder_region": "alone",
        "encoder_version": encoder.version,
        "transferable_numbers": 128,
    }
    familiarity = made.table()["familiarity"].to_numpy()
    assert (familiarity >= 0).all()
    assert (familiarity <= 1).all()
    assert made.inputs["encoder of alone"] == encoder.version
    expected = embed_region("tiny", "alone", home.path)
    np.testing.assert_array_equal(home.vectors("embeddings", "tiny").vectors, expected.vectors)


def test_all_that_follows_takes_inductive_embeddings_as_it_takes_the_papers(whole, home: Home) -> None:
    chain = ("embeddings", "distilled_encoder", "benchmark", "champion")
    done = home.materialize("tiny", *chain, settings={"embeddings": INDUCTIVE})
    assert failures(done) == []
    assert all(item.passed for item in done.get_asset_check_evaluations())
    made = {name: home.lake.read(name, "tiny") for name in chain[:3]}
    assert made["embeddings"].details["preset"] == "inductive"
    assert made["distilled_encoder"].inputs["embeddings"] == made["embeddings"].version
    assert made["benchmark"].inputs["embeddings"] == made["embeddings"].version
    assert made["benchmark"].inputs["distilled_encoder"] == made["distilled_encoder"].version
    assert {"mora", "distilled", "inputs"} <= set(made["benchmark"].table()["method"].to_pylist())
    told = metadata(done, "champion")
    assert str(told["candidate"]).endswith(f"/{made['distilled_encoder'].details['model_version']}")
    assert float(str(told["scores_compared"])) > 0


def test_an_encoder_of_other_modalities_is_refused(alone, whole, home: Home) -> None:
    assert failures(home.materialize("tiny", "embeddings", settings={"embeddings": INDUCTIVE})) == []
    before = home.lake.read("embeddings", "alone").version
    asked = {"embeddings": {"preset": "inductive", "encoder": "tiny"}}
    done = home.materialize("alone", "embeddings", settings=asked)
    assert "The encoder of 'tiny' takes ages, poi, sky" in message(done)
    assert home.lake.read("embeddings", "alone").version == before


def test_too_many_bad_rows_fail_with_the_reason_and_keep_the_rows_and_the_version(alone, home: Home) -> None:
    before = home.lake.read("edges", "alone").version
    flows = home.path / "raw" / "alone" / "flows.parquet"
    table = pd.read_parquet(flows)
    table.loc[::2, "to"] = None
    table.to_parquet(flows)
    done = home.materialize("alone", "edges")
    told = message(done)
    quarantine = home.lake.read("quarantine/edges", "alone")
    assert "flows.parquet: 650 of 1,300 rows (50.00%) are bad" in told
    assert "id missing" in told
    assert str(quarantine.path) in told
    assert quarantine.path.is_dir()
    assert quarantine.rows == 650
    assert home.lake.read("edges", "alone").version == before


def test_a_night_adds_the_new_day_and_takes_away_the_one_that_left(home: Home, write_region) -> None:
    """Files of a day each in a window of a week; what is kept of them lies in the home, by region."""
    path = write_region(home.path / "raw" / "nights", "nights", with_modalities=False)
    flows = pd.read_parquet(path.parent / "flows.parquet")
    (path.parent / "flows.parquet").unlink()
    described = yaml.safe_load(path.read_text())
    described["mobility"] |= {"path": "flows_*.parquet", "window": {"date": "flows_%Y-%m-%d", "weeks": 1}}
    path.write_text(yaml.safe_dump(described))
    nights = {"2024-03-01": flows[:500], "2024-03-02": flows[400:], "2024-03-08": flows[:700]}
    days = list(nights)
    for number, day in enumerate(days):
        nights[day].to_parquet(path.parent / f"flows_{day}.parquet")
        if number == 0:
            home.add(path, "nights")
        done = home.materialize("nights", "edges")
        assert failures(done) == []
        told = metadata(done, "edges")
        assert (told["files_read"], told["last_day"]) == (1, day)
        inside = days[max(0, number - 1) : number + 1]  # the third pushes the first out
        assert (told["files"], told["first_day"]) == (len(inside), inside[0])
        flow = home.lake.read("edges", "nights").table()["flow"].to_numpy().sum()
        within = home.lake.read("self_flow", "nights").table()["internal_flow"].to_numpy().sum()
        assert flow + within == pytest.approx(sum(nights[day]["trips"].sum() for day in inside), rel=1e-12)
    assert (home.path / "cache" / "mobility" / "nights").is_dir()


def test_the_chain_runs_without_dagster_and_gives_the_same_bytes(
    whole, home: Home, tmp_path: Path, write_region
) -> None:
    script = Path(__file__).with_name("without_dagster.py")
    settings = {name: item["config"] for name, item in home.settings["ops"].items() if name != "ablations"}
    region_yaml = write_region(tmp_path / "raw" / "tiny", "tiny")
    ended = subprocess.run(
        [sys.executable, str(script), str(region_yaml), json.dumps(settings)],
        env={**os.environ, "MORA_HOME": str(tmp_path / "home")},
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert [line.split()[0] for line in ended.stdout.splitlines()] == [
        step.name for step in all_steps() if step.in_chain
    ]
    ours = contents(Lake(tmp_path / "home" / "lake"), "tiny")
    assert ours.keys() == home.first.keys() - {"ablations"}
    assert [name for name, files in ours.items() if files != home.first[name]] == []
    assert ours.keys() >= {"edges", "graph", "cells", "features/poi", "line_vectors", "embeddings", "benchmark"}
