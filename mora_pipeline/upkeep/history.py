"""Dagster's history of a home: old runs are deleted, and all that names an erased region."""

import re
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

import dagster as dg

from mora_pipeline.contract.errors import UserError
from mora_pipeline.runs import PARTITION_TAG
from mora_pipeline.upkeep.limits import Limits
from mora_pipeline.upkeep.space import Freed, removed

REGIONS = "regions"
RUN_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


def prune_runs(instance: dg.DagsterInstance, home: Path, limits: Limits, dry: bool) -> list[Freed]:
    """Delete ended runs beyond the limits, with their events and logs.

    A run that made what the UI shows of an asset now stays, however old it is.
    """
    oldest = datetime.now(UTC) - timedelta(days=limits.run_days)
    by_region, kept = defaultdict[str, list[dg.RunRecord]](list), _runs_that_show(instance)
    for record in instance.get_run_records(dg.RunsFilter(statuses=ENDED)):  # newest first
        by_region[record.dagster_run.tags.get(PARTITION_TAG, "")].append(record)
    old = [
        record.dagster_run.run_id
        for records in by_region.values()
        for number, record in enumerate(records)
        if (number >= limits.runs or record.create_timestamp < oldest) and record.dagster_run.run_id not in kept
    ]
    for run_id in [] if dry else old:
        instance.delete_run(run_id)
    there = {record.dagster_run.run_id for record in instance.get_run_records()}
    gone = [path for path in _files_of_runs(home) if _run_of(path) in old or _is_orphan(path, there)]
    return [Freed("runs in Dagster", len(old)), removed("files of Dagster's runs", gone, dry)]


def _runs_that_show(instance: dg.DagsterInstance) -> set[str]:
    """The runs that made the newest version of an asset of a region."""
    shown = set[str]()
    regions = list(instance.get_dynamic_partitions(REGIONS))
    for key in instance.get_asset_keys():
        for region in regions:
            made = dg.AssetRecordsFilter(asset_key=key, asset_partitions=[region])
            shown |= {record.run_id for record in instance.fetch_materializations(made, limit=1).records}
    return shown


def _files_of_runs(home: Path) -> list[Path]:
    """What Dagster keeps of single runs in the home: logs of steps, and the databases of their events."""
    folder = home / "dagster"
    paths = (*folder.glob("storage/*"), *folder.glob("history/runs/*"))
    return [path for path in paths if RUN_ID.fullmatch(_run_of(path))]


def _run_of(path: Path) -> str:
    return path.name.split(".")[0]


def _is_orphan(path: Path, runs: set[str]) -> bool:
    """Whether a run's file belongs to no run, for a day at least."""
    age = datetime.now(UTC).timestamp() - path.stat().st_mtime
    return _run_of(path) not in runs and age > timedelta(days=1).total_seconds()


def refuse_if_active(instance: dg.DagsterInstance, region: str) -> None:
    """Raises: UserError: if a run of the region goes on or waits."""
    active = [status for status in dg.DagsterRunStatus if status not in ENDED]
    runs = instance.get_runs(dg.RunsFilter(tags={PARTITION_TAG: region}, statuses=active), limit=1)
    if runs:
        raise UserError(
            f"'{region}' has the run {runs[0].run_id}, which is {runs[0].status.value}. Wait for it, or cancel it in "
            "the UI (mora dev, Runs, Terminate)."
        )


def forget_region(instance: dg.DagsterInstance, home: Path, region: str) -> list[Freed]:
    """Delete a region's partition, runs and events, and all else in Dagster's databases that names it."""
    instance.delete_dynamic_partition(REGIONS, region)
    runs = [run.run_id for run in instance.get_runs(dg.RunsFilter(tags={PARTITION_TAG: region}))]
    for run_id in runs:
        instance.delete_run(run_id)
    files = [path for path in _files_of_runs(home) if _run_of(path) in runs]
    return [
        Freed("runs in Dagster", len(runs)),
        removed("files of Dagster's runs", files, dry=False),
        Freed("rows of Dagster's databases", _scrub(home / "dagster", region)),
    ]


def _scrub(folder: Path, region: str) -> int:
    """Delete what Dagster keeps of a region besides its runs: events without a run, ticks, backfills, summaries."""
    changed, quoted, anywhere = 0, f'%"{region}"%', f"%{region}%"
    newest = "SELECT event FROM event_logs WHERE asset_key = asset_keys.asset_key"
    newest += " AND dagster_event_type = 'ASSET_MATERIALIZATION' ORDER BY id DESC LIMIT 1"
    with _changing(folder / "history" / "runs" / "index.db") as index:
        changed += index("DELETE FROM event_logs WHERE partition = ?", region)
        changed += index("DELETE FROM asset_check_executions WHERE partition = ?", region)
        changed += index("DELETE FROM asset_event_tags WHERE value = ?", region)
        changed += index(
            f"UPDATE asset_keys SET last_materialization = ({newest}) WHERE last_materialization LIKE ?", quoted
        )
        changed += index("UPDATE asset_keys SET cached_status_data = NULL WHERE cached_status_data LIKE ?", anywhere)
    with _changing(folder / "history" / "runs.db") as runs:
        changed += runs("DELETE FROM backfill_tags WHERE value = ?", region)
        changed += runs("DELETE FROM bulk_actions WHERE body LIKE ?", quoted)
    with _changing(folder / "schedules" / "schedules.db") as schedules:
        changed += schedules("DELETE FROM job_ticks WHERE names(tick_body, ?)", region)
    return changed


@contextmanager
def _changing(database: Path) -> "Iterator[_Statement]":
    """Statements in one transaction on a database; none are made if it is not there (another kind of storage)."""
    if not database.exists():
        yield lambda statement, *values: 0
        return
    with closing(sqlite3.connect(database, timeout=30.0)) as connection, connection:
        connection.create_function("names", 2, lambda text, name: bool(whole_word(name).search(text or "")))
        yield lambda statement, *values: connection.execute(statement, values).rowcount


def whole_word(region: str) -> re.Pattern[str]:
    """What finds a region's name, also as a part of the names made from it, and no longer name that begins with it."""
    return re.compile(rf"(?<![A-Za-z0-9_])(?:mora_)?{re.escape(region)}(?![A-Za-z0-9_])")


class _Statement(Protocol):
    """A statement with its values; returns the number of rows that it changed."""

    def __call__(self, statement: str, *values: str) -> int: ...
