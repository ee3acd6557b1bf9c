"""CSV files in any dialect and compression, read by pyarrow into batches of text columns."""

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.names import did_you_mean
from mora_pipeline.raw.compression import chunks, compression_of, label, parts
from mora_pipeline.raw.csv_blocks import Block, Head, blocks, is_ascii_compatible, read_head, span_bounds
from mora_pipeline.raw.csv_records import BadLineError, line_count
from mora_pipeline.raw.csv_text import rows_of
from mora_pipeline.raw.dialect import Dialect
from mora_pipeline.raw.storage import size_of

MALFORMED = "_malformed"


def csv_header(file: str, dialect: Dialect) -> tuple[str, ...]:
    """The column names: those of a zip are the names that all members have.

    Raises:
        UserError: if there is no header, or a name occurs twice.
    """
    headers = [_checked_head(file, part, dialect).columns for part in parts(file)]
    shared = set.intersection(*map(set, headers))
    return tuple(name for name in headers[0] if name in shared)


def csv_splits(file: str, dialect: Dialect, target_bytes: int = 64 << 20) -> list[tuple[int, int | None]]:
    """Byte ranges that can be read apart; a compressed, multiline or non-ASCII-compatible file is one."""
    if compression_of(file) or dialect.multiline or not is_ascii_compatible(dialect.encoding):
        return [(0, None)]
    starts = range(0, max(1, size_of(file)), target_bytes)
    return [(start, start + target_bytes if start != starts[-1] else None) for start in starts]


def csv_batches(
    file: str,
    dialect: Dialect,
    columns: Sequence[str],
    span: tuple[int, int | None] = (0, None),
    rows: int = 1 << 17,
) -> Iterator[pa.RecordBatch]:
    """The records whose lines begin within a byte range.

    Args:
        columns: names as in the header, trimmed.
        span: one of `csv_splits`.
        rows: the most rows of a batch.

    Returns:
        Text columns as they are written, and `MALFORMED`: null, or the text of a record that has not as many fields as
        the header (its columns are null).

    Raises:
        UserError: if a column is missing or named twice, or a line contradicts the dialect.
    """
    for part in parts(file):
        head = _checked_head(file, part, dialect)
        _check_columns(columns, head.columns, label(file, part))
        try:
            for block in blocks(file, part, dialect, head, span):
                for batch in _parsed(block, dialect, head.columns, columns):
                    for start in range(0, len(batch), rows):
                        yield batch.slice(start, rows)
        except BadLineError as error:
            first, _ = span_bounds(file, head, span)
            line = error.line + sum(map(line_count, chunks(file, end=first) if first else ()))
            raise UserError(f"{label(file, part)}, line {line}: {error}") from None


def _checked_head(file: str, part: str, dialect: Dialect) -> Head:
    head = read_head(file, part, dialect)
    twins = sorted(name for name, count in Counter(head.columns).items() if name and count > 1)
    if twins:
        raise UserError(f"{label(file, part)} has several columns named '{twins[0]}'. Give each its own name.")
    return head


def _check_columns(columns: Sequence[str], names: Sequence[str], where: str) -> None:
    for column in columns:
        if column not in names:
            near = did_you_mean(column, names)
            raise UserError(f"{where} has no column '{column}'; it has {', '.join(names)}.{near}")


def _parsed(block: Block, dialect: Dialect, names: tuple[str, ...], columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    malformed: list[str] = []

    def keep(row: arrow_csv.InvalidRow) -> str:
        malformed.append(row.text)
        return "skip"

    wanted = {column: str(names.index(column)) for column in dict.fromkeys(columns)}
    included = list(wanted.values()) or ["0"]
    data = _protected(block.data, dialect)
    table = arrow_csv.read_csv(
        pa.BufferReader(data),
        arrow_csv.ReadOptions(
            use_threads=False, block_size=len(data) + 1, column_names=[str(number) for number in range(len(names))]
        ),
        arrow_csv.ParseOptions(
            delimiter=dialect.separator,
            quote_char=dialect.quote or False,
            escape_char=dialect.escape or False,
            newlines_in_values=dialect.multiline,
            invalid_row_handler=keep,
        ),
        arrow_csv.ConvertOptions(
            column_types=dict.fromkeys(included, pa.string()),
            include_columns=included,
            strings_can_be_null=False,
            check_utf8=False,  # each block has been checked
        ),
    )
    _check_quotes(block, dialect, len(table) + len(malformed))
    schema = pa.schema([pa.field(name, pa.string()) for name in [*wanted, MALFORMED]])
    for batch in table.to_batches():
        arrays = [batch[position] for position in wanted.values()]
        yield pa.record_batch([*arrays, pa.nulls(len(batch), pa.string())], schema=schema)
    if malformed:
        nothing = [pa.nulls(len(malformed), pa.string())] * len(wanted)
        yield pa.record_batch([*nothing, pa.array(malformed, pa.string())], schema=schema)


def _protected(data: bytes, dialect: Dialect) -> bytes:
    """MySQL's null, a bare ``\\N``, would be read as the letter N where a backslash escapes."""
    if dialect.escape != "\\" or b"\\N" not in data:
        return data
    separator = re.escape(dialect.separator.encode())
    return re.sub(rb"(?<![^%s\r\n])\\N(?![^%s\r\n])" % (separator, separator), rb"\\\\N", data)


def _check_quotes(block: Block, dialect: Dialect, records: int) -> None:
    """Refuse what contradicts the dialect: quotes that do not close, text behind them, line breaks where none may be.

    Arrow reads all three without a word, and a split that begins inside a quoted value would make up rows.
    """
    data, quote, escape = block.data, dialect.quote.encode(), dialect.escape.encode()
    if not ((quote and quote in data) or (escape and escape in data)):
        return
    if dialect.multiline:
        if _has_loose_quotes(data, dialect) or _is_odd(data, quote):
            _read_strictly(data, block.line, dialect)
        return
    lines = data.splitlines()
    joined = records != sum(map(bool, lines))
    if joined or _has_loose_quotes(data, dialect) or _is_odd(lines[-1], quote):
        for number, line in enumerate(lines):
            if (quote and quote in line) or (escape and escape in line):
                _read_strictly(line, block.line + number, dialect)
        if joined:
            raise BadLineError(
                block.line, "from here on, values run over ends of lines. Declare csv: {multiline: true}."
            )


def _has_loose_quotes(data: bytes, dialect: Dialect) -> bool:
    """Whether a quote has neither a separator nor another quote beside it."""
    if not dialect.quote:
        return False
    special = re.escape(dialect.separator + dialect.quote)
    pattern = rf"[^{special}{re.escape(dialect.escape)}\r\n]{re.escape(dialect.quote)}[^{special}\r\n]"
    return bool(pc.match_substring_regex(pa.array([data], pa.binary()), pattern)[0].as_py())


def _is_odd(data: bytes, quote: bytes) -> bool:
    return bool(quote) and data.count(quote) % 2 == 1


def _read_strictly(data: bytes, line: int, dialect: Dialect) -> None:
    reader = rows_of(data.decode("utf-8"), dialect, strict=True)
    last = 0
    try:
        for _ in reader:
            last = reader.line_num
    except csv.Error as error:
        if "unexpected end" in str(error) and not dialect.multiline:
            raise BadLineError(
                line + last,
                "a value in quotes does not end on its line. If values may hold line breaks, declare "
                "csv: {multiline: true}; if quotes are plain characters, csv: {quote: ''}.",
            ) from None
        raise BadLineError(
            line + last,
            f"the quotes of this record do not fit ({error}). If a backslash stands before quotes inside values, "
            "declare csv: {escape: '\\'}; if quotes are plain characters, csv: {quote: ''}.",
        ) from None
