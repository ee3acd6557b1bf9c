"""Raw records on their way into a kernel: read by Spark or by the tasks; validated and counted either way."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import pyarrow as pa
from pyspark.sql import DataFrame

from spark_jobs.mobility.arrow_shuffle import PACKED, Tally, packed_tally
from spark_jobs.mobility.parquet_reader import ParquetSource
from spark_jobs.validation import ValidatedRows, Validator

Rows = Iterator[pa.RecordBatch]
Kernel = Callable[[Rows], Rows]


@dataclass(frozen=True)
class Records:
    """Raw records: read by Spark or, where there is a `parquet`, by the tasks; `columns` is what a kernel sees."""

    validated: ValidatedRows
    columns: tuple[str, ...]
    parquet: ParquetSource | None

    def mapped(self, kernel: Kernel) -> DataFrame:
        """Run a kernel over the good rows; rows of `PACKED`, the count of what was read among them."""
        if self.parquet is None:
            frame = self.validated.raw(*self.columns)
        else:
            splits = len(self.parquet.splits)
            frame = self.validated.spark.range(0, splits, 1, max(splits, 1))
        validator = self.validated.validator
        task = partial(_task, parquet=self.parquet, validator=validator, columns=self.columns, kernel=kernel)
        return frame.mapInArrow(task, PACKED)


def _task(
    batches: Rows, parquet: ParquetSource | None, validator: Validator, columns: tuple[str, ...], kernel: Kernel
) -> Rows:
    tally = Tally()
    rows = batches if parquet is None else _read(batches, parquet)
    yield from kernel(_good(rows, validator, columns, tally))
    yield packed_tally(tally, 0)


def _read(numbers: Rows, parquet: ParquetSource) -> Rows:
    """The rows of splits, which the batches number."""
    for batch in numbers:
        for number in batch["id"].to_pylist():
            yield from parquet.read(parquet.splits[number])


def _good(batches: Rows, validator: Validator, columns: tuple[str, ...], tally: Tally) -> Rows:
    """The good rows; all are counted."""
    for batch in batches:
        good = validator.good(batch, columns)
        tally.read += batch.num_rows
        tally.good += good.num_rows
        if good.num_rows:
            yield good
