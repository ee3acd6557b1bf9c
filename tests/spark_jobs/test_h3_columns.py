"""H3 on Spark columns against the package h3, for whatever a column may hold."""

import math
from collections.abc import Sequence
from typing import Any

import h3
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as draw
from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as sql

from spark_jobs import h3_columns

latitudes = draw.one_of(draw.floats(-90, 90), draw.sampled_from([None, math.nan, 90.5, -math.inf]))
longitudes = draw.one_of(draw.floats(-180, 180), draw.sampled_from([None, math.nan, 181.0, 180.0]))
good_points = draw.tuples(draw.floats(-89, 89), draw.floats(-179, 179))
cells = draw.builds(
    lambda point, resolution: h3.str_to_int(h3.latlng_to_cell(*point, resolution)), good_points, draw.integers(0, 15)
)
numbers = draw.one_of(cells, draw.sampled_from([None, 0, 5, -1, 2**62]))
few = settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def answers(spark: SparkSession, columns: dict[str, pa.Array], **asked: Column) -> list[dict[str, Any]]:
    frame = spark.createDataFrame(pa.table(columns)).coalesce(1)
    return frame.select(*(column.alias(name) for name, column in asked.items())).toArrow().to_pylist()


def text(cell: int | None) -> str | None:
    """The cell's name for h3, or None where it is not a cell."""
    return h3.int_to_str(cell) if cell is not None and cell > 0 and h3.is_valid_cell(h3.int_to_str(cell)) else None


def as_set(names: Sequence[str]) -> set[int]:
    return {h3.str_to_int(name) for name in names}


@given(draw.lists(draw.tuples(latitudes, longitudes), min_size=20, max_size=60), draw.integers(0, 15))
@few
def test_points_are_in_their_cells(spark: SparkSession, points: list[tuple[Any, Any]], resolution: int) -> None:
    values = dict(
        zip(("lat", "lng"), (pa.array(column, pa.float64()) for column in zip(*points, strict=True)), strict=True)
    )
    distance = h3_columns.point_dist("lat", "lng", sql.lit(1.0), sql.lit(2.0))
    rows = answers(spark, values, cell=h3_columns.geo_to_h3("lat", "lng", resolution), distance=distance)
    for (latitude, longitude), row in zip(points, rows, strict=True):
        on_globe = latitude is not None and longitude is not None and abs(latitude) <= 90 and abs(longitude) <= 180
        assert [row[name] is not None for name in ("cell", "distance")] == [on_globe, on_globe]
        if not on_globe:
            continue
        point = (latitude, longitude)
        assert row["distance"] == pytest.approx(h3.great_circle_distance(point, (1.0, 2.0)), rel=1e-5, abs=1e-6)
        if h3.int_to_str(row["cell"]) != (other := h3.latlng_to_cell(*point, resolution)):
            # On a border: as near to one centre as to the other.
            here, there = (h3.cell_to_latlng(name) for name in (h3.int_to_str(row["cell"]), other))
            assert h3.great_circle_distance(here, point) == pytest.approx(
                h3.great_circle_distance(there, point), rel=1e-6
            )


@given(draw.lists(numbers, min_size=20, max_size=60), draw.integers(0, 15))
@few
def test_what_a_cell_says_is_what_h3_says(spark: SparkSession, values: list[int | None], resolution: int) -> None:
    rows = answers(
        spark,
        {"cell": pa.array(values, pa.int64())},
        valid=h3_columns.h3_is_valid("cell"),
        text=h3_columns.h3_to_string("cell"),
        again=h3_columns.string_to_h3(h3_columns.h3_to_string("cell")),
        resolution=h3_columns.h3_get_resolution("cell"),
        centre=h3_columns.h3_to_geo("cell"),
        parent=h3_columns.h3_to_parent("cell", resolution),
        children=h3_columns.h3_to_children("cell", 4),
        ring=h3_columns.k_ring("cell", 2),
    )
    for value, row in zip(values, rows, strict=True):
        name = text(value)
        assert (row["valid"], row["text"]) == (name is not None, name)
        if name is None:
            assert {row[key] is None for key in row if key != "valid"} == {True}
            continue
        own = h3.get_resolution(name)
        assert (row["again"], row["resolution"]) == (value, own)
        assert (row["centre"]["lat"], row["centre"]["lng"]) == pytest.approx(h3.cell_to_latlng(name), abs=1e-9)
        assert row["parent"] == (h3.str_to_int(h3.cell_to_parent(name, resolution)) if own >= resolution else None)
        assert set(row["ring"]) == as_set(h3.grid_disk(name, 2))
        assert (row["children"] is None) == (own > 4)
        if own <= 4:
            assert set(row["children"]) == as_set(h3.cell_to_children(name, 4))


def test_texts_that_name_no_cell_give_none(spark: SparkSession) -> None:
    texts = pa.array(["872a100d2ffffff", "xyz", None, ""])
    rows = answers(spark, {"name": texts}, cell=h3_columns.string_to_h3("name"))
    assert [row["cell"] for row in rows] == [h3.str_to_int("872a100d2ffffff"), None, None, None]


def test_both_generations_of_names_are_there() -> None:
    pairs = {
        "geo_to_h3": "latlng_to_cell",
        "h3_to_geo": "cell_to_latlng",
        "h3_to_parent": "cell_to_parent",
        "h3_to_children": "cell_to_children",
        "k_ring": "grid_disk",
        "h3_get_resolution": "get_resolution",
        "h3_is_valid": "is_valid_cell",
        "h3_to_string": "int_to_str",
        "string_to_h3": "str_to_int",
        "point_dist": "great_circle_distance",
    }
    for old, new in pairs.items():
        assert getattr(h3_columns, old) is getattr(h3_columns, new)
        assert hasattr(h3, new)
