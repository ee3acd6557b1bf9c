"""Writes a region.yaml with comments: every name of a file or column is quoted so that it stays what it is."""

import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

WIDTH = 118
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff]+")


@dataclass(frozen=True)
class Entry:
    """A key of region.yaml, with the comments above it.

    Attributes:
        value: a scalar, a mapping of scalars, or the entries below the key.
        off: written as a comment: something that is missing, or another choice.
    """

    key: str
    value: Any
    notes: tuple[str, ...] = ()
    off: bool = False


def written(entries: Iterable[Entry], indent: int = 0) -> list[str]:
    """The lines of entries."""
    lines: list[str] = []
    for entry in entries:
        own = _lines(entry)
        pad = " " * indent
        notes = [line for note in entry.notes for line in comment(note, WIDTH - indent)]
        lines += [pad + line for line in (*notes, *(f"# {line}" for line in own))] if entry.off else [
            pad + line for line in (*notes, *own)
        ]  # fmt: skip
    return lines


def comment(text: str, width: int = WIDTH) -> list[str]:
    """A text as lines of a comment. No text ends it: a name may hold a line break."""
    return [f"# {line}" for line in textwrap.wrap(one_line(text), width - 2, break_on_hyphens=False)]


def one_line(text: str) -> str:
    """A text without line breaks and characters that nobody sees."""
    return _UNSEEN.sub(" ", text)


def scalar(value: Any) -> str:
    """A value as YAML reads it back, on one line."""
    if isinstance(value, str):
        if _PLAIN.fullmatch(value) and yaml.safe_load(value) == value:
            return value
        return str(yaml.safe_dump(value, default_style='"', allow_unicode=True, width=float("inf"))).strip()
    return str(yaml.safe_dump(value, default_flow_style=True, width=float("inf"))).removesuffix("...\n").strip()


def flow(mapping: Mapping[str, Any]) -> str:
    """A mapping on one line."""
    return "{" + ", ".join(f"{scalar(key)}: {scalar(value)}" for key, value in mapping.items()) + "}"


def _lines(entry: Entry) -> list[str]:
    key, value = scalar(entry.key), entry.value
    if isinstance(value, Mapping):
        short = f"{key}: {flow(value)}"
        if len(short) < WIDTH - 8:
            return [short]
        return [f"{key}:", *(f"  {scalar(name)}: {scalar(each)}" for name, each in value.items())]
    if isinstance(value, Sequence) and value and all(isinstance(each, Entry) for each in value):
        return [f"{key}:", *written(value, 2)]
    return [f"{key}: {scalar(value)}"]
