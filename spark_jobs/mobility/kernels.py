"""What tasks do with good records of each kind: the moves they make, and how these are packed."""

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mora_pipeline.raw.places import brought_up, cells_at
from mora_pipeline.raw.rule_sets import END_CELLS, ENDS
from spark_jobs.mobility.arrow_shuffle import packed, unpacked
from spark_jobs.mobility.fixed_point import rounded
from spark_jobs.mobility.move_tables import ROWS_AT_ONCE, added_up, condensed, large_texts, make_moves
from spark_jobs.mobility.records import Rows
from spark_jobs.mobility.rhythm import RhythmCounter, bins_of, counted, counts_of, packed_counts
from spark_jobs.mobility.spreading import Spreading


def pack_moves(
    rows: Rows,
    moves: Callable[[pa.RecordBatch], pa.Table],
    buckets: int,
    zone: str | None = None,
    spreading: Spreading | None = None,
) -> Rows:
    """Moves of good rows as payloads by origin, added up before where that saves rows, and counts of their hours.

    Args:
        zone: in which hours are counted; None: the rows have no `time`.
        spreading: divides moves among the cells of their ends; None: each end is a cell.
    """
    rhythm = RhythmCounter(zone)

    def passing() -> Iterator[pa.Table]:
        for batch in rows:
            table = moves(batch)
            rhythm.add(table, batch)
            yield table

    tables = condensed(passing())
    if spreading:
        tables = condensed(part for table in tables for part in spreading(table))
    for table in tables:
        yield from packed(table, "origin", buckets)
    yield from rhythm.packed(buckets)


def od_moves(rows: pa.RecordBatch, divided: bool = False) -> pa.Table:
    """The moves of flows; amounts that are to be divided among cells are `fixed_point.rounded`."""
    users = {"users": pc.cast(rows["users"], pa.int64(), safe=False)} if "users" in rows.schema.names else {}
    flow = rows["flow"] if "flow" in rows.schema.names else pa.array(np.ones(len(rows)))
    if divided:
        flow = pa.array(rounded(flow.to_numpy(zero_copy_only=False).astype(np.float64)))
    return make_moves(rows["origin_cell"], rows["destination_cell"], flow, **users)


def trip_moves(rows: pa.RecordBatch, resolution: int) -> pa.Table:
    origin, destination = (
        brought_up(rows[cell], resolution)
        if cell in rows.schema.names
        else cells_at(rows[latitude], rows[longitude], resolution)
        for cell, (latitude, longitude) in zip(END_CELLS, (ENDS[:2], ENDS[2:]), strict=True)
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


def pack_diaries(batches: Rows, gap: int, buckets: int, zone: str) -> Rows:
    """The moves of whole users and their hours, from payloads of their records, as payloads by origin."""
    tables = list(unpacked(batches))
    if tables:
        moves, counts = moves_of_users(pa.concat_tables(tables), gap, zone)
        yield from packed(moves, "origin", buckets)
        yield from packed_counts(counts, buckets)


def moves_of_users(records: pa.Table, gap: int, zone: str) -> tuple[pa.Table, pa.Table]:
    """Count the moves between consecutive records of a user.

    Args:
        records: user, time (microseconds), cell; all records of the users, in any order.
        gap: microseconds between two records up to which they make a move.
        zone: in which hours are counted.

    Returns:
        Moves: origin, destination, whole (the moves of all users), users (how many of them made it). And their counts
        by hour: a move leaves at the time of its first record and arrives at that of its second.
    """
    user = records["user"].dictionary_encode().combine_chunks().indices.to_numpy()
    time, cell = records["time"].to_numpy(), records["cell"].to_numpy()
    diary = np.lexsort((cell, time, user))
    user, time, cell = user[diary], time[diary], cell[diary]
    apart = np.diff(time.view(np.uint64))  # ascending within a user: never negative, however far apart
    step = np.flatnonzero((user[1:] == user[:-1]) & (apart <= gap))
    once = np.ones(len(step), dtype=np.int64)
    moves = pa.table({"origin": cell[step], "destination": cell[step + 1], "whole": once, "user": user[step]})
    bins = bins_of(time, zone)
    counts = counted(counts_of(moves, bins[step], bins[step + 1]))
    of_each = added_up(moves).drop_columns(["user"])
    return added_up(of_each.append_column("users", pa.array(np.ones(of_each.num_rows, dtype=np.int64)))), counts
