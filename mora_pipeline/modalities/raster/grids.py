"""One band of a GeoTIFF as numbers, without those that mean no data."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.ma as ma
import numpy.typing as npt

from mora_pipeline.contract.errors import UserError
from mora_pipeline.modalities.raster.config import RasterModality
from mora_pipeline.modalities.sampling import place_name, sampled
from mora_pipeline.raw.folders import find_files
from mora_pipeline.raw.formats import GEOTIFF_DRIVER, IMAGE_FORMATS
from mora_pipeline.raw.roots import checked_path

# What files in use write for no data, often without declaring it.
SENTINELS = {-200.0, -999.0, -9999.0, -32768.0, -32767.0, -99999.0, -999999.0}
LARGEST = 1e30  # beyond it a number is the end of its type
Numbers = npt.NDArray[np.float64]
BLOCK = 512  # pixels either way that are read at once, where the file is cut into tiles
KEPT_PIXELS = 16_000_000  # of the blocks read last: 128 MB


class Grid:
    """One band of one file. Pixels are no data where the file says so, where region.yaml does, where they are NaN, and,
    of what is added up, below 0: there are no negative amounts."""

    def __init__(self, file: Path, band: int, config: RasterModality, name: str | None = None) -> None:
        """Open a file.

        Args:
            name: begins the messages; by default the file's path.

        Raises:
            UserError: if it is damaged, has no CRS, is rotated, lacks the band, or holds no plain numbers.
        """
        import rasterio
        from rasterio.enums import ColorInterp
        from rasterio.errors import RasterioError

        self.file, self.band, self.damaged = file, band, (RasterioError, OSError)
        self._said, self._nodata, self._counts = name or str(file), config.nodata or [], config.statistic == "sum"
        try:
            self.source = rasterio.open(file, driver=GEOTIFF_DRIVER)
        except self.damaged as error:
            raise self._unreadable(error) from error
        source = self.source
        if source.crs is None:
            fix = f"Set it: gdal_edit.py -a_srs EPSG:4326 {file.name}"
            raise UserError(f"{self._said} has no CRS, so its place is unknown. {fix}")
        grid = source.transform
        if grid.b or grid.d or grid.a <= 0 or grid.e >= 0:
            raise UserError(f"{self._said} does not have north on top. Warp it first: gdalwarp {file.name} north.tif")
        if band > source.count:
            has = "1 band" if source.count == 1 else f"{source.count} bands"
            raise UserError(f"{self._said} has {has}, but band {band} is asked for. Bands are counted from 1.")
        if source.colorinterp[band - 1] == ColorInterp.palette:
            raise UserError(
                f"{self._said} has a colour table: its numbers are classes, which have no {config.statistic}."
            )
        if source.dtypes[band - 1].startswith(("complex", "cint", "cfloat")):
            raise UserError(f"{self._said} holds complex numbers. Write their amplitude.")
        self._scale, self._offset = source.scales[band - 1], source.offsets[band - 1]
        self._block = _block(source, band)
        self._cached = lru_cache(max(2, KEPT_PIXELS // (self._block[0] * self._block[1])))(self._read_block)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        left, bottom, right, top = self.source.bounds
        return min(left, right), min(bottom, top), max(left, right), max(bottom, top)

    @property
    def pixel_area(self) -> float:
        return abs(self.source.transform.a * self.source.transform.e)

    def read(self, left: int, top: int, width: int, height: int) -> Numbers:
        """Numbers of a window, float64 [height, width], NaN where there is no data.

        Raises:
            UserError: if the file is damaged.
        """
        if not (width and height):  # a polygon that touches the border
            return np.empty((height, width))
        block_height, block_width = self._block
        values = np.empty((height, width))
        for row in range(top // block_height, -(-(top + height) // block_height)):
            for column in range(left // block_width, -(-(left + width) // block_width)):
                y, x = row * block_height, column * block_width
                y0, y1 = max(top, y), min(top + height, y + block_height)
                x0, x1 = max(left, x), min(left + width, x + block_width)
                values[y0 - top : y1 - top, x0 - left : x1 - left] = self._cached(row, column)[
                    y0 - y : y1 - y, x0 - x : x1 - x
                ]
        return values

    def _read_block(self, row: int, column: int) -> Numbers:
        from rasterio.windows import Window

        height, width = self._block
        left, top = column * width, row * height
        size = min(width, self.source.width - left), min(height, self.source.height - top)
        try:
            values = self.source.read(self.band, window=Window(left, top, *size), masked=True)
        except self.damaged as error:
            raise self._unreadable(error) from error
        return self.cleaned(values)

    def cleaned(self, values: ma.MaskedArray) -> Numbers:
        """Numbers in their unit, from those that the file holds; NaN where there is no data."""
        raw, missing = ma.getdata(values), ma.getmaskarray(values).copy()
        for nodata in self._nodata:
            missing |= raw == (raw.dtype.type(nodata) if raw.dtype.kind == "f" else nodata)
        numbers = raw.astype(np.float64) * self._scale + self._offset
        if self._counts:
            missing |= numbers < 0
        numbers[missing | ~np.isfinite(numbers)] = np.nan
        return numbers

    def check_nodata(self) -> None:
        """Look for an undeclared number that means no data, in a sample.

        Raises:
            UserError: if there is one.
        """
        values = sampled(self.source, [self.band])
        values = values[~np.isin(values, self._nodata)]
        if self._counts:
            values = values[values >= 0]
        if (found := sentinel(values)) is not None:
            share = float((values == found).mean())
            raise UserError(
                f"{self._said} holds {found:g} in {share:.1%} of a sample, which looks like no data, but the file does "
                f"not declare it. Write nodata: [{found:g}], or nodata: [] if it is a value."
            )

    def has_points(self, latitude: Numbers, longitude: Numbers) -> npt.NDArray[np.bool_]:
        """Whether the pixel at each point, float64 [n] in degrees, has data: bool [n]."""
        from rasterio.warp import transform

        x, y = (np.array(axis) for axis in transform("EPSG:4326", self.source.crs, longitude, latitude))
        if self.source.crs.is_geographic:
            x = longitude + np.ceil((self.bounds[0] - longitude) / 360.0) * 360.0
        there = np.isfinite(x) & np.isfinite(y)
        column, row = (
            np.floor(axis) for axis in ~self.source.transform * (np.where(there, x, 0), np.where(there, y, 0))
        )
        there &= (column >= 0) & (column < self.source.width) & (row >= 0) & (row < self.source.height)
        inside = np.flatnonzero(there)
        for at in inside[np.lexsort((column[inside], row[inside]))].tolist():  # along the rows of the file
            there[at] = np.isfinite(self.read(int(column[at]), int(row[at]), 1, 1)).all()
        return there

    def middle(self) -> str:
        """Latitude and longitude of the middle of the file, for people."""
        from rasterio.warp import transform

        left, bottom, right, top = self.bounds
        (longitude,), (latitude,) = transform(self.source.crs, "EPSG:4326", [(left + right) / 2], [(bottom + top) / 2])
        return place_name(latitude, longitude)

    def close(self) -> None:
        self.source.close()
        self._cached.cache_clear()

    def _unreadable(self, error: Exception) -> UserError:
        return UserError(
            f"{self._said} cannot be read as a GeoTIFF ({error}). It is damaged or cut short: fetch it again."
        )


def _block(source: Any, band: int) -> tuple[int, int]:
    """Height and width of what is read at once: whole blocks of the file, which may be strips as wide as it is."""
    height, width = source.block_shapes[band - 1]
    columns = width * max(1, BLOCK // width)
    return height * max(1, BLOCK**2 // columns // height), columns


def sentinel(values: npt.NDArray[np.float64]) -> float | None:
    """The number among values, float64 [n], that looks like no data: far from all others; None if none does."""
    distinct, counts = np.unique(values, return_counts=True)
    if len(distinct) < 2:
        return None
    if distinct[-1] > LARGEST:
        return float(distinct[-1])
    lowest, second, highest = distinct[0], distinct[1], distinct[-1]
    known = lowest in SENTINELS and second >= 0
    far = lowest < 0 and counts[0] > 1 and second - lowest > highest - second
    return float(lowest) if known or far or lowest < -LARGEST else None


def column_files(base: Path, config: RasterModality, where: str) -> dict[str, tuple[list[Path], int]]:
    """The files and the band of each column.

    Args:
        base: the folder that relative paths start from.
        where: start of the messages, such as ``region.yaml: modalities.people.path ``.

    Raises:
        UserError: if there are none.
    """
    found = {}
    for name, (pattern, band) in config.columns.items():
        if pattern is None:
            files = list(find_files(base, config.path, where, IMAGE_FORMATS).files)
        elif checked_path(base, config.path, where).is_dir():
            of_band = where.replace(".path ", f".bands.{name} ")
            files = list(find_files(base / config.path, pattern, of_band, IMAGE_FORMATS).files)
        else:
            folder = base / config.path
            raise UserError(f"{where}is '{config.path}', but it must be the folder of the files of bands: {folder}.")
        found[name] = files, band
    return found
