"""Delete what a home keeps of its past beyond the limits, and what killed processes left."""

import contextlib
import os
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from mora_pipeline.lake import Lake
from mora_pipeline.lake.commits import DAMAGED, clear, leftovers
from mora_pipeline.lake.registry import Registry
from mora_pipeline.lake.verify import datasets
from mora_pipeline.tracking import TrackingSettings
from mora_pipeline.upkeep.history import prune_runs
from mora_pipeline.upkeep.limits import Limits
from mora_pipeline.upkeep.space import Freed, removed, size_of, vacuumed
from mora_pipeline.upkeep.tracked import prune_tracked

if TYPE_CHECKING:
    from dagster import DagsterInstance

DAY = 86_400.0
LEFTOVER_DAYS = 1.0  # a folder that a process left and nothing was written into meanwhile
TEMPORARY = ("mora-spark-*", "mora-training-*")
KEPT_IN_CACHE = ("spark-classes-*.jsa", "java-*")  # a few, needed by every run; the Spark jobs replace them


def prune(
    home: Path, instance: "DagsterInstance", tracking: TrackingSettings, limits: Limits, dry: bool = False
) -> list[Freed]:
    """Prune every part of a home; what readers see, and what a run is making, stays.

    Args:
        dry: change nothing, and return what would be removed.
    """
    return [
        *prune_runs(instance, home, limits, dry),
        *prune_tracked(home, tracking, limits, dry),
        removed("logs of runs", _older(home.glob("logs/*.log"), limits.log_days), dry),
        _pruned_cache(home / "cache", limits, dry),
        removed("checkpoints", _stale_checkpoints(home, limits), dry),
        removed("versions set aside as damaged", _older(home.glob(f"lake/**/{DAMAGED}*"), limits.log_days), dry),
        _cleared_lake(home, dry),
        removed("temporary folders of dead processes", _leftovers(), dry),
        vacuumed(home, dry),
    ]


def _older(paths: Iterable[Path], days: float) -> list[Path]:
    """Those that were last written so many days ago."""
    oldest, found = time.time() - days * DAY, list[Path]()
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            if path.lstat().st_mtime < oldest:
                found.append(path)
    return sorted(found)


def _pruned_cache(cache: Path, limits: Limits, dry: bool) -> Freed:
    """By age, then by size: the files that were used longest ago go first."""
    files = {path: path.stat() for path in cache.rglob("*") if path.is_file()}
    for pattern in KEPT_IN_CACHE:
        for kept in cache.glob(pattern):
            files = {path: status for path, status in files.items() if not path.is_relative_to(kept)}
    by_use = sorted(files, key=lambda path: files[path].st_mtime)
    taken, doomed = sum(status.st_size for status in files.values()), list[Path]()
    for path in by_use:
        if files[path].st_mtime > time.time() - limits.cache_days * DAY and taken <= limits.cache_gb * 1e9:
            break
        taken -= files[path].st_size
        doomed.append(path)
    return removed("cached files", doomed, dry)


def _stale_checkpoints(home: Path, limits: Limits) -> list[Path]:
    """Those of regions that the home does not know, and those that no training went on from for long."""
    known = Registry(home).all()
    folders = [path for path in home.glob("checkpoints/*") if path.is_dir()]
    unknown = [path for path in folders if path.name not in known]
    return unknown + _older(home.glob("checkpoints/*/*/*.safetensors"), limits.log_days)


def _cleared_lake(home: Path, dry: bool) -> Freed:
    """Drafts and half-dropped versions of processes that were killed."""
    lake, number, taken = Lake(home / "lake"), 0, 0
    for dataset, region in datasets(lake):
        for leftover in leftovers(lake.folder(dataset, region)):
            number, taken = number + 1, taken + size_of(leftover)
        if not dry:
            clear(lake.folder(dataset, region))
    return Freed("drafts of dead processes", number, taken)


def _leftovers() -> list[Path]:
    """This user's temporary folders that nothing was written into for a day and that no living process names."""
    folder, found = Path(tempfile.gettempdir()), list[Path]()
    named = _named_by_processes()
    for pattern in TEMPORARY:
        for path in _older(folder.glob(pattern), LEFTOVER_DAYS):
            if path.lstat().st_uid == os.getuid() and not any(path.name in text for text in named):
                found += [path] if not _written_inside(path) else []
    return found


def _written_inside(folder: Path) -> bool:
    """Whether something below a folder was written within the last day."""
    inside = list(folder.rglob("*"))
    return len(_older(inside, LEFTOVER_DAYS)) < len(inside)


def _named_by_processes() -> list[str]:
    """The command lines and environments of this user's processes."""
    import psutil

    texts = list[str]()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            texts.append(" ".join([*process.cmdline(), *process.environ().values(), process.cwd()]))
    return texts
