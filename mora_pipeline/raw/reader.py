"""Reads raw tables: splits of their files into Arrow batches with a column a role, whatever the files' form.

The only reader of raw tables: Spark's tasks, labels, the check of a region and `mora embed` all read through it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.quoting import scrubbed
from mora_pipeline.raw.cells import as_cells
from mora_pipeline.raw.csv_files import MALFORMED, csv_splits
from mora_pipeline.raw.forms import FileForm, form_of, parquet_file
from mora_pipeline.raw.geometry import locations_of
from mora_pipeline.raw.source import CELL, GEOMETRY, NUMBER, TEXT, Source, checked_zone
from mora_pipeline.raw.storage import size_of
from mora_pipeline.raw.times import as_moments
from mora_pipeline.raw.values import as_texts

ROWS_PER_SPLIT = 8 << 20  # fixed, not by cores
BYTES_PER_SPLIT = 64 << 20  # of CSV
Rows = tuple[pa.RecordBatch, pa.RecordBatch]  # a column a role, and the columns of the file that these are made of


@dataclass(frozen=True)
class Piece:
    """Part of a file, from ``first`` to before ``last`` (None: its end): row groups of Parquet, bytes of CSV."""

    file: str
    first: int
    last: int | None


@dataclass(frozen=True)
class SourceReader:
    """A source cut into splits that tasks read by themselves; it can be pickled.

    Attributes:
        kinds: of the roles that are read: NUMBER (float64; null where there is no plain decimal number), TEXT (trimmed;
            null where empty; whole numbers without a decimal point, leading zeros kept), TIME (int64, microseconds
            since 1970, UTC), CELL (int64, of any resolution; null where there is no H3 cell) or GEOMETRY (WKB in
            degrees where there is an area, else null; beside it ``latitude`` and ``longitude`` of its point).
        time_zone: of times that carry none.
        forms: how each file is to be read, found once: tasks read as the driver has understood.
        splits: what each task reads.
        rows: of all files, where their footers say; else 0.
        whole: the roles of kind TEXT that hold whole numbers in every file: int64 in place of text.
    """

    source: Source
    kinds: Mapping[str, str]
    time_zone: str | None
    forms: Mapping[str, FileForm]
    splits: tuple[tuple[Piece, ...], ...]
    rows: int
    whole: frozenset[str]

    @classmethod
    def of(cls, source: Source, kinds: Mapping[str, str], time_zone: str | None = None) -> "SourceReader":
        """Open the head of every file.

        Args:
            kinds: of roles; those that the source lacks are left out.

        Raises:
            UserError: if a file is missing or unreadable, lacks a column, or contradicts what is declared.
        """
        if time_zone is not None:
            checked_zone(time_zone)
        own = {role: kind for role, kind in kinds.items() if role in source.columns}
        texts = {role for role, kind in own.items() if kind == TEXT}
        whole, pieces, rows = set(texts), list[tuple[Piece, int]](), 0
        forms: dict[str, FileForm] = {}
        last: FileForm | None = None
        for file in source.files:
            form = form_of(source, own, file)
            form = last = last if form == last else form  # one object where all are alike: less to send
            forms[file] = form
            whole = {role for role in whole if form.is_whole(role)}
            found = _pieces(form, file)
            pieces += found
            rows += sum(weight for _, weight in found) if source.format == "parquet" else 0
        return cls(source, own, time_zone, forms, _splits(pieces), rows, frozenset(whole))

    def remarks(self) -> tuple[str, ...]:
        """What was found of the files and not declared, in sentences."""
        return tuple(dict.fromkeys(remark for form in self.forms.values() for remark in form.remarks))

    def read(self, number: int) -> Iterator[Rows]:
        """The rows of a split.

        Yields:
            A column a role; ``<role>_zoneless`` (true: the time has no zone and none was declared) for TIME;
            ``source``, the file; ``malformed``, true where a record has too many or too few fields. And the raw
            columns beside it, row by row.

        Raises:
            UserError: if a file is missing where the task runs, truncated, damaged or in another dialect.
        """
        for piece in self.splits[number]:
            yield from self._read(piece)

    def read_file(self, file: str) -> Iterator[Rows]:
        """The rows of one of the source's files."""
        yield from self._read(Piece(file, 0, None))

    def read_all(self) -> Iterator[Rows]:
        """The rows of all splits, one after another."""
        for number in range(len(self.splits)):
            yield from self.read(number)

    def _read(self, piece: Piece) -> Iterator[Rows]:
        try:
            form = self.forms[piece.file]
            for raw in form.batches(piece.file, (piece.first, piece.last)):
                yield self._in_roles(form, raw, piece.file), raw
        except (pa.ArrowException, OSError) as error:
            raise UserError(_unreadable(piece.file, error)) from None

    def _in_roles(self, form: FileForm, raw: pa.RecordBatch, file: str) -> pa.RecordBatch:
        try:
            return self._typed(form, raw, file)
        except pa.ArrowException as error:
            named = ", ".join(f"'{column}'" for column in dict.fromkeys(map(self.source.columns.get, self.kinds)))
            reason = scrubbed(" ".join(str(error).split()))
            raise UserError(
                f"{file} holds values that {named} cannot be made of ({reason}). Correct them, or name other columns."
            ) from None

    def _typed(self, form: FileForm, raw: pa.RecordBatch, file: str) -> pa.RecordBatch:
        arrays: dict[str, pa.Array] = {}
        for role, kind in self.kinds.items():
            values = form.values(role, raw)
            if kind == NUMBER:
                arrays[role] = form.numbers(values)
            elif kind == TEXT:
                arrays[role] = values.cast(pa.int64()) if role in self.whole else as_texts(values, form.null_texts)
            elif kind == CELL:
                arrays[role] = as_cells(values)
            elif kind == GEOMETRY:
                arrays |= self._located(role, values, form, file)
            else:
                moments, zoneless = as_moments(values, self.source.time_format, self.time_zone)
                arrays |= {role: moments, f"{role}_zoneless": pa.array(zoneless)}
        first = pa.array(np.zeros(len(raw), dtype=np.int32))
        arrays["source"] = pa.DictionaryArray.from_arrays(first, pa.array([file]))
        malformed = raw[MALFORMED].is_valid() if MALFORMED in raw.schema.names else pa.array(np.zeros(len(raw), bool))
        return pa.record_batch({**arrays, "malformed": malformed})

    def _located(self, role: str, values: pa.Array, form: FileForm, file: str) -> dict[str, pa.Array]:
        try:
            latitude, longitude, area = locations_of(values, form.crs)
        except UserError as error:
            raise UserError(f"{file}: '{self.source.columns[role]}' cannot be read: {error}") from None
        return {role: area, "latitude": latitude, "longitude": longitude}

    def texts(self, role: str, raw: pa.RecordBatch, file: str) -> pa.Array:
        """The same as text, string [n]; null where it means that there is no value."""
        form = self.forms[file]
        return as_texts(form.values(role, raw), (*form.null_texts, *form.written.null))

    def columns_of(self, role: str, file: str) -> tuple[str, ...]:
        """The columns of a file that a role is made of; none if there is no such role."""
        return self.forms[file].expressions[role].columns if role in self.kinds else ()

    def raw_values(self, role: str, raw: pa.RecordBatch, file: str) -> pa.Array:
        """What stands in the file for a role, row by row."""
        return self.forms[file].values(role, raw)


def column_values(source: Source, role: str) -> pa.ChunkedArray:
    """What stands in the files for a role, of all rows, as it is stored.

    Raises:
        UserError: as `SourceReader.of` and `SourceReader.read`.
    """
    kinds = {role: TEXT}
    chunks = []
    for file in source.files:
        form = form_of(source, kinds, file)
        chunks += [form.values(role, raw) for raw in form.batches(file, (0, None))]
    return pa.chunked_array(chunks) if chunks else pa.chunked_array([], pa.string())


def read_table(path: Path, form: str) -> tuple[pa.Table, dict[str, pa.Array]]:
    """A whole file as it stands, and of its texts the columns that hold nothing but plain numbers, as numbers.

    Texts with leading zeros are ids, not numbers.

    Args:
        form: ``csv`` or ``parquet``.

    Raises:
        UserError: if it cannot be read.
    """
    source = Source((str(path),), form, {})
    columns = {f"column_{number}": name for number, name in enumerate(form_of(source, {}, str(path)).columns)}
    own = form_of(replace(source, columns=columns), dict.fromkeys(columns, NUMBER), str(path))
    batches = [batch.select(list(columns.values())) for batch in own.batches(str(path), (0, None))]
    schema = pa.schema([(name, own.columns[name]) for name in columns.values()])
    table = pa.Table.from_batches(batches, schema)
    numbers: dict[str, pa.Array] = {}
    for name in columns.values():
        texts = table[name].combine_chunks()
        if own.dialect is not None and not _is_id(texts):
            read = own.numbers(texts)
            if as_texts(texts).null_count == read.null_count < len(read):
                numbers[name] = read
    return table, numbers


def _is_id(texts: pa.Array) -> bool:
    return bool(pc.any(pc.match_substring_regex(texts, r"^\s*[+-]?0\d")).as_py())


def _unreadable(file: str, error: Exception) -> str:
    reason = scrubbed(" ".join(str(error).split()))  # one line: what a task raises is told by its first
    return f"{file} cannot be read ({reason}). Is it whole? Fetch it again."


def _pieces(form: FileForm, file: str) -> list[tuple[Piece, int]]:
    """A file in pieces, and what each weighs: its rows; of CSV, so many that `BYTES_PER_SPLIT` make a split."""
    if form.dialect is not None:
        spans = csv_splits(file, form.dialect, BYTES_PER_SPLIT)
        end = size_of(file)
        per_row = BYTES_PER_SPLIT // ROWS_PER_SPLIT
        return [
            (Piece(file, first, last), ((end if last is None else last) - first) // per_row) for first, last in spans
        ]
    if form.format == "vector":
        return [(Piece(file, 0, None), ROWS_PER_SPLIT)]
    pieces, first, rows = [], 0, 0
    with parquet_file(file) as parquet:
        metadata = parquet.metadata
        for group in range(metadata.num_row_groups):
            rows += metadata.row_group(group).num_rows
            if rows >= ROWS_PER_SPLIT or group == metadata.num_row_groups - 1:
                pieces.append((Piece(file, first, group + 1), rows))
                first, rows = group + 1, 0
    return pieces


def _splits(pieces: Sequence[tuple[Piece, int]]) -> tuple[tuple[Piece, ...], ...]:
    """Pieces put together: a thousand small files are not a thousand tasks."""
    splits: list[list[Piece]] = []
    free = 0
    for piece, rows in pieces:
        if not splits or rows > free:
            splits.append([])
            free = ROWS_PER_SPLIT
        splits[-1].append(piece)
        free -= rows
    return tuple(tuple(split) for split in splits)
