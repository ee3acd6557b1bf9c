"""What a folder holds: files of the same columns as one table each, and what could not be read."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.copies import without_copies
from mora_pipeline.raw.formats import FORMATS, IMAGE_FORMATS, file_format
from mora_pipeline.raw.forms import FileForm, form_of, parquet_file
from mora_pipeline.raw.globs import entries, is_hidden
from mora_pipeline.raw.roots import Bounds
from mora_pipeline.raw.source import Source
from mora_pipeline.raw.walk import Walk
from mora_pipeline.region.draft.column_sample import ColumnSample
from mora_pipeline.region.draft.paths import below, form_of_name, path_of, table_root, without_digits
from mora_pipeline.region.draft.roles import NAME, TIME, said
from mora_pipeline.region.draft.samples import sample_columns

MOST_GROUPS = 200  # of files, by their names, that are opened
MOST_HEADS = 100  # files of one group whose columns are looked at, once two of them differ
SAME_IDS = 0.5  # of the ids of one file that are in another, from which both tell of the same things
FEWEST_IDS = 10  # rows of a file, from which that can be told
FOOTERS = 20  # Parquet files whose rows are counted
YEAR_IN_NAME = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)")
TRIED: tuple[dict[str, Any], ...] = ({"multiline": True}, {"escape": "\\"}, {"encoding": "latin-1"})


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

    def of_last_year(self, table: RawFiles) -> RawFiles:
        """A table without the files of former years, if the names of its files tell their years."""
        years = {file: YEAR_IN_NAME.findall(PurePath(file).name) for file in table.files}
        known = {year for found in years.values() for year in found}
        if len(known) < 2 or any(len(found) != 1 for found in years.values()):
            return table
        last = [file for file, found in years.items() if found == [max(known)]]
        path, kept = path_of(self.base, last, {file for each in self.tables for file in each.files})
        rest = tuple(below(file, self.base) for file in table.files if file not in last)
        return replace(table, path=path, source=replace(table.source, files=tuple(kept)), twins=rest)


def survey(folder: Path, apart: Collection[str] = ()) -> Survey:
    """Look at all files below a folder.

    Args:
        apart: names in the folder that are left out, such as those of tiles.

    Raises:
        UserError: if the folder cannot be read, a link in it leads nowhere, or a file is there twice, plain and
            compressed.
    """
    base = folder.resolve()
    bounds = Bounds.of(base, f"{folder} is given, ")
    bounds.check(f"{base}/")
    walk = Walk(bounds, {**FORMATS, **IMAGE_FORMATS})
    tops = [entry.path for entry in entries(str(base), bounds) if not is_hidden(entry.name) and entry.name not in apart]
    walk.add(tops if apart else [str(base)])
    files, copies = without_copies(walk.files, f"{folder} is given, ")
    remarks = [*walk.remarks(), *copies]
    odd = [path for path in files if not path.isprintable()]
    if odd:
        remarks.append(f"Left out, having line breaks or no UTF-8 in their names: {', '.join(map(ascii, odd[:5]))}.")
    files = [path for path in files if path.isprintable()]
    found = _Groups(base, walk)
    groups: dict[tuple[str, str], list[str]] = {}
    for path in files:
        if not file_format(path, IMAGE_FORMATS):
            table = table_root(base, path, walk)
            groups.setdefault((table, "") if table else form_of_name(base, path), []).append(path)
    for group in list(groups.values())[:MOST_GROUPS]:
        found.add(group)
    if len(groups) > MOST_GROUPS:
        remarks.append(f"Only the first {MOST_GROUPS} groups of files were opened, of {len(groups):,}.")
    tables = tuple(found.tables())
    images = tuple(path for path in files if file_format(path, IMAGE_FORMATS))
    return Survey(base, tables, images, (*remarks, *found.remarks))


class _Groups:
    """Gathers groups of files by their folder and columns."""

    def __init__(self, base: Path, walk: Walk) -> None:
        self.base, self.walk = base, walk
        self.remarks: list[str] = []
        self._found: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}

    def add(self, group: list[str]) -> None:
        """Files of one form of name; those whose columns differ become several tables."""
        heads = [self._columns(path) for path in dict.fromkeys((group[0], group[-1]))]
        if len(set(heads)) == 1:
            self._put(heads[0], group)
            return
        for path in group[:MOST_HEADS]:
            self._put(self._columns(path), [path])
        if len(group) > MOST_HEADS:
            self.remarks.append(f"Left out, being many files of differing columns: those like {group[-1]}.")

    def _put(self, columns: tuple[str, ...] | None, group: list[str]) -> None:
        if columns is None:
            return
        folder = PurePath(table_root(self.base, group[0], self.walk) or PurePath(group[0]).parent)
        above = next((each for each in (folder, *folder.parents) if "=" not in each.name), folder)
        key = (without_digits(str(above)), file_format(group[0]) or "parquet", columns)
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

    def tables(self) -> Iterator[RawFiles]:
        """A table a group; files that tell of the same things are tables of their own."""
        every = {path for group in self._found.values() for path in group}
        for group in self._found.values():
            try:
                yield from self._tables(sorted(group), every)
            except (UserError, OSError, ValueError) as error:
                self.remarks.append(f"Not read: {error}")

    def _tables(self, group: list[str], every: set[str]) -> list[RawFiles]:
        root = table_root(self.base, group[0], self.walk)
        whole = self._table(group, every, root)
        if len(group) == 1 or root:
            return [whole]
        last = self._table(group[-1:], every, None)
        if not _same_ids(whole, last):
            return [whole]
        if len({without_digits(PurePath(path).name) for path in group}) == 1:  # other years of one table
            return [replace(last, twins=tuple(below(path, self.base) for path in group[:-1]))]
        return [self._table([path], every, None) for path in group]

    def _table(self, group: list[str], every: set[str], root: str | None) -> RawFiles:
        path, kept = path_of(self.base, group, every, root)
        source, form, columns = self._sampled(kept)
        remarks = list(form.remarks)
        if len(kept) < len(group):
            remarks.append(
                f"No pattern names {len(group) - 1} more files of the same columns without naming others: move them "
                "into a folder of their own."
            )
        return RawFiles(path, source, form, columns, _rows(source), tuple(remarks))

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


def _same_ids(first: RawFiles, last: RawFiles) -> bool:
    """Whether a column names the rows of either file, and both name the same."""
    for name, column in first.columns.items():
        other = last.columns.get(name)
        if max(said(name, TIME), said(name, NAME)) >= 0.3:
            continue
        both = other is not None and min(column.known, other.known) >= FEWEST_IDS
        if other and both and column.may_be_id and column.is_unique and other.is_unique:
            shared = len(column.distinct & other.distinct)
            if shared >= SAME_IDS * min(len(column.distinct), len(other.distinct)):
                return True
    return False


def _rows(source: Source) -> int | None:
    """How many rows there are, about, where the files say so."""
    if source.format != "parquet":
        return None
    counted, rows = source.files[:FOOTERS], 0
    for file in counted:
        with parquet_file(file) as parquet:
            rows += parquet.metadata.num_rows
    return round(rows * len(source.files) / len(counted))
