"""Remove all that was made of a region, and prove it by a search of the whole home."""

import contextlib
import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mora_pipeline.alerts.standing import forget
from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.home import watched_root
from mora_pipeline.contract.names import checked_region_name
from mora_pipeline.lake import Lake
from mora_pipeline.lake.registry import Registry
from mora_pipeline.lake.verify import datasets
from mora_pipeline.runs.locks import RegionLock, lock_of
from mora_pipeline.tracking import TrackingSettings
from mora_pipeline.upkeep.history import forget_region, refuse_if_active
from mora_pipeline.upkeep.space import Freed, removed, vacuumed
from mora_pipeline.upkeep.traces import MARKERS, traces_of
from mora_pipeline.upkeep.tracked import forget_tracked

if TYPE_CHECKING:
    from dagster import DagsterInstance


@dataclass
class Erasure:
    """What was removed, and what still names the region.

    Attributes:
        raw: the folder of its raw files, which are the user's and stay.
        left: what the search found besides.
    """

    removed: list[Freed] = field(default_factory=list)
    raw: Path | None = None
    left: list[str] = field(default_factory=list)


def erase(home: Path, region: str, instance: "DagsterInstance", tracking: TrackingSettings) -> Erasure:
    """Remove all that was made of a region; other regions, and its raw files, are not touched.

    Raises:
        UserError: if the region is being made, or a run of it waits.
    """
    checked_region_name(region)
    refuse_if_active(instance, region)
    lock = RegionLock.take(home, region, f"mora region erase {region}")
    try:
        erasure, cells = Erasure(), _cells(home, region)
        path = Registry(home).all().get(region)
        erasure.raw = path.parent if path is not None and path.exists() else None
        if path is not None:
            Registry(home).remove(region)
        erasure.removed += forget_region(instance, home, region)
        erasure.removed += _remove_files(home, region)
        erasure.removed += forget_tracked(home, tracking, region)
        erasure.removed.append(Freed("alerts", forget(home, region)))
        _forget_arrival(home, region)
        vacuumed(home, dry=False, always=True)
    finally:
        lock.release()
    lock_of(home, region).unlink(missing_ok=True)
    others = list(Registry(home).all())
    raw = str(erasure.raw)
    erasure.left = [trace for trace in traces_of(home, region, cells, others) if not trace.startswith(raw)]
    return erasure


def _cells(home: Path, region: str) -> list[int]:
    """Some of the region's cells, to be looked for afterwards."""
    with contextlib.suppress(UserError):
        return list(Lake(home / "lake").read("cells", region).table(["cell"])["cell"].to_pylist())[:MARKERS]
    return []


def _remove_files(home: Path, region: str) -> list[Freed]:
    """The lake's versions, quarantine included, and the files of caches, checkpoints and logs."""
    lake = Lake(home / "lake")
    versions = [lake.folder(dataset, name) for dataset, name in datasets(lake, region)]
    caches = [path for path in home.glob(f"cache/*/{region}") if path.is_dir()]
    # Files of caches from before each region had its own: nobody can tell whose they are.
    caches += [path for kind in ("scores", "vectors") for path in home.glob(f"cache/{kind}/*.npy")]
    return [
        removed("datasets", versions, dry=False),
        removed("caches", caches, dry=False),
        removed("folders of checkpoints", list(home.glob(f"checkpoints/{region}")), dry=False),
        removed("logs of runs", sorted(home.glob(f"logs/{region}-*.log")), dry=False),
    ]


def _forget_arrival(home: Path, region: str) -> None:
    """Remove the region from the sensor's memory, unless its folder would then arrive anew."""
    database = home / "dagster" / "schedules" / "schedules.db"
    if (watched_root() / region).exists() or not database.exists():
        return
    with closing(sqlite3.connect(database, timeout=30.0)) as connection, connection:
        for table, column in (("instigators", "instigator_body"), ("jobs", "job_body")):
            for row, body in connection.execute(f"SELECT id, {column} FROM {table}").fetchall():
                told = json.loads(body)
                if _without(told, region):
                    connection.execute(f"UPDATE {table} SET {column} = ? WHERE id = ?", (json.dumps(told), row))


def _without(told: object, region: str) -> bool:
    """Remove a region from every cursor within; True if there was one."""
    changed = False
    if not isinstance(told, dict):
        return changed
    for key, value in list(told.items()):
        if key == "cursor" and isinstance(value, str):
            with contextlib.suppress(ValueError):
                cursor = json.loads(value)
                if _drop(cursor, region):
                    told[key], changed = json.dumps(cursor), True
        changed = _without(value, region) or changed
    return changed


def _drop(cursor: object, region: str) -> bool:
    """Remove a region's key wherever a cursor has it."""
    if not isinstance(cursor, dict):
        return False
    found = cursor.pop(region, None) is not None
    return any([found, *(_drop(value, region) for value in cursor.values())])
