"""Nightly runs, new regions and backfills, asked of a real Dagster daemon."""

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from mora_pipeline.instance import REGIONS
from mora_pipeline.registry import Registry

LIGHT = str(Path(__file__).with_name("light_definitions.py"))
PARTITION = "dagster/partition"


def successful(instance: dg.DagsterInstance) -> list[dg.DagsterRun]:
    return instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS]))


def test_the_nightly_schedule_runs_every_region_once(
    instance: dg.DagsterInstance,
    start: Callable[..., Any],
    waiting: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A schedule of every minute stands for every night; a second tick of one night must add nothing."""
    monkeypatch.setenv("MORA_NIGHTLY_CRON", "* * * * *")
    instance.add_dynamic_partitions(REGIONS, ["north", "south"])
    command = [sys.executable, "-m", "dagster", "schedule", "start", "nightly", "-f", LIGHT]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    start("dagster._daemon", "run", "-f", LIGHT)
    runs = waiting(lambda: len(successful(instance)) == 2 and successful(instance), 85)
    assert sorted(run.tags[PARTITION] for run in runs) == ["north", "south"]
    assert {run.job_name for run in runs} == {"materialize_region"}
    assert {run.tags["dagster/schedule_name"] for run in runs} == {"nightly"}
    nights = {run.tags["dagster/run_key"].split("-" + run.tags[PARTITION])[0] for run in runs}
    assert nights <= {datetime.now(UTC).date().isoformat(), runs[0].tags["dagster/run_key"][:10]}


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
    start("dagster._daemon", "run", "-f", LIGHT, MORA_WATCH_SECONDS="3")
    write_region(watched / "town")
    runs = waiting(lambda: successful(instance), 80)
    assert [run.tags[PARTITION] for run in runs] == ["town"]
    assert runs[0].tags["dagster/sensor_name"] == "new_regions"
    assert set(instance.get_dynamic_partitions(REGIONS)) == {"known", "town"}
    assert set(Registry.at_home().all()) == {"known", "town"}


@pytest.fixture
def two_regions(home: Path, tmp_path: Path, write_region: Callable[..., Path]) -> None:
    for name in ("north", "south"):
        Registry.at_home().add(write_region(tmp_path / name))


@pytest.mark.usefixtures("two_regions")
def test_mora_backfill_runs_each_region_through_mora_dev(
    home: Path, instance: dg.DagsterInstance, start: Callable[..., Any], waiting: Callable[..., Any], unused_port: int
) -> None:
    """The project's whole definitions, UI and daemon as `mora dev` starts them; only the first asset is asked for."""
    from mora_pipeline.commands.backfill import daemon_is_running

    dev = start("mora_pipeline.cli", "dev", "--port", str(unused_port))
    waiting(lambda: daemon_is_running(instance), 120)
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
    runs = successful(instance)
    assert sorted(run.tags[PARTITION] for run in runs) == ["north", "south"]
    assert len({run.tags["dagster/backfill"] for run in runs}) == 1
    dev.send_signal(2)
    assert dev.wait(timeout=60) == 0


@pytest.mark.usefixtures("two_regions")
def test_without_a_daemon_a_backfill_is_kept_and_says_how_to_start_one(
    home: Path, instance: dg.DagsterInstance
) -> None:
    command = [sys.executable, "-m", "mora_pipeline.cli", "backfill", "--all"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=home, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "mora dev" in ended.stderr
    assert [backfill.partition_names for backfill in instance.get_backfills()] == [None]
    waiting = subprocess.run([*command, "--wait"], capture_output=True, text=True, timeout=60, cwd=home, check=False)
    assert waiting.returncode == 2
    assert waiting.stderr.startswith("No Dagster daemon is running")
    assert len(instance.get_backfills()) == 1
