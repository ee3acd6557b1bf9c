"""Map tiles in an MBTiles file."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from mora_pipeline.contract.errors import UserError
from mora_pipeline.modalities.image.tiles import Place, vector_tiles

VECTOR_FORMATS = {"pbf", "mvt", "mlt"}


class MbTiles:
    """Tiles in an SQLite file, opened to be read alone. Its rows are counted from the south, as its form demands.

    Source: MBTiles 1.3. `scheme: xyz` among its metadata, which some programs write, counts them from the north.
    """

    def __init__(self, path: Path, zoom: int) -> None:
        """Open the file.

        Raises:
            UserError: if it is no MBTiles file or holds vector tiles.
        """
        self.path, self.zoom = path, zoom
        # Without `immutable` SQLite may write files of its own beside one that another program left in WAL mode.
        log = path.with_name(path.name + "-wal")
        mode = "mode=ro" if log.is_file() and log.stat().st_size else "immutable=1"
        try:
            self._connection = sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True, check_same_thread=False)
            self._connection.execute("PRAGMA trusted_schema = OFF")
            self._rows("SELECT zoom_level, tile_column, tile_row, tile_data FROM tiles LIMIT 0")
            has_metadata = self._rows("SELECT 1 FROM sqlite_master WHERE name = 'metadata'")
            said = dict(self._rows("SELECT name, value FROM metadata")) if has_metadata else {}
        except (sqlite3.Error, ValueError) as error:
            raise UserError(f"{path} cannot be read as MBTiles ({error}). Copy it again.") from None
        if str(said.get("format", "")).lower() in VECTOR_FORMATS:
            raise vector_tiles(str(path))
        self._from_north = said.get("scheme") == "xyz"

    def data(self, x: int, y: int) -> bytes | None:
        return self._value("tile_data", x, y)

    def start(self, x: int, y: int) -> bytes | None:
        return self._value("substr(tile_data, 1, 16)", x, y)

    def has(self, x: int, y: int) -> bool:
        return self._value("'there'", x, y) is not None

    def name(self, x: int, y: int) -> str:
        return f"{self.path}: the tile of zoom {self.zoom}, column {x}, row {self._row(y)}"

    def first(self) -> tuple[int, int] | None:
        found = self._rows("SELECT tile_column, tile_row FROM tiles WHERE zoom_level = ? LIMIT 1", self.zoom)
        return (found[0][0], self._row(found[0][1])) if found else None

    def zooms(self) -> list[int]:
        """The zooms that it has tiles of."""
        return [row[0] for row in self._rows("SELECT DISTINCT zoom_level FROM tiles ORDER BY 1")]

    def mistaken(self) -> Iterator[tuple[Place, str]]:
        highest = (1 << self.zoom) - 1
        way, scheme = ("south", "tms") if self._from_north else ("north", "xyz")
        yield (
            lambda x, y: (x, highest - y),
            f"the tiles are counted from the {way}, which its metadata do not say. Write it into them: sqlite3 "
            f"{self.path.name} \"INSERT OR REPLACE INTO metadata VALUES ('scheme', '{scheme}')\"",
        )

    def _row(self, y: int) -> int:
        return y if self._from_north else (1 << self.zoom) - 1 - y

    def _value(self, what: str, x: int, y: int) -> bytes | None:
        where = "zoom_level = ? AND tile_column = ? AND tile_row = ?"
        found = self._rows(f"SELECT {what} FROM tiles WHERE {where} LIMIT 1", self.zoom, x, self._row(y))
        return found[0][0] if found else None

    def _rows(self, query: str, *values: int) -> list[tuple]:
        with closing(self._connection.execute(query, values)) as rows:
            return rows.fetchall()
