"""The three kinds of raw mobility, each read into moves from cell to cell by tasks that validate, grid and add up."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, SparkSession

from mora_pipeline.contract.constants import MAXIMUM_GAP_HOURS
from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.places import Places, brought_up
from mora_pipeline.raw.rule_sets import (
    AMOUNTS,
    CELL_FLOW_ROLES,
    END_CELLS,
    ENDS,
    MOBILITY_ROLES,
    cell_flow_rules,
    event_rules,
    od_rules,
    trip_rules,
)
from mora_pipeline.raw.source import Source, checked_zone
from spark_jobs.gridding import read_places
from spark_jobs.mobility.arrow_shuffle import PACKED, shuffled
from spark_jobs.mobility.daily_sums import pack_by_file
from spark_jobs.mobility.kernels import od_moves, pack_diaries, pack_moves, pack_records, trip_moves
from spark_jobs.mobility.records import Records, Rows
from spark_jobs.mobility.spreading import OfCells, OfPlaces, Spreading
from spark_jobs.report import parameter
from spark_jobs.validation import ValidatedRows

MICROSECONDS_PER_HOUR = 3_600_000_000
LONGEST_GAP_HOURS = 1e9  # a hundred thousand years: what 63 bits of microseconds hold, and more than anyone means


@dataclass(frozen=True)
class RawMoves:
    """Moves of a region, not yet read.

    ``users``: ``named`` (the distinct of a move are counted), ``counted`` (they add up), ``unknown``.
    ``sources``: the files the moves come from, the main one first.
    ``packed``: for a number of partitions, rows of `PACKED` by origin that hold tables of moves.
    ``moves``: makes a move of each row; None where two rows make one.
    ``spreading``: divides `moves` among the cells of their ends; None: each end is a cell.
    ``places``: that od refers to, or None.
    ``zone``: in which the hours of `moves` are counted; None where nothing says when they were.
    """

    source: Source
    users: Literal["named", "counted", "unknown"]
    sources: list[ValidatedRows]
    records: Records
    packed: Callable[[int], DataFrame]
    moves: Callable[[pa.RecordBatch], pa.Table] | None = None
    zone: str | None = None
    spreading: Spreading | None = None
    places: Places | None = None

    def rows(self) -> int:
        """How many raw rows there are, where the files' footers say; else 0."""
        return self.records.validated.reader.rows

    def packed_by_file(self, files: Sequence[str], days: Mapping[str, int] | None, partitions: int) -> DataFrame:
        """The same, with moves of different files and days apart: see `daily_sums.pack_by_file`.

        Raises:
            UserError: of events.
        """
        if self.moves is None:
            raise UserError("mobility.window is for od and trips: moves of events reach from file to file. Remove it.")
        columns = dict.fromkeys((*self.records.columns, "source", *(["time"] if days is None else [])))
        kernel = partial(pack_by_file, moves=self.moves, files=files, days=days, buckets=partitions, zone=self.zone)
        kernel = partial(kernel, spreading=self.spreading)
        return replace(self.records, columns=tuple(columns)).mapped(kernel)


def read_od(spark: SparkSession, params: Mapping[str, Any]) -> RawMoves:
    """Flows between places; ids of both tables are compared as strings. Without places, between H3 cells.

    Raises:
        UserError: if there are users, and places that lie in several cells: who is where in them is unknown.
    """
    source = Source.parse(parameter(params, "source"), {"origin", "destination"})
    if not params.get("places"):
        return read_cell_flows(spark, source, params)
    places, of_places = read_places(spark, parameter(params, "places"), params["resolution"])
    counted = "users" in source.columns
    if counted and not places.single:
        several = int((np.diff(places.starts) > 1).sum())
        raise UserError(
            f"mobility.columns.users is '{source.columns['users']}', but {several:,} places lie in several cells: "
            "their flow can be divided among these, distinct users cannot. Remove columns.users, or give each place a "
            "point."
        )
    rules = od_rules(source.columns, params.get("latest"))
    derive = partial(places.look_up, roles={end: f"{end}_cell" for end in ("origin", "destination")})
    # Only the day of a time counts.
    validated = ValidatedRows(spark, source, MOBILITY_ROLES["od"], rules, "UTC", derive, amount=AMOUNTS["od"])
    columns = ("origin_cell", "destination_cell", *(role for role in ("flow", "users") if role in source.columns))
    records = Records(validated, columns)
    moves = od_moves if places.single else partial(od_moves, divided=True)
    spreading = None if places.single else OfPlaces(places)
    packed = partial(_by_origin, records, partial(pack_moves, moves=moves, spreading=spreading))
    users: Literal["counted", "unknown"] = "counted" if counted else "unknown"
    sources = [validated, of_places]
    return RawMoves(source, users, sources, records, packed, moves, spreading=spreading, places=places)


def read_cell_flows(spark: SparkSession, source: Source, params: Mapping[str, Any]) -> RawMoves:
    """Flows between H3 cells; finer ones are brought to the resolution, of coarser ones the children share the flow."""
    resolution = params["resolution"]
    counted = "users" in source.columns
    rules = cell_flow_rules(source.columns, resolution, params.get("latest"))
    derive = partial(with_cells, resolution=resolution)
    validated = ValidatedRows(spark, source, CELL_FLOW_ROLES, rules, "UTC", derive, amount=AMOUNTS["od"])
    columns = (*END_CELLS, *(role for role in ("flow", "users") if role in source.columns))
    records = Records(validated, columns)
    moves = od_moves if counted else partial(od_moves, divided=True)
    spreading = None if counted else OfCells(resolution)
    packed = partial(_by_origin, records, partial(pack_moves, moves=moves, spreading=spreading))
    users: Literal["counted", "unknown"] = "counted" if counted else "unknown"
    return RawMoves(source, users, [validated], records, packed, moves, spreading=spreading)


def with_cells(rows: pa.RecordBatch, resolution: int) -> pa.RecordBatch:
    """Add the cells of both ends: those of the resolution, and coarser ones as they are."""
    for end in ("origin", "destination"):
        rows = rows.append_column(f"{end}_cell", pc.coalesce(brought_up(rows[end], resolution), rows[end]))
    return rows


def read_trips(spark: SparkSession, params: Mapping[str, Any]) -> RawMoves:
    """Trips between two points each; a trip without a count is one."""
    source = Source.parse(parameter(params, "source"), set())
    ends: list[str] = []
    for cell, point in zip(END_CELLS, (ENDS[:2], ENDS[2:]), strict=True):
        own = [cell] if cell in source.columns else [role for role in point if role in source.columns]
        if own not in ([cell], [*point]):
            raise UserError(f"source.columns lacks {' and '.join(point)}, or {cell}.")
        ends += own
    rules = trip_rules(source.columns, params["resolution"], params.get("latest"))
    time_zone = zone_of(params)  # without one, hours are read as they are written
    validated = ValidatedRows(spark, source, MOBILITY_ROLES["trips"], rules, time_zone, amount=AMOUNTS["trips"])
    columns = (*ends, *(role for role in ("count", "user", "time") if role in source.columns))
    records = Records(validated, columns)
    moves = partial(trip_moves, resolution=params["resolution"])
    zone = time_zone if "time" in source.columns else None
    packed = partial(_by_origin, records, partial(pack_moves, moves=moves, zone=zone))
    users: Literal["named", "unknown"] = "named" if "user" in columns else "unknown"
    return RawMoves(source, users, [validated], records, packed, moves, zone)


def read_events(spark: SparkSession, params: Mapping[str, Any]) -> RawMoves:
    """Records of users; two consecutive ones of a user within the gap make a move.

    One shuffle, by user; a user's moves between two cells are counted there, so that adding up users later counts
    distinct ones. Records at the same time are ordered by cell.
    """
    source = Source.parse(parameter(params, "source"), {"user", "time", "latitude", "longitude"})
    hours = params.get("maximum_gap_hours")
    gap = MAXIMUM_GAP_HOURS if hours is None else float(hours)
    if not 0 < gap < LONGEST_GAP_HOURS:
        raise UserError(f"mobility.maximum_gap_hours is {gap:g}: say a number of hours above 0, such as 24.")
    validated = ValidatedRows(spark, source, MOBILITY_ROLES["events"], event_rules(), params.get("time_zone"))
    records = Records(validated, tuple(MOBILITY_ROLES["events"]))
    kernel = partial(pack_records, resolution=params["resolution"])
    packed = partial(_by_user_and_origin, records, kernel, int(gap * MICROSECONDS_PER_HOUR), zone_of(params))
    return RawMoves(source, "counted", [validated], records, packed)


READERS: Mapping[str, Callable[[SparkSession, Mapping[str, Any]], RawMoves]] = {
    "od": read_od,
    "trips": read_trips,
    "events": read_events,
}


def zone_of(params: Mapping[str, Any]) -> str:
    """The zone in which hours are counted.

    Raises:
        UserError: if there is none of that name.
    """
    time_zone = params.get("time_zone") or "UTC"
    checked_zone(time_zone)
    return str(time_zone)


def _by_origin(records: Records, kernel: Callable[..., Rows], partitions: int) -> DataFrame:
    return records.mapped(partial(kernel, buckets=partitions))


def _by_user_and_origin(
    records: Records, kernel: Callable[..., Rows], gap: int, zone: str, partitions: int
) -> DataFrame:
    by_user = shuffled(records.mapped(partial(kernel, buckets=partitions)), partitions)
    return by_user.mapInArrow(partial(pack_diaries, gap=gap, buckets=partitions, zone=zone), PACKED)
