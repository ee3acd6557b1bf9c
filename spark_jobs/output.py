"""Datasets as folders of Parquet files with plain names, in row order."""

import errno
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark import TaskContext
from pyspark.sql import DataFrame
from pyspark.sql import functions as sql

from mora_pipeline.contract.errors import UserError

WORKING = "_writing"
ROWS_PER_GROUP = 1 << 20  # of the files that the jobs write


def write_parts(frame: DataFrame, folder: str, schema: pa.Schema, first: int = 0) -> int:
    """Write a frame as ``part-00000.parquet`` …, in the order of its partitions; empty partitions give no file.

    Args:
        schema: of the files, exactly; the frame has its columns.
        first: the number of the first file.

    Returns:
        The rows written.
    """
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    task = partial(_write_partition, folder=folder, schema=schema)
    with written_by_tasks(target):
        # Under names of our own: mapInArrow takes a name with a dot for a part of a struct.
        columns = [sql.col(f"`{name.replace('`', '``')}`").alias(f"c{n}") for n, name in enumerate(schema.names)]
        rows = frame.select(columns).mapInArrow(task, "rows long")
        written = rows.toArrow()["rows"].to_pylist()
        for number, part in enumerate(sorted(target.glob("task-*.parquet")), first):
            part.rename(target / part_name(number))
    return sum(written)


def _write_partition(batches: Iterator[pa.RecordBatch], folder: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Write a partition with the names and types of the schema; a null where it declares none raises a ValueError."""
    tables = (pa.Table.from_batches([batch]).rename_columns(schema.names) for batch in batches if batch.num_rows)
    held, rows = list(islice(tables, 1)), 0
    if not held:
        return
    file = Path(folder) / f"task-{TaskContext.get().partitionId():05d}.parquet"
    with in_one_step(file) as draft, pq.ParquetWriter(draft, schema, compression="zstd") as writer:
        while held:
            waiting = held[0].num_rows
            for table in tables:
                held.append(table)
                waiting += table.num_rows
                if waiting >= ROWS_PER_GROUP:
                    break
            writer.write_table(pa.concat_tables(held).cast(schema), row_group_size=waiting)
            held, rows = list(islice(tables, 1)), rows + waiting
    yield pa.record_batch([[rows]], names=["rows"])


@contextmanager
def written_by_tasks(folder: Path) -> Iterator[None]:
    """Let tasks write the files of a dataset with `in_one_step`; if the block fails, none of them stays."""
    (folder / WORKING).mkdir(exist_ok=True)
    try:
        yield
    except BaseException:
        for part in folder.glob("*.parquet"):
            part.unlink(missing_ok=True)
        raise
    finally:
        shutil.rmtree(folder / WORKING, ignore_errors=True)


@contextmanager
def in_one_step(target: Path) -> Iterator[Path]:
    """Where to write a file of a dataset from a task: it is there whole or not at all.

    A task that is repeated, or runs twice at once, writes under a name of its own and replaces the file in one step.
    What a killed task leaves is below WORKING, which is there only while the job is in `written_by_tasks`: a copy
    that comes later finds no place to write to, and changes nothing.

    Raises:
        UserError: if the disk is full.
    """
    draft = target.parent / WORKING / f"{target.name}.{secrets.token_hex(8)}"
    try:
        yield draft
        draft.replace(target)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise UserError(
            f"The disk of {target.parent} is full: no space left for the output. Free some there, or put the output "
            "on another disk (MORA_HOME)."
        ) from None
    finally:
        draft.unlink(missing_ok=True)


def part_name(number: int) -> str:
    return f"part-{number:05d}.parquet"


def checked_empty(folder: str) -> Path:
    """The folder, created if need be.

    Raises:
        UserError: if it holds Parquet files already: a job neither mixes nor deletes datasets.
    """
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    if any(target.glob("*.parquet")):
        raise UserError(f"{folder} holds Parquet files already: remove them or name another output folder.")
    return target


def part_files(folder: str) -> list[str]:
    """The files of a dataset in row order.

    Raises:
        UserError: if it has no file.
    """
    files = sorted(str(path) for path in Path(folder).glob("*.parquet") if not path.name.startswith(("_", ".")))
    if not files:
        raise UserError(f"{folder} holds no Parquet file: run the job that makes it first.")
    return files


def open_parquet(file: str) -> pq.ParquetFile:
    """A Parquet file, opened.

    Raises:
        UserError: if it is missing, truncated or not Parquet.
    """
    try:
        return pq.ParquetFile(file)
    except FileNotFoundError:
        raise UserError(f"{file} does not exist.") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{file} cannot be read as Parquet ({error}). Is it whole? Make it again.") from None


def count_rows(files: list[str]) -> int:
    """Rows of Parquet files, from their footers."""
    return sum(int(open_parquet(file).metadata.num_rows) for file in files)
