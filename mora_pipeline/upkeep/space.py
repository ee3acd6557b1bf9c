"""How much a file or folder takes, and its removal."""

import contextlib
import shutil
import sqlite3
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Freed:
    """What one part of pruning removed, or would remove."""

    what: str
    number: int = 0
    bytes: int = 0

    @property
    def words(self) -> str:
        """``3 logs of runs, 1.2 MB``."""
        return f"{self.number:,} {self.what}, {self.bytes / 1e6:,.1f} MB"


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files below a folder; 0 if it is gone."""
    total = 0
    for file in (path, *path.rglob("*")) if path.is_dir() and not path.is_symlink() else (path,):
        with contextlib.suppress(FileNotFoundError):
            total += file.lstat().st_size if not file.is_dir() else 0
    return total


def removed(what: str, paths: list[Path], dry: bool) -> Freed:
    """Remove files and folders; with `dry`, only tell what they take."""
    taken = sum(map(size_of, paths))
    for path in [] if dry else paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return Freed(what, len(paths), taken)


def databases(home: Path) -> list[Path]:
    """The SQLite databases of a home."""
    return sorted(file for file in (*home.glob("*.db"), *home.glob("dagster/**/*.db")) if file.stat().st_size)


def vacuumed(home: Path, dry: bool, always: bool = False) -> Freed:
    """Give the free pages of the databases back to the disk; one that is in use is left for the next time.

    Args:
        always: also those with few free pages, so that nothing of deleted rows is left in any.
    """
    number, freed = 0, 0
    for database in databases(home):
        with contextlib.suppress(sqlite3.OperationalError), contextlib.closing(_open(database)) as connection:
            free = int(connection.execute("PRAGMA freelist_count").fetchone()[0])
            size = int(connection.execute("PRAGMA page_size").fetchone()[0])
            if always or free * size > (1 << 20):
                if not dry:
                    connection.execute("VACUUM")
                    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                number, freed = number + 1, freed + free * size
    return Freed("databases made smaller", number, freed)


def _open(database: Path) -> sqlite3.Connection:
    return sqlite3.connect(database, timeout=5.0, isolation_level=None)
