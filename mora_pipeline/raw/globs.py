"""Globs, expanded part by part: links are followed once, hidden names are left out, and a closed folder is told."""

import fnmatch
import glob
import itertools
import os
import re
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.quoting import printable
from mora_pipeline.raw.roots import Bounds

MOST_PARTS = 64  # of a glob
_AT_ONCE = 10_000  # entries of a folder that are read before the clock is looked at


def expand(base: Path, pattern: str, bounds: Bounds | None = None) -> Iterator[str]:
    """What a glob, relative to `base` or absolute, matches: files and folders, absolute, without '..'.

    Special characters in `base` have no meaning. ``**`` stands for folders at any depth. A name that starts with ``_``
    or ``.`` is matched only by a part of the pattern that starts so, as by Spark.

    Args:
        bounds: of the search; default: those of a path that is relative to `base`.

    Raises:
        UserError: if a folder cannot be read, lies outside of the bounds, or the search is too long.
    """
    bounds = bounds or Bounds.of(base, f"a path is '{pattern}', ")
    absolute = Path(pattern).is_absolute()
    start, parts = (Path(pattern).anchor if absolute else str(base)), list(Path(pattern).parts[int(absolute) :])
    plain = next((number for number, part in enumerate(parts) if glob.has_magic(part)), len(parts))
    if len(parts) > MOST_PARTS:
        raise UserError(f"{bounds.said}a pattern of {len(parts)} folders; {MOST_PARTS} are allowed. Fix it.")
    folder = bounds.real(os.path.join(start, *parts[:plain]))
    bounds.check(folder)
    for path in _expand(folder, _without_repeats(parts[plain:]), bounds) if os.path.lexists(folder) else ():
        yield os.path.normpath(path) if ".." in parts[plain:] else path


def _without_repeats(parts: list[str]) -> list[str]:
    """``**/**`` is ``**``, which takes as long as the folders are many, not as many times as long."""
    return [part for number, part in enumerate(parts) if part != "**" or number == 0 or parts[number - 1] != "**"]


def _expand(folder: str, parts: list[str], bounds: Bounds) -> Iterator[str]:
    if not parts:
        yield folder
        return
    part, rest = parts[0], parts[1:]
    if part == "**":
        for below in _folders(folder, bounds):
            yield from _expand(below, rest, bounds)
    elif not glob.has_magic(part):
        path = f"{folder.rstrip('/')}/{part}"
        if os.path.lexists(path):
            yield from _expand(path, rest, bounds)
    elif os.path.isdir(folder):
        expression = re.compile(fnmatch.translate(part))
        bounds.check(f"{os.path.realpath(folder)}/")
        for entry in entries(folder, bounds):
            if expression.match(entry.name) and (not is_hidden(entry.name) or part[0] == entry.name[0]):
                yield from _expand(entry.path, rest, bounds)


def _folders(top: str, bounds: Bounds) -> Iterator[str]:
    """A folder and all below it; a linked one after those that are there themselves, if it is none of them."""
    seen, waiting, links = set[str](), deque([top]), deque[str]()
    while waiting or links:
        folder = waiting.popleft() if waiting else links.popleft()
        real = os.path.realpath(folder)
        if real in seen or not os.path.isdir(folder):
            continue
        seen.add(real)
        bounds.check(f"{real}/")
        yield folder
        for entry in entries(folder, bounds):
            if not is_hidden(entry.name):
                if entry.is_symlink():
                    links.append(entry.path)
                elif entry.is_dir():
                    waiting.append(entry.path)


def entries(folder: str, bounds: Bounds | None = None) -> list[os.DirEntry[str]]:
    """What a folder holds, by name.

    Raises:
        UserError: if it cannot be read, or holds more than may be looked at.
    """
    found: list[os.DirEntry[str]] = []
    try:
        with os.scandir(folder) as listing:
            while some := list(itertools.islice(listing, _AT_ONCE)):
                found += some
                if bounds is not None:
                    bounds.count(len(some))
    except OSError as error:
        said = printable(folder)
        raise UserError(f"{said} cannot be read: {error.strerror}. Give access to it, or leave it out.") from None
    return sorted(found, key=lambda entry: entry.name)


def real_path(path: str, folders: dict[str, str]) -> str:
    """An absolute path with all links followed; `folders` keeps the answers for its folders, which files share."""
    folder, _, name = path.rpartition("/")
    if os.path.islink(path):
        return os.path.realpath(path)
    if folder not in folders:
        folders[folder] = os.path.realpath(folder or "/").rstrip("/")
    return f"{folders[folder]}/{name}"


def in_any_case(pattern: str) -> str:
    """A glob that matches the same names in upper and lower case."""
    if "[" in pattern:
        return pattern
    return "".join(f"[{each.lower()}{each.upper()}]" if each.isalpha() else each for each in pattern)


def is_hidden(name: str) -> bool:
    """Whether Spark would leave a name out: it starts with ``_`` or ``.``."""
    return name[0] in "_."
