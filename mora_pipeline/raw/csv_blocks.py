"""A CSV file as blocks of whole records in UTF-8, every byte of them checked."""

import codecs
import csv
from collections.abc import Generator, Iterator
from dataclasses import dataclass

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.compression import CHUNK, chunks, label
from mora_pipeline.raw.csv_records import LONGEST_RECORD, BadLineError, line_count, whole_records
from mora_pipeline.raw.csv_text import LINE_END_BYTES, position_after, rows_of
from mora_pipeline.raw.dialect import Dialect
from mora_pipeline.raw.sample import undecodable
from mora_pipeline.raw.storage import size_of

_FIRST_BYTES = 1 << 16
_MARK = codecs.BOM_UTF8
_LIKE_UTF8 = ("utf-8", "utf-8-sig", "ascii")
_STATEFUL = ("utf-7", "hz")


@dataclass(frozen=True)
class Block:
    """Whole records; ``line``: of the first one, from 1, counted from the begin of the span."""

    data: bytes
    line: int


@dataclass(frozen=True)
class Head:
    """A header: ``columns``, trimmed, and the number of ``lines`` before the first record."""

    columns: tuple[str, ...]
    lines: int


def is_ascii_compatible(encoding: str) -> bool:
    """Whether the line ends of a text are the bytes that they are in ASCII, wherever one begins to read."""
    name = codecs.lookup(encoding).name
    if name in _STATEFUL or name.startswith("iso2022"):
        return False
    return bytes(range(128)).decode(name, "replace") == bytes(range(128)).decode("ascii")


def read_head(file: str, part: str, dialect: Dialect) -> Head:
    """The header of a part.

    Raises:
        UserError: if there is none.
    """
    data, looked_at = b"", 0
    stream = decoded(file, part, dialect, 0, None, _FIRST_BYTES)
    try:
        for chunk in stream:
            data += chunk
            if len(data) < 2 * looked_at:  # a long header is not read anew with each chunk
                continue
            looked_at = len(data)
            head = _head_in(data, dialect)
            # A header that reaches the end of what is read may go on behind it.
            if (head and position_after(data, head.lines) < len(data)) or len(data) > LONGEST_RECORD:
                break
    except BadLineError as error:
        raise UserError(f"{label(file, part)}, line {error.line}: {error}") from None
    finally:
        stream.close()
    head = _head_in(data, dialect)
    if head is None:
        after = f" after its first {dialect.skip_lines} lines" if dialect.skip_lines else ""
        raise UserError(f"{label(file, part)} holds no header{after}.")
    return head


def _head_in(data: bytes, dialect: Dialect) -> Head | None:
    text = data.removeprefix(_MARK)
    rest = text[position_after(text, dialect.skip_lines) :]
    reader = rows_of(rest.decode("utf-8", "replace"), dialect)
    try:
        row = next((row for row in reader if row), None)
    except csv.Error:
        return None
    if not row:
        return None
    return Head(tuple(name.strip() for name in row), dialect.skip_lines + reader.line_num)


def blocks(
    file: str, part: str, dialect: Dialect, head: Head, span: tuple[int, int | None], size: int = CHUNK
) -> Iterator[Block]:
    """The records of the lines that begin within a range of bytes, about `size` bytes at once.

    Raises:
        BadLineError: where a byte is not in the encoding, or a record never ends.
        UserError: if the file is damaged.
    """
    first, last = span_bounds(file, head, span)
    if last is not None and last <= first:
        return
    stream: Iterator[bytes] = decoded(file, part, dialect, first, last, size)
    line = 1
    if not first:  # what stands above the records has quotes of its own
        stream, line = _behind(stream, head.lines), 1 + head.lines
    for data in whole_records(stream, dialect):
        _check(data, line)
        yield Block(data, line)
        line += line_count(data)


def _behind(stream: Iterator[bytes], lines: int) -> Iterator[bytes]:
    """A stream of bytes without its first lines."""
    above = b""
    for chunk in stream:
        above += chunk
        if line_count(above) > lines:  # a last \r may be half of a line's end: one line more is asked for
            break
    above = above.removeprefix(_MARK)
    end = position_after(above, lines)
    _check(above[:end], 1)
    if end < len(above):
        yield above[end:]
    yield from stream


def span_bounds(file: str, head: Head, span: tuple[int, int | None]) -> tuple[int, int | None]:
    """A span moved to begins of lines; one that begins in the file begins behind the header."""
    start, end = span
    last = None if end is None else line_start(file, end)
    if not start:
        return 0, last
    return max(line_start(file, start), _position_behind(file, head.lines)), last


def line_start(file: str, offset: int) -> int:
    """The first byte at or after `offset` at which a line begins, or the end of the file."""
    if offset <= 0 or offset >= (size := size_of(file)):
        return 0 if offset <= 0 else size
    position, before = offset - 1, b""
    for chunk in chunks(file, start=offset - 1, size=_FIRST_BYTES):
        data = before + chunk
        found = LINE_END_BYTES.search(data)
        if found and not (found.group() == b"\r" and found.end() == len(data)):
            return position + found.end()
        before = b"\r" if data.endswith(b"\r") else b""
        position += len(data) - len(before)
    return position + len(before)


def _position_behind(file: str, lines: int) -> int:
    position = 0
    for _ in range(lines):
        position = line_start(file, position + 1)
    return position


def decoded(file: str, part: str, dialect: Dialect, start: int, end: int | None, size: int = CHUNK) -> Generator[bytes]:
    """The bytes of a range in UTF-8; where the file is in UTF-8 itself they are not checked."""
    raw = chunks(file, part, start, end, size)
    encoding = codecs.lookup(dialect.encoding).name
    if encoding in _LIKE_UTF8:
        yield from raw
        return
    decoder = codecs.getincrementaldecoder(encoding)()
    line = 1
    try:
        for chunk in raw:
            data = decoder.decode(chunk).encode("utf-8")
            line += line_count(data)
            yield data
        yield decoder.decode(b"", final=True).encode("utf-8")
    except UnicodeError as error:
        rest = error.object[: error.start].decode(encoding, "ignore") if isinstance(error, UnicodeDecodeError) else ""
        raise BadLineError(
            line + line_count(rest.encode()),
            f"not in {encoding}. Declare the encoding in which the file was written.",
        ) from None


def _check(data: bytes, line: int) -> None:
    """Refuse what is not UTF-8, and NUL bytes."""
    try:
        if not data.isascii():
            data.decode("utf-8")
    except UnicodeDecodeError as error:
        number, message = undecodable(data, error.start, "utf-8")
        raise BadLineError(line + number - 1, message) from None
    if b"\0" in data:
        number = line_count(data[: data.index(b"\0")])
        raise BadLineError(line + number, "holds NUL bytes. The file is damaged, or not in the encoding declared.")
