"""The demo city from above: an RGB picture in two GeoTIFFs, west and east, in degrees (EPSG:4326).

Colours follow land use and roofs follow density; who lives under the roofs does not show.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.transform import from_origin

from mora_pipeline.demo.city import DISTRICTS, METRES_PER_DEGREE, City, Floats

COLOURS = {
    "residential": (122, 138, 96), "retail": (176, 150, 128), "office": (140, 150, 166), "industry": (128, 118, 112),
    "park": (66, 120, 58), "campus": (132, 152, 104), "clinic": (170, 176, 168), "countryside": (150, 158, 92),
}  # fmt: skip
ROOFS = {
    "residential": (168, 92, 72), "retail": (196, 84, 64), "office": (206, 214, 224), "industry": (88, 92, 100),
    "park": (58, 100, 52), "campus": (186, 120, 90), "clinic": (236, 236, 232), "countryside": (140, 148, 88),
}  # fmt: skip
BUILT = {
    "residential": 0.2, "retail": 0.7, "office": 0.55, "industry": 0.6, "park": 0.05, "campus": 0.3, "clinic": 0.4,
    "countryside": 0.05,
}  # fmt: skip
LAND_USES = tuple(COLOURS)
PIXEL_M = 12.0
ROOF_PIXELS = 3  # a roof is a square of this side
MARGIN_M = 400.0  # countryside around the outermost blocks
BLOCK_REACH_M = 230.0  # no point of a block is farther from its centre
ROOFS_OF_DENSITY = 0.35  # share of ground that residents add to a quarter's roofs, at twice the mean density


def paint_picture(rng: np.random.Generator, city: City, folder: Path) -> None:
    """Write `west.tif` and `east.tif` into a folder; side by side they cover the city."""
    step = PIXEL_M / METRES_PER_DEGREE
    left, right = city.longitude.min() - MARGIN_M / 70_000, city.longitude.max() + MARGIN_M / 70_000
    top, bottom = city.latitude.max() + MARGIN_M / METRES_PER_DEGREE, city.latitude.min() - MARGIN_M / METRES_PER_DEGREE
    rows, columns = int(np.ceil((top - bottom) / step)), int(np.ceil((right - left) / step))
    block = _nearest_block(city, top - (np.arange(rows) + 0.5) * step, left + (np.arange(columns) + 0.5) * step)
    picture = _colours(rng, city, block)
    folder.mkdir(parents=True, exist_ok=True)
    middle = columns // 2
    for name, part, west in (
        ("west", picture[:, :, :middle], left),
        ("east", picture[:, :, middle:], left + middle * step),
    ):
        _write(folder / f"{name}.tif", part, west, top, step)


def _nearest_block(city: City, latitude: Floats, longitude: Floats) -> npt.NDArray[np.int64]:
    """The block of each pixel [rows, columns], -1 in the countryside: a block stamps the pixels it is nearest to."""
    nearest = np.full((len(latitude), len(longitude)), np.inf)
    block = np.full(nearest.shape, -1, dtype=np.int64)
    y = (latitude[:, None] - city.latitude) * METRES_PER_DEGREE
    x = (longitude[:, None] - city.longitude) * METRES_PER_DEGREE * np.cos(np.radians(city.latitude))
    for row in range(len(city.x)):
        down, across = np.flatnonzero(abs(y[:, row]) < BLOCK_REACH_M), np.flatnonzero(abs(x[:, row]) < BLOCK_REACH_M)
        window = slice(down[0], down[-1] + 1), slice(across[0], across[-1] + 1)
        distance = np.hypot(y[window[0], row, None], x[window[1], row])
        closer = distance < np.minimum(nearest[window], BLOCK_REACH_M)
        nearest[window] = np.where(closer, distance, nearest[window])
        block[window] = np.where(closer, row, block[window])
    return block


def _colours(rng: np.random.Generator, city: City, block: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """RGB [3, rows, columns]: the ground by land use, roofs by density, and the grain of a camera."""
    land_use = np.array(
        [LAND_USES.index(DISTRICTS[row].land_use) for row in city.district] + [LAND_USES.index("countryside")]
    )
    density = np.append(city.population / max(city.population.mean(), 1.0), 0.0)
    built = np.array([BUILT[name] for name in LAND_USES])[land_use] + ROOFS_OF_DENSITY * np.clip(density / 2, 0, 1)
    coarse = rng.uniform(0, 1, (block.shape[0] // ROOF_PIXELS + 1, block.shape[1] // ROOF_PIXELS + 1))
    lots = np.repeat(np.repeat(coarse, ROOF_PIXELS, axis=0), ROOF_PIXELS, axis=1)[: block.shape[0], : block.shape[1]]
    ground, roofs = np.array([COLOURS[name] for name in LAND_USES]), np.array([ROOFS[name] for name in LAND_USES])
    colour = np.where((lots < built[block])[..., None], roofs[land_use[block]], ground[land_use[block]])
    grain = rng.normal(0, 8, block.shape)[..., None]
    return np.moveaxis(np.clip(colour + grain, 0, 255).astype(np.uint8), 2, 0)


def _write(path: Path, picture: npt.NDArray[np.uint8], left: float, top: float, step: float) -> None:
    profile = {
        "driver": "GTiff", "count": 3, "height": picture.shape[1], "width": picture.shape[2], "dtype": "uint8",
        "crs": "EPSG:4326", "transform": from_origin(left, top, step, step), "compress": "deflate",
        "photometric": "rgb", "tiled": True, "blockxsize": 256, "blockysize": 256,
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as raster:
        raster.write(picture)
