"""Lines and records of a CSV's text, by Python's own reader."""

import csv
import io
import re
from typing import TYPE_CHECKING, AnyStr, Protocol

if TYPE_CHECKING:
    from _csv import Reader

LINE_END = re.compile(r"\r\n|\n|\r")
LINE_END_BYTES = re.compile(rb"\r\n|\n|\r")


class Marks(Protocol):
    """What keeps the values of a record apart; "" is none."""

    @property
    def separator(self) -> str: ...

    @property
    def quote(self) -> str: ...

    @property
    def escape(self) -> str: ...


def rows_of(text: str, marks: Marks, strict: bool = False) -> "Reader":
    """The records of a text.

    Args:
        strict: whether quotes that do not fit raise a `csv.Error`.
    """
    return csv.reader(
        io.StringIO(text, newline=""),
        delimiter=marks.separator,
        quotechar=marks.quote or None,
        escapechar=marks.escape or None,
        quoting=csv.QUOTE_MINIMAL if marks.quote else csv.QUOTE_NONE,
        strict=strict,
    )


def position_after(text: AnyStr, lines: int) -> int:
    """Where what follows the first lines begins; the end of the text where there are no more of them."""
    line_end: re.Pattern[AnyStr] = LINE_END if isinstance(text, str) else LINE_END_BYTES
    position = 0
    for _ in range(lines):
        found = line_end.search(text, position)
        if not found:
            return len(text)
        position = found.end()
    return position
