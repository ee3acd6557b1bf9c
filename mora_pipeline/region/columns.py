"""Checks one column after the other of a region's files, keeping each header it has read."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.names import did_you_mean
from mora_pipeline.raw.folders import find_files
from mora_pipeline.region.files import InputFile, read_header, sample_text

NUMBERS = {
    "latitude", "longitude", "origin_latitude", "origin_longitude", "destination_latitude", "destination_longitude",
    "flow", "users", "count", "weight",
}  # fmt: skip
_SHOWN_COLUMNS = 12  # a longer list of columns is cut in messages


class Checker:
    """Checks the files of one region, keeping each header it has read.

    Attributes:
        base: the folder that relative paths start from.
        name: of the region.yaml, the start of every message.
        opened: the headers read so far.
        others: further files, whose headers have no columns, such as imagery.
    """

    def __init__(self, base: Path, name: str) -> None:
        self.base, self.name = base, name
        self.opened: dict[Path, InputFile] = {}
        self.others: list[InputFile] = []

    def table(self, key: str, path: str) -> list[InputFile]:
        """The headers of the files of one key."""
        files = find_files(self.base, path, f"{self.name}: {key} ").files
        for item in files:
            if item not in self.opened:
                self.opened[item] = read_header(item, f"{self.name}: {key}")
        return [self.opened[item] for item in files]

    def columns(self, key: str, path_key: str, path: str, roles: dict[str, str]) -> list[InputFile]:
        """Verify the column of each role, in each file; roles named in NUMBERS must hold numbers."""
        files = self.table(path_key, path)
        for file in files:
            for role, column in roles.items():
                others = [other for other_role, other in roles.items() if other_role != role]
                self.column(file, f"{key}.{role}", column, number=role in NUMBERS, others=others)
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
        """Verify one column of one file.

        Args:
            number: whether it must hold numbers.
            others: columns that other roles of the same section have taken, so not what was meant.
            glob: what region.yaml says, if `column` came from a glob.

        Raises:
            UserError: if it is not there; if it should hold numbers and does not; if its values are nested.
        """
        said = f"{self.name}: {key} is '{glob or column}'" + (f", which matches '{column}'" if glob else "")
        if column not in file.columns:
            raise UserError(
                f"{said}, but {file.path.name} has {listed(file.columns)}.{_meant(file, column, number, others)}"
            )
        kind = file.columns[column]
        if pa.types.is_nested(kind):
            raise UserError(f"{said}, which is nested in {file.path.name} ({kind}). Unpack it.")
        if number and (example := _not_a_number(file, column)) is not None:
            raise UserError(
                f"{said}, which holds {example} in {file.path.name}, but it must hold numbers. "
                "Name another column, or store it as numbers."
            )

    def label(self, key: str, path: str, column: str, roles: dict[str, str]) -> list[InputFile]:
        """Verify a task's file: its label is a number, its roles are columns."""
        files = self.columns(key, f"{key}.path", path, roles)
        for file in files:
            self.column(file, f"{key}.column", column, number=True)
        return files


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
    kind = file.columns[column]
    if is_text(kind):
        values = sample_text(file, column)
        return f"text such as '{values[0]}'" if values and not any(map(_is_number, values)) else None
    number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    return None if number else str(kind)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def is_text(kind: pa.DataType) -> bool:
    """Whether a column of this type holds text, encoded as a dictionary or not."""
    if pa.types.is_dictionary(kind):
        return is_text(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def listed(columns: Iterable[str]) -> str:
    """Columns as a message shows them; a long list is cut."""
    names = list(columns)
    more = f" and {len(names) - _SHOWN_COLUMNS} more" if len(names) > _SHOWN_COLUMNS else ""
    return ", ".join(names[:_SHOWN_COLUMNS]) + more
