"""How a CSV file is written: its separator, quotes, encoding and numbers, declared or found in a sample."""

import codecs
import re
from collections import Counter
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from typing import Any

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.names import did_you_mean
from mora_pipeline.raw.compression import compression_remark, label, parts
from mora_pipeline.raw.layout import NAMES, Layout, find_layout
from mora_pipeline.raw.number_format import AmbiguousNumberError, null_texts, number_format, number_pattern
from mora_pipeline.raw.sample import Sample, read_sample

__all__ = ["KEYS", "Detected", "Dialect", "checked_settings", "detect", "number_format"]


@dataclass(frozen=True)
class Dialect:
    """How a CSV file is written.

    ``thousands``: "" is none; a space or an apostrophe stand for their typographic kin too. ``escape``: "" means that a
    quote inside quotes is doubled. ``quote``: "" means that quotes are plain characters. ``skip_lines``: lines before
    the header. ``multiline``: a quoted value may hold line breaks. ``null``: texts that mean no value.
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
_SPELLED = {"tab": "\t", "\\t": "\t", "space": " ", "pipe": "|", "comma": ",", "semicolon": ";", "none": ""}
_NOT_CHARACTERS = {"unicode_escape", "raw_unicode_escape", "idna", "punycode", "mbcs", "oem", "undefined"}


@dataclass(frozen=True)
class Detected:
    """A file's dialect, its header, and sentences about what was found and not declared."""

    dialect: Dialect
    columns: tuple[str, ...]
    remarks: tuple[str, ...] = ()


def detect(file: str, declared: Mapping[str, Any], numbers: Collection[str] = ()) -> Detected:
    """The dialect of a file, by its first 256 kB; what is declared holds, and what they leave open is refused.

    Args:
        declared: the ``csv:`` mapping of region.yaml.
        numbers: columns that hold numbers: they prove the decimal mark, the thousands separator and the null texts.

    Returns:
        ``columns``: the header; of a zip the names that all its members have.

    Raises:
        UserError: if the file is missing, damaged, empty or no CSV, if no dialect fits or several do.
    """
    settings = checked_settings(declared)
    members = parts(file)
    where = label(file, members[0])
    sample = read_sample(file, members[0], settings.get("encoding"))
    layout = _layout(where, sample, settings, numbers)
    settings |= {key: getattr(layout, key) for key in ("separator", "quote", "escape", "skip_lines")}
    settings["encoding"] = sample.encoding
    settings["multiline"] = settings.get("multiline", layout.multiline)
    columns = layout.header
    for member in members[1:]:
        other = _layout(label(file, member), read_sample(file, member, settings["encoding"]), settings, numbers)
        columns = tuple(name for name in columns if name in other.header)
        settings["multiline"] = declared.get("multiline", settings["multiline"] or other.multiline)
    if not any(columns):
        raise UserError(f"{file} holds tables without a common column. Unpack it and name the files that are meant.")
    values = _values(layout, numbers)
    nulls = null_texts(values) if numbers and "null" not in declared else {}
    settings.setdefault("null", ("", *nulls))
    settings["decimal"], settings["thousands"], more = _number_format(where, layout, numbers, settings)
    counts = Counter(map(str.strip, values)) if nulls else {}
    remarks = [compression_remark(file), *_layout_remarks(layout, sample, declared), *more]
    remarks += [f"'{text}' is {meaning} ({counts[text]:,} in the sample)" for text, meaning in nulls.items()]
    return Detected(Dialect(**settings), columns, tuple(filter(None, remarks)))


def checked_settings(declared: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a ``csv:`` mapping as `Dialect` has them: ``tab`` as a tab, null texts as texts.

    Raises:
        UserError: if a key is unknown, a value is of the wrong kind or two values contradict each other.
    """
    settings: dict[str, Any] = {}
    for key, value in declared.items():
        if key not in KEYS:
            raise UserError(f"csv has no key '{key}'; it has {', '.join(KEYS)}.{did_you_mean(str(key), KEYS)}")
        settings[key] = _checked(key, value)
    roles: dict[Any, str] = {}
    for key in ("separator", "quote", "escape"):
        mark = settings.get(key)
        if mark and mark in roles:
            raise UserError(f"csv: {roles[mark]} and {key} are both '{mark}'. They must differ.")
        roles[mark] = key
    if settings.get("thousands") and settings["thousands"] == settings.get("decimal"):
        raise UserError(f"csv: decimal and thousands are both '{settings['thousands']}'. Declare the two.")
    return settings


def _checked(key: str, value: Any) -> Any:
    if key == "skip_lines":
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise UserError(f"csv.skip_lines is {value!r}: say how many lines stand before the header, such as 2.")
        return value
    if key == "multiline":
        if not isinstance(value, bool):
            raise UserError(f"csv.multiline is {value!r}: say true or false.")
        return value
    if key == "null":
        texts = [value] if isinstance(value, str | int | float) or value is None else value
        if not isinstance(texts, Collection) or isinstance(texts, Mapping):
            raise UserError(f"csv.null is {value!r}: list the texts that mean no value, such as ['', NA, -999].")
        return tuple("null" if text is None else str(text).strip() for text in texts)
    if key == "encoding":
        return _checked_encoding(value)
    return _checked_mark(key, value)


def _checked_encoding(value: Any) -> str:
    try:
        name = codecs.lookup(value).name
        "a".encode(name)  # base64 and the like do not encode texts
    except (LookupError, TypeError, ValueError):
        name = "undefined"
    if name.replace("-", "_") in _NOT_CHARACTERS:
        raise UserError(f"csv.encoding is {value!r}, which is no encoding: say utf-8, latin-1, cp1252 or utf-16.")
    return name


def _checked_mark(key: str, value: Any) -> str:
    mark = "" if value is None or value is False else _SPELLED.get(value, value) if isinstance(value, str) else None
    if mark is None or len(mark) > 1 or (key in ("separator", "decimal") and not mark):
        raise UserError(f"csv.{key} is {value!r}: say one character, in quotes.")
    if key in ("separator", "quote", "escape") and mark and (not mark.isascii() or mark in "\r\n\0" or mark.isalnum()):
        raise UserError(f"csv.{key} is {value!r}: say one ASCII character that is no letter, digit or line break.")
    if key in ("decimal", "thousands") and mark and (mark.isalnum() or mark in "+-\r\n\0"):
        raise UserError(f"csv.{key} is {value!r}: say a mark such as '.', ',' or a space.")
    return mark


def _layout(where: str, sample: Sample, settings: Mapping[str, Any], numbers: Collection[str]) -> Layout:
    try:
        layout = find_layout(sample.text, sample.whole, settings, numbers)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    twins = sorted(name for name, count in Counter(layout.header).items() if name and count > 1)
    if twins:
        raise UserError(f"{where} has several columns named '{twins[0]}'. Give each its own name.")
    for position, name in enumerate(layout.header):
        column = [row[position] for row in layout.rows[:100] if row[position]]
        if layout.quote and sum(_begins_with_space(text, layout.quote) for text in column) > len(column) / 2:
            raise UserError(
                f"{where}, column '{name}': a space stands before the quotes ('{column[0]}'), so that they are part of "
                "the values. Remove these spaces."
            )
    return layout


def _begins_with_space(text: str, quote: str) -> bool:
    return text[0] == " " and text.lstrip(" ").startswith(quote) and text.rstrip(" ").endswith(quote)


def _layout_remarks(layout: Layout, sample: Sample, declared: Mapping[str, Any]) -> list[str]:
    found = {
        "separator": layout.separator != "," and f"columns are separated by {NAMES.get(layout.separator)}",
        "encoding": sample.encoding != "utf-8" and f"the text is in {sample.encoding}",
        "quote": layout.quote not in ('"', "") and f"values are quoted by {layout.quote}",
        "escape": layout.escape and f"{layout.escape} stands before quotes inside values",
        "skip_lines": layout.skip_lines and f"the header is in line {layout.skip_lines + 1}, after remarks",
        "multiline": layout.multiline and "values in quotes hold line breaks",
    }
    remarks = [remark for key, remark in found.items() if remark and key not in declared]
    if layout.misfits:
        records = len(layout.rows) + layout.misfits
        remarks.append(f"{layout.misfits:,} of {records:,} rows in the sample have another number of columns")
    return remarks


def _values(layout: Layout, numbers: Collection[str]) -> list[str]:
    """The texts of the columns that hold numbers: those named, or else those in which nearly all look like some."""
    columns = dict(zip(layout.header, zip(*layout.rows, strict=True), strict=False))
    if numbers:
        return [text for name in numbers if name in columns for text in columns[name]]
    forms = [re.compile(number_pattern(*form)) for form in ((".", ""), (",", ""), (".", ","), (",", "."), (".", " "))]
    return [
        text
        for texts in columns.values()
        if (present := [text.strip() for text in texts[:1000] if text.strip()])
        and sum(any(form.match(text) for form in forms) for text in present) > 0.9 * len(present)
        for text in texts
    ]


def _number_format(
    where: str, layout: Layout, numbers: Collection[str], settings: Mapping[str, Any]
) -> tuple[str, str, tuple[str, ...]]:
    """What the columns of numbers prove, or else all columns: a file is written in one form."""
    nothing = set(settings["null"])

    def texts(columns: Collection[str]) -> list[str]:
        return [text for text in _values(layout, columns) if text.strip() not in nothing]

    try:
        return number_format(texts(numbers), settings)
    except AmbiguousNumberError as error:
        with suppress(AmbiguousNumberError):
            return number_format([*texts(numbers), *texts(())], settings)
        at = next((at for row in layout.rows for at, text in enumerate(row) if text.strip() == error.text), 0)
        raise UserError(f"{where}, column '{layout.header[at]}': {error}") from None
