"""Points in degrees from a column of geometries, in any encoding and any coordinate reference system."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mora_pipeline.raw.crs import crs_of_srid, to_degrees
from mora_pipeline.raw.pieces import shapes_in_degrees
from mora_pipeline.raw.shapes import (
    SRIDS,
    Shapes,
    coordinates_of,
    flat,
    from_hex,
    is_binary,
    is_points,
    is_text,
    kinds_of_text,
    one_by_one,
    shapes_of,
)

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
WITH_Z, WITH_M, WITH_SRID = 0x80000000, 0x40000000, 0x20000000  # flags of EWKB's type
POINT = 1  # of WKB
POLYGON = 3  # of shapely; above are those of several parts


def points_of(values: pa.Array | pa.ChunkedArray, crs: str | None = None) -> tuple[pa.Array, pa.Array]:
    """Latitude and longitude of each geometry, degrees, float64 [n]; null where there is none.

    A polygon is represented by a point inside it, a line by its middle. Null are missing, unreadable and empty
    geometries, and points beyond the globe.

    Args:
        values: WKB or EWKB (binary, or hexadecimal text), WKT or EWKT, GeoJSON text, or GeoArrow, [n].
        crs: of the coordinates; None: that of each value's SRID, degrees where it has none.

    Raises:
        UserError: if the type holds no geometries, starting with "it"; the CRS is none; or the extra ``geo`` is
            needed and not installed. Points in degrees, as WKB or GeoArrow, need no extra.
    """
    x, y, srids, _, _ = _read(flat(values))
    return _points(x, y, srids, crs)


def locations_of(
    values: pa.Array | pa.ChunkedArray, crs: str | None = None
) -> tuple[pa.Array, pa.Array, pa.LargeBinaryArray]:
    """As `points_of`, and those geometries that have an area, in degrees, as WKB [n]; null for all others."""
    x, y, srids, rows, shapes = _read(flat(values))
    areas: list[bytes | None] = [None] * len(x)
    if len(rows):
        import shapely

        extended = shapely.get_type_id(shapes) >= POLYGON
        there = rows[extended]
        encoded = shapely.to_wkb(shapes_in_degrees(shapes[extended], srids[there], crs))
        for row, text in zip(there.tolist(), encoded, strict=True):
            areas[row] = text
    return *_points(x, y, srids, crs), pa.array(areas, pa.large_binary())


def _points(x: Floats, y: Floats, srids: SRIDS, crs: str | None) -> tuple[pa.Array, pa.Array]:
    latitude, longitude = np.full(len(x), np.nan), np.full(len(x), np.nan)
    if crs is not None or not srids.any():
        latitude, longitude = to_degrees(x, y, crs)
    else:
        for srid in np.unique(srids):
            rows = np.flatnonzero(srids == srid)
            latitude[rows], longitude[rows] = to_degrees(x[rows], y[rows], crs_of_srid(int(srid)))
    return pa.array(latitude, from_pandas=True), pa.array(longitude, from_pandas=True)  # NaN becomes null


def _read(values: pa.Array) -> tuple[Floats, Floats, SRIDS, npt.NDArray[np.int64], Shapes]:
    """x, y and SRID of each geometry's point, NaN where there is none; and the rows and shapes of those parsed."""
    none = np.empty(0, np.int64), np.empty(0, object)
    if is_points(values.type):
        return (*coordinates_of(values), np.zeros(len(values), np.int64), *none)
    if is_text(values.type):
        texts, in_hex, _ = kinds_of_text(values)
        if len(texts) and in_hex.true_count == len(texts):
            values = from_hex(texts)
    if not is_binary(values.type):
        shapes, srids = shapes_of(values)
        return (*coordinates_of_shapes(shapes), srids, np.arange(len(values)), shapes)
    x, y, srids, done = _wkb_points(values)
    if done.all():
        return x, y, srids, *none
    rows = np.flatnonzero(~done)
    shapes, srids[rows] = shapes_of(values.take(pa.array(rows)))
    x[rows], y[rows] = coordinates_of_shapes(shapes)
    return x, y, srids, rows, shapes


def _wkb_points(values: pa.Array) -> tuple[Floats, Floats, SRIDS, Mask]:
    """The coordinates and SRIDs of those WKBs that are points, and which rows are done; missing ones are, as NaN.

    A point is a byte order, a type, an SRID if flagged, and its coordinates at fixed places: numpy reads a million of
    them at once. shapely makes an object of each.
    """
    x, y, srids = np.full(len(values), np.nan), np.full(len(values), np.nan), np.zeros(len(values), np.int64)
    done = np.asarray(values.is_null()).astype(bool)
    lengths = pc.binary_length(values).fill_null(0).to_numpy().astype(np.int64)
    for length in np.unique(lengths[~done]):
        if not 21 <= length <= 41:
            continue
        rows = np.flatnonzero((lengths == length) & ~done)
        table = _bytes_of(values if len(rows) == len(values) else values.take(pa.array(rows)), int(length))
        for order, mark in (("<", 1), (">", 0)):
            _read_points(table, rows, order, np.flatnonzero(table[:, 0] == mark), (x, y, srids, done))
    return x, y, srids, done


def _bytes_of(values: pa.Array, length: int) -> npt.NDArray[np.uint8]:
    """The bytes of values of one length, uint8 [n, length]."""
    width = np.int64 if pa.types.is_large_binary(values.type) else np.int32
    first = int(np.frombuffer(values.buffers()[1], width, 1, values.offset * np.dtype(width).itemsize)[0])
    return np.frombuffer(values.buffers()[2], np.uint8, len(values) * length, first).reshape(len(values), length)


def _read_points(
    table: npt.NDArray[np.uint8],
    rows: npt.NDArray[np.int64],
    order: str,
    chosen: npt.NDArray[np.int64],
    into: tuple[Floats, Floats, SRIDS, Mask],
) -> None:
    """Read the points among the chosen rows of the table, all in one byte order."""
    if not len(chosen):
        return
    part = table if len(chosen) == len(table) else table[chosen]
    x, y, srids, done = into
    kinds = _numbers(part, 1, f"{order}u4").astype(np.int64)
    for kind in np.unique(kinds):
        start = 9 if kind & WITH_SRID else 5
        flags = bool(kind & WITH_Z) + bool(kind & WITH_M)
        plain = int(kind) & 0x0FFFFFFF
        axes = 2 + flags + (0, 1, 1, 2)[plain // 1000] if plain // 1000 < 4 else 0
        if plain % 1000 != POINT or table.shape[1] != start + 8 * axes:
            continue
        same = slice(None) if (kinds == kind).all() else np.flatnonzero(kinds == kind)
        target = rows[chosen][same]
        points = part[same]
        x[target], y[target] = (_numbers(points, start + 8 * axis, f"{order}f8") for axis in (0, 1))
        if kind & WITH_SRID:
            srids[target] = _numbers(points, 5, f"{order}u4")
        done[target] = True


def _numbers(table: npt.NDArray[np.uint8], start: int, kind: str) -> npt.NDArray[Any]:
    """The numbers that start at one byte of every row; rows lie one after the other."""
    return np.ndarray((len(table),), kind, np.ascontiguousarray(table), start, (table.shape[1],))


def coordinates_of_shapes(shapes: Shapes) -> tuple[Floats, Floats]:
    """The coordinates of the point that represents each shape; NaN where there is none."""
    import shapely

    kinds, points = shapely.get_type_id(shapes), np.full(len(shapes), None, object)
    single = np.isin(kinds, (0, 1, 2))  # points, lines and rings of them
    for chosen, represent in (
        (kinds == shapely.GeometryType.POINT, lambda point: point),
        (np.isin(kinds, (1, 2)), lambda line: shapely.line_interpolate_point(line, 0.5, normalized=True)),
        ((kinds >= 0) & ~single, shapely.point_on_surface),
    ):
        rows = np.flatnonzero(chosen & ~shapely.is_empty(shapes))
        if len(rows):
            points[rows] = one_by_one(represent, shapes[rows])
    return shapely.get_x(points), shapely.get_y(points)
