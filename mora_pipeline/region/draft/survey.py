"""What a folder holds: files of the same columns as one table each, and what could not be read."""

import os
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.copies import without_copies
from mora_pipeline.raw.folders import find_files
from mora_pipeline.raw.formats import FORMATS, IMAGE_FORMATS, file_format
from mora_pipeline.raw.forms import FileForm, form_of, parquet_file
from mora_pipeline.raw.globs import entries, is_hidden
from mora_pipeline.raw.source import Source
from mora_pipeline.raw.table_formats import table_kind
from mora_pipeline.raw.walk import Walk
from mora_pipeline.region.draft.samples import ColumnSample, sample_columns

MOST_GROUPS = 200  # of files, by their names, that are opened
MOST_HEADS = 100  # files of one group whose columns are looked at, once two of them differ
SAME_IDS = 0.5  # of the ids of one file that are in another, from which both tell of the same things
TRIED: tuple[dict[str, Any], ...] = ({"multiline": True}, {"escape": "\\"}, {"encoding": "latin-1"})
FOOTERS = 20  # Parquet files whose rows are counted


@dataclass(frozen=True)
class RawFiles:
    """Files that are one table.

    Attributes:
        path: as region.yaml names them.
        rows: how many, about; None if nobody knows.
        twins: paths of tables of the same columns and ids, such as those of other years.
    """

    path: str
    source: Source
    form: FileForm
    columns: dict[str, ColumnSample]
    rows: int | None
    remarks: tuple[str, ...] = ()
    twins: tuple[str, ...] = ()

    @property
    def files(self) -> tuple[str, ...]:
        return self.source.files


@dataclass(frozen=True)
class Survey:
    """What a folder holds.

    Attributes:
        images: GeoTIFFs, absolute.
        remarks: what was left out, and why.
    """

    base: Path
    tables: tuple[RawFiles, ...]
    images: tuple[str, ...]
    remarks: tuple[str, ...]


def survey(folder: Path, apart: Collection[str] = ()) -> Survey:
    """Look at all files below a folder.

    Args:
        apart: names in the folder that are left out, such as those of tiles.

    Raises:
        UserError: if the folder cannot be read, a link in it leads nowhere, or a file is there twice, plain and
            compressed.
    """
    base = folder.resolve()
    walk = Walk(f"{folder} is given, ", {**FORMATS, **IMAGE_FORMATS})
    walk.add([str(base / entry.name) for entry in entries(str(base)) if _is_seen(entry.name, apart)] if apart else [str(base)])
    files, copies = without_copies(walk.files, f"{folder} is given, ")
    remarks = [*walk.remarks(), *copies]
    odd = [path for path in files if not _writable(path)]
    if odd:
        remarks.append(f"Left out, having names that are no UTF-8 or hold line breaks: {', '.join(map(ascii, odd[:5]))}.")
    files = [path for path in files if _writable(path)]
    images = tuple(path for path in files if file_format(path, IMAGE_FORMATS))
    groups = _by_name(base, [path for path in files if not file_format(path, IMAGE_FORMATS)], walk)
    if len(groups) > MOST_GROUPS:
        remarks.append(f"Only the first {MOST_GROUPS} groups of files were opened, of {len(groups):,}.")
    found = _Groups(base, walk)
    for group in groups[:MOST_GROUPS]:
        found.add(group)
    return Survey(base, tuple(found.tables()), images, (*remarks, *found.remarks))


def _is_seen(name: str, apart: Collection[str]) -> bool:
    return not is_hidden(name) and name not in apart


def _writable(path: str) -> bool:
    return path.isprintable()


def _by_name(base: Path, files: Sequence[str], walk: Walk) -> list[list[str]]:
    """Files whose names differ in numbers alone, in folders that do; those of a Delta or Iceberg table are one group."""
    groups: dict[tuple[str, str], list[str]] = {}
    for path in files:
        if table := _table_root(base, path, walk):
            key = (table, "")
        else:
            parts = os.path.relpath(path, base).split(os.sep)
            folders = ["=" if "=" in part else _digits_out(part) for part in parts[:-1]]
            key = ("/".join(folders), _digits_out(parts[-1]))
        groups.setdefault(key, []).append(path)
    return list(groups.values())


def _digits_out(name: str) -> str:
    return re.sub(r"\d+", "#", re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "#", name))


def _table_root(base: Path, path: str, walk: Walk) -> str | None:
    """The folder of the Delta or Iceberg table that a file belongs to."""
    if path not in walk.partitions:
        return None
    folder = os.path.dirname(path)
    while len(folder) >= len(str(base)):
        if table_kind(folder, None, ""):
            return folder
        folder = os.path.dirname(folder)
    return None


class _Groups:
    """Gathers groups of files by their folder and columns."""

    def __init__(self, base: Path, walk: Walk) -> None:
        self.base, self.walk = base, walk
        self.remarks: list[str] = []
        self._found: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}

    def add(self, group: list[str]) -> None:
        """Files of one form of name; those whose columns differ become several tables."""
        ends = [group[0], group[-1]] if len(group) > 1 else group
        heads = [self._columns(path) for path in ends]
        if len(ends) > 1 and heads[0] != heads[1]:
            for path in group[:MOST_HEADS]:
                self._put(self._columns(path), [path])
            if len(group) > MOST_HEADS:
                self.remarks.append(f"Left out, being many files of differing columns: those like {group[-1]}.")
        else:
            self._put(heads[0], group)

    def _put(self, columns: tuple[str, ...] | None, group: list[str]) -> None:
        if columns is None:
            return
        folder = _table_root(self.base, group[0], self.walk) or os.path.dirname(group[0])
        above = next((part for part in _parents(folder) if "=" not in os.path.basename(part)), folder)
        key = (re.sub(r"\d+", "#", above), file_format(group[0]) or "parquet", columns)
        self._found.setdefault(key, []).extend(group)

    def _columns(self, path: str) -> tuple[str, ...] | None:
        try:
            return tuple(sorted(form_of(self._source([path]), {}, path).columns))
        except (UserError, OSError, ValueError) as error:
            self.remarks.append(f"Not read: {error}")
            return None

    def _source(self, files: Sequence[str]) -> Source:
        partitions = {path: dict(self.walk.partitions[path]) for path in files if self.walk.partitions.get(path)}
        return Source(tuple(files), file_format(files[0]) or "parquet", {}, partitions=partitions)

    def tables(self) -> Iterable[RawFiles]:
        """A table a group; files that tell of the same things are tables of their own."""
        every = {path for group in self._found.values() for path in group}
        for group in self._found.values():
            group.sort()
            try:
                first = self._table(group[:1] if len(group) == 1 else group, every)
                last = self._table(group[-1:], every) if len(group) > 1 else None
            except (UserError, OSError, ValueError) as error:
                self.remarks.append(f"Not read: {error}")
                continue
            if last is None or not _same_ids(first, last):
                yield first
            elif len({_digits_out(os.path.basename(path)) for path in group}) == 1:  # other years of one table
                yield replace(last, twins=tuple(os.path.relpath(path, self.base) for path in group[:-1]))
            else:
                yield from [self._table([path], every) for path in group]

    def _table(self, group: list[str], every: set[str]) -> RawFiles:
        path, kept = path_of(self.base, group, every, _table_root(self.base, group[0], self.walk))
        source, form, columns = self._sampled(kept)
        remarks = list(form.remarks)
        if len(kept) < len(group):
            remarks.append(
                f"No pattern names {len(group) - 1} more files of the same columns without naming others: move them "
                "into a folder of their own."
            )
        return RawFiles(path, source, form, columns, _rows(source, columns), tuple(remarks))


    def _sampled(self, files: list[str]) -> tuple[Source, FileForm, dict[str, ColumnSample]]:
        """The first rows, by the dialect that is found in them; by one that is tried, where that does not hold."""
        source = self._source(files)
        try:
            return (source, *sample_columns(source, files[0]))
        except UserError:
            for tried in TRIED if source.format == "csv" else ():
                try:
                    declared = replace(source, csv=tried)
                    return (declared, *sample_columns(declared, files[0]))
                except UserError:
                    continue
            raise


def _parents(folder: str) -> Iterable[str]:
    while folder != os.path.dirname(folder):
        yield folder
        folder = os.path.dirname(folder)


def _same_ids(first: RawFiles, last: RawFiles) -> bool:
    """Whether a column names the rows of either file, and both name the same."""
    for name, column in first.columns.items():
        other = last.columns[name]
        if column.may_be_id and column.is_unique and other.is_unique:
            if len(column.distinct & other.distinct) >= SAME_IDS * min(len(column.distinct), len(other.distinct)):
                return True
    return False


def _rows(source: Source, columns: dict[str, ColumnSample]) -> int | None:
    """How many rows there are; about, for texts."""
    if source.format == "parquet":
        counted = source.files[:FOOTERS]
        rows = 0
        for file in counted:
            with parquet_file(file) as parquet:
                rows += parquet.metadata.num_rows
        return round(rows * len(source.files) / len(counted))
    return None


def path_of(
    base: Path, group: Sequence[str], every: set[str], table: str | None = None, images: bool = False
) -> tuple[str, list[str]]:
    """What region.yaml says to name just these files, relative to `base`, and the files that it names.

    Args:
        every: all files of these formats below `base`.
        table: the folder of the Delta or Iceberg table that they are.
        images: whether they are GeoTIFFs.
    """
    formats = IMAGE_FORMATS if images else FORMATS
    if table:
        return os.path.relpath(table, base), list(group)
    if len(group) == 1:
        return os.path.relpath(group[0], base), list(group)
    wanted = set(group)
    for pattern in _patterns(base, group, every):
        try:
            found = {str(path) for path in find_files(base, pattern, "", formats).files}
        except UserError:
            continue
        if found == wanted:
            return pattern, list(group)
    return os.path.relpath(group[0], base), [group[0]]


def _patterns(base: Path, group: Sequence[str], every: set[str]) -> Iterable[str]:
    relative = [os.path.relpath(path, base) for path in group]
    folder = os.path.dirname(os.path.commonprefix([f"{path}/" for path in map(os.path.dirname, relative)]))
    below = {path for path in every if path.startswith(f"{base / folder}/")}
    if folder and below == set(group):
        yield folder
    names = [os.path.basename(path) for path in relative]
    start = os.path.commonprefix(names)
    end = os.path.commonprefix([name[::-1] for name in names])[::-1]
    end = end if len(start) + len(end) <= min(map(len, names)) else re.sub(r"^[^.]*", "", end)
    start = re.sub(r"\d+$", "", start) or start
    end = re.sub(r"^\d+", "", end)
    same = {os.path.dirname(path) for path in relative} == {folder}
    inside = "" if not folder else f"{_without_magic(folder)}/"
    middle = "" if same else "**/"
    for name in dict.fromkeys((f"{start}*{end}", f"*{end}", f"{start}*")):
        yield f"{inside}{middle}{_kept_magic(name)}"


def _without_magic(text: str) -> str:
    """A text that a glob takes as it is, or nearly: each special character stands for any one."""
    return re.sub(r"[][*?]", "?", text)


def _kept_magic(pattern: str) -> str:
    head, _, tail = pattern.partition("*")
    return f"{_without_magic(head)}*{_without_magic(tail)}"
