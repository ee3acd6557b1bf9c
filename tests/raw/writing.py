"""A naive writer of CSV, to test the reader against, and a plain way to read a whole file."""

from collections.abc import Sequence
from pathlib import Path

from mora_pipeline.raw.csv_files import MALFORMED, csv_batches, csv_splits
from mora_pipeline.raw.dialect import Dialect

Table = list[list[str]]


def written(table: Sequence[Sequence[str]], dialect: Dialect, always_quote: bool = False, line_end: str = "\n") -> str:
    """Header and rows, with the dialect's marks."""
    alone = len(table[0]) == 1  # an empty value alone on its line would be an empty line
    lines = [
        dialect.separator.join(_value(value, dialect, always_quote or (alone and not value)) for value in row)
        for row in table
    ]
    return "".join(line + line_end for line in lines)


def _value(value: str, dialect: Dialect, always_quote: bool) -> str:
    special = {dialect.separator, dialect.quote, dialect.escape, "\r", "\n"} - {""}
    if not always_quote and not special & set(value):
        return value
    if dialect.escape:
        value = value.replace(dialect.escape, dialect.escape * 2)
    quote = dialect.quote
    return quote + value.replace(quote, (dialect.escape or quote) + quote) + quote


def read(file: Path, dialect: Dialect, columns: Sequence[str], target_bytes: int = 1 << 26) -> tuple[Table, list[str]]:
    """All rows of a file and the texts of its malformed ones, split by split."""
    rows: Table = []
    malformed: list[str] = []
    for span in csv_splits(str(file), dialect, target_bytes):
        for batch in csv_batches(str(file), dialect, columns, span):
            for row in batch.to_pylist():
                if row[MALFORMED] is None:
                    rows.append([row[column] for column in columns])
                else:
                    malformed.append(row[MALFORMED])
    return rows, malformed
