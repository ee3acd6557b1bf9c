"""What a step returns: datasets, checks, and metadata for people."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mora_pipeline.lake import Version


@dataclass(frozen=True)
class Check:
    """Whether the data holds what a step promises of it, and the figures that show it."""

    name: str
    passed: bool
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Markdown:
    """Metadata that is read as Markdown."""

    text: str


@dataclass(frozen=True)
class Picture:
    """Metadata that is looked at: a PNG and its title."""

    png: bytes
    title: str


@dataclass(frozen=True)
class StepResult:
    """What a step did.

    Attributes:
        versions: datasets committed, the main one last.
        committed: whether the checks let its outputs be committed; also of a step that was skipped.
        checks: one for each that the step declares.
        metadata: figures, texts, `Markdown`, `Picture` and paths for people, by name.
        data_version: changes with what the step made; None if it made nothing.
        rows: of the main dataset; None if it was not committed.
        unchanged: why nothing was made, where the versions before stay; else None.
    """

    versions: list[Version]
    committed: bool
    checks: list[Check]
    metadata: Mapping[str, Any]
    data_version: str | None = None
    rows: int | None = None
    unchanged: str | None = None
