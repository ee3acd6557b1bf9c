"""Where a home still names a region: in names of files, in texts, and in cells of its databases."""

import contextlib
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from mora_pipeline.upkeep.history import whole_word
from mora_pipeline.upkeep.space import databases

LARGEST = 64 << 20  # bytes of a file that is searched whole
MARKERS = 50  # cells of the region that are looked for


def traces_of(home: Path, region: str, cells: list[int], others: list[str]) -> list[str]:
    """Every place in a home that names a region or one of its cells.

    Args:
        cells: some of its H3 cells; they are looked for as decimal and hexadecimal text, and as eight bytes.
        others: regions that may have the same cells: their own folders are searched for the name alone.

    Returns:
        Paths, and ``database: table.column`` for cells of databases.
    """
    word, marker = whole_word(region), _marker(cells[:MARKERS])
    return sorted({*_in_files(home, word, marker, others), *_in_databases(home, word, marker)})


def _marker(cells: list[int]) -> re.Pattern[bytes]:
    forms = [form for cell in cells for form in (str(cell).encode(), f"{cell:x}".encode(), cell.to_bytes(8, "little"))]
    return re.compile(b"|".join(map(re.escape, forms)) if forms else rb"(?!)")


def _in_files(home: Path, word: re.Pattern[str], marker: re.Pattern[bytes], others: list[str]) -> Iterator[str]:
    name = re.compile(word.pattern.encode())
    theirs = [whole_word(other) for other in others]
    stores = {path for database in databases(home) for path in database.parent.glob(f"{database.name}*")}
    for path in home.rglob("*"):
        relative = path.relative_to(home).as_posix()
        if word.search(relative):
            yield str(path)
        elif path.is_file() and path not in stores and path.stat().st_size <= LARGEST:
            content = path.read_bytes()
            of_another = any(other.search(relative) for other in theirs)
            if name.search(content) or (not of_another and marker.search(content)):
                yield str(path)


def _in_databases(home: Path, word: re.Pattern[str], marker: re.Pattern[bytes]) -> Iterator[str]:
    for database in databases(home):
        with closing(sqlite3.connect(database, timeout=30.0)) as connection:
            connection.create_function("names", 1, lambda cell: _names(cell, word, marker))
            tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            for table in tables:
                for column in [row[1] for row in connection.execute(f'PRAGMA table_info("{table}")')]:
                    query = f'SELECT count(*) FROM "{table}" WHERE names("{column}")'
                    if connection.execute(query).fetchone()[0]:
                        yield f"{database}: {table}.{column}"


def _names(cell: object, word: re.Pattern[str], marker: re.Pattern[bytes]) -> bool:
    """Whether a database's cell names the region or one of its cells."""
    content = cell if isinstance(cell, bytes) else str(cell).encode()
    with contextlib.suppress(UnicodeDecodeError):
        if word.search(content.decode()):
            return True
    return marker.search(content) is not None
