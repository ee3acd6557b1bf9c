"""Where predictions err: residuals on hexagons, as SVG."""

import html

import h3ronpy
import numpy as np
import numpy.typing as npt

from mora_pipeline.evaluation.report.charts import WIDTH
from mora_pipeline.serving.map import hexagons

MOST_HEXAGONS = 1500  # more cannot be told apart on a phone; coarser parents take their place
_RED, _BLUE, _WHITE = np.array([178, 24, 43]), np.array([33, 102, 172]), np.array([245, 245, 245])
Cells = npt.NDArray[np.int64]
Floats = npt.NDArray[np.floating]


def residual_map(cells: Cells, truth: Floats, predicted: Floats) -> str:
    """Mean of predicted − true on each hexagon: red where predictions are too high, blue where too low.

    Args:
        cells: int64 [n], the cell of each label; a cell may occur several times.
        truth, predicted: [n].
    """
    hexes, mean = coarsened(cells, predicted - truth)
    limit = max(float(np.percentile(np.abs(mean), 95)), 1e-12)
    colours = diverging(mean / limit)
    shapes, points = [], []
    for rows, polygons in hexagons(hexes):
        shapes += list(zip(rows, polygons, strict=True))
        points.append(polygons.reshape(-1, 2))
    every = np.concatenate(points)
    (west, south), (east, north) = every.min(axis=0), every.max(axis=0)
    squeeze = max(np.cos(np.radians((south + north) / 2)), 0.1)
    scale = WIDTH / max((east - west) * squeeze, 1e-9)
    scale = min(scale, 1.3 * WIDTH / max(north - south, 1e-9))
    paths = [_path(polygon, west, north, squeeze * scale, scale, colours[row]) for row, polygon in shapes]
    width, height = (east - west) * squeeze * scale, (north - south) * scale
    note = (
        f"predicted less true: blue {-limit:.3g} and below, white 0, red {limit:.3g} and above; {len(hexes):,} hexagons"
    )
    label = html.escape(note, quote=True)
    return (
        f'<svg viewBox="0 0 {max(width, 1):.0f} {max(height, 1):.0f}" role="img" aria-label="{label}" class="chart">'
        f"{''.join(paths)}</svg><figcaption>{html.escape(note)}</figcaption>"
    )


def coarsened(cells: Cells, values: Floats) -> tuple[Cells, npt.NDArray[np.float64]]:
    """The mean of values on each cell, or on the finest parents of which there are at most `MOST_HEXAGONS`.

    Returns:
        Hexagons, int64 [m] ascending, and float64 [m].
    """
    unsigned = cells.astype(np.uint64)
    resolution = int(np.asarray(h3ronpy.cells_resolution(unsigned[:1]))[0])
    while len(np.unique(unsigned)) > MOST_HEXAGONS and resolution > 0:
        resolution -= 1
        unsigned = np.asarray(h3ronpy.change_resolution(unsigned, resolution))
    hexes, rows, counts = np.unique(unsigned.astype(np.int64), return_inverse=True, return_counts=True)
    return hexes, np.bincount(rows, values.astype(np.float64), len(hexes)) / counts


def diverging(values: Floats) -> list[str]:
    """Colours of values: blue at −1 and below, almost white at 0, red at 1 and above."""
    strength = np.clip(np.abs(values), 0, 1)[:, None]
    ends = np.where(values[:, None] > 0, _RED, _BLUE)
    mixed = np.rint(_WHITE + (ends - _WHITE) * strength).astype(int)
    return [f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in mixed]


def _path(polygon: Floats, west: float, north: float, across: float, down: float, colour: str) -> str:
    points = " ".join(f"{(x - west) * across:.1f},{(north - y) * down:.1f}" for x, y in polygon)
    return f'<polygon points="{points}" fill="{colour}"/>'
