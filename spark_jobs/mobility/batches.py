"""The sums of new raw files, gridded many files at a time and cached by file and day."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.sql import SparkSession

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.tallies import Tally, as_record
from spark_jobs.clustering import num_tasks
from spark_jobs.mobility.arrow_shuffle import shuffled
from spark_jobs.mobility.daily_sums import FILE_COUNTS, added_counts, write_batch_parts
from spark_jobs.mobility.readers import READERS, RawMoves
from spark_jobs.mobility.sums_cache import BAD_ROWS_FOLDER, CachedFile, SumsCache, keys_of, name_of
from spark_jobs.output import open_parquet, written_by_tasks
from spark_jobs.validation import quarantine

BYTES_PER_BATCH = 16 << 30  # of raw files: a first run that is killed goes on behind the last batch

logger = logging.getLogger(__name__)


def moves_of(spark: SparkSession, params: Mapping[str, Any], files: Sequence[str]) -> RawMoves:
    """The moves of some of the raw files."""
    return READERS[params["kind"]](spark, {**params, "source": {**params["source"], "files": files}})


def add_missing(
    spark: SparkSession,
    cache: SumsCache,
    params: Mapping[str, Any],
    days: Mapping[str, int] | None,
    buckets: int,
    ready: RawMoves,
) -> tuple[list[CachedFile], int]:
    """Grid the raw files whose sums are not in the cache.

    Args:
        params: of the job.
        days: of the files; None where the rows have theirs.
        ready: the moves of some files, taken where just these are gridded at once: od reads its places only once.

    Returns:
        What the cache holds of each file, and how many were read.

    Raises:
        UserError: if a file changes meanwhile.
    """
    keys = keys_of(params)
    known = cache.files(buckets)
    missing = [file for file, key in keys.items() if key not in known]
    for files in batches(missing):
        logger.info("gridding %d of %d new files", len(files), len(missing))
        with cache.new_folder("batch-" + name_of(*(keys[file] for file in files)), buckets) as (draft, record):
            moves = ready if ready.source.files == tuple(files) else moves_of(spark, params, files)
            with written_by_tasks(draft):
                figures = grid(moves, files, days, draft, buckets)
            record["files"] = [{"key": keys[file], **each} for file, each in zip(files, figures, strict=True)]
            now = keys_of({**params, "source": {**params["source"], "files": files}})
            changed = [file for file in files if now[file] != keys[file]]
            if changed:
                raise UserError(f"{changed[0]} changed while it was read. Run the job again.")
    if missing:
        known = cache.files(buckets)
    return [known[key] for key in keys.values()], len(missing)


def batches(files: Sequence[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for file in files:
        batch.append(file)
        size += Path(file).stat().st_size
        if size >= BYTES_PER_BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def grid(
    moves: RawMoves, files: Sequence[str], days: Mapping[str, int] | None, draft: Path, buckets: int
) -> list[dict[str, Any]]:
    """Write the sums of files by file and day, and their bad rows.

    Returns:
        What the record states of each file, less its key.
    """
    packed = shuffled(moves.packed_by_file(files, days, buckets), buckets)
    writer = partial(write_batch_parts, folder=str(draft))
    # A day is little: its partitions share tasks.
    rows = packed.coalesce(num_tasks(moves.sources[0].spark)).mapInArrow(writer, "files binary").toArrow()
    source = moves.sources[0]
    if source.num_bad:
        quarantine([source], str(draft / BAD_ROWS_FOLDER))
    return figures_of(files, rows["files"].to_pylist(), source.tally, moves.source.format)


def figures_of(files: Sequence[str], counts: Sequence[bytes], tally: Tally, form: str) -> list[dict[str, Any]]:
    """What the record states of each file, less its key.

    Args:
        counts: tables of `FILE_COUNTS`, as bytes.
        tally: all rows by file and reason.
        form: of the files: csv or parquet.
    """
    tables = [pa.ipc.open_stream(part).read_all() for part in counts]
    counted = added_counts(pa.concat_tables([FILE_COUNTS.empty_table(), *tables]))
    rows_of_file = {row["file"]: row for row in counted.to_pylist()}
    counts_of_file = tally.by_file()
    records = []
    for number, file in enumerate(files):
        own = rows_of_file.get(number)
        days = (own["first_day"], own["last_day"]) if own else None
        by_reason = {reason: as_record(count) for reason, count in counts_of_file.get(file, {}).items()}
        records.append({"path": file, "rows": rows_in(file, form), "counts": by_reason, "days": days})
    return records


def rows_in(file: str, form: str) -> int:
    """The rows of a file, where its footer says; else 0."""
    return int(open_parquet(file).metadata.num_rows) if form == "parquet" else 0
