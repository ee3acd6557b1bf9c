"""Raw mobility to edges between H3 cells, clustered by origin, the flow inside each cell, and its hours.

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

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.source import Source
from spark_jobs.clustering import edges_checks
from spark_jobs.gridding import checked_resolution, shares_check
from spark_jobs.mobility.conservation import conservation_check
from spark_jobs.mobility.edges import Written, write_edges
from spark_jobs.mobility.readers import READERS, RawMoves
from spark_jobs.mobility.thresholds import BAD_SHARE, allowed_share, number_of_partitions, thresholds_of
from spark_jobs.mobility.window import grid_window
from spark_jobs.output import checked_empty, part_files
from spark_jobs.report import Outcome, parameter, run_as_program
from spark_jobs.session import QUICK_JAVA
from spark_jobs.validation import BadRows, quarantine_and_check


def run(spark: SparkSession, params: Mapping[str, Any]) -> Outcome:
    """Grid the mobility of a region.

    Args:
        params: ``kind`` (od, trips, events), ``source`` and, for od, ``places`` (files, format, columns by role),
            ``resolution``, ``maximum_gap_hours`` (events), ``time_zone`` (trips and events: of times that carry none,
            and in which hours are counted; null: UTC, and every event needs a zone), ``maximum_bad_share``,
            ``minimum_users`` and ``minimum_flow`` (of an edge, or null), ``extent`` (`Extent.parse`, or null),
            ``partitions`` (of the shuffle, or null),
            ``kept`` (folder of what earlier runs added up, or null) and with it ``dates`` (the day of each file, or
            null where it is that of a row's ``time``), ``weeks`` (up to the newest day, or null: all) and ``versions``
            (of each file, or null: its size and time of change),
            ``output.edges``, ``.self_flow``, ``.rhythm``, ``.quarantine`` (folders).

    Raises:
        UserError: if the files or the parameters are wrong, too many rows are bad, or no edge remains.
    """
    kind = parameter(params, "kind")
    if kind not in READERS:
        raise UserError(f"kind is '{kind}': say {', '.join(READERS)}.")
    checked_resolution(parameter(params, "resolution"))
    for name in ("edges", "self_flow", "rhythm", "quarantine"):
        checked_empty(parameter(params, f"output.{name}"))
    gridded = grid_window if params.get("kept") else grid_whole
    written, bad, figures, moves = gridded(spark, params)
    if written.edges == 0:
        raise UserError(no_edge(Source.parse(params["source"], set()).describe(), written, params))
    checks = edges_checks(spark, part_files(params["output"]["edges"]))
    checks |= {
        "flow_conserved": conservation_check(moves, params, checks["edges_positive"].metadata["flow"]),
        "places_shares_sum_to_one": shares_check(moves.places),
        "bad_rows_within_limit": bad.check(),
    }
    return Outcome(
        rows={
            "edges": written.edges,
            "self_flow": written.self_flow,
            "rhythm": written.rhythm,
            "quarantine": sum(bad.quarantined.values()),
        },
        read=bad.read,
        quarantined=bad.quarantined,
        checks=checks,
        metadata={
            **figures,
            "rows_apart": bad.apart,
            "edges_suppressed": written.edges_suppressed,
            "cells_suppressed": written.cells_suppressed,
            "edges_outside": written.edges_outside,
            "flow_outside": written.flow_outside,
            "cells_with_rhythm": written.rhythm,
        },
    )


def grid_whole(spark: SparkSession, params: Mapping[str, Any]) -> tuple[Written, BadRows, dict[str, Any], RawMoves]:
    """Read all files."""
    moves = READERS[params["kind"]](spark, params)
    least = thresholds_of(params, moves)
    partitions = number_of_partitions(spark, params, moves.source, moves.rows())
    output = params["output"]
    written = write_edges(moves.packed(partitions), partitions, least, output)
    bad = quarantine_and_check(moves.sources, allowed_share(params), BAD_SHARE, output["quarantine"])
    return written, bad, {"partitions": partitions}, moves


def settings(params: Mapping[str, Any]) -> Mapping[str, str]:
    """The tasks read the files by themselves, and no row passes through the JVM: its quick compiler is enough."""
    return QUICK_JAVA


def no_edge(name: str, written: Written, params: Mapping[str, Any]) -> str:
    """Why there is no edge, and what to do."""
    if written.edges_outside and not written.edges_suppressed:
        return f"{name} gives no edge inside the extent: {written.edges_outside:,} have an end outside. Widen extent."
    if written.edges_suppressed:
        return (
            f"{name} gives no edge above the thresholds: {written.edges_suppressed:,} have fewer users than "
            "mobility.minimum_users or less flow than mobility.minimum_flow. Lower these, or grid more coarsely."
        )
    return (
        f"{name} gives no edge: every move stays inside one cell, or no two records of a user are within the gap. "
        f"A finer resolution than {params['resolution']} separates more places."
    )


if __name__ == "__main__":
    sys.exit(run_as_program("grid_mobility", run, settings=settings))
