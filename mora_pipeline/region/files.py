"""From a path in region.yaml to data files and their headers: CSV, gzipped CSV and Parquet."""

import csv
import glob
import gzip
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.names import did_you_mean

FORMATS = {".csv": "csv", ".csv.gz": "csv", ".parquet": "parquet"}
IMAGE_FORMATS = {".tif": "geotiff", ".tiff": "geotiff"}
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


def data_files(base: Path, pattern: str, where: str, formats: dict[str, str] = FORMATS) -> list[Path]:
    """The files that `pattern` (a file, a folder or a glob, relative to `base`) names; absolute, sorted.

    Names that start with ``_`` or ``.`` are left out of folders and globs, as Spark does.

    Args:
        where: start of the message if something is wrong, such as ``region.yaml: mobility.path ``.

    Raises:
        UserError: if there are none, if one has an unknown format, if formats are mixed.
    """
    if "://" in pattern:
        raise UserError(
            f"{where}is '{pattern}', an address; a region takes files. Mount the store as a folder. (The Spark jobs "
            "read such addresses where they are started by hand: docs/operations.md.)"
        )
    path, known = base / pattern, " or ".join(formats)
    if path.is_file():
        files = [path]
    elif path.is_dir():
        files = [item for item in path.rglob("*") if _visible(item, path) and file_format(item, formats)]
        if not files:
            raise UserError(f"{where}is '{pattern}', a folder without {known} files: {path}. Put the data there.")
    elif glob.has_magic(pattern):
        files = [item for item in matches(base, pattern) if _visible(item, base)]
        if not files:
            raise UserError(f"{where}is '{pattern}', which matches no file under {base}. Fix the pattern or the root.")
    else:
        near = did_you_mean(path.name, [item.name for item in path.parent.glob("*")])
        raise UserError(f"{where}is '{pattern}', but there is no {path}.{near or ' Fix the path or the root.'}")
    for item in files:
        if file_format(item, formats) is None:
            raise UserError(
                f"{where}is '{pattern}', and {item.name} is not a {known} file. Convert it or leave it out."
            )
    if len({file_format(item, formats) for item in files}) > 1:
        raise UserError(
            f"{where}is '{pattern}', which has both CSV and Parquet files. Keep one format, or write a glob."
        )
    return sorted(without_dots(Path(item)) for item in files)


def without_dots(file: Path) -> Path:
    """A file's absolute path without '..', as Spark names the source of a row."""
    return file.parent.resolve() / file.name


def matches(base: Path, pattern: str) -> Iterator[Path]:
    """What a glob, relative to `base` or absolute, matches; special characters in `base` have no meaning."""
    absolute = Path(pattern)
    if not absolute.is_absolute():
        return base.glob(pattern)
    return Path(absolute.anchor).glob(str(absolute.relative_to(absolute.anchor)))


def file_format(path: Path, formats: dict[str, str] = FORMATS) -> str | None:
    """`csv`, `parquet` or `geotiff` by the file's ending; None for any other."""
    return next((name for ending, name in formats.items() if path.name.lower().endswith(ending)), None)


def _visible(path: Path, below: Path) -> bool:
    parts = path.relative_to(below).parts if path.is_relative_to(below) else path.parts[-1:]
    return path.is_file() and not any(part.startswith(("_", ".")) for part in parts if part != "..")


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
