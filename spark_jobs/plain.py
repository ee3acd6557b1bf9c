"""Parquet files read by the tasks themselves: no row passes through the JVM where the columns have plain types.

What is read is what `read_source` would give; other files, and files of a remote store, go through Spark's reader.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from spark_jobs.errors import InputError
from spark_jobs.output import open_parquet
from spark_jobs.sources import NUMBER, TEXT, Source, is_remote, parquet_types

ROWS_PER_SPLIT = 8 << 20  # fixed, not by cores
ROWS_PER_BATCH = 1 << 18


@dataclass(frozen=True)
class Split:
    """Row groups of a file, from ``first`` to before ``last``."""

    file: str
    first: int
    last: int


@dataclass(frozen=True)
class Plain:
    """A source that tasks can read by themselves.

    ``columns``: the column of each role; ``types``: the Arrow type that each role is given.
    """

    splits: tuple[Split, ...]
    columns: Mapping[str, str]
    types: Mapping[str, pa.DataType]

    @classmethod
    def of(cls, source: Source, kinds: Mapping[str, str], instants: bool = True) -> "Plain | None":
        """The source if it is plain, else None.

        Args:
            kinds: of the roles, as for `read_source`.
            instants: whether times must have a zone; otherwise only whether there is one matters.

        Raises:
            InputError: if a file is missing or unreadable.
        """
        if source.format != "parquet" or any(map(is_remote, source.files)):
            return None
        columns = {role: column for role, column in source.columns.items() if role in kinds}
        if any("." in column for column in columns.values()):  # to the reader a part of a struct
            return None
        stored = [parquet_types(file) for file in source.files]
        types: dict[str, pa.DataType] = {}
        for role, column in columns.items():
            found = {file[column] for file in stored if column in file}
            if not found or not all(_is_plain(kind, kinds[role], instants) for kind in found):
                return None
            types[role] = _type(kinds[role], found)
        return cls(tuple(split for file in source.files for split in _splits(file)), columns, types)

    def read(self, split: Split) -> Iterator[pa.RecordBatch]:
        """The rows of a split, one column a role; null where a value is missing, or a text empty.

        Raises:
            InputError: if the file is truncated or damaged.
        """
        try:
            wanted = list(dict.fromkeys(self.columns.values()))
            groups = range(split.first, split.last)
            for batch in open_parquet(split.file).iter_batches(ROWS_PER_BATCH, groups, wanted, use_threads=False):
                arrays = [_typed(batch[self.columns[role]], kind) for role, kind in self.types.items()]
                yield pa.record_batch(arrays, names=list(self.types))
        except (pa.ArrowInvalid, OSError) as error:
            raise InputError(f"{split.file} cannot be read ({error}). Is it whole? Fetch it again.") from None


def _is_plain(kind: pa.DataType, role: str, instants: bool) -> bool:
    if role == NUMBER:
        return pa.types.is_integer(kind) or kind in (pa.float32(), pa.float64())
    if role == TEXT:
        return kind in (pa.string(), pa.large_string()) or (pa.types.is_integer(kind) and kind != pa.uint64())
    return pa.types.is_timestamp(kind) and kind.unit != "ns" and (kind.tz is not None or not instants)


def _type(role: str, found: set[pa.DataType]) -> pa.DataType:
    if role == NUMBER:
        return pa.float64()
    if role == TEXT:
        return pa.int64() if all(pa.types.is_integer(kind) for kind in found) else pa.string()
    return pa.int64()


def _typed(values: pa.Array, kind: pa.DataType) -> pa.Array:
    if pa.types.is_timestamp(values.type):
        return values.cast(pa.timestamp("us", values.type.tz)).cast(kind)
    if kind != pa.string():
        return values.cast(kind, safe=False)  # a large whole number loses its last digits, as in Spark
    trimmed = pc.utf8_trim(values.cast(kind), " ")
    return pc.if_else(pc.equal(trimmed, ""), None, trimmed)


def _splits(file: str) -> list[Split]:
    metadata = open_parquet(file).metadata
    splits, first, rows = [], 0, 0
    for group in range(metadata.num_row_groups):
        rows += metadata.row_group(group).num_rows
        if rows >= ROWS_PER_SPLIT or group == metadata.num_row_groups - 1:
            splits.append(Split(file, first, group + 1))
            first, rows = group + 1, 0
    return splits
