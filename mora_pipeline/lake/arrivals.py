"""Which folders under the watched root hold a complete new region: one that is right, and has stopped changing."""

import contextlib
import hashlib
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mora_pipeline.contract.errors import UserError
from mora_pipeline.lake import mora_home
from mora_pipeline.lake.registry import Registry
from mora_pipeline.region import RegionConfig
from mora_pipeline.region.checks import check_files


def watched_root() -> Path:
    """The folder whose sub-folders become regions: ``$MORA_REGIONS``, or ``$MORA_HOME/regions``."""
    chosen = os.environ.get("MORA_REGIONS")
    return Path(chosen).expanduser().resolve() if chosen else mora_home() / "regions"


@dataclass(frozen=True)
class Arrivals:
    """What one look at the watched root sees.

    Attributes:
        regions: the regions that are complete now, and the fingerprint of each one's files.
        seen: the fingerprint of every folder, to be handed to the next look.
        problems: one message for every folder that is not complete or not right.
    """

    regions: dict[str, str] = field(default_factory=dict)
    seen: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def look(root: Path, registry: Registry, partitions: Collection[str], seen: Mapping[str, str]) -> Arrivals:
    """Register every new region whose files are right and have not changed since the look before.

    A region that is known, or that was taken before and whose files have not changed since, is passed over.

    Args:
        root: the watched root; its direct sub-folders with a ``region.yaml`` count.
        registry: where new regions are registered.
        partitions: the regions that Dagster knows.
        seen: `Arrivals.seen` of the look before; a fingerprint with ``taken:`` before it belongs to a region that
            was taken then.
    """
    arrivals, known = Arrivals(), registry.all()
    for description in sorted(root.glob("*/region.yaml")):
        folder = description.parent
        if folder.name.startswith("."):
            continue
        before = seen.get(folder.name, "")
        if known.get(folder.name) == description.resolve() and folder.name in partitions:
            # Remembered, so that a region that is removed by hand does not come back by itself.
            arrivals.seen[folder.name] = before or f"taken:{fingerprint(folder, description)}"
            continue
        try:
            now = fingerprint(folder, description)
            arrivals.seen[folder.name] = before if before == f"taken:{now}" else now
            if before == f"taken:{now}":
                continue
            config = _complete(description)
            if before != now:
                arrivals.problems.append(f"{folder.name}: waiting until its files stop changing.")
                continue
            registry.remember(config)
        except (UserError, OSError) as error:
            arrivals.problems.append(f"{folder.name}: {error}")
            continue
        arrivals.regions[config.region] = now
        arrivals.seen[folder.name] = f"taken:{now}"
    return arrivals


def _complete(description: Path) -> RegionConfig:
    """The region, if its folder has its name and every file it names is there and right.

    Raises:
        UserError: if not.
    """
    config = RegionConfig.load(description)
    if config.region != description.parent.name:
        raise UserError(
            f"{description}: region is '{config.region}', but the folder is '{description.parent.name}'. "
            "Give both the same name."
        )
    check_files(config)
    return config


def fingerprint(folder: Path, description: Path) -> str:
    """A digest of the names, sizes and times of change of all files that belong to a region.

    That is every file below its folder, and every data file elsewhere that its description names.
    """
    files = {path for path in folder.rglob("*") if path.is_file()}
    with contextlib.suppress(UserError):  # the caller reports it; until it is fixed, the folder's files are all
        files |= {file.path for file in check_files(RegionConfig.load(description))}
    digest = hashlib.sha256()
    for path in sorted(files):
        status = path.stat()
        digest.update(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]
