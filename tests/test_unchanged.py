"""`mora materialize` where nothing has changed: answered at once, without a run."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mora_pipeline.cli import main
from mora_pipeline.commands import unchanged
from mora_pipeline.lake.registry import Registry
from mora_pipeline.steps import all_steps, local_session, run_step
from tests.region_yaml import REGION_YAML

RAW_FILES = next(step for step in all_steps() if step.name == "raw_files")
HEAVY = ("dagster", "torch", "pyspark", "mlflow", "sklearn", "lightgbm")


@pytest.fixture
def mora(mora_home: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setenv("DAGSTER_HOME", "")  # so that what a command sets is taken back after the test
    return lambda *arguments: CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def town(mora_home: Path) -> Path:
    """A region whose step `raw_files` was made."""
    folder = mora_home / "regions" / "town"
    folder.mkdir(parents=True)
    (folder / "trips.csv").write_text("a,b,c,d\n40.7,-74.0,40.8,-73.9\n")
    (folder / "region.yaml").write_text(REGION_YAML.format(name="town"))
    Registry(mora_home).add(folder / "region.yaml")
    time.sleep(0.02)
    run_step(RAW_FILES, "town", local_session(mora_home))
    return folder / "region.yaml"


@pytest.mark.usefixtures("town")
def test_each_step_is_named_with_the_time_since_when_and_no_run_is_started(
    mora: Callable[..., Result], mora_home: Path
) -> None:
    ended = mora("materialize", "town", "--select", "raw_files")
    assert ended.exit_code == 0, ended.output
    first, last = ended.stdout.splitlines()
    assert first.startswith("raw_files: Unchanged since 20")
    assert last == "Nothing to do for town. Make it anew all the same: mora materialize town --force"
    assert not (mora_home / "dagster").exists()


@pytest.mark.usefixtures("town")
def test_force_starts_a_run_that_makes_it_anew(mora: Callable[..., Result]) -> None:
    import dagster as dg

    ended = mora("materialize", "town", "--select", "raw_files", "--force")
    assert ended.exit_code == 0, ended.output
    assert "raw_files done" in ended.stdout
    with dg.DagsterInstance.get() as instance:
        (run,) = instance.get_runs()
        (event,) = instance.get_latest_materialization_events([dg.AssetKey("raw_files")]).values()
    assert run.tags["mora/force"] == "true"
    assert "unchanged" not in event.asset_materialization.metadata


def test_a_comment_changes_nothing_and_a_setting_does(town: Path) -> None:
    assert list(unchanged.unchanged_steps("town", "raw_files", {})) == ["raw_files"]
    town.write_text("# seen\n" + town.read_text())
    assert list(unchanged.unchanged_steps("town", "raw_files", {})) == ["raw_files"]
    town.write_text(town.read_text().replace("path: trips.csv", "path: '*.csv'"))
    assert unchanged.unchanged_steps("town", "raw_files", {}) == {}


@pytest.mark.usefixtures("town")
@pytest.mark.parametrize(
    ("select", "config"),
    [
        (None, {}),  # the others were never made
        ("raw_files", {"ops": {"edges": {"config": {}}}}),
        ("raw_files", {"ops": {"raw_files": {"config": {"colour": "red"}}}}),
        ("raw_files", {"resources": {"lake": {"config": {"home": "elsewhere"}}}}),
    ],
)
def test_what_only_a_run_can_tell_is_left_to_a_run(select: str | None, config: dict[str, object]) -> None:
    assert unchanged.unchanged_steps("town", select, config) == {}


@pytest.mark.usefixtures("town")
def test_the_answer_needs_nothing_heavy(mora_home: Path) -> None:
    code = (
        "import sys\nfrom mora_pipeline.commands.unchanged import unchanged_steps\n"
        f"assert unchanged_steps('town', 'raw_files', {{}})\nprint([name for name in {HEAVY} if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert ended.stdout.strip() == "[]"
