"""A mosaic of map tiles (EPSG:3857): global pixels at one zoom, wrapped around the antimeridian."""

from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from mora_pipeline.contract.errors import UserError
from mora_pipeline.modalities.encoder import Image, IntArray
from mora_pipeline.modalities.image.boundaries import Boundaries, FloatArray
from mora_pipeline.modalities.image.mosaic import Crop, outward
from mora_pipeline.modalities.image.pictures import decoded, is_opaque, size_of
from mora_pipeline.modalities.image.stores import open_tiles
from mora_pipeline.modalities.image.tiles import Place, Tiles

HIGHEST_LATITUDE = 85.0511287798066  # where the square of EPSG:3857 ends: atan(sinh(π)) in degrees
CACHED_PIXELS = 512 * 256 * 256  # about 130 MB with their transparency
_WHAT_TO_CHECK = "Check the path, the order of {z}, {x} and {y}, and the zoom."
PAIRS_AT_ONCE = 2_000_000  # (window, tile) pairs whose overlap is held in memory


@dataclass(frozen=True)
class Tile:
    """One decoded tile: uint8 [side, side, 3], and bool [side, side], false where it is transparent (None: nowhere)."""

    pixels: Image
    covered: npt.NDArray[np.bool_] | None


@dataclass
class XyzMosaic:
    """Tiles at `path`, a template or an archive (`tiles.open_tiles`); a tile that is not there has no imagery.

    Attributes:
        side: width and height of every tile in pixels, which the first one tells.
        cached_tiles: how many decoded tiles are kept.
        decoded: how many tiles were read from disk so far.
    """

    path: str
    zoom: int
    cached_tiles: int = 0
    decoded: int = 0
    tiles: Tiles = field(init=False, repr=False)
    side: int = field(init=False)
    _cache: OrderedDict[tuple[int, int], Tile | None] = field(default_factory=OrderedDict, repr=False)

    def __post_init__(self) -> None:
        self.tiles = open_tiles(self.path, self.zoom)
        first = self.tiles.first()
        if first is None:
            zooms: list[int] = getattr(self.tiles, "zooms", list)()
            fix = f"It has zooms {', '.join(map(str, zooms))}." if zooms else _WHAT_TO_CHECK
            raise UserError(f"region.yaml: xyz imagery has no tile of zoom {self.zoom} at {self.path}. {fix}")
        self.side = size_of(self.tiles.data(*first) or b"", self.tiles.name(*first))
        self.cached_tiles = self.cached_tiles or max(1, CACHED_PIXELS // self.side**2)

    @property
    def block(self) -> tuple[int, int]:
        return self.side, self.side

    @property
    def width(self) -> int:
        """Pixels around the world."""
        return self.side << self.zoom

    def has_points(self, latitude: FloatArray, longitude: FloatArray) -> npt.NDArray[np.bool_]:
        """Whether each point, float64 [n] in degrees, lies on a tile: bool [n]. No tile is decoded."""
        return self._on_tiles(latitude, longitude, lambda x, y: (x, y))

    def advice(self, latitude: FloatArray, longitude: FloatArray) -> str:
        """What may be wrong where few of the points lie on a tile; empty if nothing else fits them better."""
        own = self.has_points(latitude, longitude).sum()
        for place, fix in self.tiles.mistaken():
            if self._on_tiles(latitude, longitude, place).sum() > max(own, len(latitude) / 2):
                return fix[0].upper() + fix[1:]
        return ""

    def somewhere(self) -> tuple[float, float]:
        """Latitude and longitude of the middle of a tile."""
        x, y = self.tiles.first() or (0, 0)
        turned = np.pi * (1.0 - 2.0 * (y + 0.5) / (1 << self.zoom))
        return float(np.degrees(np.arctan(np.sinh(turned)))), (x + 0.5) / (1 << self.zoom) * 360.0 - 180.0

    def _on_tiles(self, latitude: FloatArray, longitude: FloatArray, place: Place) -> npt.NDArray[np.bool_]:
        x, y = self._pixels(latitude, longitude)
        keys = np.stack([x % self.width, y], axis=1) // self.side
        on_map = np.abs(latitude) < HIGHEST_LATITUDE
        found = np.zeros(len(latitude), dtype=bool)
        if on_map.any():
            unique, which = np.unique(keys[on_map].astype(np.int64), axis=0, return_inverse=True)
            there = [self.tiles.has(*place(column, row)) for column, row in unique.tolist()]
            found[on_map] = np.array(there)[which.reshape(-1)]
        return found

    def _pixels(self, latitude: FloatArray, longitude: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Global pixels of points; beyond the highest latitude all is squashed onto the last row."""
        radians = np.radians(np.clip(latitude, -HIGHEST_LATITUDE, HIGHEST_LATITUDE))
        x = (longitude + 180.0) / 360.0 * self.width
        return x, (1.0 - np.arcsinh(np.tan(radians)) / np.pi) / 2.0 * self.width

    def windows(self, boundaries: Boundaries) -> tuple[IntArray, npt.NDArray[np.bool_]]:
        """Int64 [n, 4] and bool [n], as of every mosaic; none beyond `HIGHEST_LATITUDE`."""
        windows = outward(boundaries.boxes(*self._pixels(boundaries.latitudes, boundaries.longitudes)))
        box = boundaries.boxes(boundaries.longitudes, boundaries.latitudes)
        there = boundaries.whole & (box[:, 1] < HIGHEST_LATITUDE) & (box[:, 3] > -HIGHEST_LATITUDE)
        windows[:, [1, 3]] = np.clip(windows[:, [1, 3]], [0, 1], [self.width - 1, self.width])
        # A window starts on the map and may run past its right edge, where the map begins again.
        windows[:, [0, 2]] -= (windows[:, :1] // self.width) * self.width
        return windows, there

    def coverage(self, windows: IntArray) -> FloatArray:
        area = (windows[:, 2:] - windows[:, :2]).prod(axis=1)
        first, last = windows[:, :2] // self.side, (windows[:, 2:] - 1) // self.side
        spans = last - first + 1
        pairs = spans.prod(axis=1)
        covered = np.zeros(len(windows))
        for part in np.split(np.arange(len(windows)), np.flatnonzero(np.diff(np.cumsum(pairs) // PAIRS_AT_ONCE)) + 1):
            if not len(part):
                continue
            window = np.repeat(part, pairs[part])
            rank = np.arange(len(window)) - np.repeat(np.cumsum(pairs[part]) - pairs[part], pairs[part])
            column = first[window, 0] + rank % spans[window, 0]
            row = first[window, 1] + rank // spans[window, 0]
            overlap = self._overlap(windows[window], column, row)
            covered[part] = np.bincount(window - part[0], overlap, minlength=len(part))
        return covered / area

    def _overlap(self, windows: IntArray, column: IntArray, row: IntArray) -> FloatArray:
        """Covered pixels that each window shares with the tile beside it."""
        corner = np.stack([column * self.side, row * self.side], axis=1)
        low = np.maximum(windows[:, :2], corner) - corner
        high = np.minimum(windows[:, 2:], corner + self.side) - corner
        overlap = (high - low).prod(axis=1).astype(np.float64)
        keys, which = np.unique((row << self.zoom) + column % (1 << self.zoom), return_inverse=True)
        tiles = [(key % (1 << self.zoom), key >> self.zoom) for key in keys.tolist()]
        by_tile = np.split(np.argsort(which, kind="stable"), np.cumsum(np.bincount(which))[:-1])
        for (x, y), pairs in zip(tiles, by_tile, strict=True):
            start = self.tiles.start(x, y)
            if start is not None and is_opaque(start):
                continue
            tile = None if start is None else self.tile(x, y)
            if tile is None:
                overlap[pairs] = 0.0
            elif tile.covered is not None:
                overlap[pairs] = _counts(tile.covered, low[pairs], high[pairs])
        return overlap

    def read(self, window: tuple[int, int, int, int]) -> Crop:
        left, top, right, bottom = window
        pixels = np.zeros((bottom - top, right - left, 3), dtype=np.uint8)
        covered = np.zeros(pixels.shape[:2], dtype=bool)
        for row in range(top // self.side, (bottom - 1) // self.side + 1):
            for column in range(left // self.side, (right - 1) // self.side + 1):
                tile = self.tile(column % (1 << self.zoom), row)
                if tile is None:
                    continue
                x, y = column * self.side, row * self.side
                x0, x1 = max(left, x), min(right, x + self.side)
                y0, y1 = max(top, y), min(bottom, y + self.side)
                here = np.s_[y0 - top : y1 - top, x0 - left : x1 - left]
                there = np.s_[y0 - y : y1 - y, x0 - x : x1 - x]
                pixels[here] = tile.pixels[there]
                covered[here] = True if tile.covered is None else tile.covered[there]
        return Crop(pixels, covered)

    def tile(self, x: int, y: int) -> Tile | None:
        """A tile, from the cache if it was read lately; None if there is none.

        Raises:
            UserError: if it is damaged, or not as large as the first.
        """
        key = (x, y)
        if key in self._cache:
            self._cache.move_to_end(key)
            return self._cache[key]
        tile = self._decode(x, y)
        self._cache[key] = tile
        if len(self._cache) > self.cached_tiles:
            self._cache.popitem(last=False)
        return tile

    def _decode(self, x: int, y: int) -> Tile | None:
        data = self.tiles.data(x, y)
        if data is None:
            return None
        pixels, covered = decoded(data, self.tiles.name(x, y))
        self.decoded += 1
        if pixels.shape[:2] != (self.side, self.side):
            raise UserError(
                f"{self.tiles.name(x, y)} has {pixels.shape[1]} × {pixels.shape[0]} pixels, but other tiles of this "
                f"imagery have {self.side} × {self.side}. Fetch all tiles in one size, or use a GeoTIFF "
                "(source: geotiff)."
            )
        return Tile(pixels, covered)


def _counts(covered: npt.NDArray[np.bool_], low: IntArray, high: IntArray) -> IntArray:
    """True pixels of many boxes of one tile: low and high are (x, y) corners, int64 [n, 2]."""
    total = np.zeros((covered.shape[0] + 1, covered.shape[1] + 1), dtype=np.int64)
    total[1:, 1:] = covered.cumsum(axis=0).cumsum(axis=1)
    (x0, y0), (x1, y1) = low.T, high.T
    return total[y1, x1] - total[y0, x1] - total[y1, x0] + total[y0, x0]
