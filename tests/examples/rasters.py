"""Small files in the forms of gridded populations and of satellite imagery."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from pyproj import Transformer
from rasterio.transform import from_origin

LYON, LONDON, HARTFORD = (45.758, 4.835), (51.5156, -0.0918), (41.7638, -72.6741)


def worldpop(folder: Path) -> None:
    """Ten people in each of 20 × 20 pixels of 3 arc seconds around Lyon, and nobody around them: no data there."""
    step, size = 3 / 3600, 600
    values = np.full((size, size), -99999, dtype=np.float32)
    values[size // 2 - 10 : size // 2 + 10, size // 2 - 10 : size // 2 + 10] = 10
    corner = (LYON[1] - step * size / 2, LYON[0] + step * size / 2)
    write(folder / "fra_pop_2025_CN_100m_R2025A_v1.tif", values, "EPSG:4326", corner, step, nodata=-99999)


def ghsl(folder: Path) -> None:
    """Two tiles side by side in Mollweide, 25 people in each of 30 × 30 pixels of the right one; -200 is no data."""
    x, y = Transformer.from_crs("EPSG:4326", "ESRI:54009", always_xy=True).transform(LONDON[1], LONDON[0])
    left, top, size = round(x, -2) - 5000, round(y, -2) + 5000, 100
    values = np.full((size, size), -200.0)
    values[35:65, 35:65] = 25
    name = "GHS_POP_E2025_GLOBE_R2023A_54009_100_V1_0_R3_C{}.tif"
    write(folder / name.format(19), values, "ESRI:54009", (left, top), 100, nodata=-200)
    sea = np.full((size, size), -200.0)
    write(folder / name.format(18), sea, "ESRI:54009", (left - 100 * size, top), 100, nodata=-200)


def sentinel2(folder: Path) -> None:
    """A scene of a tile in UTM 18N: a file of true colour, and one of 16 bits for each band."""
    x, y = Transformer.from_crs("EPSG:4326", "EPSG:32618", always_xy=True).transform(HARTFORD[1], HARTFORD[0])
    scene, size = folder / "sentinel2" / "S2A_18TXM_20240612_0_L2A", 3000
    scene.mkdir(parents=True)
    corner = (round(x, -1) - 10 * size / 2, round(y, -1) + 10 * size / 2)
    colours = np.stack([np.full((size, size), level, dtype=np.uint8) for level in (90, 60, 30)])
    write(scene / "TCI.tif", colours, "EPSG:32618", corner, 10, nodata=0)
    for band, level in (("B08", 3000), ("B04", 600), ("B03", 300)):
        write(scene / f"{band}.tif", np.full((size, size), level, np.uint16), "EPSG:32618", corner, 10, nodata=0)


def write(
    file: Path, values: npt.NDArray[Any], crs: str, corner: tuple[float, float], step: float, **profile: Any
) -> None:
    """A compressed GeoTIFF of [bands, height, width] or [height, width] from its upper left corner."""
    bands = values if values.ndim == 3 else values[None]
    shape = {"count": len(bands), "height": bands.shape[1], "width": bands.shape[2], "dtype": bands.dtype}
    settings = {"driver": "GTiff", "tiled": True, "compress": "deflate", **profile}
    with rasterio.open(file, "w", crs=crs, transform=from_origin(*corner, step, step), **shape, **settings) as target:
        target.write(bands)
