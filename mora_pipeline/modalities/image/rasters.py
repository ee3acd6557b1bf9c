"""GeoTIFFs as they lie: which file, or which files one a band, make a picture, and where it is in the mosaic."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.enums import MaskFlags
from rasterio.errors import RasterioError
from rasterio.transform import Affine
from rasterio.warp import transform_bounds

from mora_pipeline.contract.errors import UserError
from mora_pipeline.modalities.image.colours import Colours, bands_of, colours_of
from mora_pipeline.modalities.image.config import ImageModality
from mora_pipeline.modalities.image.mosaic import outward
from mora_pipeline.raw.folders import find_files
from mora_pipeline.raw.formats import GEOTIFF_DRIVER, IMAGE_FORMATS
from mora_pipeline.raw.roots import checked_path

ALIGNED = 1e-3  # pixels by which a file's grid may be off before it is resampled
SAME_PLACE = 1.0  # pixels of the coarsest by which the files of one picture may differ
DAMAGED = (RasterioError, OSError)
Span = tuple[int, int, int, int]  # pixels left, top, right, bottom of the mosaic's grid; right and bottom excluded


@dataclass(frozen=True)
class Layer:
    """One file's place in the mosaic, and the bands that are read of it."""

    file: Path
    window: Span
    bands: tuple[int, ...]
    aligned: bool
    masked: bool


@dataclass(frozen=True)
class Picture:
    """One file, or one a colour."""

    layers: tuple[Layer, ...]
    colours: Colours

    @property
    def window(self) -> Span:
        """Where all its files have pixels."""
        corners = np.array([layer.window for layer in self.layers])
        low, high = corners[:, :2].max(axis=0), corners[:, 2:].min(axis=0)
        return int(low[0]), int(low[1]), int(high[0]), int(high[1])

    @property
    def masked(self) -> bool:
        """Whether a pixel of it may have no data."""
        return self.colours.partial or any(layer.masked for layer in self.layers)

    def overlap(self, window: Span) -> Span:
        """What it shares with a window that it meets."""
        (x0, y0, x1, y1), own = window, self.window
        return max(x0, own[0]), max(y0, own[1]), min(x1, own[2]), min(y1, own[3])


def picture_files(base: Path, config: ImageModality, where: str) -> list[tuple[Path, ...]]:
    """The files of each picture that region.yaml names: one, or one a band in the order of `bands`.

    Args:
        base: the folder that relative paths start from.
        where: start of the messages, such as ``region.yaml: modalities.sky.path ``.

    Raises:
        UserError: if there are none, or the bands have files of different numbers.
    """
    if not config.band_files:
        return [(file,) for file in find_files(base, config.path, where, IMAGE_FORMATS).files]
    folder = checked_path(base, config.path, where)
    if not folder.is_dir():
        raise UserError(
            f"{where}is '{config.path}', but it must be the folder of the files that bands names: {folder}."
        )
    of_bands = where.replace(".path ", ".bands ")
    files = [find_files(folder, pattern, of_bands, IMAGE_FORMATS).files for pattern in config.band_files]
    numbers = [len(found) for found in files]
    if len(set(numbers)) > 1:
        counts = ", ".join(f"'{name}' {number}" for name, number in zip(config.band_files, numbers, strict=True))
        raise UserError(f"{of_bands}must find as many files for each band, but finds {counts}. Complete them.")
    return list(zip(*files, strict=True))


def header(file: Path, name: str | None = None) -> Any:
    """A file, opened; `name` begins messages in place of its path.

    Raises:
        UserError: if it is damaged or has no CRS.
    """
    try:
        source = rasterio.open(file, driver=GEOTIFF_DRIVER)
    except DAMAGED as error:
        raise damaged(name or file, error) from error
    if source.crs is None:
        raise UserError(
            f"{name or file} has no CRS, so its place is unknown. Set it: gdal_edit.py -a_srs EPSG:4326 {file.name}"
        )
    return source


def grid_of(file: Path) -> tuple[Any, Affine, tuple[int, int]]:
    """CRS, grid, and width and height of a block of the file that the mosaic's grid is.

    Raises:
        UserError: as `header`, or if it is rotated.
    """
    with header(file) as first:
        grid = first.transform
        if grid.b or grid.d:
            raise UserError(f"{file} is rotated against its CRS. Warp it first: gdalwarp {file.name} north.tif")
        return first.crs, grid, (int(first.block_shapes[0][1]), int(first.block_shapes[0][0]))


def picture_colours(
    files: tuple[Path, ...],
    bands: Sequence[int] | None,
    scale: tuple[float, float] | None,
    names: Sequence[str] | None = None,
) -> tuple[list[tuple[int, ...]], Colours]:
    """The bands that are read of each file of a picture, and how they become colours.

    Args:
        names: what messages call the files; by default their paths.

    Raises:
        UserError: as `header`, `bands_of` and `colours_of`; if files of one picture lie at different places.
    """
    read, colours, places = [], Colours(), []
    for position, file in enumerate(files):
        name = names[position] if names else str(file)
        with header(file, name) as source:
            read.append(bands_of(source, bands if len(files) == 1 else (1,), name))
            colours = colours_of(source, read[-1], scale, name)
            if len(files) > 1 and colours.table is not None:
                raise UserError(f"{name} has a colour table, so it is no band of others. Name it alone, without bands.")
            places.append(
                (source.crs, np.array(source.bounds), max(map(abs, (source.transform.a, source.transform.e))))
            )
        apart = places[-1][0] != places[0][0] or (
            np.abs(places[-1][1] - places[0][1]).max() > SAME_PLACE * max(place[2] for place in places)
        )
        if apart:
            raise UserError(f"{name} does not lie where {files[0].name} lies, but both are bands of one picture.")
    return read, colours


def placed(
    files: tuple[Path, ...], crs: Any, grid: Affine, bands: Sequence[int] | None, scale: tuple[float, float] | None
) -> Picture:
    """A picture's place on the mosaic's grid, and its colours."""
    read, colours = picture_colours(files, bands, scale)
    return Picture(tuple(_layer(file, own, crs, grid) for file, own in zip(files, read, strict=True)), colours)


def _layer(file: Path, bands: tuple[int, ...], crs: Any, grid: Affine) -> Layer:
    with header(file) as source:
        same = source.crs == crs
        bounds = source.bounds if same else transform_bounds(source.crs, crs, *source.bounds, densify_pts=21)
        corners = [~grid * corner for corner in ((bounds[0], bounds[3]), (bounds[2], bounds[1]))]
        box = np.array([[*np.min(corners, axis=0), *np.max(corners, axis=0)]])
        scale = ~grid * source.transform
        upright = np.allclose([scale.a, scale.e, scale.b, scale.d], [1.0, 1.0, 0.0, 0.0], atol=1e-6)
        aligned = bool(same and upright and np.abs(box - box.round()).max() < ALIGNED)
        left, top, right, bottom = map(int, outward(box.round() if aligned else box)[0])
        masked = not aligned or any(MaskFlags.all_valid not in flags for flags in source.mask_flag_enums)
        return Layer(file, (left, top, right, bottom), bands, aligned, masked)


def inside(inner: list[int], outer: Span) -> bool:
    """Whether one window lies in another."""
    return inner[0] >= outer[0] and inner[1] >= outer[1] and inner[2] <= outer[2] and inner[3] <= outer[3]


def damaged(name: Path | str, error: Exception) -> UserError:
    """What is said of a file that cannot be read; `name` begins the message."""
    return UserError(f"{name} cannot be read as a GeoTIFF ({error}). It is damaged or cut short: fetch it again.")
