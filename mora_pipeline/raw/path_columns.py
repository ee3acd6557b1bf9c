"""Columns that a file's path carries: hive folders (``date=2024-01-31/``) and patterns of names (``od_{year}.csv``)."""

import os
import re
from functools import lru_cache
from pathlib import PurePath
from urllib.parse import unquote

from mora_pipeline.contract.errors import UserError

NULL = "__HIVE_DEFAULT_PARTITION__"  # how Hive and Spark write that a partition has no value
_DIGITS = {"%Y": (r"\d{4}", "year"), "%m": (r"\d{2}", "month"), "%d": (r"\d{2}", "day")}
_DIGITS |= {"%H": (r"\d{2}", "hour"), "%M": (r"\d{2}", "minute"), "%S": (r"\d{2}", "second")}
_FIELD = re.compile(r"\{(\w+)\}|(%[YmdHMS])", re.ASCII)


def folder_columns(file: str) -> dict[str, str]:
    """The columns that the folders of a path carry, as Hive and Spark write them.

    Args:
        file: a path; its last part is the file's name, which carries none.

    Returns:
        The value of each ``key=value`` folder, percent-decoded; of two of a key, the nearer to the file. A folder that
        stands for a missing value (``__HIVE_DEFAULT_PARTITION__``) carries none.
    """
    columns: dict[str, str] = {}
    for folder in file.replace(os.sep, "/").split("/")[:-1]:
        key, sign, value = folder.partition("=")
        if sign and key:
            columns.pop(unquote(key), None)
            if value != NULL:
                columns[unquote(key)] = unquote(value)
    return columns


def name_columns(file: str, pattern: str) -> dict[str, str]:
    """The columns that a file's name carries.

    Args:
        file: a path; as many of its last parts are compared as the pattern has.
        pattern: a name with ``{column}`` for text of any length, and ``%Y``, ``%m``, ``%d``, ``%H``, ``%M``, ``%S``
            for digits, which become ``year``, ``month``, ``day``, ``hour``, ``minute`` and ``second``. The rest stands
            for itself. Without an ending it fits a name of any ending.

    Raises:
        UserError: if the pattern names no column or one twice, or if the name does not fit it, in one way only.
    """
    expression, columns = _compiled(pattern)
    parts = pattern.count("/") + 1
    name = "/".join(PurePath(file).parts[-parts:])
    match = expression.fullmatch(name)
    if match is None:
        raise UserError(f"{file} does not fit the pattern '{pattern}' of file names. Fix either.")
    values = dict(zip(columns, match.groups(), strict=True))
    other = _compiled(pattern, greedy=True)[0].fullmatch(name)
    if other is None or other.groups() != match.groups():
        raise UserError(
            f"{file} fits the pattern '{pattern}' in more than one way. Put text between its columns that no value has."
        )
    return values


@lru_cache(maxsize=64)
def _compiled(pattern: str, greedy: bool = False) -> tuple[re.Pattern[str], list[str]]:
    text, columns, end = "", [], 0
    for field in _FIELD.finditer(pattern):
        digits, column = _DIGITS[field[2]] if field[2] else ("[^/]+" if greedy else "[^/]+?", field[1])
        if column in columns:
            raise UserError(f"the pattern '{pattern}' of file names has {column} twice. Keep one.")
        columns.append(column)
        text += re.escape(pattern[end : field.start()]) + f"({digits})"
        end = field.end()
    if not columns:
        raise UserError(f"the pattern '{pattern}' of file names has no column. Write one as {{year}} or %Y.")
    rest = pattern[end:]
    open_end = "" if "." in rest or "." in pattern.rpartition("/")[2] else r"(?:\.[^/]*)?"
    return re.compile(text + re.escape(rest) + open_end, re.ASCII), columns
