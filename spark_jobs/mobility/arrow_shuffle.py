"""Tables sent from task to task through Spark's shuffle as Arrow.

Rows of the JVM cost a conversion on each side and a sort of small objects; payloads of thousands of rows cost neither.
"""

from collections.abc import Iterator
from itertools import groupby

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import DataFrame

PACKED = "bucket int, payload binary"
SCHEMA = pa.schema([("bucket", pa.int32()), ("payload", pa.binary())])
ROWS_PER_PAYLOAD = 1 << 16


def packed(table: pa.Table, key: str, buckets: int) -> Iterator[pa.RecordBatch]:
    """A table cut by the hash of one column into payloads, a bucket each.

    Args:
        key: an int64 or string column; equal values share a bucket, on every machine and in every run.
    """
    if not table.num_rows:
        return
    bucket = bucket_of(table[key], buckets)
    order = np.argsort(bucket, kind="stable")
    bounds = np.searchsorted(bucket[order], np.arange(buckets + 1))
    ordered = table.take(pa.array(order))
    for number in range(buckets):
        for start in range(bounds[number], bounds[number + 1], ROWS_PER_PAYLOAD):
            rows = min(ROWS_PER_PAYLOAD, bounds[number + 1] - start)
            yield payload_row(number, written(ordered.slice(start, rows)))


def payload_row(bucket: int, payload: bytes) -> pa.RecordBatch:
    return pa.record_batch([[bucket], [payload]], schema=SCHEMA)


def unpacked(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    """The tables of payloads."""
    for batch in batches:
        for payload in batch["payload"]:
            yield pa.ipc.open_stream(payload.as_buffer()).read_all()


def by_bucket(batches: Iterator[pa.RecordBatch]) -> Iterator[Iterator[pa.RecordBatch]]:
    """The rows of `PACKED` of one bucket after the other, where a task is given several partitions in turn."""
    runs = (run for batch in batches for run in _runs(batch))
    for _, own in groupby(runs, key=lambda run: run["bucket"][0]):
        yield own


def _runs(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    bucket = batch["bucket"].to_numpy()
    starts = np.flatnonzero(np.diff(bucket, prepend=-1))
    for start, end in zip(starts, [*starts[1:], len(bucket)], strict=True):
        yield batch.slice(start, end - start)


def shuffled(frame: DataFrame, buckets: int) -> DataFrame:
    """The rows of `PACKED` with bucket i in partition i: one shuffle."""
    return frame.repartitionById(buckets, "bucket")


def bucket_of(values: pa.ChunkedArray, buckets: int) -> npt.NDArray[np.int32]:
    """A bucket for each value, int32 [n], from 0 up to `buckets`, from the value alone."""
    if pa.types.is_integer(values.type):
        # Fibonacci hashing: the upper bits of a product with 2⁶⁴ / golden ratio (Knuth, volume 3, 6.4).
        mixed = values.to_numpy().astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        return ((mixed >> np.uint64(32)) % np.uint64(buckets)).astype(np.int32)
    from pandas.util import hash_array  # half a second that only texts of users are worth

    hashed = hash_array(values.to_numpy(zero_copy_only=False), categorize=False)
    return (hashed % np.uint64(buckets)).astype(np.int32)


def written(table: pa.Table, compression: str | None = None) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())
