"""The last step from moves to edges: a task adds up all moves of its origins and writes them as one file."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyspark.sql import DataFrame

from spark_jobs.exact import PARTS, rounded, summed
from spark_jobs.exchange import Tally, exchanged, unpacked, written
from spark_jobs.moves import Adder
from spark_jobs.output import in_one_step, part_name, written_by_tasks

EDGES = pa.schema(
    [
        pa.field("origin", pa.int64(), nullable=False),
        pa.field("destination", pa.int64(), nullable=False),
        pa.field("flow", pa.float64(), nullable=False),
        pa.field("users", pa.int64()),
    ]
)
SELF_FLOW = pa.schema(
    [pa.field("cell", pa.int64(), nullable=False), pa.field("internal_flow", pa.float64(), nullable=False)]
)
COUNTS = ("edges", "edges_suppressed", "cells_suppressed", "read", "good")
SUMMARY = pa.schema([*((name, pa.int64()) for name in COUNTS), ("self_flow", pa.binary())])
ROWS_PER_GROUP = 1 << 20


@dataclass(frozen=True)
class Least:
    """What an edge needs to be published: distinct users and flow; 0: nothing is asked."""

    users: int = 0
    flow: float = 0.0


@dataclass(frozen=True)
class Written:
    """Rows of the two datasets, what was held back of each, and the raw rows that were read and found good."""

    edges: int
    self_flow: int
    edges_suppressed: int
    cells_suppressed: int
    read: int
    good: int


def write_edges(packed: DataFrame, partitions: int, least: Least, edges_folder: str, self_flow_folder: str) -> Written:
    """Shuffle moves to their origin's partition and write edges and self-flow.

    Args:
        packed: rows of `PACKED` by origin, of so many partitions.
        edges_folder: gets a file a partition, of whole origins sorted by origin and destination.
        self_flow_folder: gets one file, sorted by cell.
    """
    target, inside = Path(edges_folder), Path(self_flow_folder)
    writer = partial(write_partition, least=least, folder=edges_folder)
    with written_by_tasks(target), written_by_tasks(inside):
        summary = ", ".join([*(f"{name} long" for name in COUNTS), "self_flow binary"])
        rows = exchanged(packed, partitions).mapInArrow(writer, summary).toArrow()
        own = [pa.ipc.open_stream(payload).read_all() for payload in rows["self_flow"].to_pylist()]
        self_flow = pa.concat_tables([SELF_FLOW.empty_table(), *own]).sort_by("cell")
        with in_one_step(inside / part_name(0)) as draft:
            pq.write_table(self_flow, draft, compression="zstd")
    total = {name: pc.sum(rows[name]).as_py() or 0 for name in COUNTS}
    return Written(self_flow=self_flow.num_rows, **total)


def write_partition(batches: Iterator[pa.RecordBatch], least: Least, folder: str) -> Iterator[pa.RecordBatch]:
    """Write the edges of one partition; gives one row of `SUMMARY`, or none where nothing came."""
    tally, adder, bucket = Tally(), Adder(), None

    def seen() -> Iterator[pa.RecordBatch]:
        nonlocal bucket
        for batch in batches:
            if batch.num_rows:
                bucket = batch["bucket"][0].as_py()
                yield batch

    for moves in unpacked(seen(), tally):
        for _ in adder.add(moves):
            raise AssertionError("an adder without a bound holds everything")
    if bucket is None:
        return
    edges, inside, held_back, cells_held_back = EDGES.empty_table(), SELF_FLOW.empty_table(), 0, 0
    for sums in adder.rest():
        all_edges = as_edges(sums)
        own = pc.equal(all_edges["origin"], all_edges["destination"])
        edges, held_back = published(all_edges.filter(pc.invert(own)), least)
        kept, cells_held_back = published(all_edges.filter(own), least)
        inside = pa.table([kept["origin"], kept["flow"]], schema=SELF_FLOW)
    if edges.num_rows:
        write_file(edges, Path(folder) / part_name(bucket))
    values = [edges.num_rows, held_back, cells_held_back, tally.read, tally.good, written(inside)]
    yield pa.record_batch([[value] for value in values], schema=SUMMARY)


def as_edges(sums: pa.Table) -> pa.Table:
    """Sums of moves, sorted by origin and destination, as edges; of named users, the distinct are counted."""
    origin, destination = sums["origin"].to_numpy(), sums["destination"].to_numpy()
    amounts = {name: sums[name].to_numpy() for name in sums.column_names if name in PARTS}
    users = sums["users"] if "users" in sums.column_names else pa.nulls(len(origin), pa.int64())
    if "user" in sums.column_names:
        differs = (origin[1:] != origin[:-1]) | (destination[1:] != destination[:-1])
        starts = np.flatnonzero(np.concatenate([[True], differs]))
        amounts = summed(amounts, np.arange(len(origin)), starts)
        users = pa.array(np.diff(starts, append=len(origin)))
        origin, destination = origin[starts], destination[starts]
    return pa.table([origin, destination, rounded(amounts), users], schema=EDGES)


def published(edges: pa.Table, least: Least) -> tuple[pa.Table, int]:
    """The edges with enough users and flow, and how many have not."""
    enough = edges["flow"].to_numpy() >= least.flow
    if least.users:
        enough &= edges["users"].to_numpy() >= least.users
    return (edges, 0) if enough.all() else (edges.filter(pa.array(enough)), int(np.count_nonzero(~enough)))


def write_file(edges: pa.Table, target: Path) -> None:
    with in_one_step(target) as draft:
        pq.write_table(
            edges, draft, row_group_size=ROWS_PER_GROUP, compression="zstd", use_dictionary=["origin", "flow", "users"]
        )
