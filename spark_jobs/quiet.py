"""Errors of Spark's tasks without what they say of rows: Spark writes the text of each to its logs."""

from collections.abc import Iterator

import pyarrow as pa

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.quoting import without_values


class TaskError(Exception):
    """A task broke down; the text says where, and nothing of the rows that it read."""


def quietly(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The batches of a task.

    Raises:
        TaskError: in place of any error whose text may quote a row.
    """
    try:
        yield from batches
    except (UserError, OSError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - whichever it is, it is told by its kind and place
        raise TaskError(without_values(error)) from None
