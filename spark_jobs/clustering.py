"""Files of edges that hold whole origins: a Spark task for each, and the proof that they do."""

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from pyspark.sql import SparkSession

from spark_jobs.output import open_parquet
from spark_jobs.report import Check

Cells = npt.NDArray[np.int64]
Item = TypeVar("Item")
Result = TypeVar("Result")
COLUMNS = ["origin", "destination", "flow"]
TASKS_PER_CORE = 4


def on_each_file(spark: SparkSession, files: Sequence[Item], kernel: Callable[[int, Item], Result]) -> list[Result]:
    """Call a function once a file, in Spark tasks; no row passes through the JVM.

    Many small files share a task: starting one costs more than reading a small file.

    Args:
        files: paths, or whatever names a file or a part of one to the kernel.
        kernel: takes the file's number and the file; a picklable function of an importable module.

    Returns:
        The results in the order of the files.
    """
    numbered = list(enumerate(files))
    tasks = spark.sparkContext.parallelize(numbered, min(len(numbered), num_tasks(spark)))
    results: list[tuple[int, Result]] = tasks.map(lambda item: (item[0], kernel(*item))).collect()
    return [result for _, result in sorted(results, key=lambda item: item[0])]


def num_tasks(spark: SparkSession) -> int:
    """As many tasks as keep all cores busy though some take longer."""
    return TASKS_PER_CORE * spark.sparkContext.defaultParallelism


def edges_checks(spark: SparkSession, files: list[str]) -> dict[str, Check]:
    """edges_positive and edges_clustered, from the files as written."""
    described = on_each_file(spark, files, describe_file)
    origins = np.concatenate([origins for _, origins, _, _ in described])
    split = len(origins) - len(np.unique(origins))
    unsorted = sum(not in_order for _, _, in_order, _ in described)
    smallest = min(smallest for smallest, _, _, _ in described)
    total = math.fsum(flow for _, _, _, flow in described)
    return {
        "edges_positive": Check(bool(smallest > 0), {"smallest_flow": smallest, "flow": total}),
        "edges_clustered": Check(
            split == 0 and unsorted == 0,
            {"origins": len(origins), "origins_in_several_files": split, "files_out_of_order": unsorted},
        ),
    }


def describe_file(number: int, file: str) -> tuple[float, Cells, bool, float]:
    """The smallest flow, the distinct origins, int64 [origins], ascending, whether rows are in order, and all flow.

    In order is: sorted by origin and destination, without twins.
    """
    smallest, origins, last, in_order, total = np.inf, [], None, True, 0.0
    for batch in open_parquet(file).iter_batches(batch_size=1 << 20, columns=COLUMNS):
        origin, destination, flow = (batch[name].to_numpy() for name in COLUMNS)
        if not len(origin):
            continue
        total += float(flow.sum())
        # Not min(): a NaN must not pass for positive.
        smallest = min(smallest, float(flow.min()) if not np.isnan(flow).any() else -np.inf)
        later = (origin[1:] > origin[:-1]) | ((origin[1:] == origin[:-1]) & (destination[1:] > destination[:-1]))
        in_order = in_order and bool(later.all()) and (last is None or last < (origin[0], destination[0]))
        last = (origin[-1], destination[-1])
        origins.append(origin[np.concatenate([[True], origin[1:] != origin[:-1]])])
    distinct = np.unique(np.concatenate(origins)) if origins else np.empty(0, dtype=np.int64)
    return smallest, distinct, in_order, total
