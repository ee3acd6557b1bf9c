"""The interface of what stores map tiles. Rows are counted from the north wherever one is asked for."""

from collections.abc import Callable, Iterator
from typing import Protocol

from mora_pipeline.contract.errors import UserError

MBTILES, PMTILES = ".mbtiles", ".pmtiles"
ARCHIVES = (MBTILES, PMTILES)
Place = Callable[[int, int], tuple[int, int]]


class Tiles(Protocol):
    """Tiles of one zoom by column x and row y, as the bytes of an image."""

    def data(self, x: int, y: int) -> bytes | None:
        """The bytes of one tile; None if there is no such tile."""
        ...

    def start(self, x: int, y: int) -> bytes | None:
        """The first bytes of one tile, enough to tell its format; None if there is no such tile."""
        ...

    def has(self, x: int, y: int) -> bool: ...

    def name(self, x: int, y: int) -> str:
        """What a message calls one tile."""
        ...

    def first(self) -> tuple[int, int] | None:
        """Column and row of any tile; None if there is none."""
        ...

    def mistaken(self) -> Iterator[tuple[Place, str]]:
        """Other ways in which the tiles may be counted: where a tile would then be, and what to do about it."""
        ...


def missing_parts(template: str) -> list[str]:
    """What a template lacks: {q} alone is enough, else it needs {z}, {x} and {y} or {-y}."""
    if "{q}" in template:
        return []
    parts = ["{z}", "{x}"] if "{-y}" in template else ["{z}", "{x}", "{y}"]
    return [part for part in parts if part not in template]


def vector_tiles(name: str) -> UserError:
    """Refuses tiles that hold lines and areas in place of a picture."""
    return UserError(
        f"{name} holds vector tiles (lines and areas), but imagery is made of pictures: png, jpeg or webp. "
        "Name raster tiles, of a satellite or of an aerial survey."
    )
