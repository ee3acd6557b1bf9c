"""A home that was moved or copied: what names its former place is made to name the new one.

The lake names no places. MLflow's database and model files name those of artifacts, Dagster's history those of logs
and datasets, and ``regions.json`` those of region.yaml files inside the home. What killed processes leave half-way is
done again: the home's marker is written last.
"""

import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, unquote, urlparse

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.files import locked, replace_file

REGISTRY = "regions.json"
BUSY_SECONDS = 30.0


def inside(home: Path, path: Path) -> str:
    """A path as a home stores it: relative to the home if it is inside, else absolute."""
    return path.relative_to(home).as_posix() if path.is_relative_to(home) else str(path)


def former_place(home: Path) -> Path | None:
    """Where a home of before there were markers was, as MLflow's experiments tell; None if nothing tells."""
    database = home / "mlflow.db"
    if not database.exists():
        return None
    try:
        with closing(_connect(database)) as connection:
            rows = connection.execute("SELECT artifact_location FROM experiments WHERE name LIKE 'mora/%'").fetchall()
    except sqlite3.Error:
        return None  # not MLflow's yet: another process is making it
    for (location,) in rows:
        place = Path(unquote(urlparse(str(location)).path))
        if place.parent.name == "mlartifacts":
            return place.parent.parent
    return None


def relocate(home: Path, before: Path) -> None:
    """Make all that a home stores name its place; nothing outside is touched.

    Args:
        before: where it was.

    Raises:
        UserError: if a database is in use or damaged.
    """
    _relocate_registry(home, before)
    for database in (*home.glob("*.db"), *home.glob("dagster/**/*.db")):
        try:
            with closing(_connect(database)) as connection, connection:
                _relocate_database(connection, before, home)
        except sqlite3.Error as error:
            raise UserError(
                f"{home} was moved from {before}, but {database} cannot be told so ({error}). Stop what uses it (mora "
                "dev, a run) and try again."
            ) from error
    for model in home.glob("mlartifacts/**/MLmodel"):
        text = model.read_text(encoding="utf-8")
        if (moved := _renamer(before, home)(text)) != text:
            replace_file(model, moved)


def _renamer(before: Path, after: Path) -> Callable[[str], str]:
    """What makes a text name a folder's new place: in addresses, in JSON, and plainly.

    What names the new place already stays, although the former one may be its beginning.
    """
    address = {f"file://{quote(str(before))}/": f"file://{quote(str(after))}/"}
    plain = address | {f"{before}/": f"{after}/"}
    inside_json = address | {f"{json.dumps(str(before))[1:-1]}/": f"{json.dumps(str(after))[1:-1]}/"}

    def renamed(text: str) -> str:
        names = inside_json if text[:1] in "{[" else plain
        choices = sorted({*names, *names.values()}, key=len, reverse=True)
        return re.sub("|".join(map(re.escape, choices)), lambda match: names.get(match[0], match[0]), text)

    return renamed


def _relocate_registry(home: Path, before: Path) -> None:
    file = home / REGISTRY
    with locked(file.with_suffix(".lock")):
        try:
            regions = json.loads(file.read_text(encoding="utf-8"))
            paths = {str(name): Path(path) for name, path in regions.items()}
        except (FileNotFoundError, ValueError, AttributeError, TypeError):
            return  # none yet, or damaged: whoever reads it says so
        paths = {name: Path(inside(before, path)) for name, path in paths.items()}
        replace_file(file, json.dumps({name: inside(home, path) for name, path in paths.items()}, indent=2))


def _relocate_database(connection: sqlite3.Connection, before: Path, home: Path) -> None:
    connection.create_function("renamed", 1, _renamer(before, home), deterministic=True)
    hints = {"plain": f"{before}/", "json": f"{json.dumps(str(before))[1:-1]}/", "address": f"{quote(str(before))}/"}
    tables = [str(name) for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    for table in tables:
        for row in connection.execute(f'PRAGMA table_info("{table}")').fetchall():
            cell = f'"{row[1]}"'
            named = " OR ".join(f"instr({cell}, :{hint})" for hint in hints)
            connection.execute(
                f"UPDATE \"{table}\" SET {cell} = renamed({cell}) WHERE typeof({cell}) = 'text' AND ({named})", hints
            )


def _connect(database: Path) -> sqlite3.Connection:
    return sqlite3.connect(database, timeout=BUSY_SECONDS)
