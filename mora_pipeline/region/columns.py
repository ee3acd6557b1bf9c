"""Checks one column after the other of a region's files, keeping the head of each file it has read."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.names import did_you_mean
from mora_pipeline.contract.quoting import shape_of
from mora_pipeline.raw.expressions import Expression, parse, parse_filter
from mora_pipeline.raw.folders import Found, find_files
from mora_pipeline.raw.formats import file_format
from mora_pipeline.raw.forms import form_of, parquet_file, sample
from mora_pipeline.raw.source import NUMBER, TEXT, Source
from mora_pipeline.raw.values import as_texts, is_text
from mora_pipeline.raw.vector_files import is_vector_file
from mora_pipeline.region.sections import RawTable

NUMBERS = {
    "latitude", "longitude", "origin_latitude", "origin_longitude", "destination_latitude", "destination_longitude",
    "flow", "users", "count", "weight",
}  # fmt: skip
SAMPLE_FILES = 5  # of a table, whose rows are looked at; the columns of all are
File = TypeVar("File")
SAMPLE_ROWS = 100  # of a file, that are read to tell numbers from text, and times with a zone from those without
_SHOWN_COLUMNS = 12  # a longer list of columns is cut in messages


@dataclass(frozen=True)
class InputFile:
    """A raw file as its head shows it.

    Attributes:
        key: the key of region.yaml that names it, such as ``mobility.path``.
        format: ``csv``, ``parquet``, ``vector``, ``xyz`` or ``geotiff``.
        columns: the type of every column; text for all of a CSV's, and for those that only its path states.
        rows: the number of rows, if the head says so (Parquet).
        bytes: size on disk.
        remarks: what was found of it and not declared, in sentences.
        source: how it is read, for a table.
    """

    key: str
    path: Path
    format: str
    columns: Mapping[str, pa.DataType]
    rows: int | None
    bytes: int
    remarks: tuple[str, ...] = ()
    source: Source | None = field(default=None, repr=False)


class Checker:
    """Checks the files of one region, keeping the head of each file it has read.

    Attributes:
        base: the folder that relative paths start from.
        name: of the region.yaml, the start of every message.
        opened: the heads read so far, by key and path.
        others: further files, whose heads have no columns, such as imagery.
        remarks: what is odd about the files of a key, in sentences.
    """

    def __init__(self, base: Path, name: str) -> None:
        self.base, self.name = base, name
        self.opened: dict[tuple[str, Path], InputFile] = {}
        self.others: list[InputFile] = []
        self.remarks: dict[str, tuple[str, ...]] = {}

    def table(self, key: str, table: RawTable) -> list[InputFile]:
        """The heads of the files of one key."""
        found = find_files(self.base, table.path, f"{self.name}: {key} ")
        if (key, found.files[0]) not in self.opened:
            source = Source.parse(described(found, table, {}), set())
            for item in found.files:
                self.opened[key, item] = read_head(source, item, f"{self.name}: {key}")
            self.remarks.setdefault(key, found.remarks)
        heads = [self.opened[key, item] for item in found.files]
        if table.where:
            for head in heads:
                _parsed(f"{self.name}: {key.rpartition('.')[0]}.where", table.where, head, condition=True)
        return heads

    def columns(self, key: str, path_key: str, table: RawTable, roles: Mapping[str, str]) -> list[InputFile]:
        """Verify what plays each role, in each file; roles named in NUMBERS must hold numbers."""
        files = self.table(path_key, table)
        sampled = spread_evenly(files)
        for file in files:
            for role, column in roles.items():
                others = [other for other_role, other in roles.items() if other_role != role]
                number = role in NUMBERS and file in sampled
                self.column(file, f"{key}.{role}", column, number=number, others=others)
        return files

    def column(
        self,
        file: InputFile,
        key: str,
        column: str,
        number: bool = False,
        others: Sequence[str] = (),
        glob: str | None = None,
    ) -> None:
        """Verify one column, or expression of columns, of one file.

        Args:
            number: whether it must hold numbers.
            others: columns that other roles of the same section have taken, so not what was meant.
            glob: what region.yaml says, if `column` came from a glob.

        Raises:
            UserError: if it is not there; if it should hold numbers and does not; if its values are nested.
        """
        said = f"{self.name}: {key} is '{glob or column}'" + (f", which matches '{column}'" if glob else "")
        if column not in file.columns and _is_name(column):
            raise UserError(
                f"{said}, but {file.path.name} has {listed(file.columns)}.{_meant(file, column, number, others)}"
            )
        why = _parsed(f"{self.name}: {key}", column, file).not_a_value
        if why and not key.endswith(".geometry"):
            raise UserError(f"{said}, but in {file.path.name} {why}.")
        if number and (example := _not_a_number(file, column)) is not None:
            raise UserError(
                f"{said}, which holds {example} in {file.path.name}, but it must hold numbers. "
                "Name another column, or store it as numbers."
            )

    def label(self, key: str, table: RawTable, column: str, roles: Mapping[str, str]) -> list[InputFile]:
        """Verify a task's file: its label is a number, its roles are columns."""
        files = self.columns(key, f"{key}.path", table, roles)
        sampled = spread_evenly(files)
        for file in files:
            self.column(file, f"{key}.column", column, number=file in sampled)
        return files


def spread_evenly(files: Sequence[File]) -> list[File]:
    """A few of a table's files whose rows are looked at: the first, the last and some between."""
    places = {round(number * (len(files) - 1) / (SAMPLE_FILES - 1)) for number in range(SAMPLE_FILES)}
    return [files[place] for place in sorted(places)]


def read_head(source: Source, path: Path, key: str) -> InputFile:
    """Columns, types and number of rows of a table's file, from its head alone.

    Args:
        source: what is declared of it.
        key: where region.yaml names it, for messages.

    Raises:
        UserError: if it is not what its ending says, or is damaged.
    """
    try:
        form = form_of(source, {}, str(path))
    except UserError as error:
        raise UserError(f"{error} ({key})") from None
    rows = None
    if source.format == "parquet":
        with parquet_file(str(path)) as file:
            rows = file.metadata.num_rows
    return InputFile(key, path, source.format, form.columns, rows, path.stat().st_size, form.remarks, source)


def sample_texts(file: InputFile, column: str) -> list[str]:
    """What a column or expression holds in the first rows, as text; nothing of rows without a value."""
    if file.source is None:
        raise ValueError(f"{file.path} is no table")
    values, form = sample(file.source, column, TEXT, str(file.path), SAMPLE_ROWS)
    return [value for value in as_texts(values, form.null_texts).to_pylist() if value is not None]


def described(found: Found, table: RawTable, roles: Mapping[str, str]) -> dict[str, Any]:
    """What `Source.parse` takes: files of a table of region.yaml, their format, and what plays each role."""
    files = [str(item) for item in found.files]
    form = file_format(found.files[0]) or "parquet"  # of a table format, whose files may have any name
    if form == "csv" and found.files[0].suffix.lower() == ".zip" and is_vector_file(files[0]):
        form = "vector"  # a zipped Shapefile
    partitions = {str(file): dict(values) for file, values in found.columns.items()}
    described = {"files": files, "format": form, "columns": dict(roles), **table.options()}
    return {**described, **({"partitions": partitions} if partitions else {})}


def _is_name(text: str) -> bool:
    """Whether a text is a column's name rather than an expression of columns."""
    return text.replace("_", "").replace(" ", "").replace("-", "").isalnum()


def _parsed(said: str, text: str, file: InputFile, condition: bool = False) -> Expression:
    try:
        return (parse_filter if condition else parse)(text, file.columns)
    except UserError as error:
        raise UserError(f"{said} is '{text}', which cannot be read from {file.path.name}: {error}") from None


def _meant(file: InputFile, column: str, number: bool, others: Sequence[str]) -> str:
    """What to do about a column that is not there: the nearest name, or the only one left that fits."""
    fits = [
        name
        for name, kind in file.columns.items()
        if name not in others and not (number and (pa.types.is_nested(kind) or _not_a_number(file, name)))
    ]
    if near := did_you_mean(column, fits) or did_you_mean(column, file.columns):
        return near
    return f" Did you mean '{fits[0]}'?" if len(fits) == 1 else " Name one of them."


def _not_a_number(file: InputFile, column: str) -> str | None:
    """What a column holds in place of numbers; None if it holds numbers, or text of which some are numbers."""
    kind = parse(column, file.columns).type
    if kind is None or is_text(kind):
        if file.source is None:
            return None
        values, form = sample(file.source, column, NUMBER, str(file.path), SAMPLE_ROWS)
        texts = [text for text in as_texts(values, form.written.null).to_pylist() if text is not None]
        numbers = form.numbers(values)
        return f"text such as {shape_of(texts[0])}" if texts and numbers.null_count == len(numbers) else None
    number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    return None if number else str(kind)


def listed(columns: Iterable[str]) -> str:
    """Columns as a message shows them; a long list is cut."""
    names = list(columns)
    more = f" and {len(names) - _SHOWN_COLUMNS} more" if len(names) > _SHOWN_COLUMNS else ""
    return ", ".join(names[:_SHOWN_COLUMNS]) + more
