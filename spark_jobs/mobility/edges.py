"""The last step from moves to edges: a task adds up all moves of its origins and writes them as one file."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession

from mora_pipeline.contract.schemas import EDGES, SELF_FLOW
from mora_pipeline.raw.extent import Extent
from spark_jobs.mobility.arrow_shuffle import shuffled, unpacked, written
from spark_jobs.mobility.fixed_point import PARTS, summed, to_float
from spark_jobs.mobility.move_tables import Adder, added_up
from spark_jobs.mobility.rhythm import counted, is_rhythm, rhythm_of, write_rhythm
from spark_jobs.output import ROWS_PER_GROUP, in_one_step, part_name, written_by_tasks

COUNTS = ("edges", "edges_suppressed", "cells_suppressed", "edges_outside", "flow_outside")
OF_CELLS = ("self_flow", "rhythm")  # datasets of one file, which the driver writes
SUMMARY = pa.schema([*((name, pa.int64()) for name in COUNTS), *((name, pa.binary()) for name in OF_CELLS)])


@dataclass(frozen=True)
class Thresholds:
    """What an edge needs to be written: distinct users and flow (0: nothing is asked), and both ends in the extent."""

    users: int = 0
    flow: float = 0.0
    extent: Extent | None = None

    def __bool__(self) -> bool:
        return bool(self.users or self.flow or self.extent)


@dataclass(frozen=True)
class Written:
    """Rows of the three datasets, what was held back of edges and cells, and what has an end outside the extent."""

    edges: int
    self_flow: int
    rhythm: int
    edges_suppressed: int
    cells_suppressed: int
    edges_outside: int
    flow_outside: int


def write_edges(packed: DataFrame, partitions: int, least: Thresholds, output: Mapping[str, str]) -> Written:
    """Shuffle moves to their origin's partition and write edges, self-flow and rhythm.

    Args:
        packed: rows of `PACKED` by origin, of so many partitions.
        output: folders; ``edges`` gets a file a partition, of whole origins sorted by origin and destination,
            ``self_flow`` and ``rhythm`` one file each, sorted by cell.
    """
    writer = partial(write_partition, least=least, folder=output["edges"])
    with written_by_tasks(Path(output["edges"])):
        summary = ", ".join([*(f"{name} long" for name in COUNTS), *(f"{name} binary" for name in OF_CELLS)])
        rows = shuffled(packed, partitions).mapInArrow(writer, summary).toArrow()
        of_cells = {name: rows[name].to_pylist() for name in OF_CELLS}
        of_cells_written = write_of_cells(packed.sparkSession, of_cells, least, output)
    total = {name: pc.sum(rows[name]).as_py() or 0 for name in COUNTS}
    return Written(**of_cells_written, **total)


def write_of_cells(
    spark: SparkSession, parts: Mapping[str, list[bytes]], least: Thresholds, output: Mapping[str, str]
) -> dict[str, int]:
    """Write self-flow and rhythm of all partitions; gives the rows of each.

    Args:
        parts: Arrow tables as bytes, by dataset.
        output: folders; the edges are there already.
    """
    inside, hours = Path(output["self_flow"]), Path(output["rhythm"])
    with written_by_tasks(inside), written_by_tasks(hours):
        return {
            "self_flow": write_self_flow(parts["self_flow"], inside),
            "rhythm": write_rhythm(spark, parts["rhythm"], output["edges"], bool(least), hours),
        }


def write_self_flow(parts: list[bytes], folder: Path) -> int:
    """Write the flow inside cells, of all partitions, as one file.

    Returns:
        Its rows.
    """
    tables = [pa.ipc.open_stream(part).read_all() for part in parts]
    self_flow = pa.concat_tables([SELF_FLOW.empty_table(), *tables]).sort_by("cell")
    with in_one_step(folder / part_name(0)) as draft:
        pq.write_table(self_flow, draft, compression="zstd")
    return self_flow.num_rows


def write_partition(batches: Iterator[pa.RecordBatch], least: Thresholds, folder: str) -> Iterator[pa.RecordBatch]:
    """Write the edges of one partition; gives one row of `SUMMARY`, or none where nothing came."""
    received = Received(batches)
    sums = received.sums()
    if received.bucket is None:
        return
    part = write_part(sums, received.rhythm, received.bucket, least, folder)
    values = [getattr(part, name) for name in COUNTS]
    yield pa.record_batch([[value] for value in [*values, part.self_flow, part.rhythm]], schema=SUMMARY)


class Received:
    """What a task receives from the shuffle: rows of `PACKED`, all of one bucket (None until a row came).

    ``rhythm``: the counts by hour added up, None if there are none; ``counts``: tables that count the moves of files.
    Both are there once `sums` has been called.
    """

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self.batches = batches
        self.bucket: int | None = None
        self.counts: list[pa.Table] = []
        self.rhythm: pa.Table | None = None

    def sums(self) -> pa.Table | None:
        """All moves added up; None if there are none."""
        by_hour = Adder(add=counted)
        sums = sum_of(self._moves(by_hour))
        self.rhythm = next(by_hour.rest(), None)
        return sums

    def _moves(self, by_hour: Adder) -> Iterator[pa.Table]:
        for table in unpacked(self._noted()):
            if is_rhythm(table):
                by_hour.add(table.replace_schema_metadata(None))
            elif "origin" in table.column_names:
                yield table
            else:
                self.counts.append(table)

    def _noted(self) -> Iterator[pa.RecordBatch]:
        for batch in self.batches:
            if batch.num_rows:
                self.bucket = batch["bucket"][0].as_py()
                yield batch


def sum_of(moves: Iterable[pa.Table], add: Callable[[pa.Table], pa.Table] = added_up) -> pa.Table | None:
    """Tables of moves added up, sorted by origin and destination; None if there are none."""
    adder = Adder(add=add)
    for table in moves:
        adder.add(table)
    return next(adder.rest(), None)


@dataclass(frozen=True)
class Part:
    """What was written and held back of one partition; ``self_flow`` and ``rhythm`` are Arrow tables, as bytes."""

    edges: int
    edges_suppressed: int
    cells_suppressed: int
    edges_outside: int
    flow_outside: int
    self_flow: bytes
    rhythm: bytes


def write_part(sums: pa.Table | None, counts: pa.Table | None, bucket: int, least: Thresholds, folder: str) -> Part:
    """Write the edges of one partition as a file, if there are any.

    Args:
        counts: of its cells by hour, added up (`rhythm`).
    """
    moved = EDGES.empty_table() if sums is None else as_edges(sums)
    every = inside_extent(moved, least.extent)
    left = moved.num_rows - every.num_rows
    flow_left = round(moved["flow"].to_numpy().sum() - every["flow"].to_numpy().sum()) if left else 0
    own = pc.equal(every["origin"], every["destination"])
    edges, edges_suppressed = above_threshold(every.filter(pc.invert(own)), least)
    inside, cells_suppressed = above_threshold(every.filter(own), least)
    if edges.num_rows:
        coded = ["origin", "flow", "users"]
        with in_one_step(Path(folder) / part_name(bucket)) as draft:
            pq.write_table(edges, draft, row_group_size=ROWS_PER_GROUP, compression="zstd", use_dictionary=coded)
    self_flow = pa.table([inside["origin"], inside["flow"]], schema=SELF_FLOW)
    rhythm = rhythm_of(counts, edges["origin"], inside["origin"])
    held_back = edges_suppressed, cells_suppressed
    return Part(edges.num_rows, *held_back, left, flow_left, written(self_flow), written(rhythm, "zstd"))


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
    return pa.table([origin, destination, to_float(amounts), users], schema=EDGES)


def inside_extent(edges: pa.Table, extent: Extent | None) -> pa.Table:
    """The edges with both ends in the region's extent."""
    if extent is None or not edges.num_rows:
        return edges
    inside = extent.holds(edges["origin"].to_numpy()) & extent.holds(edges["destination"].to_numpy())
    return edges if inside.all() else edges.filter(pa.array(inside))


def above_threshold(edges: pa.Table, least: Thresholds) -> tuple[pa.Table, int]:
    """The edges with enough users and flow, and how many have too little."""
    enough = edges["flow"].to_numpy() >= least.flow
    if least.users:
        enough &= edges["users"].to_numpy() >= least.users
    return (edges, 0) if enough.all() else (edges.filter(pa.array(enough)), int(np.count_nonzero(~enough)))
