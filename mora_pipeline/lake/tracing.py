"""What a step reads, recorded as it reads: datasets, parts of region.yaml, and raw files by name.

A step is traced by what it is given, a region's settings and a lake that take notes: nothing that it reads of either
can be missed, whoever reads it for the step.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, PrivateAttr

from mora_pipeline.contract.errors import UserError
from mora_pipeline.lake.versions import Lake, Version
from mora_pipeline.region import ModalityConfig, RegionConfig
from mora_pipeline.region.named_files import texts_of

EVERY_FILE = "*"  # in place of a path: all that the parts which were read name
_MODALITIES = "modalities"


@dataclass
class Reads:
    """What was read of one region.

    Attributes:
        parts: of region.yaml, such as ``tasks`` or, where only one kind was asked for, ``modalities/text``.
        paths: as region.yaml writes them, or `EVERY_FILE`.
        datasets: of the lake, and what readers saw; None where there was none.
    """

    parts: set[str] = field(default_factory=set)
    paths: set[str] = field(default_factory=set)
    datasets: dict[str, Version | None] = field(default_factory=dict)


@dataclass
class Trace:
    """What a step has read so far, by region; `aside` holds what it read only to answer one question."""

    main: dict[str, Reads] = field(default_factory=dict)
    aside: dict[str, Reads] = field(default_factory=dict)
    _is_aside: bool = False

    def of(self, region: str) -> Reads:
        """Where to note what is read of a region now."""
        return (self.aside if self._is_aside else self.main).setdefault(region, Reads())

    @contextlib.contextmanager
    def answering(self) -> Iterator[None]:
        """What is read in the block matters by the answer alone that the step takes from it."""
        before, self._is_aside = self._is_aside, True
        try:
            yield
        finally:
            self._is_aside = before


class TracedConfig(RegionConfig):
    """A region's settings that note which of their parts are read."""

    _reads: Any = PrivateAttr(default=None)

    @classmethod
    def of(cls, config: RegionConfig, trace: Trace) -> "TracedConfig":
        """The same settings, noting in `trace`."""
        traced = cls.model_construct(**{name: getattr(config, name) for name in _FIELDS})
        traced._file = config.file
        traced._reads = trace
        return traced

    def __getattribute__(self, name: str) -> Any:
        if name in _FIELDS:
            self._note(name)
        return super().__getattribute__(name)

    def modalities_of(self, kind: str) -> dict[str, ModalityConfig]:
        self._note(f"{_MODALITIES}/{kind}")
        return {name: item for name, item in _plain(self, _MODALITIES).items() if item.kind == kind}

    @property
    def base(self) -> Path:
        self._note_path(EVERY_FILE)
        return super().base

    def base_of(self, *named: str | BaseModel) -> Path:
        for text in sorted({text for part in named for text in texts_of(part)}):
            self._note_path(text)
        return super().base

    def model_dump(self, **options: Any) -> dict[str, Any]:
        self._note(*_FIELDS)
        return super().model_dump(**options)

    def model_dump_json(self, **options: Any) -> str:
        self._note(*_FIELDS)
        return super().model_dump_json(**options)

    def _note(self, *parts: str) -> None:
        private = object.__getattribute__(self, "__pydantic_private__")
        if private and (trace := private.get("_reads")) is not None:
            trace.of(_plain(self, "region")).parts.update(parts)

    def _note_path(self, path: str) -> None:
        self._reads.of(_plain(self, "region")).paths.add(path)


_FIELDS = frozenset(RegionConfig.model_fields)


def _plain(config: RegionConfig, name: str) -> Any:
    """A part of the settings, without a note of it."""
    return object.__getattribute__(config, "__dict__")[name]


def part_of(config: RegionConfig, part: str) -> Any:
    """A part of region.yaml by the name that `Reads.parts` has for it, as JSON holds it; None: there is none."""
    name, _, kind = part.partition("/")
    value = config.modalities_of(kind) if kind else getattr(config, name, None)
    if isinstance(value, dict):
        value = list(value.items())  # in their order, which some steps keep
    return _json(value)


def _json(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    return value


@dataclass(frozen=True)
class TracedLake(Lake):
    """A lake that notes which datasets are read, and which were looked for in vain."""

    trace: Trace = field(default_factory=Trace)

    def read(self, dataset: str, region: str) -> Version:
        try:
            version = super().read(dataset, region)
        except UserError:
            self.trace.of(region).datasets.setdefault(dataset, None)
            raise
        self.trace.of(region).datasets.setdefault(dataset, version)
        return version

    def has(self, dataset: str, region: str) -> bool:
        with contextlib.suppress(UserError):  # it is noted as missing; whoever reads it is told why
            self.read(dataset, region)
        return super().has(dataset, region)
