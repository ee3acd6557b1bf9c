"""A CSV file as blocks of whole records in UTF-8, checked, with their line numbers."""

import codecs
import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.compression import chunks, compression_of, label
from mora_pipeline.raw.dialect import Dialect

LONGEST_RECORD = 64 << 20  # bytes
HEAD = 1 << 16
_MARK = b"\xef\xbb\xbf"
_LINE_END = re.compile(rb"\r\n|\n|\r")


@dataclass(frozen=True)
class Block:
    """Whole records; ``line``: the number of the first one's line in the file, from 1."""

    data: bytes
    line: int


@dataclass(frozen=True)
class Head:
    """A header: ``columns``, trimmed, and the number of physical ``lines`` before the first record."""

    columns: tuple[str, ...]
    lines: int


def is_ascii_compatible(encoding: str) -> bool:
    """Whether a byte below 128 always is that ASCII character, so that line ends are found in the bytes."""
    name = codecs.lookup(encoding).name
    if name in ("utf-7", "hz") or name.startswith("iso2022"):
        return False
    ascii_bytes = bytes(range(128))
    return ascii_bytes.decode(name, "replace") == ascii_bytes.decode("ascii")


def rows_of(text: str, dialect: Dialect, strict: bool = False) -> "csv._reader":
    """Python's own reader over a short text, for headers, samples and the search for a faulty line."""
    quoting = csv.QUOTE_MINIMAL if dialect.quote else csv.QUOTE_NONE
    return csv.reader(
        io.StringIO(text, newline=""),
        delimiter=dialect.separator,
        quotechar=dialect.quote or None,
        escapechar=dialect.escape or None,
        quoting=quoting,
        strict=strict,
    )


def read_head(file: str, part: str, dialect: Dialect) -> Head:
    """The header of a part.

    Raises:
        UserError: if there is none, or it is not in the dialect's encoding.
    """
    where = label(file, part)
    data = b""
    stream = _decoded(file, part, dialect, 0, None, HEAD)
    for chunk in stream:
        data += chunk
        head = _head_in(data, dialect, whole=False)
        if head or len(data) > LONGEST_RECORD:
            stream.close()
            break
    else:
        head = _head_in(data, dialect, whole=True)
    if head is None:
        after = f" after its first {dialect.skip_lines} lines" if dialect.skip_lines else ""
        raise UserError(f"{where} holds no header{after}.")
    return head


def _head_in(data: bytes, dialect: Dialect, whole: bool) -> Head | None:
    text = data.removeprefix(_MARK).decode("utf-8", "replace")
    start = 0
    for _ in range(dialect.skip_lines):
        found = re.compile(r"\r\n|\n|\r").search(text, start)
        if not found:
            return None
        start = found.end()
    reader = rows_of(text[start:], dialect)
    try:
        row = next((row for row in reader if any(name.strip() for name in row)), None)
        if row is None or (not whole and next(reader, None) is None):
            return None
    except csv.Error:
        return None
    reader = rows_of(text[start:], dialect)
    row = next(row for row in reader if any(name.strip() for name in row))
    return Head(tuple(name.strip() for name in row), dialect.skip_lines + reader.line_num)


def line_start(file: str, offset: int) -> int:
    """The first byte at or after `offset` at which a line begins (of a plain file), or the file's end."""
    if offset <= 0:
        return 0
    position, before = offset - 1, b""
    for chunk in chunks(file, start=position, size=HEAD):
        data = before + chunk
        found = _LINE_END.search(data)
        if found and not (found.group() == b"\r" and found.end() == len(data)):
            return position + found.end()
        before = b"\r" if data.endswith(b"\r") else b""
        position += len(data) - len(before)
    return position + len(before)


def blocks(file: str, part: str, dialect: Dialect, head: Head, start: int, end: int | None) -> Iterator[Block]:
    """The records of the lines that begin from `start` to before `end`.

    Raises:
        UserError: where a byte is not in the encoding, a record never ends or the file is damaged.
    """
    first, last = start and line_start(file, start), end and line_start(file, end)
    line, lines_to_drop = 1, head.lines
    if first:
        line, before = _lines_before(file, first), head.lines
        lines_to_drop = max(0, before - (line - 1))
    for data in _whole_records(_decoded(file, part, dialect, first, last), label(file, part), dialect, line):
        total = line_count(data)
        skipped = 0
        if line == 1 and data.startswith(_MARK):
            data = data[len(_MARK) :]
        if lines_to_drop:
            data, skipped = _without_lines(data, lines_to_drop)
            lines_to_drop -= skipped
        if data:
            yield Block(data, line + skipped)
        line += total


def _lines_before(file: str, offset: int) -> int:
    return 1 + sum(line_count(chunk) for chunk in chunks(file, end=offset))


def _without_lines(data: bytes, lines: int) -> tuple[bytes, int]:
    position = 0
    for dropped in range(lines):
        found = _LINE_END.search(data, position)
        if not found:
            return b"", dropped + 1
        position = found.end()
    return data[position:], lines


def line_count(data: bytes) -> int:
    """Line ends, of any kind, in some bytes."""
    ends = data.count(b"\n")
    if b"\r" in data:
        ends += data.count(b"\r") - data.count(b"\r\n")
    return ends


def _decoded(
    file: str, part: str, dialect: Dialect, start: int, end: int | None, size: int = 4 << 20
) -> Iterator[bytes]:
    """The bytes of a range in UTF-8; those of a file in UTF-8 are not checked here."""
    raw = chunks(file, part, start, end, size)
    encoding = codecs.lookup(dialect.encoding).name
    if encoding in ("utf-8", "utf-8-sig", "ascii"):
        yield from raw
        return
    decoder = codecs.getincrementaldecoder(encoding)()
    lines = 0
    for chunk in raw:
        yield decoder.decode(chunk).encode("utf-8")
    yield decoder.decode(b"", final=True).encode("utf-8")


def _whole_records(stream: Iterator[bytes], where: str, dialect: Dialect, line: int) -> Iterator[bytes]:
    """The stream cut at ends of records."""
    pending = b""
    for chunk in stream:
        pending += chunk
        cut = _cut(pending, dialect)
        if cut:
            data, pending = pending[:cut], pending[cut:]
            _check(data, where, line)
            line += line_count(data)
            yield data
        elif len(pending) > LONGEST_RECORD:
            raise UserError(f"{where}, line {line}: this record does not end within {LONGEST_RECORD >> 20} MB.")
    if pending:
        _check(pending, where, line)
        yield pending


def _cut(data: bytes, dialect: Dialect) -> int:
    """The end of the last whole record."""
    if not (dialect.multiline and dialect.quote and dialect.quote.encode() in data):
        return _last_line_end(data, 0, len(data))
    cut = end = 0
    for quoted in _quoted(dialect).finditer(data):
        cut = _last_line_end(data, end, quoted.start()) or cut
        end = quoted.end()
        if end == len(data):
            return cut
    return _last_line_end(data, end, len(data)) or cut


def _last_line_end(data: bytes, start: int, end: int) -> int:
    found = data.rfind(b"\n", start, end) + 1
    # A \r at the very end may be the first half of \r\n.
    return found or data.rfind(b"\r", start, end - 1) + 1


@lru_cache
def _quoted(dialect: Dialect) -> re.Pattern[bytes]:
    """Quoted values: from a quote at the begin of a value to the quote that closes it, or the end."""
    quote, separator = re.escape(dialect.quote.encode()), re.escape(dialect.separator.encode())
    inside = rb"[^%s]++|%s%s" % (quote, quote, quote)
    if dialect.escape:
        escape = re.escape(dialect.escape.encode())
        inside = rb"[^%s%s]++|%s.|%s%s" % (quote, escape, escape, quote, quote)
    return re.compile(rb"%s(?<![^%s\r\n]%s)(?:%s)*+%s?" % (quote, separator, quote, inside, quote), re.DOTALL)


def _check(data: bytes, where: str, line: int) -> None:
    try:
        if not data.isascii():
            data.decode("utf-8")
    except UnicodeDecodeError as error:
        row = line + line_count(data[: error.start])
        start = max(data.rfind(b"\n", 0, error.start), data.rfind(b"\r", 0, error.start)) + 1
        found = _LINE_END.search(data, error.start)
        written = data[start : found.start() if found else len(data)][:120].decode("latin-1")
        raise UserError(
            f"{where}, line {row}: not UTF-8. In latin-1 it would read '{written}'. "
            "If that is right, declare csv: {encoding: latin-1}."
        ) from None
    if b"\0" in data:
        row = line + line_count(data[: data.index(b"\0")])
        raise UserError(f"{where}, line {row}: holds NUL bytes. Is the file damaged, or in UTF-16?")
