"""What a home holds of each region, seen without reading any data: it looks on where something is damaged."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.names import REGION_NAME
from mora_pipeline.lake import commits
from mora_pipeline.lake.registry import Registry


@dataclass(frozen=True)
class DatasetState:
    """The current version of a dataset of a region.

    Attributes:
        rows: None if its record is damaged.
        bytes: of all kept versions on the disk.
        begun: when the version was begun; None if its record is damaged.
        problem: what is wrong with it.
    """

    dataset: str
    rows: int | None
    bytes: int
    begun: datetime | None
    problem: str | None = None


@dataclass(frozen=True)
class RegionState:
    """What a home holds of a region.

    Attributes:
        path: of its region.yaml; None if the home does not know the region any more.
        bytes: in all, by what it is: lake, cache, models, logs.
    """

    name: str
    path: Path | None
    datasets: list[DatasetState] = field(default_factory=list)
    bytes: dict[str, int] = field(default_factory=dict)

    @property
    def embeddings_at(self) -> datetime | None:
        """When the embeddings that readers see were begun."""
        return next((item.begun for item in self.datasets if item.dataset == "embeddings"), None)

    @property
    def problems(self) -> list[str]:
        """What is wrong with its datasets."""
        return [item.problem for item in self.datasets if item.problem]

    def rows(self, dataset: str) -> int | None:
        """Rows of a dataset; None if there is none, or its record is damaged."""
        return next((item.rows for item in self.datasets if item.dataset == dataset), None)


@dataclass(frozen=True)
class Inventory:
    """All regions of a home, by name; `problems` concern the home itself."""

    regions: dict[str, RegionState]
    problems: list[str] = field(default_factory=list)


def take_inventory(home: Path) -> Inventory:
    """Look at everything that a home holds; what is damaged is named, and the rest is looked at all the same."""
    problems = []
    try:
        known: dict[str, Path] = Registry(home).all()
    except UserError as error:
        known, problems = {}, [str(error)]
    lake = home / "lake"
    folders: dict[str, list[Path]] = {name: [] for name in known}
    for folder in sorted((*lake.glob("*/region=*"), *lake.glob("*/*/region=*"))):
        name = folder.name.removeprefix("region=")
        if REGION_NAME.fullmatch(name):
            folders.setdefault(name, []).append(folder)
    regions = {}
    for name in sorted(folders):
        datasets = [_dataset(lake, folder) for folder in folders[name]]
        sizes = {"lake": sum(item.bytes for item in datasets), **_other_bytes(home, name)}
        held = [item for item in datasets if item.rows is not None or item.problem]
        if held or name in known or any(sizes.values()):
            regions[name] = RegionState(name, known.get(name), held, sizes)
    return Inventory(regions, problems)


def _dataset(lake: Path, folder: Path) -> DatasetState:
    dataset = folder.parent.relative_to(lake).as_posix()
    size, region = folder_bytes(folder), folder.name.removeprefix("region=")
    current = folder / commits.CURRENT
    try:
        record: dict[str, Any] = json.loads(current.read_text(encoding="utf-8"))
        version, rows = str(record["version"]), int(record["rows"])
        begun = datetime.strptime(version.split("-")[0], "%Y%m%dT%H%M%S%f").replace(tzinfo=UTC)
        if not (folder / version).is_dir():
            raise ValueError(f"its version {version} is gone")
    except FileNotFoundError:
        return DatasetState(dataset, None, size, None)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        problem = f"{dataset} of {region} is damaged: {current}: {type(error).__name__}: {error}"
        return DatasetState(dataset, None, size, None, problem)
    return DatasetState(dataset, rows, size, begun)


def _other_bytes(home: Path, region: str) -> dict[str, int]:
    """What a home holds of a region outside of the lake."""
    caches = [path / region for path in (home / "cache").glob("*") if (path / region).is_dir()]
    logs = (path for path in (home / "logs").glob(f"{region}-*") if path.name[len(region) + 1 :][:8].isdigit())
    return {
        "cache": sum(map(folder_bytes, caches)),
        "models": folder_bytes(home / "mlartifacts" / region),
        "logs": sum(_size(path) for path in logs),
    }


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below a folder, links not followed; files that go meanwhile count as none."""
    return sum(_sizes(folder))


def _sizes(folder: Path | str) -> Iterator[int]:
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _sizes(entry.path)
        else:
            try:
                yield entry.stat(follow_symlinks=False).st_size
            except OSError:
                continue


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0
