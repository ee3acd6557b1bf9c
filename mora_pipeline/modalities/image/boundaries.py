"""Boundaries of H3 cells as flat arrays, whole across the antimeridian."""

from dataclasses import dataclass

import h3.api.basic_int as h3
import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Boundaries:
    """Vertices of n cells, one cell after the other.

    Attributes:
        longitudes, latitudes: float64 [vertices], degrees. Longitudes of a cell never jump: one that crosses the
            antimeridian goes on beyond ±180.
        starts: int64 [n], where each cell's vertices begin.
        whole: bool [n], false for a cell that holds a pole, which no bounding box describes.
    """

    longitudes: FloatArray
    latitudes: FloatArray
    starts: npt.NDArray[np.int64]
    whole: npt.NDArray[np.bool_]

    def boxes(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Smallest and largest x and y of each cell: float64 [n, 4] as (x min, y min, x max, y max)."""
        edges = (np.minimum.reduceat(x, self.starts), np.minimum.reduceat(y, self.starts))
        return np.stack([*edges, np.maximum.reduceat(x, self.starts), np.maximum.reduceat(y, self.starts)], axis=1)


def cell_boundaries(cells: npt.NDArray[np.int64]) -> Boundaries:
    """Boundaries of `cells`, int64 [n], n ≥ 1, as h3 draws them."""
    rings = [h3.cell_to_boundary(cell) for cell in cells.tolist()]
    lengths = np.fromiter(map(len, rings), dtype=np.int64, count=len(rings))
    vertices = np.array([vertex for ring in rings for vertex in ring], dtype=np.float64)
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    first = np.repeat(vertices[starts, 1], lengths)
    # Relative to the first vertex, the short way round.
    longitudes = first + (vertices[:, 1] - first + 180.0) % 360.0 - 180.0
    width = np.maximum.reduceat(longitudes, starts) - np.minimum.reduceat(longitudes, starts)
    return Boundaries(longitudes, vertices[:, 0], starts, _without_pole(longitudes, starts, lengths) & (width < 180.0))


def _without_pole(longitudes: FloatArray, starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> np.ndarray:
    """A ring around a pole turns through 360 degrees of longitude; any other comes back to where it began."""
    following = np.arange(len(longitudes)) + 1
    following[starts + lengths - 1] = starts
    step = (longitudes[following] - longitudes + 180.0) % 360.0 - 180.0
    return np.abs(np.add.reduceat(step, starts)) < 180.0
