"""Files that are there twice: hard links, copies under another name, and the same file plain and compressed."""

import hashlib
import os
import re
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import lru_cache

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.formats import COMPRESSIONS, TEXT, file_format
from mora_pipeline.raw.path_columns import folder_columns

_LINK_SIZE = 1024  # bytes that the text of a link has at most
_LOOKED_AT = 10_000  # files up to which the size of each is looked at, for links written as text
DIFFERING = "is named as a copy of"
COMPARED = 200  # files up to which all of equal size are compared; of more, only those whose names suggest a copy
_SAMPLE = 1 << 16  # bytes at either end that are compared before a whole file is
_COPY = re.compile(
    r"( ?\(\d{1,2}\)| - (copy|kopie|copie|copia|kopia)( ?\(\d+\))?| copy( \d+)?|[_-]copy\d*|[ _.-](backup|bak))"
    r"(?=(\.[a-z0-9]+)*$)|^(copy of|kopie von|copie de|copia de) ",
    re.IGNORECASE,
)


def without_copies(files: Mapping[str, int], said: str) -> tuple[list[str], list[str]]:
    """The files, in order, each content once, and remarks about those that were left out.

    Files of equal content are one file unless a number in their names or a folder's column tells them apart, such as
    two days on which the same happened: these are all kept, with a remark.

    Args:
        files: absolute paths, and the number of each one's inode; 0 if unknown.
        said: start of the messages.

    Raises:
        UserError: if a file is there both plain and compressed.
    """
    _refuse_compressed_twins(files, said)
    remarks: list[str] = []
    kept = _without_written_links(_without_hard_links(files, remarks), remarks)
    for group in _candidates(kept):
        for same in _of_one_content(group):
            for twin, first in _told_apart(same, remarks):
                kept.remove(twin)
                remarks.append(f"{twin} is a copy of {first}: it is left out.")
    remarks += [
        f"{path} {DIFFERING} {first}, but they differ: both are read. Remove it if it is an older download."
        for path in in_order(kept)
        if _is_marked(path) and (first := _without_mark(path)) in kept
    ]
    return in_order(kept), remarks


def in_order(paths: Iterable[str]) -> list[str]:
    """Paths sorted part by part, as `pathlib` does."""
    return sorted(paths, key=lambda path: path.replace("/", "\0"))


def _refuse_compressed_twins(files: Mapping[str, int], said: str) -> None:
    by_name = {path.lower(): path for path in files}
    only_zips = all(path.endswith(".zip") for path in by_name)
    for path in files:
        lower = path.lower()
        if not lower.endswith(COMPRESSIONS):
            continue
        bare = lower.rpartition(".")[0]
        stems = [bare] if bare.endswith(TEXT) else [bare + text for text in TEXT]
        forms = [stem + packed for stem in stems for packed in ("", *COMPRESSIONS)]
        twins = [by_name[form] for form in forms if form in by_name and form != lower]
        if not twins and lower.endswith(".zip") and not only_zips:
            twins = [by_name[member] for member in _members(path) if member in by_name]
        if twins:
            first, second = sorted([twins[0], path])
            raise UserError(f"{said}which has both {first} and {second}, the same by name. Keep one of them.")


def _members(path: str) -> list[str]:
    """Where the files of a zip would lie beside it, in lower case."""
    folder = path.rpartition("/")[0]
    try:
        with zipfile.ZipFile(path) as archive:
            return [f"{folder}/{name.rpartition('/')[2]}".lower() for name in archive.namelist()]
    except (OSError, zipfile.BadZipFile):
        return []  # its reader will say so


def _without_hard_links(files: Mapping[str, int], remarks: list[str]) -> set[str]:
    by_inode: dict[int, list[str]] = defaultdict(list)
    for path, inode in files.items():
        if inode:
            by_inode[inode].append(path)
    kept = set(files)
    for paths in by_inode.values():
        if len(paths) == 1:
            continue
        first, *rest = sorted(paths, key=_preference)
        for path in rest:
            if os.path.samefile(first, path):  # the number alone may be of another disk
                kept.remove(path)
                remarks.append(f"{path} is the same file as {first}, a hard link: it is left out.")
    return kept


def _without_written_links(files: set[str], remarks: list[str]) -> set[str]:
    """Follow links that are files with the path they lead to, as git and archives write them where they must."""
    kept = set(files)
    for path in sorted(files) if len(files) <= _LOOKED_AT else ():
        if not 0 < os.stat(path).st_size <= _LINK_SIZE:
            continue
        with open(path, "rb") as file:
            text = file.read().decode("utf-8", "replace")
        target = os.path.normpath(f"{path.rpartition('/')[0]}/{text}") if text.isprintable() else path
        if target != path and file_format(target) and os.path.isfile(target):
            kept.remove(path)
            kept.add(target)
            remarks.append(
                f"{path} holds nothing but the path of {target}, a link written as text: that is read, once."
            )
    return kept


def _candidates(files: Iterable[str]) -> list[list[str]]:
    """Groups of files that may have the same content: of one size and, if there are many, of one name but for marks."""
    files = list(files)
    if len(files) >= COMPARED:
        marked = [path for path in files if _is_marked(path)]
        files = [*marked, *set(map(_without_mark, marked)).intersection(files)]
    by_size: dict[tuple[int, str], list[str]] = defaultdict(list)
    for path in sorted(files):
        if size := os.stat(path).st_size:
            by_size[size, _without_mark(path).rpartition(".")[2].lower()].append(path)
    return [group for group in by_size.values() if len(group) > 1]


def _of_one_content(group: list[str]) -> list[list[str]]:
    alike = [group]
    for digest in (_ends, _whole):
        by_digest: dict[tuple[int, str], list[str]] = defaultdict(list)
        for number, paths in enumerate(alike):
            for path in paths:
                by_digest[number, digest(path)].append(path)
        alike = [paths for paths in by_digest.values() if len(paths) > 1]
    return alike


def _ends(path: str) -> str:
    status = os.stat(path)
    return _digest_of_ends(path, status.st_size, status.st_mtime_ns)


def _whole(path: str) -> str:
    """A digest of a file; of a Shapefile with its columns, which are beside it."""
    columns = re.sub(r"(?i)\.shp$", ".dbf", path)
    parts = dict.fromkeys([path, *([columns] if os.path.exists(columns) else [])])
    statuses = [(part, os.stat(part)) for part in parts]
    return " ".join(_digest(part, status.st_size, status.st_mtime_ns) for part, status in statuses)


# A region's files are looked for again and again; a copy of many gigabytes is read once.
@lru_cache(maxsize=4096)
def _digest_of_ends(path: str, size: int, changed: int) -> str:
    with open(path, "rb") as file:
        start = file.read(_SAMPLE)
        file.seek(-min(_SAMPLE, size), os.SEEK_END)
        return hashlib.sha256(start + file.read()).hexdigest()


@lru_cache(maxsize=4096)
def _digest(path: str, size: int, changed: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _told_apart(same: list[str], remarks: list[str]) -> list[tuple[str, str]]:
    """Those files of one content that are copies, each with the file that is kept."""
    kept: list[str] = []
    copies: list[tuple[str, str]] = []
    for path in sorted(same, key=_preference):
        first = next((other for other in kept if not _differ(path, other)), None)
        if first is None:
            kept.append(path)
        else:
            copies.append((path, first))
    if len(kept) > 1:
        more = f" and {len(kept) - 2} more" if len(kept) > 2 else ""
        remarks.append(f"{kept[0]} and {kept[1]}{more} hold the same. All are read, as their paths tell them apart.")
    return copies


def _differ(one: str, other: str) -> bool:
    """Whether paths tell files of one content apart: by a column of their folders, or by numbers that both have."""
    if folder_columns(one) != folder_columns(other):
        return True
    common = os.path.commonpath([one, other])
    numbers, others = (re.findall(r"\d+", _without_mark(path)[len(common) :]) for path in (one, other))
    return bool(numbers and others and numbers != others)


def _without_mark(path: str) -> str:
    folder, slash, name = path.rpartition("/")
    return folder + slash + _COPY.sub("", name)


def _is_marked(path: str) -> bool:
    return _COPY.search(path.rpartition("/")[2]) is not None


def _preference(path: str) -> tuple[bool, bool, str]:
    """The original before its copies, a name that tells a date before one that does not."""
    return _is_marked(path), not any(letter.isdigit() for letter in path.rpartition("/")[2]), path
