"""A mosaic of XYZ tiles (EPSG:3857, 256 pixels): global pixels at one zoom, wrapped around the antimeridian."""

from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import PIL.Image

from mora_pipeline.contract.errors import UserError
from mora_pipeline.modalities.encoder import Image, IntArray
from mora_pipeline.modalities.image.boundaries import Boundaries, FloatArray
from mora_pipeline.modalities.image.mosaic import Crop, outward

TILE = 256  # pixels
HIGHEST_LATITUDE = 85.0511287798066  # where the square of EPSG:3857 ends: atan(sinh(π)) in degrees
OPAQUE_SUFFIXES = {".jpg", ".jpeg"}
CACHED_TILES = 512  # about 130 MB
PAIRS_AT_ONCE = 2_000_000  # (window, tile) pairs whose overlap is held in memory


@dataclass(frozen=True)
class Tile:
    """One decoded tile: uint8 [256, 256, 3], and bool [256, 256], false where it is transparent (None: nowhere)."""

    pixels: Image
    covered: npt.NDArray[np.bool_] | None


@dataclass
class XyzMosaic:
    """Tiles ``template`` with {z}, {x} and {y}; a tile that is not there has no imagery.

    Attributes:
        decoded: how many tiles were read from disk so far.
    """

    template: str
    zoom: int
    cached_tiles: int = CACHED_TILES
    decoded: int = 0
    block: tuple[int, int] = (TILE, TILE)
    _cache: OrderedDict[tuple[int, int], Tile | None] = field(default_factory=OrderedDict, repr=False)

    def __post_init__(self) -> None:
        if not all(key in self.template for key in ("{z}", "{x}", "{y}")):
            raise UserError(f"region.yaml: the path '{self.template}' of xyz imagery must hold {{z}}, {{x}} and {{y}}.")
        if not self._has_a_tile():
            raise UserError(
                f"region.yaml: xyz imagery has no tile of zoom {self.zoom} at {self.template}. "
                "Check the path, the order of {z}, {x} and {y}, and the zoom."
            )

    @property
    def width(self) -> int:
        """Pixels around the world."""
        return TILE << self.zoom

    def file(self, x: int, y: int) -> Path:
        """Where the tile in column x and row y (from the north) is stored."""
        return Path(self.template.replace("{z}", str(self.zoom)).replace("{x}", str(x)).replace("{y}", str(y)))

    def windows(self, boundaries: Boundaries) -> tuple[IntArray, npt.NDArray[np.bool_]]:
        """Int64 [n, 4] and bool [n], as of every mosaic; none beyond `HIGHEST_LATITUDE`."""
        x = (boundaries.longitudes + 180.0) / 360.0 * self.width
        latitude = np.radians(np.clip(boundaries.latitudes, -HIGHEST_LATITUDE, HIGHEST_LATITUDE))
        y = (1.0 - np.arcsinh(np.tan(latitude)) / np.pi) / 2.0 * self.width
        windows = outward(boundaries.boxes(x, y))
        # Beyond the highest latitude all is squashed onto the last row.
        box = boundaries.boxes(boundaries.longitudes, boundaries.latitudes)
        there = boundaries.whole & (box[:, 1] < HIGHEST_LATITUDE) & (box[:, 3] > -HIGHEST_LATITUDE)
        windows[:, [1, 3]] = np.clip(windows[:, [1, 3]], [0, 1], [self.width - 1, self.width])
        # A window starts on the map and may run past its right edge, where the map begins again.
        windows[:, [0, 2]] -= (windows[:, :1] // self.width) * self.width
        return windows, there

    def coverage(self, windows: IntArray) -> FloatArray:
        area = (windows[:, 2:] - windows[:, :2]).prod(axis=1)
        first, last = windows[:, :2] // TILE, (windows[:, 2:] - 1) // TILE
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
        corner = np.stack([column * TILE, row * TILE], axis=1)
        low = np.maximum(windows[:, :2], corner) - corner
        high = np.minimum(windows[:, 2:], corner + TILE) - corner
        overlap = (high - low).prod(axis=1).astype(np.float64)
        keys, which = np.unique((row << self.zoom) + column % (1 << self.zoom), return_inverse=True)
        tiles = [(key % (1 << self.zoom), key >> self.zoom) for key in keys.tolist()]
        if Path(self.template).suffix.lower() in OPAQUE_SUFFIXES:
            there = np.fromiter((self.file(x, y).is_file() for x, y in tiles), dtype=bool, count=len(tiles))
            return overlap * there[which]
        by_tile = np.split(np.argsort(which, kind="stable"), np.cumsum(np.bincount(which))[:-1])
        for (x, y), pairs in zip(tiles, by_tile, strict=True):
            tile = self.tile(x, y)
            if tile is None:
                overlap[pairs] = 0.0
            elif tile.covered is not None:
                overlap[pairs] = _counts(tile.covered, low[pairs], high[pairs])
        return overlap

    def read(self, window: tuple[int, int, int, int]) -> Crop:
        left, top, right, bottom = window
        pixels = np.zeros((bottom - top, right - left, 3), dtype=np.uint8)
        covered = np.zeros(pixels.shape[:2], dtype=bool)
        for row in range(top // TILE, (bottom - 1) // TILE + 1):
            for column in range(left // TILE, (right - 1) // TILE + 1):
                tile = self.tile(column % (1 << self.zoom), row)
                if tile is None:
                    continue
                x, y = column * TILE, row * TILE
                x0, x1 = max(left, x), min(right, x + TILE)
                y0, y1 = max(top, y), min(bottom, y + TILE)
                here = np.s_[y0 - top : y1 - top, x0 - left : x1 - left]
                there = np.s_[y0 - y : y1 - y, x0 - x : x1 - x]
                pixels[here] = tile.pixels[there]
                covered[here] = True if tile.covered is None else tile.covered[there]
        return Crop(pixels, covered)

    def tile(self, x: int, y: int) -> Tile | None:
        """A tile, from the cache if it was read lately; None if there is none.

        Raises:
            UserError: if its file is damaged or not 256 pixels wide and high.
        """
        key = (x, y)
        if key in self._cache:
            self._cache.move_to_end(key)
            return self._cache[key]
        tile = self._decode(self.file(x, y))
        self._cache[key] = tile
        if len(self._cache) > self.cached_tiles:
            self._cache.popitem(last=False)
        return tile

    def _decode(self, file: Path) -> Tile | None:
        try:
            with PIL.Image.open(file) as image:
                has_alpha = "A" in image.getbands() or "transparency" in image.info
                values = np.asarray(image.convert("RGBA" if has_alpha else "RGB"))
        except FileNotFoundError:
            return None
        except (OSError, SyntaxError, ValueError, PIL.Image.DecompressionBombError) as error:
            raise UserError(
                f"{file} cannot be read as an image ({error}). Fetch the tile again, or remove it: its cells are then "
                "treated as cells without imagery."
            ) from error
        self.decoded += 1
        if values.shape[:2] != (TILE, TILE):
            raise UserError(
                f"{file} has {values.shape[1]} × {values.shape[0]} pixels, but xyz tiles have {TILE} × {TILE}. "
                "Fetch tiles of 256 pixels (no @2x), or use a GeoTIFF (source: geotiff)."
            )
        opaque = not has_alpha or bool((values[..., 3] > 0).all())
        return Tile(np.ascontiguousarray(values[..., :3]), None if opaque else values[..., 3] > 0)

    def _has_a_tile(self) -> bool:
        fixed, _, variable = self.template.replace("{z}", str(self.zoom)).partition("{")
        folder, _, beginning = fixed.rpartition("/")
        pattern = f"{beginning}{{{variable}".replace("{x}", "*").replace("{y}", "*")
        return Path(folder or "/").is_dir() and next(Path(folder or "/").glob(pattern), None) is not None


def _counts(covered: npt.NDArray[np.bool_], low: IntArray, high: IntArray) -> IntArray:
    """True pixels of many boxes of one tile: low and high are (x, y) corners, int64 [n, 2]."""
    total = np.zeros((TILE + 1, TILE + 1), dtype=np.int64)
    total[1:, 1:] = covered.cumsum(axis=0).cumsum(axis=1)
    (x0, y0), (x1, y1) = low.T, high.T
    return total[y1, x1] - total[y0, x1] - total[y1, x0] + total[y0, x0]
