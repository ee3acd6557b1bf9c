"""The three kinds of raw mobility, each read into moves from cell to cell: judged, gridded and added up by its task."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sql

from spark_jobs.errors import InputError
from spark_jobs.exact import LARGEST
from spark_jobs.exchange import PACKED, Tally, exchanged, packed, packed_tally, unpacked
from spark_jobs.gridding import Places, cells_at, read_places
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
from spark_jobs.moves import ROWS_HELD, Adder, added_up, make_moves
from spark_jobs.plain import Plain
from spark_jobs.report import parameter
from spark_jobs.sources import NUMBER, TEXT, TIME, Source, read_source

MICROSECONDS_PER_HOUR = 3_600_000_000
ENDS = ("origin_latitude", "origin_longitude", "destination_latitude", "destination_longitude")
KINDS: dict[str, dict[str, str]] = {  # of each role, by the kind of mobility
    "od": {"origin": TEXT, "destination": TEXT, "flow": NUMBER, "users": NUMBER},
    "trips": {**dict.fromkeys(ENDS, NUMBER), "count": NUMBER, "user": TEXT, "time": TIME},
    "events": {"user": TEXT, "time": TIME, "latitude": NUMBER, "longitude": NUMBER},
}
Mask = npt.NDArray[np.bool_]
Rows = Iterator[pa.RecordBatch]
Kernel = Callable[[Rows], Rows]


@dataclass(frozen=True)
class Records:
    """Raw records, judged: by Spark, or by the tasks themselves where the files are plain.

    ``columns``: what a kernel sees of a good row. ``good``: of the rows that a task reads by itself, which are good
    (exactly those that ``judged`` gives no reason for); ``prepared`` adds the columns that ``good`` needs.
    """

    judged: Judged
    columns: tuple[str, ...]
    plain: Plain | None
    good: Callable[[pa.RecordBatch], Mask]
    prepared: Callable[[pa.RecordBatch], pa.RecordBatch] | None = None

    def mapped(self, kernel: Kernel) -> DataFrame:
        """Run a kernel over the good rows; rows of `PACKED`, the count of what was read among them."""
        if self.plain is None:
            frame = self.judged.frame.select(*self.columns, sql.col("reason").isNull().alias("_good"))
            return frame.mapInArrow(partial(_of_frame, kernel=kernel), PACKED)
        spark, splits = self.judged.frame.sparkSession, len(self.plain.splits)
        numbers = spark.range(0, splits, 1, max(splits, 1))
        return numbers.mapInArrow(partial(_of_splits, records=self.as_read(), kernel=kernel), PACKED)

    def as_read(self) -> "Reading":
        """What a task needs of this: no Spark frame."""
        if self.plain is None:
            raise ValueError("these records are read by Spark")
        return Reading(self.plain, self.columns, self.good, self.prepared)


@dataclass(frozen=True)
class Reading:
    """Plain records as a task reads them."""

    plain: Plain
    columns: tuple[str, ...]
    good: Callable[[pa.RecordBatch], Mask]
    prepared: Callable[[pa.RecordBatch], pa.RecordBatch] | None

    def good_rows(self, split: int, tally: Tally) -> Rows:
        for batch in self.plain.read(self.plain.splits[split]):
            rows = self.prepared(batch) if self.prepared else batch
            yield from counted(rows.select(list(self.columns)), self.good(rows), tally)


def counted(rows: pa.RecordBatch, good: Mask, tally: Tally) -> Rows:
    """The good rows; all are counted."""
    kept = int(np.count_nonzero(good))
    tally.read += len(good)
    tally.good += kept
    if kept:
        yield rows if kept == len(good) else rows.filter(pa.array(good))


def _of_frame(batches: Rows, kernel: Kernel) -> Rows:
    tally = Tally()

    def good_rows() -> Rows:
        for batch in batches:
            good = batch["_good"].to_numpy(zero_copy_only=False)
            yield from counted(batch.drop_columns(["_good"]), good, tally)

    yield from kernel(good_rows())
    yield packed_tally(tally, 0)


def _of_splits(batches: Rows, records: Reading, kernel: Kernel) -> Rows:
    tally = Tally()
    numbers = (number for batch in batches for number in batch["id"].to_pylist())
    yield from kernel(rows for number in numbers for rows in records.good_rows(number, tally))
    yield packed_tally(tally, 0)


@dataclass(frozen=True)
class Movement:
    """Moves of a region, not yet read.

    ``users``: ``named`` (the distinct of a move are counted), ``counted`` (they add up), ``unknown``.
    ``judged``: the sources the moves come from, the main one first.
    ``packed``: for a number of partitions, rows of `PACKED` by origin that hold tables of moves.
    """

    source: Source
    users: Literal["named", "counted", "unknown"]
    judged: list[Judged]
    packed: Callable[[int], DataFrame]


def read_od(spark: SparkSession, params: Mapping[str, Any]) -> Movement:
    """Flows between places; ids of both tables are compared as strings."""
    source = Source.parse(parameter(params, "source"), {"origin", "destination", "flow"})
    places: Places = read_places(spark, parameter(params, "places"), params["resolution"])
    raw = read_source(spark, source, KINDS["od"])
    raw = places.look_up(places.look_up(raw, "origin", "origin_cell"), "destination", "destination_cell")
    rules: list[Rule] = [
        (sql.col("origin").isNull() | sql.col("destination").isNull(), NO_ID),
        (sql.col("origin_cell").isNull() | sql.col("destination_cell").isNull(), UNKNOWN_PLACE),
        *flow_rules("flow"),
    ]
    amounts = ("flow", *(["users"] if "users" in source.columns else []))
    if "users" in amounts:
        rules += flow_rules("users")
    records = Records(
        Judged.by(rules, raw, source.describe()),
        ("origin_cell", "destination_cell", *amounts),
        plain_of(source, "od"),
        partial(good_flows, amounts=amounts),
        partial(at_places, places=places.arrow),
    )
    kernel = partial(pack_moves, moves=od_moves)
    users: Literal["counted", "unknown"] = "counted" if "users" in amounts else "unknown"
    return Movement(source, users, [records.judged, places.judged], partial(_by_origin, records, kernel))


def read_trips(spark: SparkSession, params: Mapping[str, Any]) -> Movement:
    """Trips between two points each; a trip without a count is one."""
    source = Source.parse(parameter(params, "source"), set(ENDS))
    # Only whether the time can be read matters here, so a missing zone does no harm.
    raw = read_source(spark, source, KINDS["trips"], params.get("time_zone") or "UTC")
    rules = [*coordinate_rules(*ENDS[:2]), *coordinate_rules(*ENDS[2:])]
    if "count" in source.columns:
        rules += flow_rules("count")
    if "user" in source.columns:
        rules.append((sql.col("user").isNull(), NO_USER))
    if "time" in source.columns:
        rules.append((sql.col("time").isNull(), NO_TIME))
    columns = (*ENDS, *(role for role in ("count", "user") if role in source.columns))
    records = Records(Judged.by(rules, raw, source.describe()), columns, plain_of(source, "trips"), good_trips)
    kernel = partial(pack_moves, moves=partial(trip_moves, resolution=params["resolution"]))
    users: Literal["named", "unknown"] = "named" if "user" in columns else "unknown"
    return Movement(source, users, [records.judged], partial(_by_origin, records, kernel))


def read_events(spark: SparkSession, params: Mapping[str, Any]) -> Movement:
    """Records of users; two consecutive ones of a user within the gap make a move.

    One shuffle, by user; a user's moves between two cells are counted there, so that adding up users later counts
    distinct ones. Records at the same time are ordered by cell.
    """
    source = Source.parse(parameter(params, "source"), {"user", "time", "latitude", "longitude"})
    gap = float(params.get("maximum_gap_hours") or 24.0)
    if not gap > 0:
        raise InputError(f"mobility.maximum_gap_hours is {gap:g}: it must be above zero.")
    raw = read_source(spark, source, KINDS["events"], params.get("time_zone"))
    rules = [
        (sql.col("user").isNull(), NO_USER),
        (sql.col("time").isNull(), NO_TIME),
        (sql.col("time_zoneless"), f"{NO_ZONE} (say mobility.time_zone)"),
        *coordinate_rules("latitude", "longitude"),
    ]
    records = Records(
        Judged.by(rules, raw, source.describe()), tuple(KINDS["events"]), plain_of(source, "events"), good_events
    )
    gridded = partial(pack_records, resolution=params["resolution"])
    gap_microseconds = int(gap * MICROSECONDS_PER_HOUR)
    return Movement(
        source, "counted", [records.judged], partial(_by_user_and_origin, records, gridded, gap_microseconds)
    )


def plain_of(source: Source, kind: str) -> Plain | None:
    """The raw files as tasks can read them by themselves; None if Spark must."""
    return Plain.of(source, KINDS[kind], instants=kind == "events")


def flow_rules(name: str) -> list[Rule]:
    """A flow must be a number above zero that can be added up exactly."""
    return [*positive_rules(name, name), (sql.col(name) > LARGEST, f"{name} above 2^40")]


def _by_origin(records: Records, kernel: Callable[..., Rows], partitions: int) -> DataFrame:
    return records.mapped(partial(kernel, buckets=partitions))


def _by_user_and_origin(records: Records, kernel: Callable[..., Rows], gap: int, partitions: int) -> DataFrame:
    by_user = exchanged(records.mapped(partial(kernel, buckets=partitions)), partitions)
    return by_user.mapInArrow(partial(pack_diaries, gap=gap, buckets=partitions), PACKED)


def at_places(rows: pa.RecordBatch, places: pa.Table) -> pa.RecordBatch:
    """Add origin_cell and destination_cell, null where the place is unknown."""
    for role in ("origin", "destination"):
        coded = rows[role].dictionary_encode()
        found = pc.index_in(coded.dictionary.cast(pa.string()), places["id"].combine_chunks())
        cells = places["cell"].combine_chunks().take(found)
        rows = rows.append_column(f"{role}_cell", cells.take(coded.indices))
    return rows


def good_flows(rows: pa.RecordBatch, amounts: tuple[str, ...]) -> Mask:
    known = [_there(rows[name]) for name in ("origin_cell", "destination_cell")]
    return _all(*known, *(_countable(rows[name]) for name in amounts))


def good_trips(rows: pa.RecordBatch) -> Mask:
    there = [
        rows[name].is_valid().to_numpy(zero_copy_only=False) for name in ("user", "time") if name in rows.schema.names
    ]
    count = [_countable(rows["count"])] if "count" in rows.schema.names else []
    return _all(_on_globe(rows, *ENDS[:2]), _on_globe(rows, *ENDS[2:]), *there, *count)


def good_events(rows: pa.RecordBatch) -> Mask:
    return _all(_on_globe(rows, "latitude", "longitude"), _there(rows["user"]), _there(rows["time"]))


def _there(values: pa.Array) -> Mask:
    return np.asarray(values.is_valid().to_numpy(zero_copy_only=False))


def _all(*masks: Mask) -> Mask:
    return np.asarray(np.logical_and.reduce(masks))


def _on_globe(rows: pa.RecordBatch, latitude: str, longitude: str) -> Mask:
    """A null is NaN here, and NaN is not below anything."""
    north, east = (rows[name].to_numpy(zero_copy_only=False) for name in (latitude, longitude))
    return (np.abs(north) <= 90) & (np.abs(east) <= 180)


def _countable(amount: pa.Array) -> Mask:
    value = amount.to_numpy(zero_copy_only=False)
    return (value > 0) & (value <= LARGEST)


def pack_moves(rows: Rows, moves: Callable[[pa.RecordBatch], pa.Table], buckets: int) -> Rows:
    """Moves of good rows, added up as far as memory allows, as payloads by origin."""
    adder = Adder(ROWS_HELD)
    for batch in rows:
        for sums in adder.add(moves(batch)):
            yield from packed(sums, "origin", buckets)
    for sums in adder.rest():
        yield from packed(sums, "origin", buckets)


def od_moves(rows: pa.RecordBatch) -> pa.Table:
    users = {"users": pc.cast(rows["users"], pa.int64(), safe=False)} if "users" in rows.schema.names else {}
    return make_moves(rows["origin_cell"], rows["destination_cell"], rows["flow"], **users)


def trip_moves(rows: pa.RecordBatch, resolution: int) -> pa.Table:
    origin, destination = (
        cells_at(rows[latitude], rows[longitude], resolution) for latitude, longitude in (ENDS[:2], ENDS[2:])
    )
    flow = rows["count"] if "count" in rows.schema.names else pa.array(np.ones(len(rows)))
    user = {"user": rows["user"]} if "user" in rows.schema.names else {}
    return make_moves(origin, destination, flow, **user)


def pack_records(rows: Rows, resolution: int, buckets: int) -> Rows:
    """Events with their cells as payloads by user."""
    for batch in rows:
        cell = cells_at(batch["latitude"], batch["longitude"], resolution)
        yield from packed(pa.table({"user": batch["user"], "time": batch["time"], "cell": cell}), "user", buckets)


def pack_diaries(batches: Rows, gap: int, buckets: int) -> Rows:
    """The moves of whole users, from payloads of their records, as payloads by origin."""
    tally = Tally()
    tables = list(unpacked(batches, tally))
    if tables:
        yield from packed(moves_of_users(pa.concat_tables(tables), gap), "origin", buckets)
    yield packed_tally(tally, 0)


def moves_of_users(records: pa.Table, gap: int) -> pa.Table:
    """Count the moves between consecutive records of a user.

    Args:
        records: user, time (microseconds), cell; all records of the users, in any order.
        gap: microseconds between two records up to which they make a move.

    Returns:
        Moves: origin, destination, whole (the moves of all users), users (how many of them made it).
    """
    user = records["user"].combine_chunks().dictionary_encode().indices.to_numpy()
    time, cell = records["time"].to_numpy(), records["cell"].to_numpy()
    diary = np.lexsort((cell, time, user))
    user, time, cell = user[diary], time[diary], cell[diary]
    step = np.flatnonzero((user[1:] == user[:-1]) & (np.diff(time) <= gap))
    once = np.ones(len(step), dtype=np.int64)
    moves = {"origin": cell[step], "destination": cell[step + 1], "whole": once, "user": user[step]}
    of_each = added_up(pa.table(moves)).drop_columns(["user"])
    counted = of_each.append_column("users", pa.array(np.ones(of_each.num_rows, dtype=np.int64)))
    return added_up(counted)
