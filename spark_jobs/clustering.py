"""Files of edges that hold whole origins: reading them piece by piece, and proving it."""

from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import SparkSession

from spark_jobs.errors import InputError
from spark_jobs.output import open_parquet
from spark_jobs.report import Check

Cells = npt.NDArray[np.int64]
Result = TypeVar("Result")
COLUMNS = ["origin", "destination", "flow"]
ROWS_PER_PIECE = 4_000_000


def on_each_file(spark: SparkSession, files: list[str], kernel: Callable[[int, str], Result]) -> list[Result]:
    """Call a function once a file, each call a Spark task; no row passes through the JVM.

    Args:
        kernel: takes the file's number and path; a picklable function of an importable module.

    Returns:
        The results in the order of the files.
    """
    numbered = list(enumerate(files))
    tasks = spark.sparkContext.parallelize(numbered, len(numbered))
    return [result for _, result in sorted(tasks.map(lambda item: (item[0], kernel(*item))).collect())]


def whole_origins(file: str, rows_per_piece: int = ROWS_PER_PIECE) -> Iterator[pa.Table]:
    """The edges of a file in pieces that never part an origin.

    Raises:
        InputError: if the file cannot be read or is not sorted by origin.
    """
    held: list[pa.RecordBatch] = []
    for batch in open_parquet(file).iter_batches(batch_size=1 << 20, columns=COLUMNS):
        if not batch.num_rows:
            continue
        held.append(batch)
        if sum(part.num_rows for part in held) < rows_per_piece:
            continue
        table = pa.Table.from_batches(held).combine_chunks()
        origin = _sorted_origins(table, file)
        end = int(np.searchsorted(origin, origin[-1], side="left"))
        if end:
            yield table.slice(0, end)
            held = table.slice(end).to_batches()
    if held:
        table = pa.Table.from_batches(held).combine_chunks()
        _sorted_origins(table, file)
        yield table


def _sorted_origins(table: pa.Table, file: str) -> Cells:
    origin: Cells = table["origin"].to_numpy()
    if (origin[1:] < origin[:-1]).any():
        raise InputError(f"{file} is not sorted by origin: make the edges with the job grid_mobility.")
    return origin


def edges_checks(spark: SparkSession, files: list[str]) -> dict[str, Check]:
    """edges_positive and edges_clustered, from the files as written."""
    found = on_each_file(spark, files, describe_file)
    origins = np.concatenate([origins for _, origins, _ in found])
    split = len(origins) - len(np.unique(origins))
    unsorted = sum(not in_order for _, _, in_order in found)
    smallest = min(smallest for smallest, _, _ in found)
    return {
        "edges_positive": Check(bool(smallest > 0), {"smallest_flow": smallest}),
        "edges_clustered": Check(
            split == 0 and unsorted == 0,
            {"origins": len(origins), "origins_in_several_files": split, "files_out_of_order": unsorted},
        ),
    }


def describe_file(number: int, file: str) -> tuple[float, Cells, bool]:
    """The smallest flow, the distinct origins, and whether rows are sorted by origin and destination, without twins."""
    smallest, origins, last, in_order = np.inf, [], None, True
    for batch in open_parquet(file).iter_batches(batch_size=1 << 20, columns=COLUMNS):
        origin, destination, flow = (batch[name].to_numpy() for name in COLUMNS)
        if not len(origin):
            continue
        # Not min(): a NaN must not pass for positive.
        smallest = min(smallest, float(flow.min()) if not np.isnan(flow).any() else -np.inf)
        later = (origin[1:] > origin[:-1]) | ((origin[1:] == origin[:-1]) & (destination[1:] > destination[:-1]))
        in_order = in_order and bool(later.all()) and (last is None or last < (origin[0], destination[0]))
        last = (origin[-1], destination[-1])
        origins.append(origin[np.concatenate([[True], origin[1:] != origin[:-1]])])
    distinct = np.unique(np.concatenate(origins)) if origins else np.empty(0, dtype=np.int64)
    return smallest, distinct, in_order
