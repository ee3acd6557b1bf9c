"""Parquet files read by the tasks themselves: no row passes through the JVM where the columns have plain types.

What is read is what `read_source` would give; other files, and files of a remote store, go through Spark's reader.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from socket import gethostname

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.time_zones import to_instants
from spark_jobs.output import open_parquet
from spark_jobs.remote import is_remote
from spark_jobs.sources import NUMBER, TEXT, TIME, Source

ROWS_PER_SPLIT = 8 << 20  # fixed, not by cores
ROWS_PER_BATCH = 1 << 18


@dataclass(frozen=True)
class Piece:
    """Row groups of a file, from ``first`` to before ``last``."""

    file: str
    first: int
    last: int


@dataclass(frozen=True)
class ParquetSource:
    """A source that tasks can read by themselves.

    ``splits``: what each task reads; ``rows``: of all files; ``columns``: the column of each role; ``types``: the Arrow
    type that each role is given; ``times``: the roles that are times; ``time_zone``: of those without one (None: UTC).
    """

    splits: tuple[tuple[Piece, ...], ...]
    rows: int
    columns: Mapping[str, str]
    types: Mapping[str, pa.DataType]
    times: tuple[str, ...] = ()
    time_zone: str | None = None

    @classmethod
    def of(
        cls, source: Source, kinds: Mapping[str, str], instants: bool = True, time_zone: str | None = None
    ) -> "ParquetSource | None":
        """The source if it is plain, else None.

        Args:
            kinds: of the roles, as for `read_source`.
            instants: whether times must have a zone.
            time_zone: of times that have none; None: UTC.

        Raises:
            UserError: if a file is missing or unreadable.
        """
        if source.format != "parquet" or any(map(is_remote, source.files)):
            return None
        columns = {role: column for role, column in source.columns.items() if role in kinds}
        if any("." in column for column in columns.values()):  # to the reader a part of a struct
            return None
        stored: dict[str, set[pa.DataType]] = {role: set() for role in columns}
        pieces: list[tuple[Piece, int]] = []
        for file in source.files:
            parquet = open_parquet(file)
            for role, column in columns.items():
                if column not in parquet.schema_arrow.names:
                    return None
                stored[role].add(parquet.schema_arrow.field(column).type)
            pieces += _pieces(file, parquet.metadata)
        if not all(_is_plain(kind, kinds[role], instants) for role in columns for kind in stored[role]):
            return None
        types = {role: _type(kinds[role], stored[role]) for role in columns}
        times = tuple(role for role in columns if kinds[role] == TIME)
        return cls(_splits(pieces), sum(rows for _, rows in pieces), columns, types, times, time_zone)

    def read(self, split: tuple[Piece, ...]) -> Iterator[pa.RecordBatch]:
        """The rows of a split, one column a role (null where a value is missing, or a text empty), ``<role>_zoneless``
        (false: Spark reads the others) for a time, and ``source``.

        Raises:
            UserError: if a file is missing where the task runs, truncated or damaged.
        """
        for piece in split:
            try:
                yield from self._read(piece)
            except (pa.ArrowInvalid, OSError) as error:
                raise UserError(_unreadable(piece.file, error)) from None

    def _read(self, piece: Piece) -> Iterator[pa.RecordBatch]:
        wanted = list(dict.fromkeys(self.columns.values()))
        groups = range(piece.first, piece.last)
        with pq.ParquetFile(piece.file) as parquet:
            for batch in parquet.iter_batches(ROWS_PER_BATCH, groups, wanted, use_threads=False):
                arrays = {
                    role: _typed(batch[self.columns[role]], kind, self.time_zone) for role, kind in self.types.items()
                }
                arrays |= {f"{role}_zoneless": pa.array(np.zeros(len(batch), dtype=bool)) for role in self.times}
                first = pa.array(np.zeros(len(batch), dtype=np.int32))
                arrays["source"] = pa.DictionaryArray.from_arrays(first, pa.array([piece.file]))
                yield pa.record_batch(arrays)


def _unreadable(file: str, error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return f"{file} does not exist on {gethostname()}. Every worker needs the raw files under the same path."
    if "UTF8" in str(error):
        return f"{file} holds text that is not UTF-8 ({error}). Write it again as UTF-8."
    return f"{file} cannot be read ({error}). Is it whole? Fetch it again."


def _is_plain(kind: pa.DataType, role: str, instants: bool) -> bool:
    if role == NUMBER:
        return pa.types.is_integer(kind) or kind in (pa.float32(), pa.float64())
    if role == TEXT:
        return kind in (pa.string(), pa.large_string()) or (pa.types.is_integer(kind) and kind != pa.uint64())
    return pa.types.is_timestamp(kind) and kind.unit != "ns" and (kind.tz is not None or not instants)


def _type(role: str, stored: set[pa.DataType]) -> pa.DataType:
    if role == NUMBER:
        return pa.float64()
    if role == TEXT:
        return pa.int64() if all(pa.types.is_integer(kind) for kind in stored) else pa.string()
    return pa.int64()


def _typed(values: pa.Array, kind: pa.DataType, time_zone: str | None) -> pa.Array:
    if pa.types.is_timestamp(values.type):
        moments = values.cast(pa.timestamp("us", values.type.tz)).cast(kind)
        if values.type.tz is not None or time_zone in (None, "UTC"):
            return moments
        instants = to_instants(moments.fill_null(0).to_numpy(), time_zone)
        return pa.array(instants, mask=moments.is_null().to_numpy(zero_copy_only=False))
    if kind != pa.string():
        return values.cast(kind, safe=False)  # a large whole number loses its last digits, as in Spark
    trimmed = pc.utf8_trim(values.cast(kind), " ")
    return pc.if_else(pc.equal(trimmed, ""), None, trimmed)


def _pieces(file: str, metadata: pq.FileMetaData) -> list[tuple[Piece, int]]:
    """A file in pieces of about `ROWS_PER_SPLIT`, and the rows of each."""
    pieces, first, rows = [], 0, 0
    for group in range(metadata.num_row_groups):
        rows += metadata.row_group(group).num_rows
        if rows >= ROWS_PER_SPLIT or group == metadata.num_row_groups - 1:
            pieces.append((Piece(file, first, group + 1), rows))
            first, rows = group + 1, 0
    return pieces


def _splits(pieces: list[tuple[Piece, int]]) -> tuple[tuple[Piece, ...], ...]:
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
