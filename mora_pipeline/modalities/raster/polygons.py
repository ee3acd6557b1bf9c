"""H3 cells as polygons in the coordinates of a raster."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import h3.api.basic_int as h3
import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
TORN = 1e7  # metres: no cell is that wide, unless the CRS cuts it
EDGE = 180.0


@dataclass(frozen=True)
class Polygons:
    """Polygons of cells, one vertex after the other; a cell may have several.

    Attributes:
        points: float64 [vertices, 2], x and y, or longitude and latitude.
        lengths: int64 [n], vertices of each polygon, ≥ 3.
        rows: int64 [n], the row of the cell that each belongs to.
    """

    points: Numbers
    lengths: Rows
    rows: Rows

    @property
    def starts(self) -> Rows:
        """Where each polygon's vertices begin: int64 [n]."""
        return np.cumsum(self.lengths) - self.lengths

    def boxes(self) -> Numbers:
        """Smallest x and y and largest x and y of each: float64 [n, 4]."""
        low, high = np.minimum.reduceat(self.points, self.starts), np.maximum.reduceat(self.points, self.starts)
        return np.concatenate([low, high], axis=1)

    def areas(self) -> Numbers:
        """Area of each in the square of its units: float64 [n]."""
        # Near 0: coordinates of 1e7 would cost half the digits.
        x, y = (self.points - np.repeat(self.points[self.starts], self.lengths, axis=0)).T
        following = np.arange(len(x)) + 1
        following[self.starts + self.lengths - 1] = self.starts
        return np.asarray(np.abs(np.add.reduceat(x * y[following] - y * x[following], self.starts)) / 2)

    def where(self, kept: npt.NDArray[np.bool_]) -> "Polygons":
        """Those of `kept`, bool [n]."""
        return Polygons(self.points[np.repeat(kept, self.lengths)], self.lengths[kept], self.rows[kept])

    def moved(self, points: Numbers) -> "Polygons":
        """The same with other coordinates."""
        return Polygons(points, self.lengths, self.rows)

    def rings(self) -> Iterator[Numbers]:
        """The vertices of each: float64 [length, 2]."""
        for start, length in zip(self.starts.tolist(), self.lengths.tolist(), strict=True):
            yield self.points[start : start + length]


def joined(parts: Sequence[Polygons]) -> Polygons:
    """Several one after the other; at least one."""
    return Polygons(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in ("points", "lengths", "rows"))
    )


def cell_polygons(cells: Rows) -> Polygons:
    """The polygons of cells, int64 [n], as h3 draws them; longitudes are within ±180.

    A cell across the antimeridian has two. One that holds a pole has none: no polygon of longitudes and latitudes
    describes it.
    """
    rings: list[Numbers] = []
    rows: list[int] = []
    for row, cell in enumerate(cells.tolist()):
        ring = np.array(h3.cell_to_boundary(cell), dtype=np.float64)[:, ::-1]
        for part in [ring] if np.ptp(ring[:, 0]) < EDGE else _halves(ring):
            rings.append(part)
            rows.append(row)
    points = np.concatenate(rings) if rings else np.empty((0, 2))
    return Polygons(points, np.array(list(map(len, rings)), dtype=np.int64), np.array(rows, dtype=np.int64))


def _halves(ring: Numbers) -> list[Numbers]:
    """A ring of longitudes from -180 to 180 that crosses the antimeridian, cut there; none if it is around a pole."""
    steps = (np.diff(ring[:, 0], append=ring[:1, 0]) + EDGE) % 360.0 - EDGE
    if abs(steps.sum()) > EDGE:
        return []
    whole = np.stack([ring[:, 0] % 360.0, ring[:, 1]], axis=1)  # around 180
    return [part for part in (_cut(whole, -1.0), _cut(whole, 1.0) - [360.0, 0.0]) if len(part) > 2]


def _cut(ring: Numbers, side: float) -> Numbers:
    """The part of a convex ring west (-1) or east (1) of the antimeridian."""
    inside, kept = (ring[:, 0] - EDGE) * side >= 0, []
    for number, (vertex, following) in enumerate(zip(ring, np.roll(ring, -1, axis=0), strict=True)):
        if inside[number]:
            kept.append(vertex)
        if inside[number] != inside[(number + 1) % len(ring)]:
            share = (EDGE - vertex[0]) / (following[0] - vertex[0])
            kept.append(np.array([EDGE, vertex[1] + share * (following[1] - vertex[1])]))
    return np.array(kept).reshape(-1, 2)


def projected(polygons: Polygons, crs: Any) -> Polygons:
    """Polygons in degrees in another CRS, less those that it has no place for or tears apart.

    Args:
        crs: as rasterio has it; of a geographic one the degrees are taken as they are.
    """
    from rasterio.warp import transform

    if crs.is_geographic or not len(polygons.rows):
        return polygons
    x, y = transform("EPSG:4326", crs, *polygons.points.T)
    moved = polygons.moved(np.stack([x, y], axis=1))
    boxes = moved.boxes()
    whole = np.isfinite(boxes).all(axis=1) & ((boxes[:, 2] - boxes[:, 0]) * crs.linear_units_factor[1] < TORN)
    return moved.where(whole)


def meeting(polygons: Polygons, bounds: tuple[float, float, float, float], geographic: bool) -> Polygons:
    """Those that meet a raster's left, bottom, right and top, where it counts longitudes from wherever it does.

    Longitudes of a raster may run to 360, or past 180: polygons are moved by whole turns to where it is.
    """
    found = []
    for turn in (-360.0, 0.0, 360.0) if geographic else (0.0,):
        moved = polygons.moved(polygons.points + np.array([turn, 0.0]))
        if len(moved.rows):
            left, bottom, right, top = moved.boxes().T
            there = (left < bounds[2]) & (right > bounds[0]) & (bottom < bounds[3]) & (top > bounds[1])
            found.append(moved.where(there))
    return joined(found) if found else polygons
