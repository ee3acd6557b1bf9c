"""Tiles in a PMTiles file: directories of where each tile's bytes are, then the bytes."""

import gzip
import mmap
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from mora_pipeline.contract.errors import UserError
from mora_pipeline.modalities.image.tiles import Place, vector_tiles

DEEPEST = 4  # directories below each other; the form has 3
KEPT_DIRECTORIES = 256
PICTURES = {"UNKNOWN", "PNG", "JPEG", "WEBP", "AVIF"}


class PmTiles:
    """Tiles of one zoom. The directories are read by the package `pmtiles`, and kept: its own reader parses them anew
    for each tile.

    Source: PMTiles 3.
    """

    def __init__(self, path: Path, zoom: int) -> None:
        """Open the file.

        Raises:
            UserError: if the package is missing, if it is no PMTiles file, or if it holds vector tiles.
        """
        try:
            from pmtiles.tile import MagicNumberNotFound, SpecVersionUnsupported, deserialize_header
        except ImportError:
            raise UserError(
                f"{path} needs the package pmtiles. Install it: pip install 'mora-pipeline[tiles]'"
            ) from None
        self.path, self.zoom = path, zoom
        try:
            with path.open("rb") as file:
                self._bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            self._header: Any = deserialize_header(self._bytes[:127])
        except (MagicNumberNotFound, SpecVersionUnsupported, OSError, ValueError, IndexError) as error:
            reason = str(error) or type(error).__name__
            raise UserError(f"{path} cannot be read as PMTiles, version 3 ({reason}). Copy it again.") from None
        kind = self._header["tile_type"].name
        if kind not in PICTURES:
            raise vector_tiles(str(path))
        compression = self._header["tile_compression"].name
        if compression not in {"NONE", "UNKNOWN", "GZIP"} or self._header["internal_compression"].name != "GZIP":
            raise UserError(f"{path} is compressed in a way that is not read here. Write it by `pmtiles convert`.")
        self._zipped = compression == "GZIP"
        self._directory = lru_cache(KEPT_DIRECTORIES)(self._read_directory)

    def data(self, x: int, y: int) -> bytes | None:
        span = self._span(x, y)
        if span is None:
            return None
        data = self._bytes[span[0] : span[0] + span[1]]
        return gzip.decompress(data) if self._zipped else data

    def start(self, x: int, y: int) -> bytes | None:
        data = self.data(x, y)
        return None if data is None else data[:16]

    def has(self, x: int, y: int) -> bool:
        return self._span(x, y) is not None

    def name(self, x: int, y: int) -> str:
        return f"{self.path}: the tile of zoom {self.zoom}, column {x}, row {y}"

    def first(self) -> tuple[int, int] | None:
        from pmtiles.tile import tileid_to_zxy, zxy_to_tileid

        lowest, end = zxy_to_tileid(self.zoom, 0, 0), zxy_to_tileid(self.zoom + 1, 0, 0)
        for start, stop in self._runs(self._header["root_offset"], self._header["root_length"], lowest, DEEPEST):
            if max(start, lowest) < min(stop, end):
                _, x, y = tileid_to_zxy(max(start, lowest))
                return x, y
        return None

    def zooms(self) -> list[int]:
        """The zooms between the lowest and the highest that it has tiles of."""
        return list(range(self._header["min_zoom"], self._header["max_zoom"] + 1))

    def mistaken(self) -> Iterator[tuple[Place, str]]:
        yield from ()  # its form leaves no choice

    def _span(self, x: int, y: int) -> tuple[int, int] | None:
        """Where the bytes of a tile begin, and how many they are."""
        from pmtiles.tile import find_tile, zxy_to_tileid

        if not (0 <= x < 1 << self.zoom and 0 <= y < 1 << self.zoom):
            return None
        number = zxy_to_tileid(self.zoom, x, y)
        offset, length = self._header["root_offset"], self._header["root_length"]
        for _ in range(DEEPEST):
            entry = find_tile(self._directory(offset, length), number)
            if entry is None:
                return None
            if entry.run_length:
                return self._header["tile_data_offset"] + entry.offset, entry.length
            offset, length = self._header["leaf_directory_offset"] + entry.offset, entry.length
        return None

    def _runs(self, offset: int, length: int, lowest: int, depth: int) -> Iterator[tuple[int, int]]:
        """Runs of tile numbers, ascending; directories that end before `lowest` are not opened."""
        entries = self._directory(offset, length) if depth else []
        for position, entry in enumerate(entries):
            if entry.run_length:
                yield entry.tile_id, entry.tile_id + entry.run_length
            elif position + 1 == len(entries) or entries[position + 1].tile_id > lowest:
                below = self._header["leaf_directory_offset"] + entry.offset
                yield from self._runs(below, entry.length, lowest, depth - 1)

    def _read_directory(self, offset: int, length: int) -> list[Any]:
        from pmtiles.tile import deserialize_directory

        try:
            return list(deserialize_directory(self._bytes[offset : offset + length]))
        except (OSError, EOFError, ValueError, IndexError) as error:
            raise UserError(f"{self.path} is damaged or cut short ({error}). Copy it again.") from None
