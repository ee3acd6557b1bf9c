"""A mosaic of GeoTIFFs: one file or many, of any CRS, on the pixel grid of the first."""

from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.enums import ColorInterp, MaskFlags, Resampling
from rasterio.errors import RasterioError
from rasterio.transform import Affine
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform as reproject
from rasterio.warp import transform_bounds
from rasterio.windows import Window

from mora_pipeline.contract.errors import UserError
from mora_pipeline.modalities.encoder import IntArray
from mora_pipeline.modalities.image.boundaries import Boundaries, FloatArray
from mora_pipeline.modalities.image.mosaic import Crop, outward

OPEN_FILES = 128
ALIGNED = 1e-3  # pixels by which a file's grid may be off before it is resampled
TORN = 1e7  # metres: no cell is that wide, unless the CRS cuts it at the antimeridian
DAMAGED = (RasterioError, OSError)


@dataclass(frozen=True)
class MosaicFile:
    """One file's place in the mosaic: pixels left, top, right, bottom of the grid; right and bottom excluded."""

    file: Path
    window: tuple[int, int, int, int]
    bands: tuple[int, int, int]
    aligned: bool
    masked: bool


class GeoTiffMosaic:
    """GeoTIFFs of 8-bit RGB (or grey); where files overlap, the last in the order of their names is on top.

    The pixel grid is that of the first file; a file of another CRS, pixel size or offset is resampled (bilinear).
    """

    def __init__(self, files: list[Path]) -> None:
        """Read the headers of `files` (at least one).

        Raises:
            UserError: if one is damaged, has no CRS, is rotated or is not 8-bit.
        """
        with _header(files[0]) as first:
            self.crs, self._grid = first.crs, first.transform
            self.block = (int(first.block_shapes[0][1]), int(first.block_shapes[0][0]))
        if self._grid.b or self._grid.d:
            raise UserError(f"{files[0]} is rotated against its CRS. Warp it first: gdalwarp {files[0].name} north.tif")
        self.files = [self._placed(file) for file in files]
        self._extents = np.array([placed.window for placed in self.files], dtype=np.int64)
        self._open: OrderedDict[Path, Any] = OrderedDict()

    def _placed(self, file: Path) -> MosaicFile:
        with _header(file) as source:
            same = source.crs == self.crs
            bounds = source.bounds if same else transform_bounds(source.crs, self.crs, *source.bounds, densify_pts=21)
            corners = [~self._grid * corner for corner in ((bounds[0], bounds[3]), (bounds[2], bounds[1]))]
            box = np.array([[*np.min(corners, axis=0), *np.max(corners, axis=0)]])
            scale = ~self._grid * source.transform
            upright = np.allclose([scale.a, scale.e, scale.b, scale.d], [1.0, 1.0, 0.0, 0.0], atol=1e-6)
            aligned = bool(same and upright and np.abs(box - box.round()).max() < ALIGNED)
            window = outward(box.round() if aligned else box)[0]
            masked = not aligned or any(MaskFlags.all_valid not in flags for flags in source.mask_flag_enums)
            left, top, right, bottom = (int(edge) for edge in window)
            return MosaicFile(file, (left, top, right, bottom), _bands(source), aligned, masked)

    def windows(self, boundaries: Boundaries) -> tuple[IntArray, npt.NDArray[np.bool_]]:
        """Int64 [n, 4] and bool [n], as of every mosaic; none for a box that the CRS tears apart."""
        x, y = (
            np.array(axis) for axis in reproject("EPSG:4326", self.crs, boundaries.longitudes, boundaries.latitudes)
        )
        boxes = boundaries.boxes(x, y)
        there = boundaries.whole & np.isfinite(boxes).all(axis=1)
        if self.crs.is_geographic:
            boxes = self._shifted(boundaries.boxes(boundaries.longitudes, boundaries.latitudes))
        else:
            there &= (boxes[:, 2] - boxes[:, 0]) * self.crs.linear_units_factor[1] < TORN
        boxes = np.where(there[:, None], boxes, 0.0)
        corners = [np.stack(~self._grid * (boxes[:, i], boxes[:, j]), axis=1) for i, j in ((0, 1), (2, 3))]
        return outward(np.concatenate([np.minimum(*corners), np.maximum(*corners)], axis=1)), there

    def _shifted(self, boxes: FloatArray) -> FloatArray:
        """Longitudes moved by whole turns to where the imagery is: it may run to 360, or past 180."""
        edges = self._grid.c + self._grid.a * self._extents[:, [0, 2]]
        middle = (edges.min() + edges.max()) / 2
        turns = np.round((middle - (boxes[:, 0] + boxes[:, 2]) / 2) / 360.0)
        return boxes + turns[:, None] * np.array([360.0, 0.0, 360.0, 0.0])

    def coverage(self, windows: IntArray) -> FloatArray:
        shares = np.zeros(len(windows))
        for index, window in enumerate(windows.tolist()):
            parts = self._files_in(window)
            if len(parts) == 1 and not parts[0].masked and _inside(window, parts[0].window):
                shares[index] = 1.0
            elif parts:
                covered = self.read(tuple(window)).covered
                shares[index] = 1.0 if covered is None else covered.mean()
        return shares

    def read(self, window: tuple[int, int, int, int]) -> Crop:
        left, top, right, bottom = window
        pixels = np.zeros((bottom - top, right - left, 3), dtype=np.uint8)
        covered = np.zeros(pixels.shape[:2], dtype=bool)
        for placed in self._files_in(window):
            x0, y0, x1, y1 = _overlap(window, placed.window)
            here = np.s_[y0 - top : y1 - top, x0 - left : x1 - left]
            at = Window(x0 - placed.window[0], y0 - placed.window[1], x1 - x0, y1 - y0)
            try:
                source = self._source(placed)
                values = np.moveaxis(source.read(placed.bands, window=at), 0, 2)
                valid = source.dataset_mask(window=at) > 0 if placed.masked else np.ones(values.shape[:2], dtype=bool)
            except DAMAGED as error:
                raise _damaged(placed.file, error) from error
            pixels[here][valid] = values[valid]
            covered[here] |= valid
        return Crop(pixels, covered)

    def _files_in(self, window: list[int] | tuple[int, int, int, int]) -> list[MosaicFile]:
        left, top, right, bottom = window
        low_x, low_y, high_x, high_y = self._extents.T
        meets = (low_x < right) & (high_x > left) & (low_y < bottom) & (high_y > top)
        return [self.files[index] for index in np.flatnonzero(meets)]

    def _source(self, placed: MosaicFile) -> Any:
        """The open file, on the mosaic's grid."""
        if placed.file in self._open:
            self._open.move_to_end(placed.file)
            return self._open[placed.file]
        source = rasterio.open(placed.file)
        if not placed.aligned:
            left, top, right, bottom = placed.window
            source = WarpedVRT(
                source,
                crs=self.crs,
                transform=self._grid * Affine.translation(left, top),
                width=right - left,
                height=bottom - top,
                resampling=Resampling.bilinear,
                add_alpha=ColorInterp.alpha not in source.colorinterp and source.nodata is None,
            )
        self._open[placed.file] = source
        if len(self._open) > OPEN_FILES:
            self._open.popitem(last=False)[1].close()
        return source


def _header(file: Path) -> Any:
    try:
        source = rasterio.open(file)
    except DAMAGED as error:
        raise _damaged(file, error) from error
    if source.crs is None:
        raise UserError(
            f"{file} has no CRS, so its place is unknown. Set it: gdal_edit.py -a_srs EPSG:4326 {file.name}"
        )
    if any(kind != "uint8" for kind in source.dtypes):
        raise UserError(
            f"{file} holds {source.dtypes[0]}, but imagery must be 8-bit RGB. Scale it to what the eye sees: "
            f"gdal_translate -ot Byte -scale 0 3000 0 255 {file.name} rgb.tif"
        )
    return source


def _damaged(file: Path, error: Exception) -> UserError:
    return UserError(f"{file} cannot be read as a GeoTIFF ({error}). It is damaged or cut short: fetch it again.")


def _bands(source: Any) -> tuple[int, int, int]:
    """Red, green and blue by name, else the first three bands; the first alone as grey."""
    colours = list(source.colorinterp)
    named = [ColorInterp.red, ColorInterp.green, ColorInterp.blue]
    if all(colour in colours for colour in named):
        red, green, blue = (colours.index(colour) + 1 for colour in named)
        return red, green, blue
    return (1, 2, 3) if source.count >= 3 else (1, 1, 1)


def _overlap(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    return max(one[0], other[0]), max(one[1], other[1]), min(one[2], other[2]), min(one[3], other[3])


def _inside(inner: list[int], outer: tuple[int, int, int, int]) -> bool:
    return inner[0] >= outer[0] and inner[1] >= outer[1] and inner[2] <= outer[2] and inner[3] <= outer[3]
