"""What tasks do with raw records of each kind: which are good, what moves they make, how these are packed."""

from collections.abc import Callable, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spark_jobs.gridding import cells_at
from spark_jobs.mobility.arrow_shuffle import Tally, packed, packed_tally, unpacked
from spark_jobs.mobility.fixed_point import LARGEST, SMALLEST
from spark_jobs.mobility.move_tables import ROWS_AT_ONCE, added_up, condensed, large_texts, make_moves
from spark_jobs.mobility.records import Mask, Rows

Latest = Mapping[str, int] | None  # the last time that each file may tell, in microseconds since 1970
ENDS = ("origin_latitude", "origin_longitude", "destination_latitude", "destination_longitude")


def at_places(rows: pa.RecordBatch, places: pa.Table) -> pa.RecordBatch:
    """Add origin_cell and destination_cell, null where the place is unknown."""
    for role in ("origin", "destination"):
        coded = rows[role].dictionary_encode()
        found = pc.index_in(coded.dictionary.cast(pa.string()), places["id"].combine_chunks())
        cells = places["cell"].combine_chunks().take(found)
        rows = rows.append_column(f"{role}_cell", cells.take(coded.indices))
    return rows


def good_flows(rows: pa.RecordBatch, latest: Latest = None) -> Mask:
    known = [_there(rows[name]) for name in ("origin_cell", "destination_cell")]
    users = [_whole(rows["users"])] if "users" in rows.schema.names else []
    return _all(*known, _countable(rows["flow"]), *users, *_timely(rows, latest))


def good_trips(rows: pa.RecordBatch, latest: Latest = None) -> Mask:
    user = [_there(rows["user"])] if "user" in rows.schema.names else []
    count = [_countable(rows["count"])] if "count" in rows.schema.names else []
    return _all(_on_globe(rows, *ENDS[:2]), _on_globe(rows, *ENDS[2:]), *user, *count, *_timely(rows, latest))


def good_events(rows: pa.RecordBatch) -> Mask:
    return _all(_on_globe(rows, "latitude", "longitude"), _there(rows["user"]), _there(rows["time"]))


def _timely(rows: pa.RecordBatch, latest: Latest) -> list[Mask]:
    """Whether there is a time, not after that of the file's last change; no mask where no time is asked for."""
    if "time" not in rows.schema.names:
        return []
    there = [_there(rows["time"])]
    if latest:
        limits = np.array([latest[file] for file in rows["source"].dictionary.to_pylist()])
        there.append(rows["time"].fill_null(0).to_numpy() <= limits[rows["source"].indices.to_numpy()])
    return there


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
    return (value >= SMALLEST) & (value <= LARGEST)


def _whole(amount: pa.Array) -> Mask:
    value = amount.to_numpy(zero_copy_only=False)
    return _countable(amount) & (value == np.floor(value))


def pack_moves(rows: Rows, moves: Callable[[pa.RecordBatch], pa.Table], buckets: int) -> Rows:
    """Moves of good rows as payloads by origin, added up before where that saves rows."""
    for table in condensed(moves(batch) for batch in rows):
        yield from packed(table, "origin", buckets)


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
    held: list[pa.Table] = []
    for batch in rows:
        cell = cells_at(batch["latitude"], batch["longitude"], resolution)
        held.append(pa.table({"user": large_texts(batch["user"]), "time": batch["time"], "cell": cell}))
        if sum(table.num_rows for table in held) >= ROWS_AT_ONCE:  # so that a payload holds many rows
            yield from packed(pa.concat_tables(held), "user", buckets)
            held = []
    if held:
        yield from packed(pa.concat_tables(held), "user", buckets)


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
    user = records["user"].dictionary_encode().combine_chunks().indices.to_numpy()
    time, cell = records["time"].to_numpy(), records["cell"].to_numpy()
    diary = np.lexsort((cell, time, user))
    user, time, cell = user[diary], time[diary], cell[diary]
    apart = np.diff(time.view(np.uint64))  # ascending within a user: never negative, however far apart
    step = np.flatnonzero((user[1:] == user[:-1]) & (apart <= gap))
    once = np.ones(len(step), dtype=np.int64)
    moves = {"origin": cell[step], "destination": cell[step + 1], "whole": once, "user": user[step]}
    of_each = added_up(pa.table(moves)).drop_columns(["user"])
    counted = of_each.append_column("users", pa.array(np.ones(of_each.num_rows, dtype=np.int64)))
    return added_up(counted)
