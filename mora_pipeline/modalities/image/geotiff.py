"""A mosaic of GeoTIFFs: one file or many, of any CRS, on the pixel grid of the first."""

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.enums import ColorInterp, Resampling
from rasterio.transform import Affine
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform as reproject
from rasterio.windows import Window

from mora_pipeline.modalities.encoder import IntArray
from mora_pipeline.modalities.image.boundaries import Boundaries, FloatArray
from mora_pipeline.modalities.image.mosaic import Crop, outward
from mora_pipeline.modalities.image.rasters import DAMAGED, Layer, Picture, Span, damaged, grid_of, inside, placed
from mora_pipeline.raw.formats import GEOTIFF_DRIVER

OPEN_FILES = 128
TORN = 1e7  # metres: no cell is that wide, unless the CRS cuts it at the antimeridian
MOST = 1024  # pixels of a crop's longer side that no encoder's input surpasses; a window of twice that is read coarser


class GeoTiffMosaic:
    """GeoTIFFs as colours; where pictures overlap, the last in the order of their names is on top.

    The pixel grid is that of the first file; a file of another CRS, pixel size or offset is resampled: bilinear, or
    nearest where it has a colour table.
    """

    def __init__(
        self,
        pictures: Sequence[Path | tuple[Path, ...]],
        bands: Sequence[int] | None = None,
        scale: tuple[float, float] | None = None,
    ) -> None:
        """Read the headers of all files.

        Args:
            pictures: a file each, or a file for each of red, green and blue; at least one picture.
            bands: of a file that holds all, from 1; None: what the file says.
            scale: the values that become 0 and 255.

        Raises:
            UserError: if a file is damaged, has no CRS, is rotated, or is not 8-bit and there is no scale.
        """
        files = [picture if isinstance(picture, tuple) else (picture,) for picture in pictures]
        self.crs, self._grid, self.block = grid_of(files[0][0])
        self.pictures = [placed(picture, self.crs, self._grid, bands, scale) for picture in files]
        self._extents = np.array([picture.window for picture in self.pictures], dtype=np.int64)
        self._open: OrderedDict[Path, Any] = OrderedDict()

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
            parts = self._pictures_in(window)
            if len(parts) == 1 and not parts[0].masked and inside(window, parts[0].window):
                shares[index] = 1.0
            elif parts:
                covered = self.read(tuple(window)).covered
                shares[index] = 1.0 if covered is None else covered.mean()
        return shares

    def has_points(self, latitude: FloatArray, longitude: FloatArray) -> npt.NDArray[np.bool_]:
        """Whether the pixel at each point, float64 [n] in degrees, has imagery: bool [n]."""
        ones = np.ones(len(latitude), dtype=bool)
        windows, there = self.windows(Boundaries(longitude, latitude, np.arange(len(latitude)), ones))
        there[there] = self.coverage(windows[there]) > 0
        return there

    def advice(self, latitude: FloatArray, longitude: FloatArray) -> str:
        return ""

    def somewhere(self) -> tuple[float, float]:
        """Latitude and longitude of the middle of the first file."""
        left, top, right, bottom = self.pictures[0].window
        x, y = self._grid * ((left + right) / 2, (top + bottom) / 2)
        longitude, latitude = reproject(self.crs, "EPSG:4326", [x], [y])
        return latitude[0], longitude[0]

    def read(self, window: tuple[int, int, int, int]) -> Crop:
        """Pixels of one window; of a wide one every second, third ... from an overview where there is one."""
        left, top, right, bottom = window
        step = max(1, max(right - left, bottom - top) // MOST)
        pixels = np.zeros((-(-(bottom - top) // step), -(-(right - left) // step), 3), dtype=np.uint8)
        covered = np.zeros(pixels.shape[:2], dtype=bool)
        for picture in self._pictures_in(window):
            x0, y0, x1, y1 = picture.overlap(window)
            rows = slice((y0 - top) // step, -(-(y1 - top) // step))
            columns = slice((x0 - left) // step, -(-(x1 - left) // step))
            found, valid = self._colours(picture, (x0, y0, x1, y1), pixels[rows, columns].shape[:2])
            pixels[rows, columns][valid] = found[valid]
            covered[rows, columns] |= valid
        return Crop(pixels, covered)

    def _colours(
        self, picture: Picture, window: Span, shape: tuple[int, ...]
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
        """A part of one picture, of `shape`, and where it has data."""
        resampling = Resampling.average if picture.colours.table is None else Resampling.nearest
        values, valid = [], np.ones(shape, dtype=bool)
        for layer in picture.layers:
            left, top = layer.window[:2]
            at = Window(window[0] - left, window[1] - top, window[2] - window[0], window[3] - window[1])
            size = {"window": at, "out_shape": (len(layer.bands), *shape)}
            try:
                source = self._source(layer, picture.colours.table is None)
                values.append(source.read(list(layer.bands), resampling=resampling, **size))
                if layer.masked:
                    valid &= (source.read_masks(list(layer.bands), **size) > 0).any(axis=0)
            except DAMAGED as error:
                raise damaged(layer.file, error) from error
        return picture.colours.of(np.concatenate(values), valid)

    def _pictures_in(self, window: list[int] | tuple[int, int, int, int]) -> list[Picture]:
        left, top, right, bottom = window
        low_x, low_y, high_x, high_y = self._extents.T
        meets = (low_x < right) & (high_x > left) & (low_y < bottom) & (high_y > top)
        return [self.pictures[index] for index in np.flatnonzero(meets)]

    def _source(self, layer: Layer, smooth: bool) -> Any:
        """The open file, on the mosaic's grid."""
        if layer.file in self._open:
            self._open.move_to_end(layer.file)
            return self._open[layer.file]
        source = rasterio.open(layer.file, driver=GEOTIFF_DRIVER)
        if not layer.aligned:
            left, top, right, bottom = layer.window
            source = WarpedVRT(
                source,
                crs=self.crs,
                transform=self._grid * Affine.translation(left, top),
                width=right - left,
                height=bottom - top,
                resampling=Resampling.bilinear if smooth else Resampling.nearest,
                add_alpha=ColorInterp.alpha not in source.colorinterp and source.nodata is None,
            )
        self._open[layer.file] = source
        if len(self._open) > OPEN_FILES:
            self._open.popitem(last=False)[1].close()
        return source
