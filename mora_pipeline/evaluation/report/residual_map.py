"""Where predictions err: residuals on hexagons, as SVG."""

import html
from collections.abc import Sequence

import h3ronpy
import numpy as np
import numpy.typing as npt

from mora_pipeline.evaluation.report.charts import WIDTH
from mora_pipeline.evaluation.report.tables import compact

MOST_HEXAGONS = 1500  # more cannot be told apart on a phone; coarser parents take their place
TALLEST = 1.3  # height of a map, in widths
SPARSE, LARGEST = 0.3, 4.0  # share of the map below which hexagons are drawn larger, and by how much at most
_RED, _BLUE, _WHITE = np.array([178, 24, 43]), np.array([33, 102, 172]), np.array([245, 245, 245])
Cells = npt.NDArray[np.int64]
Floats = npt.NDArray[np.floating]


def residual_map(cells: Cells, truth: Floats, predicted: Floats) -> str:
    """Mean of predicted − true on each hexagon: red where predictions are too high, blue where too low.

    Args:
        cells: int64 [n], the cell of each label; a cell may occur several times.
        truth, predicted: [n].
    """
    from mora_pipeline.plots import hexagons

    hexes, mean = coarsened(cells, predicted - truth)
    limit = max(float(np.percentile(np.abs(mean), 95)), 1e-12)
    colours, shapes = diverging(mean / limit), dict[int, Floats]()
    for rows, polygons in hexagons(hexes):
        shapes.update(zip(rows.tolist(), polygons, strict=True))
    placed, height, larger = on_paper([shapes[row] for row in range(len(hexes))])
    paths = "".join(_path(polygon, colour) for polygon, colour in zip(placed, colours, strict=True))
    note = (
        f"predicted less true: blue {compact(-limit)} or less, white 0, red {compact(limit)} or more; "
        f"{len(hexes):,} hexagons" + (f", drawn {larger:.1f} times as wide as they are" if larger > 1 else "")
    )
    label = html.escape(note, quote=True)
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{label}" class="chart">'
        f'<g stroke="#999" stroke-width="0.3">{paths}</g></svg><figcaption>{html.escape(note)}</figcaption>'
    )


def on_paper(polygons: Sequence[Floats]) -> tuple[list[Floats], float, float]:
    """Longitudes and latitudes as pixels, north up, equal distances equally long in the middle of the map.

    Hexagons that lie far apart are drawn larger, so that they can be seen.

    Args:
        polygons: [vertices, 2] each.

    Returns:
        The polygons in pixels, the height of the map, and how many times as wide they are as they should be.
    """
    every = np.concatenate(polygons)
    (west, south), (east, north) = every.min(axis=0), every.max(axis=0)
    squeeze = max(np.cos(np.radians((south + north) / 2)), 0.1)
    scale = min(WIDTH / max((east - west) * squeeze, 1e-9), TALLEST * WIDTH / max(north - south, 1e-9))
    corner = np.array([(west + east) / 2 - WIDTH / 2 / (squeeze * scale), north])
    placed = [(polygon - corner) * (squeeze * scale, -scale) for polygon in polygons]
    height = max((north - south) * scale, 1.0)
    covered = sum(np.prod(np.ptp(polygon, axis=0)) for polygon in placed) / ((east - west) * squeeze * scale * height)
    larger = float(np.clip(np.sqrt(SPARSE / max(covered, 1e-9)), 1, LARGEST))
    centres = [polygon.mean(axis=0) for polygon in placed]
    grown = [centre + (polygon - centre) * larger for polygon, centre in zip(placed, centres, strict=True)]
    return grown, height, larger


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


def _path(polygon: Floats, colour: str) -> str:
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in polygon)
    return f'<polygon points="{points}" fill="{colour}"/>'
