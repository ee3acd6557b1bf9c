"""H3 on Spark columns against the package h3, for whatever a column may hold."""

import math
from collections.abc import Sequence
from typing import Any

import h3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as draw
from pyspark.sql import Column, SparkSession

from spark_jobs import h3_columns as on_columns

latitudes = draw.one_of(draw.floats(-90, 90), draw.sampled_from([None, math.nan, 90.5, -math.inf]))
longitudes = draw.one_of(draw.floats(-180, 180), draw.sampled_from([None, math.nan, 181.0, 180.0]))
good_points = draw.tuples(draw.floats(-89, 89), draw.floats(-179, 179))
cells = draw.builds(
    lambda point, resolution: h3.str_to_int(h3.latlng_to_cell(*point, resolution)), good_points, draw.integers(0, 15)
)
numbers = draw.one_of(cells, draw.sampled_from([None, 0, 5, -1, 2**62]))
some_numbers = draw.lists(numbers, min_size=1, max_size=30)
few = settings(max_examples=5, deadline=None)


def answers(spark: SparkSession, rows: Sequence[tuple[Any, ...]], schema: str, column: Column) -> list[Any]:
    return [row[0] for row in spark.createDataFrame(list(rows), schema).coalesce(1).select(column).collect()]


def of_cells(spark: SparkSession, values: list[int | None], column: Column) -> list[Any]:
    return answers(spark, [(value,) for value in values], "cell long", column)


def text(cell: int | None) -> str | None:
    """The cell's name for h3, or None where it is not a cell."""
    return h3.int_to_str(cell) if cell is not None and cell > 0 and h3.is_valid_cell(h3.int_to_str(cell)) else None


@given(draw.lists(draw.tuples(latitudes, longitudes), min_size=1, max_size=30), draw.integers(0, 15))
@few
def test_points_are_in_their_cells(spark: SparkSession, points: list[tuple[Any, Any]], resolution: int) -> None:
    cell = on_columns.geo_to_h3("lat", "lng", resolution)
    for (latitude, longitude), own in zip(points, answers(spark, points, "lat double, lng double", cell), strict=True):
        on_globe = latitude is not None and longitude is not None and abs(latitude) <= 90 and abs(longitude) <= 180
        assert (own is not None) == on_globe
        if on_globe and h3.int_to_str(own) != (other := h3.latlng_to_cell(latitude, longitude, resolution)):
            # On a border: as near to one centre as to the other.
            here, there = (h3.cell_to_latlng(name) for name in (h3.int_to_str(own), other))
            distance = h3.great_circle_distance(here, (latitude, longitude))
            assert distance == pytest.approx(h3.great_circle_distance(there, (latitude, longitude)), rel=1e-6)


@given(some_numbers, draw.integers(0, 15))
@few
def test_parents_are_those_of_h3(spark: SparkSession, values: list[int | None], resolution: int) -> None:
    found = of_cells(spark, values, on_columns.h3_to_parent("cell", resolution))
    names = [text(value) for value in values]
    assert found == [
        h3.str_to_int(h3.cell_to_parent(name, resolution)) if name and h3.get_resolution(name) >= resolution else None
        for name in names
    ]


@given(draw.lists(draw.one_of(numbers), min_size=1, max_size=20))
@few
def test_neighbours_and_children_are_those_of_h3(spark: SparkSession, values: list[int | None]) -> None:
    rings = of_cells(spark, values, on_columns.k_ring("cell", 2))
    for value, ring, name in zip(values, rings, map(text, values), strict=True):
        assert (sorted(ring) if ring is not None else None) == (
            sorted(map(h3.str_to_int, h3.grid_disk(name, 2))) if name else None
        ), value
    children = of_cells(spark, values, on_columns.h3_to_children("cell", 4))
    for own, name in zip(children, map(text, values), strict=True):
        coarse = name is not None and h3.get_resolution(name) <= 4
        assert (sorted(own) if own is not None else None) == (
            sorted(map(h3.str_to_int, h3.cell_to_children(name, 4))) if coarse else None
        )


@given(some_numbers)
@few
def test_what_a_cell_says_of_itself(spark: SparkSession, values: list[int | None]) -> None:
    names = [text(value) for value in values]
    assert of_cells(spark, values, on_columns.h3_is_valid("cell")) == [name is not None for name in names]
    assert of_cells(spark, values, on_columns.h3_to_string("cell")) == names
    resolutions = [h3.get_resolution(name) if name else None for name in names]
    assert of_cells(spark, values, on_columns.h3_get_resolution("cell")) == resolutions
    for centre, name in zip(of_cells(spark, values, on_columns.h3_to_geo("cell")), names, strict=True):
        assert (centre is None) == (name is None)
        if name:
            assert (centre["lat"], centre["lng"]) == pytest.approx(h3.cell_to_latlng(name), abs=1e-9)


def test_texts_that_name_no_cell_give_none(spark: SparkSession) -> None:
    texts = [("872a100d2ffffff",), ("xyz",), (None,), ("",)]
    found = answers(spark, texts, "name string", on_columns.string_to_h3("name"))
    assert found == [h3.str_to_int("872a100d2ffffff"), None, None, None]


@given(draw.lists(draw.tuples(good_points, good_points), min_size=1, max_size=20))
@few
def test_distances_are_those_of_h3(spark: SparkSession, pairs: list[tuple[Any, Any]]) -> None:
    rows = [(*one, *other) for one, other in pairs]
    column = on_columns.point_dist("a", "b", "c", "d")
    found = answers(spark, [*rows, (None, 0.0, 0.0, 0.0)], "a double, b double, c double, d double", column)
    expected = [h3.great_circle_distance(one, other) for one, other in pairs]
    assert found[:-1] == pytest.approx(expected, rel=1e-5, abs=1e-6)
    assert found[-1] is None


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
        assert getattr(on_columns, old) is getattr(on_columns, new)
        assert hasattr(h3, new)
