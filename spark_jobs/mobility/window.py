"""Mobility of the last weeks: only what is new is read; the rest was added up by earlier runs and is in the cache."""

from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.bad_share import check_share
from mora_pipeline.raw.rules import LATEST_AFTER
from mora_pipeline.raw.source import Source
from mora_pipeline.raw.storage import is_remote
from mora_pipeline.raw.tallies import rows_by_reason, total_of
from spark_jobs.mobility.batches import add_missing, moves_of, rows_in
from spark_jobs.mobility.edges import Written
from spark_jobs.mobility.incremental import counted, window_of, write_window
from spark_jobs.mobility.readers import RawMoves
from spark_jobs.mobility.sums_cache import SumsCache, keys_of
from spark_jobs.mobility.thresholds import BAD_SHARE, allowed_share, number_of_partitions, thresholds_of
from spark_jobs.validation import BadRows, bad_examples, quarantine, total_counts

EPOCH = date(1970, 1, 1)


def grid_window(spark: SparkSession, params: Mapping[str, Any]) -> tuple[Written, BadRows, dict[str, Any], RawMoves]:
    """Read the files that are new, and add their sums to those of the cache.

    Raises:
        UserError: of events: a user's moves reach from one file to the next; of files at an address; of od and trips
            without a day.
    """
    days, params = checked_dates(params)
    cache, folder, allowed = SumsCache(Path(params["kept"])), params["output"]["quarantine"], allowed_share(params)
    weeks = params.get("weeks")
    with cache.alone():
        keys, known = keys_of(params), cache.files()
        new = [file for file, key in keys.items() if key not in known]
        moves = moves_of(spark, params, new or [*keys][-1:])
        least = thresholds_of(params, moves)
        others = moves.sources[1:]
        quarantine(others, folder)
        for source in others:
            source.check_share(allowed, BAD_SHARE, folder)
        raw = Source.parse(params["source"], set())
        rows = sum(known[key].rows if key in known else rows_in(file, raw.format) for file, key in keys.items())
        buckets = steady(number_of_partitions(spark, params, raw, rows), cache.buckets(), params.get("partitions"))
        files, files_read = add_missing(spark, cache, params, days, buckets, moves)
        main = moves.sources[0]
        reasons = main.validator.bad_reasons()
        written = write_window(spark, cache, files, weeks, buckets, least, reasons, params["output"])
    wanted = window_of(files, weeks)
    files = counted(files, wanted)
    counts = total_of(file.counts for file in files)
    apart = main.validator.apart_reasons()
    bad = rows_by_reason(counts, reasons)
    examples = bad_examples(folder, bad)
    check_share(raw.describe(), counts, apart, allowed, BAD_SHARE, main.validator.amount, examples, folder)
    read = sum(count.rows for count in counts.values())
    bad_rows = BadRows(
        read,
        total_counts([bad, *(source.reasons for source in others)]),
        sum(bad.values()) / read,
        allowed,
        total_counts([rows_by_reason(counts, apart), *(source.apart for source in others)]),
    )
    days_in = [day for span in wanted.values() for day in span]
    first, last = (str(EPOCH + timedelta(days=day)) for day in (min(days_in), max(days_in)))
    figures = {"files": len(files), "files_read": files_read, "first_day": first, "last_day": last}
    return written, bad_rows, {"partitions": buckets, **figures}, moves


def steady(wanted: int, cached: set[int], asked: int | None) -> int:
    """The number of partitions: as asked, else that of the cache while it fits, else a power of two.

    All sums are computed anew when it changes, so that it must not change from run to run.
    """
    if asked:
        return asked
    fitting = [buckets for buckets in cached if wanted <= 2 * buckets <= 4 * wanted]
    return min(fitting, default=1 << (wanted - 1).bit_length())


def checked_dates(params: Mapping[str, Any]) -> tuple[dict[str, int] | None, dict[str, Any]]:
    """The day of each file, by their names; or the parameters get ``latest``, the last time that a row may have.

    A wrong clock would push all other rows out of the window: no row is of a time after its file's last change.

    Raises:
        UserError: as `grid_window`.
    """
    source = Source.parse(params["source"], set())
    remote = [file for file in source.files if is_remote(file)]
    if remote:
        raise UserError(f"mobility.window needs files on a disk: {remote[0]} is at an address. Remove the window.")
    dates = params.get("dates")
    if dates:
        days = {file: (date.fromisoformat(dates[file]) - EPOCH).days for file in source.files}
        return days, dict(params)
    if "time" not in source.columns:
        raise UserError("mobility.window needs a day: give window.date (of the files' names) or columns.time.")
    latest = {file: Path(file).stat().st_mtime_ns // 1000 + LATEST_AFTER for file in source.files}
    return None, {**params, "latest": latest}
