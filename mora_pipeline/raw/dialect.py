"""How a CSV file is written: its separator, quotes, encoding and numbers, declared or found in a sample."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import islice
from typing import Any

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.compression import chunks, parts


@dataclass(frozen=True)
class Dialect:
    """How a CSV file is written.

    ``thousands``: "" is none, a space or an apostrophe stand for their typographic kin too; ``escape``: "" means that a
    quote inside quotes is doubled; ``quote``: "" means that quotes are plain characters; ``skip_lines``: lines before
    the header; ``multiline``: a quoted value may hold line breaks; ``null``: texts that mean no value.
    """

    separator: str = ","
    encoding: str = "utf-8"
    decimal: str = "."
    thousands: str = ""
    quote: str = '"'
    escape: str = ""
    skip_lines: int = 0
    multiline: bool = False
    null: tuple[str, ...] = ("",)


KEYS = tuple(field.name for field in fields(Dialect))


@dataclass(frozen=True)
class Detected:
    """A file's dialect and header, and sentences about what was found and not declared."""

    dialect: Dialect
    columns: tuple[str, ...]
    remarks: tuple[str, ...] = ()


def detect(file: str, declared: Mapping[str, Any], numbers: Collection[str] = ()) -> Detected:
    """First version: the separator by the header line."""
    from mora_pipeline.raw.csv_files import csv_header

    first = b"".join(islice(chunks(file, parts(file)[0], size=1 << 18), 1))
    line = first.splitlines()[0].decode("utf-8", "replace") if first else ""
    separator = declared.get("separator") or max(",;\t|", key=line.count)
    values = {key: tuple(map(str, value)) if key == "null" else value for key, value in declared.items()}
    dialect = Dialect(**{**values, "separator": separator})
    return Detected(dialect, csv_header(file, dialect))


def number_format(values: Sequence[str], declared: Mapping[str, Any]) -> tuple[str, str, tuple[str, ...]]:
    """First version: what is declared."""
    return declared.get("decimal", "."), declared.get("thousands", ""), ()
