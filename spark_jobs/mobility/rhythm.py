"""How many moves arrive in a cell, leave it and stay in it by hour of the week: counted, added up, written.

A count is kept as a move from the cell to the number of its column in `RHYTHM_COLUMNS`, which is no cell's. So it is
added up exactly, shuffled, kept by file and day, and taken away again by the same code as moves. A mark in the schema
tells such tables from moves.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import SparkSession

from mora_pipeline.contract.rhythm import BINS, DAY_PARTS, DIRECTIONS, RHYTHM_COLUMNS, bin_of_hours
from mora_pipeline.contract.schemas import RHYTHM
from mora_pipeline.contract.time_zones import HOUR, to_wall_clock
from spark_jobs.mobility.arrow_shuffle import packed
from spark_jobs.mobility.fixed_point import PARTS, summed, to_float
from spark_jobs.mobility.move_tables import Adder, added_up, sorted_with_order
from spark_jobs.output import in_one_step, part_files, part_name

Numbers = npt.NDArray[np.int64]
MARK = {b"mora": b"rhythm"}  # of the schema of a table of counts
WIDTH = len(RHYTHM_COLUMNS)
ARRIVES, DEPARTS, STAYS = (number * len(BINS) for number in range(len(DIRECTIONS)))  # the first column of each
BIN_OF_HOUR = bin_of_hours()
HOURS_BEFORE_1970 = 72  # of the week: 1970-01-01 was a Thursday


def bins_of(time: Numbers, zone: str) -> Numbers:
    """The bin of each time, both int64 [n].

    Args:
        time: microseconds since 1970, UTC.
        zone: in which hours and days are counted.
    """
    local = time if zone == "UTC" else to_wall_clock(time, zone)
    return BIN_OF_HOUR[(local // HOUR + HOURS_BEFORE_1970) % len(BIN_OF_HOUR)]


def counts_of(moves: pa.Table, departure: Numbers, arrival: Numbers) -> pa.Table:
    """The counts that moves make: at their origin and their destination, or where they stay.

    Args:
        moves: n rows.
        departure, arrival: the bins of their start and their end, int64 [n]; a stay counts at its start.
    """
    origin, destination = moves["origin"].to_numpy(), moves["destination"].to_numpy()
    inside = origin == destination
    arriving = np.flatnonzero(~inside)
    columns = {
        "origin": np.concatenate([origin, destination[arriving]]),
        "destination": np.concatenate([departure + np.where(inside, STAYS, DEPARTS), arrival[arriving] + ARRIVES]),
    }
    kept = [name for name in ("slot", *PARTS) if name in moves.column_names]
    values = {name: moves[name].to_numpy() for name in kept}
    columns |= {name: np.concatenate([own, own[arriving]]) for name, own in values.items()}
    return pa.table(columns)


def counted(counts: pa.Table) -> pa.Table:
    """As `added_up`, for counts: the cells of a resolution are near enough to sort by cell and column as one number."""
    if not counts.num_rows:
        return counts
    first, shift, cell = packed_cells(counts["origin"].to_numpy())
    cells = int(cell.max()) + 1
    slots, code = np.zeros(1, dtype=np.int64), cell
    if "slot" in counts.column_names:
        slots, slot = np.unique(counts["slot"].to_numpy(), return_inverse=True)
        if len(slots) * cells * WIDTH >= 2**63:
            return added_up(counts)
        code = slot * cells + cell
    order, code = sorted_with_order(code * WIDTH + counts["destination"].to_numpy())
    starts = np.flatnonzero(np.concatenate([[True], code[1:] != code[:-1]]))
    of_cell, column = np.divmod(code[starts], WIDTH)
    slot, cell = np.divmod(of_cell, cells)
    keys = {"slot": slots[slot]} if "slot" in counts.column_names else {}
    amounts = {name: counts[name].to_numpy() for name in PARTS if name in counts.column_names}
    return pa.table(
        {**keys, "origin": (cell << shift) + first, "destination": column, **summed(amounts, order, starts)}
    )


def packed_cells(cells: Numbers) -> tuple[int, int, Numbers]:
    """The first cell, by how many bits the differences to it can be shifted, and these shifted, int64 [n].

    Cells of resolution r differ in 7 + 3 r bits, above others that are the same in all.
    """
    first = int(cells.min())
    difference = cells - first
    bits = int(np.bitwise_or.reduce(difference))
    shift = max((bits & -bits).bit_length() - 1, 0)
    return first, shift, difference >> shift


class RhythmCounter:
    """Counts the moves of a task by hour as they pass."""

    def __init__(self, zone: str | None) -> None:
        self.zone = zone  # None: nothing says when the moves were
        self.adder = Adder(add=counted)

    def add(self, moves: pa.Table, rows: pa.RecordBatch) -> None:
        """Count the moves of rows with a `time`: only the start is known, so they arrive in the bin of it."""
        if self.zone is not None:
            bins = bins_of(rows["time"].to_numpy(), self.zone)
            self.adder.add(counts_of(moves, bins, bins))

    def packed(self, buckets: int) -> Iterator[pa.RecordBatch]:
        """The counts of all moves, as payloads by cell."""
        for counts in self.adder.rest():
            yield from packed_counts(counts, buckets)


def packed_counts(counts: pa.Table, buckets: int) -> Iterator[pa.RecordBatch]:
    """Counts as payloads by cell."""
    return packed(counts.replace_schema_metadata(MARK), "origin", buckets)


def is_rhythm(table: pa.Table) -> bool:
    return table.schema.metadata == MARK


def rhythm_of(counts: pa.Table | None, leaving: pa.ChunkedArray, inside: pa.ChunkedArray) -> pa.Table:
    """Counts of one partition, sorted, as a table of `RHYTHM`.

    Args:
        leaving, inside: the cells with an edge above the thresholds that leaves them, and with such flow inside; the
            departures and stays of others are 0.
    """
    if counts is None:
        return RHYTHM.empty_table()
    cells, row = np.unique(counts["origin"].to_numpy(), return_inverse=True)
    values = np.zeros((len(cells), WIDTH))
    amounts = {name: counts[name].to_numpy() for name in counts.column_names if name in PARTS}
    values[row, counts["destination"].to_numpy()] = to_float(amounts)
    for first, allowed in ((DEPARTS, leaving), (STAYS, inside)):
        values[~np.isin(cells, allowed.to_numpy()), first : first + len(BINS)] = 0
    return pa.table([cells, *values.T], schema=RHYTHM)


def write_rhythm(spark: SparkSession, parts: list[bytes], edges: str, bounded: bool, folder: Path) -> int:
    """Write the rhythm of all partitions as one file, sorted by cell.

    Args:
        parts: tables of `RHYTHM`, as bytes.
        edges: folder of the edges as written.
        bounded: whether there are thresholds: then only cells that an edge enters keep their arrivals.

    Returns:
        Its rows: the cells of which a count is left.
    """
    tables = [pa.ipc.open_stream(part).read_all() for part in parts]
    rhythm = pa.concat_tables([RHYTHM.empty_table(), *tables]).sort_by("cell")
    cells, values = rhythm["cell"].to_numpy(), np.stack([rhythm[name].to_numpy() for name in RHYTHM_COLUMNS], axis=1)
    if bounded and len(cells):
        values[~np.isin(cells, destinations(spark, edges)), ARRIVES : ARRIVES + len(BINS)] = 0
    kept = values.any(axis=1) & has_hours(values)
    rhythm = pa.table([cells[kept], *values[kept].T], schema=RHYTHM)
    with in_one_step(folder / part_name(0)) as draft:
        pq.write_table(rhythm, draft, compression="zstd")
    return rhythm.num_rows


def destinations(spark: SparkSession, edges: str) -> Numbers:
    """The distinct destinations of edges, int64 [n]; none where no edge was written."""
    if not any(Path(edges).glob("*.parquet")):
        return np.empty(0, dtype=np.int64)
    reader = spark.read.option("__globPaths__", "false").option("recursiveFileLookup", "true")
    frame = reader.parquet(*part_files(edges)).select("destination").distinct()
    return np.asarray(frame.toArrow()["destination"].to_numpy())


def has_hours(values: npt.NDArray[np.float64]) -> bool:
    """Whether any move is later than the first part of the day: dates without an hour are all at 0 h.

    Args:
        values: [n, WIDTH].
    """
    later = np.arange(WIDTH) % len(DAY_PARTS) > 0
    return bool(values[:, later].any())
