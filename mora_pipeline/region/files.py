"""The headers of data files: CSV, gzipped CSV and Parquet."""

import csv
import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.formats import file_format

SAMPLE_ROWS = 100  # rows of a file that are read to tell numbers from text, and times with a zone from those without


@dataclass(frozen=True)
class InputFile:
    """A raw file as its header shows it.

    Attributes:
        key: the key of region.yaml that names it, such as ``mobility.path``.
        format: ``csv``, ``parquet``, ``xyz`` or ``geotiff``.
        columns: the type of every column; text for all of a CSV's.
        rows: the number of rows, if the header says so (Parquet).
        bytes: size on disk.
    """

    key: str
    path: Path
    format: str
    columns: dict[str, pa.DataType]
    rows: int | None
    bytes: int


def read_header(path: Path, key: str) -> InputFile:
    """Columns, types and row count of a file, from its header alone.

    Raises:
        UserError: if it is not what its ending says, or is damaged.
    """
    size = path.stat().st_size
    if file_format(path) == "csv":
        columns = dict.fromkeys(_csv_rows(path, 1)[0], pa.string())
        return InputFile(key, path, "csv", columns, None, size)
    try:
        with pq.ParquetFile(path) as file:
            columns = {field.name: field.type for field in file.schema_arrow}
            return InputFile(key, path, "parquet", columns, file.metadata.num_rows, size)
    except (pa.ArrowException, OSError) as error:
        raise UserError(
            f"{path} ({key}) is not a readable Parquet file: {str(error).splitlines()[0]} "
            "It may be cut short or damaged; copy or write it again."
        ) from None


def sample_text(file: InputFile, column: str) -> list[str]:
    """The non-empty values among the first rows of a text column."""
    values: Sequence[str | None]
    if file.format == "csv":
        position = list(file.columns).index(column)
        values = [row[position] for row in _csv_rows(file.path, SAMPLE_ROWS + 1)[1:] if position < len(row)]
    else:
        with pq.ParquetFile(file.path) as parquet:
            batch = next(parquet.iter_batches(SAMPLE_ROWS, columns=[column]), None)
            values = batch.column(0).to_pylist() if batch is not None else []
    return [value.strip() for value in values if value is not None and value.strip()]


def _csv_rows(path: Path, limit: int) -> list[list[str]]:
    opened = gzip.open if path.name.lower().endswith(".gz") else open
    try:
        with opened(path, "rt", encoding="utf-8-sig", newline="") as lines:
            rows = [row for _, row in zip(range(limit), csv.reader(lines), strict=False)]
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} is not a readable CSV file in UTF-8: {error}. Write it again.") from None
    if not rows or not any(cell.strip() for cell in rows[0]):
        raise UserError(f"{path} has no header line. Its first line must name the columns.")
    for separator in (";", "\t", "|"):
        if len(rows[0]) == 1 and separator in rows[0][0]:
            raise UserError(f"{path} has its columns separated by {separator!r}. Save it with commas.")
    return rows
