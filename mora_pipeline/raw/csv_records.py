"""A stream of bytes cut at ends of CSV records."""

import re
from collections import deque
from collections.abc import Iterator
from functools import lru_cache

from mora_pipeline.raw.dialect import Dialect

LONGEST_RECORD = 64 << 20  # bytes
_LAST_VALUES = 1000  # quoted values at the end of a block, among which the end of its last record is sought first


class BadLineError(Exception):
    """What is wrong with a line; ``line``: its number from 1, counted from the begin of the span."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


def whole_records(stream: Iterator[bytes], dialect: Dialect) -> Iterator[bytes]:
    """The stream cut at ends of records."""
    pending, line, looked_at = b"", 1, 0
    for chunk in stream:
        pending += chunk
        if len(pending) < 2 * looked_at:  # a long record is not searched anew with each chunk
            continue
        cut = _cut(pending, dialect)
        looked_at = 0 if cut else len(pending)
        if cut:
            yield pending[:cut]
            line += line_count(pending[:cut])
            pending = pending[cut:]
        elif len(pending) > LONGEST_RECORD:
            raise BadLineError(line, f"this record does not end within {LONGEST_RECORD >> 20} MB. Is a quote missing?")
    if pending:
        yield pending


def _cut(data: bytes, dialect: Dialect) -> int:
    """The end of the last whole record, or 0."""
    escape = dialect.escape.encode() if dialect.multiline else b""
    if not (dialect.multiline and dialect.quote and dialect.quote.encode() in data):
        return _last_line_end(data, 0, len(data), escape)
    quoted = _quoted(dialect.quote, dialect.separator, dialect.escape)
    for kept in (_LAST_VALUES, None):  # the last record mostly has fewer quoted values than that
        values = deque(quoted.finditer(data), kept)
        may_go_on = values and values[-1].end() == len(data)
        end = values.pop().start() if may_go_on else len(data)
        while values:
            value = values.pop()
            if cut := _last_line_end(data, value.end(), end, escape):
                return cut
            end = value.start()
    return _last_line_end(data, 0, end, escape)


def _last_line_end(data: bytes, start: int, end: int, escape: bytes) -> int:
    """The position behind the last line end in a range, or 0; none that a sign before it makes part of a value."""
    while True:
        found = data.rfind(b"\n", start, end)
        if found < 0:
            found = data.rfind(b"\r", start, min(end, len(data) - 1))  # a last \r may be half of \r\n
        if found < 0 or not escape or not data[:found].endswith(escape):
            return found + 1
        end = found


@lru_cache
def _quoted(quote: str, separator: str, escape: str) -> re.Pattern[bytes]:
    """From a quote at the begin of a value to the quote that closes it, or the end."""
    mark, between = re.escape(quote.encode()), re.escape(separator.encode())
    inside = rb"[^%s]++|%s%s" % (mark, mark, mark)
    if escape:
        sign = re.escape(escape.encode())
        inside = rb"[^%s%s]++|%s.|%s%s" % (mark, sign, sign, mark, mark)
    return re.compile(rb"%s(?<![^%s\r\n]%s)(?:%s)*+%s?" % (mark, between, mark, inside, mark), re.DOTALL)


def line_count(data: bytes) -> int:
    """Line ends, of any kind, in some bytes."""
    ends = data.count(b"\n")
    if b"\r" in data:
        ends += data.count(b"\r") - data.count(b"\r\n")
    return ends
