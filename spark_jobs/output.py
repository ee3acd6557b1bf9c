"""Datasets as folders of Parquet files with plain names, in row order."""

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame

from spark_jobs.errors import InputError

WORKING = "_writing"


def write_parts(frame: DataFrame, folder: str) -> int:
    """Write a frame as ``part-00000.parquet`` …, in the order of its partitions; empty partitions give no file.

    Returns:
        The rows written.

    Raises:
        InputError: if the folder holds Parquet files already.
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


def part_name(number: int) -> str:
    return f"part-{number:05d}.parquet"


def checked_empty(folder: str) -> Path:
    """The folder, made if need be.

    Raises:
        InputError: if it holds Parquet files already: a job neither mixes nor deletes datasets.
    """
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    if any(target.glob("*.parquet")):
        raise InputError(f"{folder} holds Parquet files already: remove them or name another output folder.")
    return target


def part_files(folder: str) -> list[str]:
    """The files of a dataset in row order.

    Raises:
        InputError: if there is none.
    """
    files = sorted(str(path) for path in Path(folder).glob("*.parquet") if not path.name.startswith(("_", ".")))
    if not files:
        raise InputError(f"{folder} holds no Parquet file: run the job that makes it first.")
    return files


def open_parquet(file: str) -> pq.ParquetFile:
    """A Parquet file, opened.

    Raises:
        InputError: if it is missing, truncated or not Parquet.
    """
    try:
        return pq.ParquetFile(file)
    except FileNotFoundError:
        raise InputError(f"{file} does not exist.") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{file} cannot be read as Parquet ({error}). Is it whole? Make it again.") from None


def count_rows(files: list[str]) -> int:
    """Rows of Parquet files, from their footers."""
    return sum(int(open_parquet(file).metadata.num_rows) for file in files)
