"""The files that a part of region.yaml names, as a listing that changes when one of them does; none is opened."""

import contextlib
import glob
import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.globs import expand

_PLACEHOLDER = re.compile(r"\{[^{}]*\}")  # of tiles, such as {z}
_SHORTEST = 2  # characters of a text that may be a path: marks such as . and / stand for themselves


def texts_of(part: object) -> set[str]:
    """All texts in a part of region.yaml; any of them may be a path."""
    if isinstance(part, BaseModel):
        return texts_of(part.model_dump())
    if isinstance(part, dict):
        return {text for value in part.values() for text in texts_of(value)}
    if isinstance(part, list | tuple):
        return {text for value in part for text in texts_of(value)}
    return {part} if isinstance(part, str) and (len(part) >= _SHORTEST) else set()


@dataclass(frozen=True)
class Listing:
    """Files as they are now.

    Attributes:
        digest: of their names, sizes and times of change.
        changed_ns: when the last of them, or a folder they are in, was changed, in nanoseconds since the epoch.
    """

    digest: str
    changed_ns: int


def listing(base: Path, texts: Iterable[str]) -> Listing:
    """The name, size and time of change of every file that one of the texts names, and of those beside it.

    A file's companions (``roads.dbf`` of ``roads.shp``) count with it; of a folder, all that is below it. A text that
    names nothing adds nothing, so that a path and a word need not be told apart.

    Args:
        base: the folder that relative paths start from; a region that moves with its files keeps its listing.
        texts: paths, globs, paths with placeholders such as ``{z}``, or anything else.
    """
    files, single = set[str](), defaultdict[str, set[str]](set)
    for text in set(texts):
        for path in _matches(base, text):
            if os.path.isdir(path):
                files.update(_below(path))
            else:
                folder, name = os.path.split(path)
                single[folder].add(_stem(name))
                files.add(path)
    for folder, stems in single.items():
        files.update(_companions(folder, stems))
    digest, changed = hashlib.sha256(), 0
    for file in sorted(files):
        digest.update(f"{os.path.relpath(file, base)}\0".encode(errors="surrogateescape"))
        with contextlib.suppress(OSError):  # a link that leads nowhere, or gone this moment: its name tells
            status = os.stat(file)
            digest.update(f"{status.st_size}\0{status.st_mtime_ns}".encode())
            changed = max(changed, status.st_ctime_ns, status.st_mtime_ns)
        digest.update(b"\n")
    for folder in {os.path.dirname(file) for file in files}:
        with contextlib.suppress(OSError):
            changed = max(changed, os.stat(folder).st_ctime_ns)
    return Listing(digest.hexdigest()[:32], changed)


def _matches(base: Path, text: str) -> list[str]:
    if "://" in text or "\0" in text or "\n" in text:
        return []
    pattern = _PLACEHOLDER.sub("*", os.path.expanduser(text))
    path = os.path.join(base, pattern)
    try:
        if os.path.lexists(path):
            return [path]
        looks_like_path = "/" in pattern or "." in pattern
        return list(expand(base, pattern)) if glob.has_magic(pattern) and looks_like_path and " " not in text else []
    except (OSError, UserError, ValueError):
        return []


def _below(folder: str) -> Iterator[str]:
    seen = set[str]()
    for parent, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        yield from (os.path.join(parent, name) for name in names)


def _companions(folder: str, stems: set[str]) -> list[str]:
    """The files of a folder whose names begin as those of files that were named."""
    try:
        with os.scandir(folder) as entries:
            return [entry.path for entry in entries if _stem(entry.name) in stems]
    except OSError:
        return []


def _stem(name: str) -> str:
    return name if name.startswith(".") else name.split(".")[0]
