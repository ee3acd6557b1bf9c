"""Datasets as folders of Parquet files with plain names, in row order."""

import errno
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame

from mora_pipeline.contract.errors import UserError

WORKING = "_writing"


def write_parts(frame: DataFrame, folder: str) -> int:
    """Write a frame as ``part-00000.parquet`` …, in the order of its partitions; empty partitions give no file.

    Returns:
        The rows written.

    Raises:
        UserError: if the folder holds Parquet files already.
    """
    target = checked_empty(folder)
    working = target / WORKING
    frame.write.mode("overwrite").parquet(str(working))
    move_parts(working, target)
    shutil.rmtree(working)
    return count_rows(part_files(folder))


def move_parts(source: Path, target: Path) -> None:
    """Move Spark's part files into a folder, with names that do not change from run to run."""
    target.mkdir(parents=True, exist_ok=True)
    for number, part in enumerate(sorted(source.glob("part-*.parquet"))):
        part.rename(target / part_name(number))


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
    What a killed task leaves lies below WORKING, which is there only while the job is in `written_by_tasks`: a copy
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
    """The folder, made if need be.

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
        UserError: if there is none.
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
