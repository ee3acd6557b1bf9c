"""The three kinds of raw mobility, each read into moves from cell to cell."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as sql

from spark_jobs.errors import InputError
from spark_jobs.gridding import Places, read_places, with_cells
from spark_jobs.judging import (
    NO_ID,
    NO_TIME,
    NO_USER,
    NO_ZONE,
    UNKNOWN_PLACE,
    Judged,
    Rule,
    coordinate_rules,
    positive_rules,
)
from spark_jobs.report import parameter
from spark_jobs.sources import NUMBER, TEXT, TIME, Source, read_source

MICROSECONDS_PER_HOUR = 3_600_000_000


@dataclass(frozen=True)
class Movement:
    """Moves: origin, destination (cells), flow, and how their users are known.

    ``users``: ``named`` (a column ``user``: count the distinct), ``counted`` (a column ``users``: add up), ``unknown``.
    ``judged``: the sources the moves come from, the main one first.
    """

    source: Source
    moves: DataFrame
    users: Literal["named", "counted", "unknown"]
    judged: list[Judged]


def read_od(spark: SparkSession, params: Mapping[str, Any]) -> Movement:
    """Flows between places; ids of both tables are compared as strings."""
    source = Source.parse(parameter(params, "source"), {"origin", "destination", "flow"})
    places: Places = read_places(spark, parameter(params, "places"), params["resolution"])
    kinds = {"origin": TEXT, "destination": TEXT, "flow": NUMBER, "users": NUMBER}
    raw = read_source(spark, source, kinds)
    raw = places.look_up(places.look_up(raw, "origin", "origin_cell"), "destination", "destination_cell")
    rules: list[Rule] = [
        (sql.col("origin").isNull() | sql.col("destination").isNull(), NO_ID),
        (sql.col("origin_cell").isNull() | sql.col("destination_cell").isNull(), UNKNOWN_PLACE),
        *positive_rules("flow", "flow"),
    ]
    counted = "users" in source.columns
    if counted:
        rules += positive_rules("users", "users")
    judged = Judged.by(rules, raw, source.describe())
    columns = ["origin_cell", "destination_cell", "flow", *(["users"] if counted else [])]
    moves = judged.good(*columns).withColumnsRenamed({"origin_cell": "origin", "destination_cell": "destination"})
    if counted:
        moves = moves.withColumn("users", sql.col("users").cast("long"))
    return Movement(source, moves, "counted" if counted else "unknown", [judged, places.judged])


def read_trips(spark: SparkSession, params: Mapping[str, Any]) -> Movement:
    """Trips between two points each; a trip without a count is one."""
    ends = ("origin_latitude", "origin_longitude", "destination_latitude", "destination_longitude")
    source = Source.parse(parameter(params, "source"), set(ends))
    kinds = {**dict.fromkeys(ends, NUMBER), "count": NUMBER, "user": TEXT, "time": TIME}
    # Only whether the time can be read matters here, so a missing zone does no harm.
    raw = read_source(spark, source, kinds, params.get("time_zone") or "UTC")
    rules = [*coordinate_rules(*ends[:2]), *coordinate_rules(*ends[2:])]
    if "count" in source.columns:
        rules += positive_rules("count", "count")
    if "user" in source.columns:
        rules.append((sql.col("user").isNull(), NO_USER))
    if "time" in source.columns:
        rules.append((sql.col("time").isNull(), NO_TIME))
    judged = Judged.by(rules, raw, source.describe())
    optional = [role for role in ("count", "user") if role in source.columns]
    good = judged.good(*ends, *optional)
    flow = sql.col("count") if "count" in optional else sql.lit(1)
    cells = with_cells(good, {"origin": ends[:2], "destination": ends[2:]}, params["resolution"])
    user = ["user"] if "user" in optional else []
    moves = cells.select("origin", "destination", flow.alias("flow"), *user)
    return Movement(source, moves, "named" if user else "unknown", [judged])


def read_events(spark: SparkSession, params: Mapping[str, Any]) -> Movement:
    """Records of users; two consecutive ones of a user within the gap make a move.

    One shuffle, by user; a user's moves between two cells are counted there, so that adding up users later counts
    distinct ones. Records at the same time are ordered by cell.
    """
    source = Source.parse(parameter(params, "source"), {"user", "time", "latitude", "longitude"})
    gap = float(params.get("maximum_gap_hours") or 24.0)
    if not gap > 0:
        raise InputError(f"mobility.maximum_gap_hours is {gap:g}: it must be above zero.")
    kinds = {"user": TEXT, "time": TIME, "latitude": NUMBER, "longitude": NUMBER}
    raw = read_source(spark, source, kinds, params.get("time_zone"))
    rules = [
        (sql.col("user").isNull(), NO_USER),
        (sql.col("time").isNull(), NO_TIME),
        (sql.col("time_zoneless"), f"{NO_ZONE} (say mobility.time_zone)"),
        *coordinate_rules("latitude", "longitude"),
    ]
    judged = Judged.by(rules, raw, source.describe())
    good = judged.good("user", "time", "latitude", "longitude")
    records = with_cells(good, {"cell": ("latitude", "longitude")}, params["resolution"])
    return Movement(source, moves_of_users(records, gap), "counted", [judged])


def moves_of_users(records: DataFrame, maximum_gap_hours: float) -> DataFrame:
    """Count each user's moves between consecutive records.

    Args:
        records: user, time (microseconds), cell.

    Returns:
        origin, destination, flow (moves of one user), users (1).
    """
    diary = Window.partitionBy("user").orderBy("time", "cell")
    steps = records.select(
        "user",
        sql.lag("cell").over(diary).alias("origin"),
        sql.col("cell").alias("destination"),
        (sql.col("time") - sql.lag("time").over(diary)).alias("gap"),
    )
    within = sql.col("gap") <= int(maximum_gap_hours * MICROSECONDS_PER_HOUR)  # null, and so dropped, at a user's first
    counted = steps.where(within).groupBy("user", "origin", "destination").agg(sql.count(sql.lit(1)).alias("flow"))
    return counted.select("origin", "destination", "flow", sql.lit(1).alias("users"))
