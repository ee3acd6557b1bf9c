"""The sums of new raw files, gridded many files at a time and kept by file and day."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import SparkSession

from mora_pipeline.contract.errors import UserError
from spark_jobs.clustering import num_tasks
from spark_jobs.mobility.arrow_shuffle import shuffled
from spark_jobs.mobility.daily_sums import FILE_COUNTS, added_counts, write_batch_parts
from spark_jobs.mobility.readers import READERS, RawMoves
from spark_jobs.mobility.sums_cache import BAD_ROWS_FOLDER, CachedFile, SumsCache, keys_of, name_of
from spark_jobs.output import open_parquet, part_files, written_by_tasks
from spark_jobs.validation import quarantine

BYTES_PER_BATCH = 16 << 30  # of raw files: a first run that is killed goes on behind the last batch

logger = logging.getLogger(__name__)


def movement_of(spark: SparkSession, params: Mapping[str, Any], files: Sequence[str]) -> RawMoves:
    """The moves of some of the raw files."""
    return READERS[params["kind"]](spark, {**params, "source": {**params["source"], "files": files}})


def keep_missing(
    spark: SparkSession,
    kept: SumsCache,
    params: Mapping[str, Any],
    days: Mapping[str, int] | None,
    buckets: int,
    ready: RawMoves,
) -> tuple[list[CachedFile], int]:
    """Grid the raw files whose sums are not kept.

    Args:
        params: of the job.
        days: of the files; None where the rows tell theirs.
        ready: the moves of some files, taken where just these are gridded at once: od reads its places only once.

    Returns:
        What is kept of each file, and how many of them were read.

    Raises:
        UserError: if a file changes meanwhile.
    """
    keys = keys_of(params)
    known = kept.files(buckets)
    missing = [file for file, key in keys.items() if key not in known]
    for files in batches(missing):
        logger.info("gridding %d of %d new files", len(files), len(missing))
        with kept.made("batch-" + name_of(*(keys[file] for file in files)), buckets) as (draft, record):
            movement = ready if ready.source.files == tuple(files) else movement_of(spark, params, files)
            with written_by_tasks(draft):
                told = grid(movement, files, days, draft, buckets)
            record["files"] = [{"key": keys[file], **each} for file, each in zip(files, told, strict=True)]
            now = keys_of({**params, "source": {**params["source"], "files": files}})
            changed = [file for file in files if now[file] != keys[file]]
            if changed:
                raise UserError(f"{changed[0]} changed while it was read. Run the job again.")
    if missing:
        known = kept.files(buckets)
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
    movement: RawMoves, files: Sequence[str], days: Mapping[str, int] | None, draft: Path, buckets: int
) -> list[dict[str, Any]]:
    """Write the sums of files by file and day, and their bad rows.

    Returns:
        What the record states of each file, less its key.
    """
    packed = shuffled(movement.packed_by_file(files, days, buckets), buckets)
    writer = partial(write_batch_parts, folder=str(draft))
    # A day is little: its partitions share tasks.
    rows = (
        packed.coalesce(num_tasks(movement.records.spark))
        .mapInArrow(writer, "read long, good long, files binary")
        .toArrow()
    )
    read, good = (pc.sum(rows[name]).as_py() or 0 for name in ("read", "good"))
    movement.judged[0].tell(read, good)
    reasons: dict[str, dict[str, int]] = {}
    if read > good:
        quarantine(movement.judged[:1], str(draft / BAD_ROWS_FOLDER))
        reasons = reasons_by_file(draft / BAD_ROWS_FOLDER)
    told = figures_of(files, rows["files"].to_pylist(), reasons, movement.source.format)
    if sum(each["read"] for each in told) != read:
        raise UserError(f"Rows of {files[0]} and others cannot be told by file. Name the files without '..'.")
    return told


def figures_of(
    files: Sequence[str], counts: Sequence[bytes], reasons: Mapping[str, Mapping[str, int]], form: str
) -> list[dict[str, Any]]:
    """What the record states of each file, less its key.

    Args:
        counts: tables of `FILE_COUNTS`, as bytes.
        reasons: bad rows by file and reason.
        form: of the files: csv or parquet.
    """
    tables = [pa.ipc.open_stream(part).read_all() for part in counts]
    counted = added_counts(pa.concat_tables([FILE_COUNTS.empty_table(), *tables]))
    found = {row["file"]: row for row in counted.to_pylist()}
    told = []
    for number, file in enumerate(files):
        bad, own = reasons.get(file, {}), found.get(number)
        fine = own["good"] if own else 0
        days = (own["first_day"], own["last_day"]) if own else None
        judged = {"read": fine + sum(bad.values()), "good": fine, "reasons": bad, "days": days}
        told.append({"path": file, "rows": rows_in(file, form), **judged})
    return told


def rows_in(file: str, form: str) -> int:
    """The rows of a file, where its footer tells; else 0."""
    return int(open_parquet(file).metadata.num_rows) if form == "parquet" else 0


def reasons_by_file(folder: Path) -> dict[str, dict[str, int]]:
    """The bad rows of each file, by reason."""
    found: dict[str, dict[str, int]] = {}
    for part in part_files(str(folder)):
        counted = open_parquet(part).read(columns=["source", "reason"]).group_by(["source", "reason"])
        for row in counted.aggregate([([], "count_all")]).to_pylist():
            own = found.setdefault(row["source"], {})
            own[row["reason"]] = own.get(row["reason"], 0) + row["count_all"]
    return found
