"""Raw mobility to edges between H3 cells, clustered by origin, and the flow inside each cell.

Reads od (places and flows between them), trips (two points each) or events (a user at a time and point). Each task adds
up the moves that it reads; one shuffle carries the sums to their origin's partition; events take one more, by user.

Source: method.md, "Where the sources are silent" 1, 3 and 9.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a plain spark-submit knows this folder alone

from pyspark.sql import SparkSession

from spark_jobs.clustering import edges_checks
from spark_jobs.edges import Least, Written, write_edges
from spark_jobs.errors import InputError
from spark_jobs.gridding import checked_resolution
from spark_jobs.incremental import grow, write_incrementally
from spark_jobs.judging import Verdict, added_counts, check_share, quarantine, settle
from spark_jobs.movement import Movement, plain_of, read_events, read_od, read_trips
from spark_jobs.output import checked_empty, part_files
from spark_jobs.report import Check, Outcome, parameter, run_as_program
from spark_jobs.session import QUICK_JAVA
from spark_jobs.sources import Source

READERS = {"od": read_od, "trips": read_trips, "events": read_events}
BYTES_PER_PARTITION = 128 << 20
ROWS_PER_PARTITION = 4 << 20  # added up at once
BAD_SHARE = "mobility.maximum_bad_share"


def run(spark: SparkSession, params: Mapping[str, Any]) -> Outcome:
    """Grid the mobility of a region.

    Args:
        params: ``kind`` (od, trips, events), ``source`` and, for od, ``places`` (files, format, columns by role),
            ``resolution``, ``maximum_gap_hours`` and ``time_zone`` (events), ``maximum_bad_share``,
            ``minimum_users`` and ``minimum_flow`` (of an edge, or null), ``partitions`` (of the shuffle, or null),
            ``kept`` (folder of what earlier runs added up, or null) and ``dates`` (the day of each file) with it,
            ``output.edges``, ``.self_flow``, ``.quarantine`` (folders).

    Raises:
        InputError: if the files or the parameters are wrong, too many rows are bad, or no edge remains.
    """
    kind = parameter(params, "kind")
    if kind not in READERS:
        raise InputError(f"kind is '{kind}': say {', '.join(READERS)}.")
    checked_resolution(parameter(params, "resolution"))
    for name in ("edges", "self_flow", "quarantine"):
        checked_empty(parameter(params, f"output.{name}"))
    movement: Movement = READERS[kind](spark, params)
    least = least_published(params, movement)
    gridded = grid_by_week if params.get("kept") else grid_whole
    written, verdict, figures = gridded(spark, params, movement, least)
    if written.edges == 0:
        raise InputError(no_edge(movement.judged[0].name, written, params))
    limit = Check(True, {"bad_share": verdict.share, "allowed": verdict.allowed, "reasons": verdict.quarantined})
    return Outcome(
        rows={
            "edges": written.edges,
            "self_flow": written.self_flow,
            "quarantine": sum(verdict.quarantined.values()),
        },
        read=verdict.read,
        quarantined=verdict.quarantined,
        checks={**edges_checks(spark, part_files(params["output"]["edges"])), "bad_rows_within_limit": limit},
        metadata={
            **figures,
            "edges_suppressed": written.edges_suppressed,
            "cells_suppressed": written.cells_suppressed,
        },
    )


def grid_whole(
    spark: SparkSession, params: Mapping[str, Any], movement: Movement, least: Least
) -> tuple[Written, Verdict, dict[str, Any]]:
    """Read all files."""
    output, partitions = params["output"], number_of_partitions(spark, params, movement)
    written = write_edges(movement.packed(partitions), partitions, least, output["edges"], output["self_flow"])
    movement.judged[0].tell(written.read, written.good)
    verdict = settle(movement.judged, allowed_share(params), BAD_SHARE, output["quarantine"])
    return written, verdict, {"partitions": partitions}


def grid_by_week(
    spark: SparkSession, params: Mapping[str, Any], movement: Movement, least: Least
) -> tuple[Written, Verdict, dict[str, Any]]:
    """Read the files of those weeks that are not kept.

    Raises:
        InputError: of events: a user's moves reach from one file to the next.
    """
    if params["kind"] == "events":
        raise InputError("mobility.window is for od and trips: moves of events reach from file to file. Remove it.")
    folder, allowed = params["output"]["quarantine"], allowed_share(params)
    main, *others = movement.judged
    reasons = quarantine(others, folder)
    for source in others:
        check_share(source.name, source.read(), source.counts(), allowed, BAD_SHARE, folder)
    # A power of two: the tree is made anew when the number of partitions changes.
    buckets = 1 << (number_of_partitions(spark, params, movement) - 1).bit_length()

    def movement_of(files: tuple[str, ...]) -> Movement:
        return READERS[params["kind"]](spark, {**params, "source": {**params["source"], "files": files}})

    dates = parameter(params, "dates")
    branches = grow(params, dates, buckets)
    done = write_incrementally(spark, branches, movement_of, Path(params["kept"]), buckets, least, params["output"])
    read = done.written.read
    check_share(main.name, read, done.quarantined, allowed, BAD_SHARE, folder)
    verdict = Verdict(read, added_counts([done.quarantined, reasons]), sum(done.quarantined.values()) / read, allowed)
    days = {"files": len(dates), "first_day": min(dates.values()), "last_day": max(dates.values())}
    return done.written, verdict, {"partitions": buckets, **days, "nodes": done.nodes, "nodes_made": done.made}


def allowed_share(params: Mapping[str, Any]) -> float:
    return float(params.get("maximum_bad_share", 0.01))


def settings(params: Mapping[str, Any]) -> dict[str, str]:
    """Where the tasks read the files by themselves, no row passes through the JVM: its quick compiler is enough."""
    try:
        plain = plain_of(Source.parse(params["source"], set()), params["kind"])
    except (InputError, KeyError):  # `run` says what is wrong
        return {}
    return QUICK_JAVA if plain else {}


def least_published(params: Mapping[str, Any], movement: Movement) -> Least:
    """What an edge needs to be published.

    Raises:
        InputError: if users are asked for that the mobility does not know.
    """
    least = Least(int(params.get("minimum_users") or 0), float(params.get("minimum_flow") or 0))
    if least.users and movement.users == "unknown":
        raise InputError(
            f"mobility.minimum_users is {least.users}, but {movement.source.describe()} tells no users. Name their "
            "column (mobility.columns.user or users), or bound the flow by mobility.minimum_flow."
        )
    return least


def no_edge(name: str, written: Written, params: Mapping[str, Any]) -> str:
    """Why there is no edge, and what to do."""
    if written.edges_suppressed:
        return (
            f"{name} gives no edge that may be published: {written.edges_suppressed:,} have fewer users than "
            "mobility.minimum_users or less flow than mobility.minimum_flow. Lower these, or grid more coarsely."
        )
    return (
        f"{name} gives no edge: every move stays inside one cell, or no two records of a user lie within the gap. "
        f"A finer resolution than {params['resolution']} separates more places."
    )


def number_of_partitions(spark: SparkSession, params: Mapping[str, Any], movement: Movement) -> int:
    """The partitions of the shuffle: as told, else the session's, more where the raw files are large."""
    if params.get("partitions"):
        return int(params["partitions"])
    by_size = -(-movement.source.size_in_bytes(spark) // BYTES_PER_PARTITION)
    by_rows = -(-movement.rows() // ROWS_PER_PARTITION)  # sorted records take few bytes a row
    return max(int(spark.conf.get("spark.sql.shuffle.partitions")), by_size, by_rows)


if __name__ == "__main__":
    sys.exit(run_as_program("grid_mobility", run, settings=settings))
