"""Sums and means of a raster over cells, exact at their borders."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mora_pipeline.contract.errors import UserError
from mora_pipeline.modalities.raster.config import NEEDS, RasterModality
from mora_pipeline.modalities.raster.grids import Grid
from mora_pipeline.modalities.raster.polygons import Numbers, Polygons, cell_polygons, meeting, projected

CELLS_AT_ONCE = 20_000  # whose polygons are held in memory
PIXELS_AT_ONCE = 8_000_000  # of a cell, read at once
OVERLAP = 1.02  # of a cell with data: more is counted twice; files of two countries may share a pixel at their border
LEAST = 1e-6  # of a cell with data: less is a border that touches it


@dataclass(frozen=True)
class CellNumbers:
    """What a raster has in each cell.

    Attributes:
        values: the sum or mean, float64 [n]; NaN where there is no data.
        covered: the share of the cell that has data, float64 [n].
    """

    values: Numbers
    covered: Numbers


def cell_numbers(cells: npt.NDArray[np.int64], files: Sequence[Path], band: int, config: RasterModality) -> CellNumbers:
    """The sum or mean of all files over each cell, int64 [n].

    A sum takes of each pixel the share that lies in the cell, so cells that tile an area add up to what the raster has
    there. A mean weights pixels by their area in the cell. Pixels without data count in neither.

    Raises:
        UserError: if exactextract is not installed, a file is damaged, or files that are added up overlap.
    """
    totals, covered = np.zeros(len(cells)), np.zeros(len(cells))
    for start in range(0, len(cells), CELLS_AT_ONCE):
        rows = slice(start, start + CELLS_AT_ONCE)
        polygons, in_crs = cell_polygons(cells[rows]), dict[str, Polygons]()
        for file in files:
            with closing(Grid(file, band, config)) as grid:
                crs = grid.source.crs
                if crs.wkt not in in_crs:
                    in_crs[crs.wkt] = projected(polygons, crs)
                found, share = _of_grid(in_crs[crs.wkt], grid, config.statistic == "mean", len(cells[rows]))
            totals[rows] += found
            covered[rows] += share
            if config.statistic == "sum" and (covered[rows] > OVERLAP).any():
                raise _overlap(int(cells[rows][covered[rows].argmax()]), file, files)
    there = covered > LEAST
    over = covered if config.statistic == "mean" else np.ones(len(cells))
    values = np.divide(totals, over, out=np.full(len(cells), np.nan), where=there)
    return CellNumbers(values, np.minimum(covered, 1.0))


def _of_grid(whole: Polygons, grid: Grid, weighted: bool, number: int) -> tuple[Numbers, Numbers]:
    """Of each of `number` cells: the sum over one file, and the share of the cell that has data there.

    Args:
        whole: all their polygons, in the file's CRS.
        weighted: whether a pixel counts by the share of the cell that it takes, or by the share of it that the cell
            takes.
    """
    sums, shares = np.zeros(number), np.zeros(number)
    here = meeting(whole, grid.bounds, grid.source.crs.is_geographic)
    if len(here.rows):
        # Both parts of a cell across the antimeridian together.
        areas = np.bincount(whole.rows, whole.areas(), minlength=number)
        found = np.array(list(_extracted(here, grid)))
        pixel = grid.pixel_area / areas[here.rows]
        np.add.at(shares, here.rows, found[:, 1] * pixel)
        np.add.at(sums, here.rows, found[:, 0] * pixel if weighted else found[:, 0])
    return sums, shares


def _extracted(polygons: Polygons, grid: Grid) -> Iterator[tuple[float, float]]:
    """Of each polygon: the sum of its pixels' numbers, and how many with data it has; border pixels by their share."""
    try:
        from exactextract import exact_extract
        from exactextract.feature import Feature, FeatureSource
        from exactextract.raster import RasterSource
    except ImportError:
        raise UserError(f"A modality of {NEEDS}") from None

    class Shape(Feature):
        def __init__(self, ring: Numbers) -> None:
            Feature.__init__(self)
            self.wkb = _wkb(ring)

        def geometry(self) -> bytes:
            return self.wkb

        def fields(self) -> list[str]:
            return []

    class Shapes(FeatureSource):
        def count(self) -> int:
            return len(polygons.rows)

        def __iter__(self) -> Iterator[Any]:
            return map(Shape, polygons.rings())

        def srs_wkt(self) -> None:
            return None

    class Pixels(RasterSource):
        def res(self) -> tuple[float, float]:
            return abs(grid.source.transform.a), abs(grid.source.transform.e)

        def extent(self) -> tuple[float, float, float, float]:
            return grid.bounds

        def nodata_value(self) -> None:
            return None

        def srs_wkt(self) -> None:
            return None

        def read_window(self, left: int, top: int, width: int, height: int) -> Any:
            return grid.read(left, top, width, height)

    found = exact_extract(Pixels(), Shapes(), ["sum", "count"], max_cells_in_memory=PIXELS_AT_ONCE)
    for item in found:
        properties = item["properties"]
        yield properties["sum"] or 0.0, properties["count"] or 0.0


def _wkb(ring: Numbers) -> bytes:
    """A polygon in the well-known binary form of OGC."""
    ring = np.concatenate([ring, ring[:1]])
    return b"\x01" + np.array([3, 1, len(ring)], dtype="<u4").tobytes() + ring.astype("<f8").tobytes()


def _overlap(cell: int, file: Path, files: Sequence[Path]) -> UserError:
    return UserError(
        f"{file} overlaps others of its {len(files)} files (in cell {cell:x}, for one), so a sum would count what is "
        "there twice. Name each part of the area once, by a glob that leaves copies out."
    )
