"""The three kinds of raw mobility, each read into moves from cell to cell: judged, gridded and added up by its task."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sql

from mora_pipeline.contract.constants import MAXIMUM_GAP_HOURS
from mora_pipeline.contract.errors import UserError
from spark_jobs.gridding import Places, read_places
from spark_jobs.mobility.arrow_shuffle import PACKED, shuffled
from spark_jobs.mobility.daily_sums import pack_by_file
from spark_jobs.mobility.fixed_point import LARGEST, SMALLEST
from spark_jobs.mobility.kernels import (
    ENDS,
    at_places,
    good_events,
    good_flows,
    good_trips,
    od_moves,
    pack_diaries,
    pack_moves,
    pack_records,
    trip_moves,
)
from spark_jobs.mobility.parquet_reader import ParquetSource
from spark_jobs.mobility.records import Mask, Reading, Records, Rows
from spark_jobs.report import parameter
from spark_jobs.sources import NUMBER, TEXT, TIME, Source, read_source
from spark_jobs.validation import (
    LATE_TIME,
    NO_ID,
    NO_TIME,
    NO_USER,
    NO_ZONE,
    UNKNOWN_PLACE,
    Rule,
    ValidatedRows,
    coordinate_rules,
    positive_rules,
)

MICROSECONDS_PER_HOUR = 3_600_000_000
TOLERANCE = 86_400_000_000  # microseconds that a row may tell of after its file was written: clocks and zones differ
LONGEST_GAP_HOURS = 1e9  # a hundred thousand years: what 63 bits of microseconds hold, and more than anyone means
KINDS: dict[str, dict[str, str]] = {  # of each role, by the kind of mobility
    "od": {"origin": TEXT, "destination": TEXT, "flow": NUMBER, "users": NUMBER, "time": TIME},
    "trips": {**dict.fromkeys(ENDS, NUMBER), "count": NUMBER, "user": TEXT, "time": TIME},
    "events": {"user": TEXT, "time": TIME, "latitude": NUMBER, "longitude": NUMBER},
}


@dataclass(frozen=True)
class RawMoves:
    """Moves of a region, not yet read.

    ``users``: ``named`` (the distinct of a move are counted), ``counted`` (they add up), ``unknown``.
    ``judged``: the sources the moves come from, the main one first.
    ``packed``: for a number of partitions, rows of `PACKED` by origin that hold tables of moves.
    ``moves``: makes a move of each row; None where two rows make one.
    """

    source: Source
    users: Literal["named", "counted", "unknown"]
    judged: list[ValidatedRows]
    records: Records
    packed: Callable[[int], DataFrame]
    moves: Callable[[pa.RecordBatch], pa.Table] | None = None

    def rows(self) -> int:
        """How many raw rows there are, where the files' footers tell; else 0."""
        return self.records.reading.plain.rows if self.records.reading else 0

    def packed_by_file(self, files: Sequence[str], days: Mapping[str, int] | None, partitions: int) -> DataFrame:
        """The same, with moves of different files and days apart: see `dated.pack_by_file`.

        Raises:
            UserError: of events.
        """
        if self.moves is None:
            raise UserError("mobility.window is for od and trips: moves of events reach from file to file. Remove it.")
        columns = ("source",) if days is not None else ("source", "time")
        kernel = partial(pack_by_file, moves=self.moves, files=files, days=days, buckets=partitions)
        return replace(self.records, columns=(*self.records.columns, *columns)).mapped(kernel)


def read_od(spark: SparkSession, params: Mapping[str, Any]) -> RawMoves:
    """Flows between places; ids of both tables are compared as strings."""
    source = Source.parse(parameter(params, "source"), {"origin", "destination", "flow"})
    places: Places = read_places(spark, parameter(params, "places"), params["resolution"])
    counted = "users" in source.columns

    def make() -> tuple[list[Rule], DataFrame]:
        raw = read_source(spark, source, KINDS["od"], "UTC")  # a time tells the day alone
        raw = places.look_up(places.look_up(raw, "origin", "origin_cell"), "destination", "destination_cell")
        rules = [
            (sql.col("origin").isNull() | sql.col("destination").isNull(), NO_ID),
            (sql.col("origin_cell").isNull() | sql.col("destination_cell").isNull(), UNKNOWN_PLACE),
            *flow_rules("flow"),
        ]
        if counted:
            rules += [*flow_rules("users"), (sql.col("users") != sql.floor("users"), "users not a whole number")]
        return [*rules, *time_rules(source, params.get("latest"))], raw

    columns = ("origin_cell", "destination_cell", "flow", *(["users"] if counted else []))
    good = partial(good_flows, latest=params.get("latest"))
    reading = reading_of(source, "od", good, partial(at_places, places=places.arrow))
    records = Records(spark, ValidatedRows(source.describe(), make), columns, reading)
    packed = partial(_by_origin, records, partial(pack_moves, moves=od_moves))
    judged = [records.judged, places.judged]
    return RawMoves(source, "counted" if counted else "unknown", judged, records, packed, od_moves)


def read_trips(spark: SparkSession, params: Mapping[str, Any]) -> RawMoves:
    """Trips between two points each; a trip without a count is one."""
    source = Source.parse(parameter(params, "source"), set(ENDS))

    def make() -> tuple[list[Rule], DataFrame]:
        # A time decides no more than the day, so a missing zone does little harm.
        raw = read_source(spark, source, KINDS["trips"], params.get("time_zone") or "UTC")
        rules = [*coordinate_rules(*ENDS[:2]), *coordinate_rules(*ENDS[2:])]
        if "count" in source.columns:
            rules += flow_rules("count")
        if "user" in source.columns:
            rules.append((sql.col("user").isNull(), NO_USER))
        return [*rules, *time_rules(source, params.get("latest"))], raw

    columns = (*ENDS, *(role for role in ("count", "user") if role in source.columns))
    reading = reading_of(source, "trips", partial(good_trips, latest=params.get("latest")))
    records = Records(spark, ValidatedRows(source.describe(), make), columns, reading)
    moves = partial(trip_moves, resolution=params["resolution"])
    packed = partial(_by_origin, records, partial(pack_moves, moves=moves))
    users: Literal["named", "unknown"] = "named" if "user" in columns else "unknown"
    return RawMoves(source, users, [records.judged], records, packed, moves)


def read_events(spark: SparkSession, params: Mapping[str, Any]) -> RawMoves:
    """Records of users; two consecutive ones of a user within the gap make a move.

    One shuffle, by user; a user's moves between two cells are counted there, so that adding up users later counts
    distinct ones. Records at the same time are ordered by cell.
    """
    source = Source.parse(parameter(params, "source"), {"user", "time", "latitude", "longitude"})
    told = params.get("maximum_gap_hours")
    gap = MAXIMUM_GAP_HOURS if told is None else float(told)
    if not 0 < gap < LONGEST_GAP_HOURS:
        raise UserError(f"mobility.maximum_gap_hours is {gap:g}: say a number of hours above 0, such as 24.")

    def make() -> tuple[list[Rule], DataFrame]:
        raw = read_source(spark, source, KINDS["events"], params.get("time_zone"))
        rules = [
            (sql.col("user").isNull(), NO_USER),
            (sql.col("time").isNull(), NO_TIME),
            (sql.col("time_zoneless"), f"{NO_ZONE} (say mobility.time_zone)"),
            *coordinate_rules("latitude", "longitude"),
        ]
        return rules, raw

    judged = ValidatedRows(source.describe(), make)
    records = Records(spark, judged, tuple(KINDS["events"]), reading_of(source, "events", good_events))
    kernel = partial(pack_records, resolution=params["resolution"])
    packed = partial(_by_user_and_origin, records, kernel, int(gap * MICROSECONDS_PER_HOUR))
    return RawMoves(source, "counted", [judged], records, packed)


READERS: Mapping[str, Callable[[SparkSession, Mapping[str, Any]], RawMoves]] = {
    "od": read_od,
    "trips": read_trips,
    "events": read_events,
}


def parquet_source_of(source: Source, kind: str) -> ParquetSource | None:
    """The raw files as tasks can read them by themselves; None if Spark must."""
    return ParquetSource.of(source, KINDS[kind], instants=kind == "events")


def reading_of(
    source: Source,
    kind: str,
    good: Callable[[pa.RecordBatch], Mask],
    prepared: Callable[[pa.RecordBatch], pa.RecordBatch] | None = None,
) -> Reading | None:
    """How tasks read the files by themselves, if they can."""
    plain = parquet_source_of(source, kind)
    return Reading(plain, good, prepared) if plain else None


def time_rules(source: Source, latest: Mapping[str, int] | None) -> list[Rule]:
    """A time, where there is one, must be readable; where it is to be the row's day, its file must not be older.

    Args:
        latest: what the kernels are told of each file; here only whether they are.
    """
    if "time" not in source.columns:
        return []
    rules: list[Rule] = [(sql.col("time").isNull(), NO_TIME)]
    if latest:
        rules.append((sql.col("time") > sql.unix_micros("written") + TOLERANCE, LATE_TIME))
    return rules


def flow_rules(name: str) -> list[Rule]:
    """A flow must be a number above zero that can be added up."""
    too_small, too_large = sql.col(name) < SMALLEST, sql.col(name) > LARGEST
    return [*positive_rules(name, name), (too_small, f"{name} below 2^-40"), (too_large, f"{name} above 2^40")]


def _by_origin(records: Records, kernel: Callable[..., Rows], partitions: int) -> DataFrame:
    return records.mapped(partial(kernel, buckets=partitions))


def _by_user_and_origin(records: Records, kernel: Callable[..., Rows], gap: int, partitions: int) -> DataFrame:
    by_user = shuffled(records.mapped(partial(kernel, buckets=partitions)), partitions)
    return by_user.mapInArrow(partial(pack_diaries, gap=gap, buckets=partitions), PACKED)
