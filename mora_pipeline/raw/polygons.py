"""Polygons spread on H3 cells by area."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.cells import Cells, Spread
from mora_pipeline.raw.crs import crs_of_srid, to_degrees
from mora_pipeline.raw.equal_area import METRES_PER_DEGREE, cell_polygons, project
from mora_pipeline.raw.geometry import coordinates_of_shapes
from mora_pipeline.raw.pieces import Rows, pieces_of
from mora_pipeline.raw.shapes import SRIDS, Shapes, shapes_of

MOST_CELLS = 1_000_000  # of a polygon
PAIRS_AT_ONCE = 200_000  # of a piece and a cell: a few hundred MB
EARTH = 5.10065622e14  # square metres
LEAST_SHARE = 1e-9  # a cell that a polygon touches by rounding alone


def spread_polygons(values: pa.Array | pa.ChunkedArray, crs: str | None, resolution: int) -> Spread:
    """Each polygon spread on the cells that it covers, in proportion to the areas on the ellipsoid.

    Boundaries are straight between vertices, within 2 m at 50 degrees of latitude (`equal_area`). Rings that cross
    themselves are repaired; holes and several parts count; a polygon may cross the antimeridian, not a pole. A
    geometry without an area is one point, as of `points_of`, and so in one cell.

    Args:
        values: geometries as `points_of` reads them, [n].
        crs: of their coordinates; None: each value's SRID, or degrees.

    Returns:
        the row of `values`, a cell, and its share of the row, in (0, 1], [m] each, by row and cell. The shares of a
        row sum to 1. A row without a geometry has no cell.

    Raises:
        UserError: as `points_of`; or if a polygon covers more than a million cells.
    """
    shapes, srids = shapes_of(values)
    pieces, of, lost = pieces_of(shapes, srids, crs)
    areas = list(_areas(pieces, of, resolution))
    rows, cells, shares = _shares(*(np.concatenate(column) for column in zip(*areas, strict=True)))
    others = np.setdiff1d(np.arange(len(shapes)), np.concatenate([rows, lost]))
    points = _cells_of_points(shapes[others], srids[others], crs, resolution)
    there = points != 0
    rows = np.concatenate([rows, others[there]])
    cells = np.concatenate([cells, points[there]])
    shares = np.concatenate([shares, np.ones(int(there.sum()))])
    order = np.lexsort((cells, rows))
    return rows[order], cells[order], shares[order]


def _areas(pieces: Shapes, rows: Rows, resolution: int) -> Iterator[Spread]:
    """The square metres of each piece in each cell: row, cell and area, a batch of pieces at a time."""
    import shapely

    projected = shapely.transform(pieces, project)
    cells = EARTH / (2 + 120 * 7**resolution)
    west, south, east, north = shapely.bounds(projected).reshape(-1, 4).T
    around = (east - west) * (north - south) / cells + (east - west + north - south) / np.sqrt(cells)
    expected = 4 + np.minimum(shapely.area(projected) / cells + shapely.length(projected) / np.sqrt(cells), around)
    total = np.bincount(rows, expected) if len(rows) else np.zeros(1)
    if total.max() > MOST_CELLS:
        raise UserError(
            f"the geometry of row {int(total.argmax()) + 1} covers about {int(total.max()):,} cells of resolution "
            f"{resolution}, more than {MOST_CELLS:,}. Use smaller polygons, or a coarser resolution for the region."
        )
    batch = (np.cumsum(expected) // PAIRS_AT_ONCE).astype(np.int64)
    yield np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
    for number in np.unique(batch):
        chosen = batch == number
        piece, cell, area = _overlaps(pieces[chosen], projected[chosen], resolution)
        yield rows[chosen][piece], cell, area


def _overlaps(pieces: Shapes, projected: Shapes, resolution: int) -> Spread:
    """Pieces and the cells that they overlap, with the square metres."""
    import shapely

    piece, cell = _candidates(pieces, resolution)
    cells, at = np.unique(cell, return_inverse=True)
    polygons, centres = cell_polygons(cells)
    west, _, east, _ = shapely.bounds(pieces).reshape(-1, 4).T
    turns = np.round(((west + east)[piece] / 2 - centres[at]) / 360)
    tiles = polygons[at]
    beyond = np.flatnonzero(turns)  # of a cell on the antimeridian the piece may lie on the other side
    for pair in beyond:
        shift = 360 * turns[pair] * METRES_PER_DEGREE
        tiles[pair] = shapely.transform(tiles[pair], lambda points, shift=shift: points + np.array([shift, 0]))
    shapely.prepare(projected)
    inside = shapely.contains_properly(projected[piece], tiles)
    area = shapely.area(tiles)
    border = np.flatnonzero(~inside)
    area[border] = shapely.area(shapely.intersection(projected[piece[border]], tiles[border]))
    return piece, cell, area


def _candidates(pieces: Shapes, resolution: int) -> tuple[Rows, Cells]:
    """Pieces, and the cells that they may overlap."""
    import shapely
    from h3ronpy.vector import ContainmentMode, wkb_to_cells

    encoded = pa.array(shapely.to_wkb(pieces).tolist(), pa.binary())
    listed = pa.array(wkb_to_cells(encoded, resolution, ContainmentMode.Covers))
    counts = pc.fill_null(pc.list_value_length(listed), 0).to_numpy().astype(np.int64)
    return np.repeat(np.arange(len(pieces)), counts), pc.list_flatten(listed).to_numpy().astype(np.int64)


def _shares(rows: Rows, cells: Cells, areas: npt.NDArray[np.float64]) -> Spread:
    """Areas, of which a row and a cell may have several, to shares of the rows."""
    order = np.lexsort((cells, rows))
    rows, cells, areas = rows[order], cells[order], areas[order]
    first = np.flatnonzero(np.diff(rows, prepend=-1).astype(bool) | np.diff(cells, prepend=-1).astype(bool))
    rows, cells, areas = rows[first], cells[first], np.add.reduceat(areas, first) if len(first) else areas
    for least in (LEAST_SHARE, 0.0):  # again without the slivers
        total = np.bincount(rows, areas, minlength=1)[rows] if len(rows) else areas
        kept = (total > 0) & (areas > least * total)
        rows, cells, areas, total = rows[kept], cells[kept], areas[kept], total[kept]
    return rows, cells, areas / total


def _cells_of_points(shapes: Shapes, srids: SRIDS, crs: str | None, resolution: int) -> Cells:
    """The cell of the point that represents each shape, 0 where there is none."""
    from h3ronpy.vector import coordinates_to_cells

    cells = np.zeros(len(shapes), np.int64)
    x, y = coordinates_of_shapes(shapes)
    for srid in np.unique(srids) if crs is None else [0]:
        rows = np.flatnonzero(srids == srid) if crs is None else np.arange(len(shapes))
        latitude, longitude = to_degrees(x[rows], y[rows], crs or crs_of_srid(int(srid)))
        there = ~np.isnan(latitude)
        found = coordinates_to_cells(pa.array(latitude[there]), pa.array(longitude[there]), resolution)
        cells[rows[there]] = pa.array(found).to_numpy().astype(np.int64)
    return cells
