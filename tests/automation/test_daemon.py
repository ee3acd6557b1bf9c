"""Nightly runs, new regions and backfills, asked of a real Dagster daemon."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from mora_pipeline.commands.instance import REGIONS
from mora_pipeline.lake.registry import Registry
from mora_pipeline.runs import PARTITION_TAG

LIGHT = str(Path(__file__).with_name("light_definitions.py"))
DAEMON = str(Path(sys.executable).with_name("dagster-daemon"))
TICK = ".dagster/scheduled_execution_time"
LAUNCH_BACKFILL = """
mutation ($wanted: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $wanted) { __typename ... on PythonError { message } }
}"""


def successful(instance: dg.DagsterInstance) -> list[dg.DagsterRun]:
    return instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS]))


def test_the_nightly_schedule_runs_every_region_once(
    instance: dg.DagsterInstance,
    start: Callable[..., Any],
    waiting: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    known_regions: list[str],
) -> None:
    """A schedule of every minute in place of the nightly one: each tick gives each region one run."""
    monkeypatch.setenv("MORA_NIGHTLY_CRON", "* * * * *")
    instance.add_dynamic_partitions(REGIONS, known_regions)
    command = [sys.executable, "-m", "dagster", "schedule", "start", "nightly", "-f", LIGHT]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    start(DAEMON, "run", "-f", LIGHT)
    waiting(lambda: len(successful(instance)) >= 2, 85)
    runs = instance.get_runs()
    asked = [(run.tags[TICK], run.tags[PARTITION_TAG]) for run in runs]
    assert len(set(asked)) == len(asked)
    assert sorted(region for tick, region in asked if tick == min(asked)[0]) == ["north", "south"]
    assert {run.job_name for run in runs} == {"materialize_region"}
    assert {run.tags["dagster/schedule_name"] for run in runs} == {"nightly"}
    assert [run.tags["dagster/run_key"] for run in runs] == [f"{tick[:10]}-{region}" for tick, region in asked]


def test_the_nightly_schedule_is_off_until_switched_on() -> None:
    from mora_pipeline.defs.automation import nightly

    assert nightly.default_status == dg.DefaultScheduleStatus.STOPPED
    assert nightly.cron_schedule == "0 2 * * *"


def test_a_new_folder_becomes_a_region_and_runs(
    home: Path,
    instance: dg.DagsterInstance,
    write_region: Callable[..., Path],
    start: Callable[..., Any],
    waiting: Callable[..., Any],
) -> None:
    """With a broken folder beside it, which must not hold it up, and a known region, which must not run again."""
    watched = home / "regions"
    known = write_region(watched / "known")
    Registry.at_home().add(known)
    instance.add_dynamic_partitions(REGIONS, ["known"])
    write_region(watched / "broken", name="another_name")
    start(DAEMON, "run", "-f", LIGHT, MORA_WATCH_SECONDS="3")
    write_region(watched / "town")
    runs = waiting(lambda: successful(instance), 80)
    assert [run.tags[PARTITION_TAG] for run in runs] == ["town"]
    assert runs[0].tags["dagster/sensor_name"] == "new_regions"
    assert set(instance.get_dynamic_partitions(REGIONS)) == {"known", "town"}
    assert set(Registry.at_home().all()) == {"known", "town"}


@pytest.fixture
def two_regions(home: Path, tmp_path: Path, write_region: Callable[..., Path]) -> None:
    for name in ("north", "south"):
        Registry.at_home().add(write_region(tmp_path / name))


@pytest.fixture
def dev(
    home: Path, instance: dg.DagsterInstance, start: Callable[..., Any], waiting: Callable[..., Any], unused_port: int
) -> Iterator[str]:
    """The project's whole definitions, UI and daemon as `mora dev` starts them: the address of the UI."""
    from mora_pipeline.commands.backfill import daemon_is_running

    process = start("-m", "mora_pipeline.cli", "dev", "--port", str(unused_port))
    waiting(lambda: daemon_is_running(instance), 120)
    yield f"http://127.0.0.1:{unused_port}"
    process.send_signal(2)
    assert process.wait(timeout=60) == 0


@pytest.mark.usefixtures("two_regions", "dev")
def test_mora_backfill_runs_each_region_through_mora_dev(home: Path, instance: dg.DagsterInstance) -> None:
    """Only the first asset is asked for."""
    command = [sys.executable, "-m", "mora_pipeline.cli", "backfill", "north", "south"]
    ended = subprocess.run(
        [*command, "--select", "raw_files", "--wait"],
        capture_output=True,
        text=True,
        timeout=240,
        cwd=home,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr + (home / "process.log").read_text()[-3000:]
    assert_one_backfill_ran(instance)


@pytest.mark.usefixtures("two_regions")
def test_the_ui_launches_a_backfill_over_several_regions(
    dev: str, instance: dg.DagsterInstance, waiting: Callable[..., Any]
) -> None:
    """What the button of the assets page sends to the webserver."""
    instance.add_dynamic_partitions(REGIONS, ["north", "south"])
    wanted = {"assetSelection": [{"path": ["raw_files"]}], "partitionNames": ["north", "south"], "tags": []}
    body = json.dumps({"query": LAUNCH_BACKFILL, "variables": {"wanted": wanted}}).encode()

    def is_up() -> bool:
        try:
            with urllib.request.urlopen(f"{dev}/server_info", timeout=60):
                return True
        except OSError:  # the UI starts beside the daemon
            return False

    def launched() -> dict[str, Any]:
        request = urllib.request.Request(f"{dev}/graphql", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return dict(json.loads(answer.read()))

    waiting(is_up, 120)
    answer = launched()
    assert answer["data"]["launchPartitionBackfill"]["__typename"] == "LaunchBackfillSuccess", answer
    waiting(lambda: len(successful(instance)) == 2, 120)
    assert_one_backfill_ran(instance)


def assert_one_backfill_ran(instance: dg.DagsterInstance) -> None:
    runs = successful(instance)
    assert sorted(run.tags[PARTITION_TAG] for run in runs) == ["north", "south"]
    assert len({run.tags["dagster/backfill"] for run in runs}) == 1


@pytest.mark.usefixtures("two_regions")
def test_without_a_daemon_a_backfill_is_kept_and_says_how_to_start_one(
    home: Path, instance: dg.DagsterInstance
) -> None:
    command = [sys.executable, "-m", "mora_pipeline.cli", "backfill", "--all"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=180, cwd=home, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "mora dev" in ended.stderr
    assert [backfill.partition_names for backfill in instance.get_backfills()] == [None]
    waiting = subprocess.run([*command, "--wait"], capture_output=True, text=True, timeout=180, cwd=home, check=False)
    assert waiting.returncode == 2
    assert waiting.stderr.startswith("No Dagster daemon is running")
    assert len(instance.get_backfills()) == 1
