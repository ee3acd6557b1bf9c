"""Raw mobility to edges between H3 cells, clustered by origin, and the flow inside each cell.

Reads od (places and flows between them), trips (two points each) or events (a user at a time and point). Each task adds
up the moves that it reads; one shuffle carries the sums to their origin's partition; events take one more, by user.

Source: method.md, "Where the sources are silent" 1, 3 and 9.
"""

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a plain spark-submit knows this folder alone

from pyspark.sql import SparkSession

from spark_jobs.clustering import edges_checks
from spark_jobs.edges import Least, Written, write_edges
from spark_jobs.errors import InputError
from spark_jobs.gridding import checked_resolution
from spark_jobs.judging import settle
from spark_jobs.movement import Movement, plain_of, read_events, read_od, read_trips
from spark_jobs.output import checked_empty, part_files
from spark_jobs.report import Check, Outcome, parameter, run_as_program
from spark_jobs.session import QUICK_JAVA
from spark_jobs.sources import Source

READERS = {"od": read_od, "trips": read_trips, "events": read_events}
BYTES_PER_PARTITION = 128 << 20
ROWS_PER_PARTITION = 8 << 20


def run(spark: SparkSession, params: Mapping[str, Any]) -> Outcome:
    """Grid the mobility of a region.

    Args:
        params: ``kind`` (od, trips, events), ``source`` and, for od, ``places`` (files, format, columns by role),
            ``resolution``, ``maximum_gap_hours`` and ``time_zone`` (events), ``maximum_bad_share``,
            ``minimum_users`` and ``minimum_flow`` (of an edge, or null), ``partitions`` (of the shuffle, or null),
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
    output = params["output"]
    movement: Movement = READERS[kind](spark, params)
    partitions = number_of_partitions(spark, params, movement)
    least = least_published(params, movement)
    written = write_edges(movement.packed(partitions), partitions, least, output["edges"], output["self_flow"])
    main, *others = movement.judged
    verdict = settle(
        [replace(main, told=(written.read, written.good)), *others],
        float(params.get("maximum_bad_share", 0.01)),
        "mobility.maximum_bad_share",
        output["quarantine"],
    )
    if written.edges == 0:
        raise InputError(no_edge(main.name, written, params))
    limit = Check(True, {"bad_share": verdict.share, "allowed": verdict.allowed, "reasons": verdict.quarantined})
    return Outcome(
        rows={
            "edges": written.edges,
            "self_flow": written.self_flow,
            "quarantine": sum(verdict.quarantined.values()),
        },
        read=verdict.read,
        quarantined=verdict.quarantined,
        checks={**edges_checks(spark, part_files(output["edges"])), "bad_rows_within_limit": limit},
        metadata={
            "partitions": partitions,
            "edges_suppressed": written.edges_suppressed,
            "cells_suppressed": written.cells_suppressed,
        },
    )


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
