"""Raw mobility to edges between H3 cells, clustered by origin, and the flow inside each cell.

Reads od (places and flows between them), trips (two points each) or events (a user at a time and point). One shuffle
carries the moves to their origin's partition, where they are sorted and added up; events take one more, by user.

Source: method.md, "Where the sources are silent" 1 and 3.
"""

import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a plain spark-submit knows this folder alone

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sql

from spark_jobs.clustering import edges_checks
from spark_jobs.errors import InputError
from spark_jobs.gridding import checked_resolution
from spark_jobs.judging import settle
from spark_jobs.movement import Movement, read_events, read_od, read_trips
from spark_jobs.output import WORKING, checked_empty, count_rows, move_parts, part_files, write_parts
from spark_jobs.report import Check, Outcome, parameter, run_as_program

READERS = {"od": read_od, "trips": read_trips, "events": read_events}
BYTES_PER_PARTITION = 128 << 20


@dataclass(frozen=True)
class Written:
    """Rows of the two datasets that one pass over the moves gives."""

    edges: int
    self_flow: int


def run(spark: SparkSession, params: Mapping[str, Any]) -> Outcome:
    """Grid the mobility of a region.

    Args:
        params: ``kind`` (od, trips, events), ``source`` and, for od, ``places`` (files, format, columns by role),
            ``resolution``, ``maximum_gap_hours`` and ``time_zone`` (events), ``maximum_bad_share``, ``partitions``
            (of the shuffle, or null), ``output.edges``, ``.self_flow``, ``.quarantine`` (folders).

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
    written = write_edges(edges_by_origin(movement, partitions), output["edges"], output["self_flow"])
    verdict = settle(
        movement.judged,
        float(params.get("maximum_bad_share", 0.01)),
        "mobility.maximum_bad_share",
        output["quarantine"],
    )
    if written.edges == 0:
        raise InputError(
            f"{movement.judged[0].name} gives no edge: every move stays inside one cell, or no two records of a user "
            f"lie within the gap. A finer resolution than {params['resolution']} separates more places."
        )
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
        metadata={"partitions": partitions},
    )


def number_of_partitions(spark: SparkSession, params: Mapping[str, Any], movement: Movement) -> int:
    """The partitions of the shuffle: as told, else the session's, more where the raw files are large."""
    if params.get("partitions"):
        return int(params["partitions"])
    by_size = -(-movement.source.size_in_bytes() // BYTES_PER_PARTITION)
    return max(int(spark.conf.get("spark.sql.shuffle.partitions")), by_size)


def edges_by_origin(movement: Movement, partitions: int) -> DataFrame:
    """Add up the moves between each two cells with one shuffle, by origin.

    Returns:
        internal (origin = destination), origin, destination, flow, users; a partition holds all edges of its
        origins, sorted by these three. Sums are repeatable: every group is added up in sorted order.
    """
    keys = ["internal", "origin", "destination"]
    # As double: the optimiser drops a sort below sums of integers, and with it the order of the rows.
    moves = movement.moves.withColumn("flow", sql.col("flow").cast("double"))
    moves = moves.withColumn("internal", sql.col("origin") == sql.col("destination"))
    spread = moves.repartition(partitions, "origin")
    if movement.users == "named":
        per_user = (
            spread.sortWithinPartitions(*keys, "user", "flow").groupBy(*keys, "user").agg(sql.sum("flow").alias("flow"))
        )
        users = sql.count(sql.lit(1)).alias("users")
        return per_user.groupBy(*keys).agg(sql.sum("flow").alias("flow"), users).sortWithinPartitions(*keys)
    if movement.users == "counted":
        ordered = spread.sortWithinPartitions(*keys, "flow", "users")
        added = ordered.groupBy(*keys).agg(sql.sum("flow").alias("flow"), sql.sum("users").alias("users"))
        return added.sortWithinPartitions(*keys)
    ordered = spread.sortWithinPartitions(*keys, "flow")
    added = ordered.groupBy(*keys).agg(sql.sum("flow").alias("flow"), sql.lit(None).cast("long").alias("users"))
    return added.sortWithinPartitions(*keys)


def write_edges(edges: DataFrame, edges_folder: str, self_flow_folder: str) -> Written:
    """Write moves between cells and moves inside one in a single pass, then give the latter their own columns."""
    working = Path(edges_folder) / WORKING
    typed = edges.select(
        "internal", "origin", "destination", sql.col("flow").cast("double"), sql.col("users").cast("long")
    )
    typed.write.mode("overwrite").partitionBy("internal").parquet(str(working))
    move_parts(working / "internal=false", Path(edges_folder))
    inside = working / "internal=true"
    spark = edges.sparkSession
    own = spark.read.parquet(str(inside)) if inside.exists() else spark.createDataFrame([], typed.schema)
    ordered = own.select(sql.col("origin").alias("cell"), sql.col("flow").alias("internal_flow")).coalesce(1)
    self_flow = write_parts(ordered.sortWithinPartitions("cell"), self_flow_folder)
    shutil.rmtree(working)
    return Written(count_rows([str(path) for path in Path(edges_folder).glob("*.parquet")]), self_flow)


if __name__ == "__main__":
    sys.exit(run_as_program("grid_mobility", run))
