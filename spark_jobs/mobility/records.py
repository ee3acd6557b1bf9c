"""Raw records on their way into a kernel: read by Spark, or by the tasks themselves, judged and counted either way."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sql

from spark_jobs.mobility.arrow_shuffle import PACKED, Tally, packed_tally
from spark_jobs.mobility.parquet_reader import ParquetSource
from spark_jobs.validation import ValidatedRows

Mask = npt.NDArray[np.bool_]
Rows = Iterator[pa.RecordBatch]
Kernel = Callable[[Rows], Rows]


@dataclass(frozen=True)
class Reading:
    """How tasks read plain files by themselves.

    ``good``: which rows are good, exactly those that Spark's rules give no reason for; ``prepared`` adds the columns
    that this needs.
    """

    plain: ParquetSource
    good: Callable[[pa.RecordBatch], Mask]
    prepared: Callable[[pa.RecordBatch], pa.RecordBatch] | None = None

    def good_rows(self, split: int, columns: tuple[str, ...], tally: Tally) -> Rows:
        for batch in self.plain.read(self.plain.splits[split]):
            rows = self.prepared(batch) if self.prepared else batch
            yield from counted(rows.select(list(columns)), self.good(rows), tally)


@dataclass(frozen=True)
class Records:
    """Raw records: judged by Spark, or, where there is a `reading`, by the tasks; `columns` is what a kernel sees."""

    spark: SparkSession
    judged: ValidatedRows
    columns: tuple[str, ...]
    reading: Reading | None

    def mapped(self, kernel: Kernel) -> DataFrame:
        """Run a kernel over the good rows; rows of `PACKED`, the count of what was read among them."""
        if self.reading is None:
            frame = self.judged.frame.select(*self.columns, sql.col("reason").isNull().alias("_good"))
            return frame.mapInArrow(partial(_of_frame, kernel=kernel), PACKED)
        splits = len(self.reading.plain.splits)
        numbers = self.spark.range(0, splits, 1, max(splits, 1))
        task = partial(_of_splits, reading=self.reading, columns=self.columns, kernel=kernel)
        return numbers.mapInArrow(task, PACKED)


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


def _of_splits(batches: Rows, reading: Reading, columns: tuple[str, ...], kernel: Kernel) -> Rows:
    tally = Tally()
    numbers = (number for batch in batches for number in batch["id"].to_pylist())
    yield from kernel(rows for number in numbers for rows in reading.good_rows(number, columns, tally))
    yield packed_tally(tally, 0)
