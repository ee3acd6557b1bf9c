"""H3 on columns of Spark, whole Arrow batches at a time: h3-pyspark's functions, with H3 4's names beside them.

Cells are int64, as everywhere in the lake; `h3_to_string` shows them as h3-pyspark does. A row without an answer (a
null, a point on no globe, no cell, a parent that is finer than the cell) gives null.
"""

from collections.abc import Callable
from typing import TypeAlias

import h3ronpy
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from h3ronpy.vector import cells_to_coordinates
from pyspark.sql import Column
from pyspark.sql import functions as sql
from pyspark.sql.functions import ArrowUDFType

from mora_pipeline.contract.sphere import kilometres_between
from mora_pipeline.raw.places import cells_at
from mora_pipeline.raw.rules import missing
from spark_jobs.gridding import resolutions_of

ColumnOrName: TypeAlias = Column | str
Kernel = Callable[..., pa.Array]  # Arrow arrays of n rows → one of n rows
Mask = npt.NDArray[np.bool_]


def geo_to_h3(lat: ColumnOrName, lng: ColumnOrName, resolution: int) -> Column:
    """The cell of a point in degrees, int64."""

    def kernel(latitude: pa.Array, longitude: pa.Array) -> pa.Array:
        good = _on_globe(latitude, longitude)
        return _spread(cells_at(latitude.filter(good), longitude.filter(good), resolution), good)

    return _column(kernel, "long", lat, lng)


def h3_to_geo(cell: ColumnOrName) -> Column:
    """The centre of a cell in degrees, struct<lat: double, lng: double>."""

    def kernel(cells: pa.Array) -> pa.Array:
        good = _valid(cells)
        centres = pa.record_batch(cells_to_coordinates(_unsigned(cells.filter(good))))
        return _spread(pa.StructArray.from_arrays([centres["lat"], centres["lng"]], names=["lat", "lng"]), good)

    return _column(kernel, "lat double, lng double", cell)


def h3_to_parent(cell: ColumnOrName, resolution: int) -> Column:
    """The cell of a coarser resolution that holds a cell, int64."""

    def kernel(cells: pa.Array) -> pa.Array:
        good = _valid(cells, finest=15, coarsest=resolution)
        return _spread(pa.array(h3ronpy.change_resolution(_unsigned(cells.filter(good)), resolution)), good, pa.int64())

    return _column(kernel, "long", cell)


def h3_to_children(cell: ColumnOrName, resolution: int) -> Column:
    """The cells of a finer resolution in a cell, array<long>."""

    def kernel(cells: pa.Array) -> pa.Array:
        good = _valid(cells, finest=resolution)
        children = h3ronpy.change_resolution_list(_unsigned(cells.filter(good)), resolution)
        return _spread(pa.array(children), good, pa.list_(pa.int64()))

    return _column(kernel, "array<long>", cell)


def k_ring(cell: ColumnOrName, k: int) -> Column:
    """The cells within k steps of a cell, itself among them, array<long>."""

    def kernel(cells: pa.Array) -> pa.Array:
        good = _valid(cells)
        return _spread(pa.array(h3ronpy.grid_disk(_unsigned(cells.filter(good)), k)), good, pa.list_(pa.int64()))

    return _column(kernel, "array<long>", cell)


def h3_get_resolution(cell: ColumnOrName) -> Column:
    """The resolution of a cell, from 0 to 15."""

    def kernel(cells: pa.Array) -> pa.Array:
        good = _valid(cells)
        return _spread(pa.array(resolutions_of(cells.filter(good).to_numpy())), good, pa.int32())

    return _column(kernel, "int", cell)


def h3_is_valid(cell: ColumnOrName) -> Column:
    """Whether a number is a cell; false for null."""
    return _column(_valid, "boolean", cell)


def h3_to_string(cell: ColumnOrName) -> Column:
    """A cell as people read it: hexadecimal."""

    def kernel(cells: pa.Array) -> pa.Array:
        good = _valid(cells)
        return _spread(pa.array(h3ronpy.cells_to_string(_unsigned(cells.filter(good)))), good, pa.string())

    return _column(kernel, "string", cell)


def string_to_h3(text: ColumnOrName) -> Column:
    """The cell that a hexadecimal text names."""

    def kernel(texts: pa.Array) -> pa.Array:
        return pa.array(h3ronpy.cells_parse(texts, set_failing_to_invalid=True)).cast(pa.int64())

    return _column(kernel, "long", text)


def point_dist(lat1: ColumnOrName, lng1: ColumnOrName, lat2: ColumnOrName, lng2: ColumnOrName) -> Column:
    """Great-circle kilometres between two points in degrees."""

    def kernel(*points: pa.Array) -> pa.Array:
        good = pa.array(_on_globe(*points[:2]).to_numpy(False) & _on_globe(*points[2:]).to_numpy(False))
        north, east, south, west = (point.filter(good).to_numpy() for point in points)
        rows = np.arange(len(north))
        latitude, longitude = np.concatenate([north, south]), np.concatenate([east, west])
        return _spread(pa.array(kilometres_between(latitude, longitude, rows, rows + len(rows))), good)

    return _column(kernel, "double", lat1, lng1, lat2, lng2)


latlng_to_cell, cell_to_latlng = geo_to_h3, h3_to_geo
cell_to_parent, cell_to_children, grid_disk = h3_to_parent, h3_to_children, k_ring
get_resolution, is_valid_cell = h3_get_resolution, h3_is_valid
int_to_str, str_to_int, great_circle_distance = h3_to_string, string_to_h3, point_dist


def _column(kernel: Kernel, kind: str, *columns: ColumnOrName) -> Column:
    function = sql.arrow_udf(kernel, kind, ArrowUDFType.SCALAR)
    return function(*(sql.col(column) if isinstance(column, str) else column for column in columns))


def _unsigned(cells: pa.Array) -> pa.Array:
    return cells.cast(pa.uint64())


def _on_globe(latitude: pa.Array, longitude: pa.Array) -> pa.Array:
    north, east = latitude.to_numpy(zero_copy_only=False), longitude.to_numpy(zero_copy_only=False)
    return pa.array((np.abs(north) <= 90) & (np.abs(east) <= 180))  # false for NaN, and so for a null


def _valid(cells: pa.Array, finest: int = 15, coarsest: int = 0) -> pa.Array:
    """True where a number is a cell of these resolutions, never null."""
    number = cells.fill_null(0).to_numpy()
    resolution = resolutions_of(number)
    no_cell = missing(pa.array(h3ronpy.cells_valid(pa.array(number.view(np.uint64)))))  # h3ronpy gives null for those
    return pa.array(~no_cell & (resolution <= finest) & (resolution >= coarsest))


def _spread(answers: pa.Array, good: pa.Array, kind: pa.DataType | None = None) -> pa.Array:
    """Answers of the good rows in the order of all rows, null elsewhere."""
    chosen = good.to_numpy(zero_copy_only=False)
    places = pa.array(np.cumsum(chosen) - 1, mask=~chosen)
    return (answers.cast(kind) if kind else answers).take(places)
