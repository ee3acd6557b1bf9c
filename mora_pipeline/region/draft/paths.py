"""How region.yaml names a group of files: a file, a folder, or a glob that matches just these."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.folders import find_files
from mora_pipeline.raw.formats import FORMATS, IMAGE_FORMATS
from mora_pipeline.raw.table_formats import table_kind
from mora_pipeline.raw.walk import Walk

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def path_of(
    base: Path, group: Sequence[str], every: set[str], table: str | None = None, images: bool = False
) -> tuple[str, list[str]]:
    """What region.yaml says to name just these files, relative to `base`, and the files that it names.

    Args:
        every: all files of these formats below `base`.
        table: the folder of the Delta or Iceberg table that they are.
        images: whether they are GeoTIFFs.

    Returns:
        the path of the first file, and that file, where no pattern names all of them and no others.
    """
    if table:
        return below(table, base), list(group)
    first = below(group[0], base)
    if len(group) == 1:
        return first, list(group)
    wanted = set(group)
    for pattern in _patterns(base, group, every):
        try:
            found = find_files(base, pattern, "", IMAGE_FORMATS if images else FORMATS)
        except UserError:
            continue
        if {str(path) for path in found.files} == wanted:
            return pattern, list(group)
    return first, [group[0]]


def below(path: str, base: Path) -> str:
    """A path, relative to `base`."""
    return str(PurePath(path).relative_to(base))


def form_of_name(base: Path, path: str) -> tuple[str, str]:
    """The folders and the name of a file, without what numbers files: digits, UUIDs, values of hive folders."""
    *folders, name = PurePath(below(path, base)).parts
    return "/".join("=" if "=" in folder else without_digits(folder) for folder in folders), without_digits(name)


def without_digits(name: str) -> str:
    """A name in which all numbers are alike."""
    return re.sub(r"\d+", "#", _UUID.sub("#", name))


def table_root(base: Path, path: str, walk: Walk) -> str | None:
    """The folder of the Delta or Iceberg table that a file belongs to; None if it is a file by itself."""
    if path not in walk.partitions:
        return None
    inside = (folder for folder in PurePath(path).parents if folder.is_relative_to(base))
    return next((str(folder) for folder in inside if table_kind(str(folder), None, "")), None)


def _patterns(base: Path, group: Sequence[str], every: set[str]) -> Iterator[str]:
    relative = [PurePath(below(path, base)) for path in group]
    parents = [path.parent.parts for path in relative]
    shared = PurePath(*_shared_start(parents))
    folder = "" if shared == PurePath() else f"{shared}/"
    if folder and {path for path in every if path.startswith(f"{base}/{folder}")} == set(group):
        yield str(shared)
    names = [path.name for path in relative]
    start = "".join(_shared_start(names))
    end = "".join(_shared_start([name[::-1] for name in names]))[::-1]
    if len(start) + len(end) > min(map(len, names)):
        end = re.sub(r"^[^.]*", "", end)
    start, end = re.sub(r"\d+$", "", start), re.sub(r"^\d+", "", end)
    middle = "" if len(set(parents)) == 1 else "**/"
    for before, after in dict.fromkeys([(start, end), ("", end), (start, "")]):
        yield f"{_without_magic(folder)}{middle}{_without_magic(before)}*{_without_magic(after)}"


def _shared_start(texts: Sequence[Sequence[str]]) -> list[str]:
    """What all begin with."""
    shared = []
    for each in zip(*texts, strict=False):
        if len(set(each)) > 1:
            break
        shared.append(each[0])
    return shared


def _without_magic(text: str) -> str:
    """A text that a glob takes nearly as it is: a special character stands for any one."""
    return re.sub(r"[][*?]", "?", text)
