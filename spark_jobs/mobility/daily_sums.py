"""Moves by raw file and day: how tasks make them, write them as the parts of a batch, and read them again."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from spark_jobs.mobility.arrow_shuffle import by_bucket, packed, payload_row, written
from spark_jobs.mobility.edges import Received
from spark_jobs.mobility.move_tables import condensed
from spark_jobs.mobility.records import Rows
from spark_jobs.mobility.rhythm import RhythmCounter
from spark_jobs.mobility.spreading import Spreading
from spark_jobs.output import in_one_step, open_parquet, part_name

MICROSECONDS_PER_DAY = 86_400_000_000
FIRST_SLOT_DAY = -(2**31)  # a slot is file · 2³² + day − this
Days = tuple[int, int]  # the first and the last, counted from 1970-01-01
FILE_COUNTS = pa.schema([(name, pa.int64()) for name in ("file", "good", "first_day", "last_day")])


def pack_by_file(
    rows: Rows,
    moves: Callable[[pa.RecordBatch], pa.Table],
    files: Sequence[str],
    days: Mapping[str, int] | None,
    buckets: int,
    zone: str | None = None,
    spreading: Spreading | None = None,
) -> Rows:
    """Moves of good rows as payloads by origin, counts of their hours, and what was counted of each file.

    Args:
        rows: `source`, and `time` (microseconds since 1970) if `days` is None or there is a `zone`, beside what `moves`
            looks at.
        moves: makes a move of each row.
        files: their numbers are their places here.
        days: of the files; None: a row's day is that of its time, UTC.
        zone: in which hours are counted; None: none are.
        spreading: as of `kernels.pack_moves`.
    """
    rhythm = RhythmCounter(zone)
    number_of = {file: number for number, file in enumerate(files)}
    counts: list[tuple[int, int, int, int]] = []

    def with_slots() -> Iterator[pa.Table]:
        for batch in rows:
            source = batch["source"]
            coded = source if pa.types.is_dictionary(source.type) else source.dictionary_encode()
            names, code = coded.dictionary.to_pylist(), coded.indices.to_numpy()
            number = np.array([number_of[name] for name in names], dtype=np.int64)[code]
            if days is None:
                day = batch["time"].to_numpy() // MICROSECONDS_PER_DAY
            else:
                day = np.array([days[name] for name in names], dtype=np.int64)[code]
            for name in names:
                own = day if len(names) == 1 else day[number == number_of[name]]
                if len(own):
                    counts.append((number_of[name], len(own), int(own.min()), int(own.max())))
            slot = (number << 32) + (day - FIRST_SLOT_DAY)
            table = moves(batch).add_column(0, "slot", pa.array(slot))
            rhythm.add(table, batch)
            yield table

    tables = condensed(with_slots())
    if spreading:
        tables = condensed(part for table in tables for part in spreading(table))
    for table in tables:
        yield from packed(table, "origin", buckets)
    yield from rhythm.packed(buckets)
    if counts:
        columns = [pa.array(column, pa.int64()) for column in zip(*counts, strict=True)]
        yield payload_row(0, written(added_counts(pa.table(columns, schema=FILE_COUNTS))))


def added_counts(counts: pa.Table) -> pa.Table:
    """Counts of `FILE_COUNTS`, one row a file."""
    added = counts.group_by("file").aggregate([("good", "sum"), ("first_day", "min"), ("last_day", "max")])
    return added.select([0, 1, 2, 3]).rename_columns(FILE_COUNTS.names).sort_by("file")


def write_batch_parts(batches: Iterator[pa.RecordBatch], folder: str) -> Iterator[pa.RecordBatch]:
    """Write a part for each partition: row groups of a file each, sorted by day, origin and destination.

    Yields:
        ``files``: what was counted of each file, a table of `FILE_COUNTS` as bytes.
    """
    for own in by_bucket(batches):
        yield _write_part(own, folder)


def _write_part(batches: Iterator[pa.RecordBatch], folder: str) -> pa.RecordBatch:
    received = Received(batches)
    sums = received.sums()
    for name, table in ((part_name, sums), (rhythm_name, received.rhythm)):
        if received.bucket is not None and table is not None:
            with in_one_step(Path(folder) / name(received.bucket)) as draft:
                write_slots(table, draft)
    files = written(pa.concat_tables([FILE_COUNTS.empty_table(), *received.counts]))
    return pa.record_batch([[files]], names=["files"])


def rhythm_name(number: int) -> str:
    """The file of a partition's counts by hour, beside that of its moves."""
    return f"rhythm-{part_name(number)}"


def write_slots(sums: pa.Table, target: Path) -> None:
    """Write sums by slot as rows with ``file`` and ``day`` (counted from 1970-01-01) in its place."""
    if "user" in sums.column_names:  # numbers in one batch, texts in another
        users = sums["user"].cast(pa.large_string())
        sums = sums.set_column(sums.column_names.index("user"), "user", users)
    slot = sums["slot"].to_numpy()
    file, day = slot >> 32, (slot & 0xFFFFFFFF) + FIRST_SLOT_DAY
    table = sums.drop_columns(["slot"]).append_column("day", pa.array(day, pa.int32()))
    table = table.append_column("file", pa.array(file, pa.int32()))
    starts = np.flatnonzero(np.concatenate([[True], file[1:] != file[:-1]]))
    settings = {"compression": "zstd", "use_dictionary": ["origin", "day", "file"]}
    with pq.ParquetWriter(target, table.schema, **settings) as writer:
        for start, length in zip(starts, np.diff(starts, append=len(file)), strict=True):
            writer.write_table(table.slice(start, length), row_group_size=max(1, int(length)))


def read_slots(part: Path, wanted: Mapping[int, Days]) -> Iterator[pa.Table]:
    """The moves of some files and days (first and last) of a part, a table a file.

    Args:
        wanted: by the file's number in the batch.
    """
    with open_parquet(str(part)) as parquet:
        metadata, names = parquet.metadata, parquet.schema_arrow.names
        for group in range(metadata.num_row_groups):
            number = metadata.row_group(group).column(names.index("file")).statistics.min
            if number not in wanted:
                continue
            first, last = wanted[number]
            table = parquet.read_row_group(group, use_threads=False)
            day = table["day"].to_numpy()
            inside = (day >= first) & (day <= last)
            moves = table.drop_columns(["day", "file"])
            yield moves if inside.all() else moves.filter(pa.array(inside))
