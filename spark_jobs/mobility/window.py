"""Mobility of the last weeks: only what is new is read; the rest was added up by earlier runs and is kept."""

from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from mora_pipeline.contract.errors import UserError
from spark_jobs.mobility.batches import keep_missing, movement_of, rows_in
from spark_jobs.mobility.edges import Written
from spark_jobs.mobility.incremental import counted, window_of, write_window
from spark_jobs.mobility.readers import TOLERANCE
from spark_jobs.mobility.sums_cache import SumsCache, keys_of
from spark_jobs.mobility.thresholds import BAD_SHARE, allowed_share, number_of_partitions, thresholds_of
from spark_jobs.remote import is_remote
from spark_jobs.sources import Source
from spark_jobs.validation import BadRows, added_counts, check_share, quarantine

EPOCH = date(1970, 1, 1)


def grid_window(spark: SparkSession, params: Mapping[str, Any]) -> tuple[Written, BadRows, dict[str, Any]]:
    """Read the files that are new, and add their sums to those that are kept.

    Raises:
        UserError: of events: a user's moves reach from one file to the next; of files at an address; of od and trips
            without a day.
    """
    days, params = checked_dates(params)
    kept, folder, allowed = SumsCache(Path(params["kept"])), params["output"]["quarantine"], allowed_share(params)
    weeks = params.get("weeks")
    with kept.alone():
        keys, known = keys_of(params), kept.files()
        new = [file for file, key in keys.items() if key not in known]
        movement = movement_of(spark, params, new or [*keys][-1:])
        least = thresholds_of(params, movement)
        others = movement.judged[1:]
        reasons = quarantine(others, folder)
        for source in others:
            check_share(source.name, source.read(), source.counts(), allowed, BAD_SHARE, folder)
        raw = Source.parse(params["source"], set())
        rows = sum(known[key].rows if key in known else rows_in(file, raw.format) for file, key in keys.items())
        buckets = steady(number_of_partitions(spark, params, raw, rows), kept.buckets(), params.get("partitions"))
        files, made = keep_missing(spark, kept, params, days, buckets, movement)
        written = write_window(spark, kept, files, weeks, buckets, least, params["output"])
    wanted = window_of(files, weeks)
    files = counted(files, wanted)
    bad = added_counts(file.reasons for file in files)
    check_share(raw.describe(), written.read, bad, allowed, BAD_SHARE, folder)
    verdict = BadRows(written.read, added_counts([bad, reasons]), sum(bad.values()) / written.read, allowed)
    days_in = [day for span in wanted.values() for day in span]
    first, last = (str(EPOCH + timedelta(days=day)) for day in (min(days_in), max(days_in)))
    figures = {"files": len(files), "files_read": made, "first_day": first, "last_day": last}
    return written, verdict, {"partitions": buckets, **figures}


def steady(wanted: int, kept: set[int], told: int | None) -> int:
    """The number of partitions: as told, else that of what is kept while it fits, else a power of two.

    All is made anew when it changes, so that it must not waver from night to night.
    """
    if told:
        return told
    fitting = [buckets for buckets in kept if wanted <= 2 * buckets <= 4 * wanted]
    return min(fitting, default=1 << (wanted - 1).bit_length())


def checked_dates(params: Mapping[str, Any]) -> tuple[dict[str, int] | None, dict[str, Any]]:
    """The day of each file, if their names tell it; otherwise the parameters get ``latest``, what their rows may tell.

    A clock that is wrong would push everything else out of the window: no row tells of what came after its file.

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
    # Whole milliseconds, as Spark tells them.
    latest = {file: Path(file).stat().st_mtime_ns // 1_000_000 * 1000 + TOLERANCE for file in source.files}
    return None, {**params, "latest": latest}
