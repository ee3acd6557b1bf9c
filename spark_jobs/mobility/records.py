"""Raw records on their way into a kernel."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import pyarrow as pa
from pyspark.sql import DataFrame

from spark_jobs.mobility.arrow_shuffle import PACKED
from spark_jobs.validation import ValidatedRows

Rows = Iterator[pa.RecordBatch]
Kernel = Callable[[Rows], Rows]


@dataclass(frozen=True)
class Records:
    """Raw records; `columns` is what a kernel sees of the good ones."""

    validated: ValidatedRows
    columns: tuple[str, ...]

    def mapped(self, kernel: Kernel) -> DataFrame:
        """Run a kernel over the good rows; rows of `PACKED`."""
        return self.validated.mapped(partial(_of_columns, columns=self.columns, kernel=kernel), PACKED)


def _of_columns(batches: Rows, columns: tuple[str, ...], kernel: Kernel) -> Rows:
    yield from kernel(batch.select(list(columns)) for batch in batches)
