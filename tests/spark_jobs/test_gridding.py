"""Cells of points against h3 itself, also where maps end, and the list of a region's cells."""

from pathlib import Path
from typing import Any

import h3
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.schemas import EDGES, SELF_FLOW
from mora_pipeline.raw.places import cells_at
from spark_jobs import cells
from spark_jobs.gridding import centres_of, checked_resolution, resolutions_of
from spark_jobs.h3_columns import latlng_to_cell

EDGE_OF_THE_MAP = [
    (90.0, 0.0),
    (-90.0, 0.0),
    (90.0, 180.0),
    (89.9999, -179.9999),
    (-89.9999, 45.0),
    (0.0, 180.0),
    (0.0, -180.0),
    (12.3, 179.99999),
    (12.3, -179.99999),
    (-45.0, 180.0),
    (0.0, 0.0),
]


def expected(latitude: float, longitude: float, resolution: int) -> int:
    return h3.str_to_int(h3.latlng_to_cell(latitude, longitude, resolution))


@given(st.floats(-90, 90), st.floats(-180, 180), st.integers(0, 12))
def test_a_point_lies_in_the_cell_that_h3_says(latitude: float, longitude: float, resolution: int) -> None:
    found = cells_at(pa.array([latitude]), pa.array([longitude]), resolution)[0].as_py()
    if found != expected(latitude, longitude, resolution):
        # The two libraries may round a point on a border to either side; then it lies that far from both centres.
        own = h3.great_circle_distance(h3.cell_to_latlng(h3.int_to_str(found)), (latitude, longitude), "m")
        other = h3.latlng_to_cell(latitude, longitude, resolution)
        assert own == pytest.approx(h3.great_circle_distance(h3.cell_to_latlng(other), (latitude, longitude), "m"))


@pytest.mark.parametrize("resolution", [0, 6, 9, 15])
def test_poles_and_antimeridian_through_spark(spark: SparkSession, resolution: int) -> None:
    frame = spark.createDataFrame(
        [(number, *point) for number, point in enumerate(EDGE_OF_THE_MAP)], "id int, latitude double, longitude double"
    )
    cell = latlng_to_cell("latitude", "longitude", resolution).alias("cell")
    rows = frame.select("id", cell).orderBy("id").collect()
    assert [row["cell"] for row in rows] == [expected(*point, resolution) for point in EDGE_OF_THE_MAP]


def test_centres_and_resolutions_are_those_of_h3() -> None:
    points = [(40.7, -74.0, 6), (-33.4, -70.6, 9), (89.9, 0.0, 3)]
    found = np.array([expected(*point) for point in points])
    latitude, longitude = centres_of(found)
    centres = np.array([h3.cell_to_latlng(h3.int_to_str(int(cell))) for cell in found])
    np.testing.assert_allclose(np.column_stack([latitude, longitude]), centres, atol=1e-9)
    assert resolutions_of(found).tolist() == [6, 9, 3]


@pytest.mark.parametrize("value", [-1, 16, 6.5, "6", None, True])
def test_a_wrong_resolution_is_told(value: object) -> None:
    with pytest.raises(UserError, match="whole number from 0 to 15"):
        checked_resolution(value)


A, B, C, D, E = sorted(expected(40 + number, -74.0, 7) for number in range(5))


def dataset(folder: Path, *files: dict[str, list[Any]]) -> str:
    folder.mkdir(parents=True)
    for number, columns in enumerate(files):
        pd.DataFrame(columns).to_parquet(folder / f"part-{number:05d}.parquet", index=False)
    (folder / "_owner.json").write_text("{}")
    return str(folder)


@pytest.fixture
def params(tmp_path: Path) -> dict[str, Any]:
    """Edges over two files, one cell of its own in self flow and one in a modality."""
    first = {"origin": [B, B], "destination": [A, C], "flow": [1.0, 2.0]}
    second = {"origin": [C], "destination": [A], "flow": [3.0]}
    return {
        "edges": dataset(tmp_path / "edges", first, second),
        "self_flow": dataset(tmp_path / "self_flow", {"cell": [A, D], "internal_flow": [5.0, 7.0]}),
        "members": [dataset(tmp_path / "poi", {"cell": [E, E, A], "text_id": [0, 1, 0], "count": [1.0, 1.0, 1.0]})],
        "population": dataset(tmp_path / "weights", {"cell": [A, E], "weight": [10.0, 0.0]}),
        "resolution": 7,
        "output": {"cells": str(tmp_path / "cells")},
    }


WORLD = {"box": [-90, -180, 90, 180]}


def test_cells_in_an_extent_are_the_sorted_union_of_all_datasets(
    spark: SparkSession, params: dict[str, Any], read: Any
) -> None:
    outcome = cells.run(spark, {**params, "extent": WORLD})
    table = read(params["output"]["cells"])
    assert table["cell"].tolist() == [A, B, C, D, E]
    assert table["node"].tolist() == [0, 1, 2, 3, 4]
    assert table["internal_flow"].tolist() == [5.0, 0.0, 0.0, 7.0, 0.0]
    assert [None if pd.isna(value) else value for value in table["population"]] == [10.0, None, None, None, 0.0]
    centre = h3.cell_to_latlng(h3.int_to_str(C))
    np.testing.assert_allclose(table.loc[2, ["latitude", "longitude"]].astype(float), centre, atol=1e-9)
    assert outcome.checks["cells_unique_and_sorted"].passed
    assert outcome.rows == {"cells": 5}


def test_without_an_extent_mobility_alone_makes_cells(spark: SparkSession, params: dict[str, Any], read: Any) -> None:
    """Texts and tables of a wider area add none."""
    cells.run(spark, {**params, "population": None})
    table = read(params["output"]["cells"])
    assert table["cell"].tolist() == [A, B, C, D]
    assert table["population"].isna().all()


def test_without_flows_places_make_cells(
    spark: SparkSession, params: dict[str, Any], read: Any, tmp_path: Path
) -> None:
    pd.DataFrame({"id": ["p", "q"], "y": [43.0, 44.0], "x": -74.0}).to_csv(tmp_path / "places.csv", index=False)
    roles = {"id": "id", "latitude": "y", "longitude": "x"}
    source = {"files": [str(tmp_path / "places.csv")], "format": "csv", "columns": roles}
    folders = {}
    for name, schema in (("edges", EDGES), ("self_flow", SELF_FLOW)):
        folder = tmp_path / f"empty_{name}"
        folder.mkdir()
        pq.write_table(schema.empty_table(), folder / "part-00000.parquet")
        folders[name] = str(folder)
    output = {**params["output"], "quarantine": str(tmp_path / "quarantine")}
    outcome = cells.run(spark, {**params, **folders, "places": source, "output": output})
    expected_cells = {A, E, expected(43.0, -74.0, 7), expected(44.0, -74.0, 7)}
    assert set(read(params["output"]["cells"])["cell"]) == expected_cells
    assert outcome.quarantined == {}


def test_a_dataset_of_another_resolution_is_told(spark: SparkSession, params: dict[str, Any], tmp_path: Path) -> None:
    other = dataset(tmp_path / "other", {"cell": [expected(40.0, -74.0, 8)]})
    with pytest.raises(UserError, match="1 of 6 cells are not of resolution 7"):
        cells.run(spark, {**params, "extent": WORLD, "members": [*params["members"], other]})


def test_the_check_finds_twins_and_disorder() -> None:
    ordered = np.arange(3)
    assert cells.check_order(np.array([1, 2, 3]), ordered).passed
    assert not cells.check_order(np.array([1, 2, 2]), ordered).passed
    assert not cells.check_order(np.array([2, 1, 3]), ordered).passed
    assert not cells.check_order(np.array([1, 2, 3]), np.array([0, 2, 1])).passed
