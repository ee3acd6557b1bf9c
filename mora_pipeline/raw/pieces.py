"""Polygons in degrees, cut into valid, simple pieces that an H3 tiler and an overlay handle fast."""

import numpy as np
import numpy.typing as npt

from mora_pipeline.raw.crs import crs_of_srid, in_degrees, metres_per_unit, transformed
from mora_pipeline.raw.shapes import SRIDS, Shapes

Rows = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
MOST_VERTICES = 256  # of a piece: an intersection takes time in proportion
SMALLEST = 1e-4  # degrees, of a piece with more
WIDEST = 30.0  # degrees, of a piece
LONGEST_EDGE = 0.1  # degrees; a longer one is another line in another projection
LONGEST_EDGE_METRES = 10_000.0
POLYGON = 3


def pieces_of(shapes: Shapes, srids: SRIDS, crs: str | None) -> tuple[Shapes, Rows, Rows]:
    """The polygons in shapes as valid pieces in degrees, within 180 degrees east and west, and the rows of the shapes.

    A ring whose longitudes jump by more than 180 degrees, or go on beyond 180, crosses the antimeridian. Shapes
    without polygons give no pieces; nor do those with a vertex beyond the globe, whose rows come last.
    """
    parts, rows = parts_of(shapes, np.arange(len(shapes)))
    parts = shapes_in_degrees(parts, srids[rows], crs)
    lost = np.unique(rows[_beyond_globe(parts)])
    there = ~np.isin(rows, lost)
    parts, rows = _made_valid(_unwrapped(parts[there]), rows[there])
    return *_subdivided(*_within_a_turn(_densified(parts), rows)), lost


def shapes_in_degrees(parts: Shapes, srids: SRIDS, crs: str | None) -> Shapes:
    """Shapes [n] with longitudes and latitudes; those of a projected CRS are straight there between their vertices.

    Args:
        srids: what each of them states, int64 [n], 0 for none; it counts where `crs` is None.
    """
    import shapely

    if crs is None and srids.any():
        parts = parts.copy()
        for srid in np.unique(srids):
            chosen = srids == srid
            parts[chosen] = shapes_in_degrees(parts[chosen], np.zeros_like(srids[chosen]), crs_of_srid(int(srid)))
        return parts
    if crs is None or in_degrees(crs):
        return parts
    if unit := metres_per_unit(crs):
        parts = shapely.segmentize(parts, LONGEST_EDGE_METRES / unit)

    def turn(points: Floats) -> Floats:
        return np.column_stack(transformed(points[:, 0], points[:, 1], crs))

    return shapely.transform(parts, turn)


def parts_of(shapes: Shapes, rows: Rows) -> tuple[Shapes, Rows]:
    """The polygons with an area in collections of any depth, each with its row."""
    import shapely

    while (shapely.get_type_id(shapes) > POLYGON).any():
        shapes, inside = shapely.get_parts(shapes, return_index=True)
        rows = rows[inside]
    polygons = (shapely.get_type_id(shapes) == POLYGON) & ~shapely.is_empty(shapes)
    return shapes[polygons], rows[polygons]


def _beyond_globe(parts: Shapes) -> npt.NDArray[np.bool_]:
    """Longitudes may go beyond a turn: people write 181 for -179."""
    import shapely

    points, at = shapely.get_coordinates(parts, return_index=True)
    with np.errstate(invalid="ignore"):
        lost = ~((np.abs(points[:, 0]) <= 360) & (np.abs(points[:, 1]) <= 90))
    return np.isin(np.arange(len(parts)), at[lost])


def _unwrapped(parts: Shapes) -> Shapes:
    """Rings that jump from 180 to -180 go on beyond 180 instead."""
    import shapely

    def eastward(points: Floats) -> Floats:
        return np.column_stack([points[:, 0] % 360, points[:, 1]])

    wide = np.flatnonzero(_width(parts) > 180)
    moved = shapely.transform(parts[wide], eastward)
    narrow = _width(moved) < 180
    parts = parts.copy()
    parts[wide[narrow]] = moved[narrow]
    return parts


def _width(parts: Shapes) -> Floats:
    import shapely

    west, _, east, _ = shapely.bounds(parts).reshape(-1, 4).T
    return east - west


def _made_valid(parts: Shapes, rows: Rows) -> tuple[Shapes, Rows]:
    import shapely

    good = shapely.is_valid(parts)
    valid, again = parts_of(shapely.make_valid(parts[~good]), rows[~good])
    return np.concatenate([parts[good], valid]), np.concatenate([rows[good], again])


def _densified(parts: Shapes) -> Shapes:
    import shapely

    west, south, east, north = shapely.bounds(parts).reshape(-1, 4).T
    long = np.maximum(east - west, north - south) > LONGEST_EDGE
    parts = parts.copy()
    parts[long] = shapely.segmentize(parts[long], LONGEST_EDGE)
    return parts


def _within_a_turn(parts: Shapes, rows: Rows) -> tuple[Shapes, Rows]:
    """Cut parts at the antimeridian, and turn what lies beyond it back."""
    import shapely

    west, _, east, _ = shapely.bounds(parts).reshape(-1, 4).T
    beyond = (west < -180) | (east > 180)
    cut, of = [parts[~beyond]], [rows[~beyond]]
    for turn in (-360, 0, 360):
        window = shapely.box(turn - 180, -90, turn + 180, 90)
        inside, whose = parts_of(shapely.intersection(parts[beyond], window), rows[beyond])
        cut.append(shapely.transform(inside, lambda points, turn=turn: points - (turn, 0)))
        of.append(whose)
    return np.concatenate(cut), np.concatenate(of)


def _subdivided(parts: Shapes, rows: Rows) -> tuple[Shapes, Rows]:
    """Cut parts of many vertices, and wide ones, in halves until none is left."""
    import shapely

    while True:
        west, south, east, north = shapely.bounds(parts).reshape(-1, 4).T
        extent = np.maximum(east - west, north - south)
        detailed = (shapely.get_num_coordinates(parts) > MOST_VERTICES) & (extent > SMALLEST)
        big = detailed | (extent > WIDEST)
        if not big.any():
            return parts, rows
        bounds = np.stack([west, south, east, north], axis=1)[big]
        axis = (bounds[:, 3] - bounds[:, 1] > bounds[:, 2] - bounds[:, 0]).astype(int)  # the longer one
        one, other, at = bounds.copy(), bounds.copy(), np.arange(len(bounds))
        one[at, axis + 2] = other[at, axis] = (bounds[at, axis] + bounds[at, axis + 2]) / 2
        halves = [parts_of(shapely.intersection(parts[big], shapely.box(*half.T)), rows[big]) for half in (one, other)]
        parts = np.concatenate([parts[~big], *(half for half, _ in halves)])
        rows = np.concatenate([rows[~big], *(whose for _, whose in halves)])
