"""How far a region reaches: what mobility sees, or what region.yaml says; all else is counted apart."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h3.api.basic_int as h3
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.extent import Extent
from spark_jobs import cells, grid_mobility, grid_text

POINTS = [(47.50, 19.00), (47.52, 19.05), (47.55, 19.10), (40.70, -74.00)]  # the last is far away
ENDS = ["origin_latitude", "origin_longitude", "destination_latitude", "destination_longitude"]
RESOLUTION = 8


def cell(number: int) -> int:
    return int(h3.latlng_to_cell(*POINTS[number], RESOLUTION))


@pytest.fixture
def gridded(
    spark: SparkSession, source: Callable[..., Any], output: Callable[..., Any]
) -> Callable[..., dict[str, Any]]:
    """The edges and the cells of trips 0-1 (twice), 1-0, 0-3, and of POIs at points 0, 2 and 3."""

    def run(extent: dict[str, Any] | None) -> dict[str, Any]:
        pairs = [(0, 1), (0, 1), (1, 0), (0, 3)]
        trips = source(pd.DataFrame([(*POINTS[a], *POINTS[b]) for a, b in pairs], columns=ENDS), "trips.csv")
        pois = source(
            pd.DataFrame([(*POINTS[n], "cafe") for n in (0, 2, 3)], columns=["latitude", "longitude", "category"]),
            "pois.csv",
        )
        moves = output("edges", "self_flow", "rhythm", "quarantine")
        common = {"resolution": RESOLUTION, "extent": extent}
        outcome = grid_mobility.run(spark, {"kind": "trips", "source": trips, **common, "output": moves})
        texts = output("texts", "text_cells", "quarantine")
        grid_text.run(spark, {"source": pois, "resolution": RESOLUTION, "output": texts})
        listed = output("cells")
        params = {"edges": moves["edges"], "self_flow": moves["self_flow"], "members": [texts["text_cells"]]}
        cells.run(spark, {**params, **common, "output": listed})
        edges = pq.read_table(moves["edges"]).to_pylist()
        return {
            "edges": {(row["origin"], row["destination"]): row["flow"] for row in edges},
            "cells": pq.read_table(listed["cells"])["cell"].to_pylist(),
            "outside": (outcome.metadata["edges_outside"], outcome.metadata["flow_outside"]),
        }

    return run


def test_without_an_extent_the_cells_are_those_of_mobility(gridded: Callable[..., dict[str, Any]]) -> None:
    found = gridded(None)
    assert found["cells"] == sorted(map(cell, (0, 1, 3)))
    assert found["outside"] == (0, 0)


@pytest.mark.parametrize("extent", [{"box": [47, 18, 48, 20]}, {"cells": [cell(0), cell(1), cell(2)]}])
def test_an_extent_keeps_what_is_inside_and_counts_the_rest(
    gridded: Callable[..., dict[str, Any]], extent: dict[str, Any]
) -> None:
    """The POI that no trip reaches is the region's as well, the one far away is not."""
    found = gridded(extent)
    assert found["edges"] == {(cell(0), cell(1)): 2.0, (cell(1), cell(0)): 1.0}
    assert found["cells"] == sorted(map(cell, (0, 1, 2)))
    assert found["outside"] == (1, 1)


def test_an_extent_elsewhere_is_refused(gridded: Callable[..., dict[str, Any]]) -> None:
    with pytest.raises(UserError, match=r"gives no edge inside the extent: 3 have an end outside\. Widen extent"):
        gridded({"box": [10, 10, 11, 11]})


def test_a_box_may_cross_the_antimeridian() -> None:
    inside, outside = (h3.latlng_to_cell(-17.0, east, 6) for east in (179.9, 170.0))
    holds = Extent.parse({"box": [-20, 175, -10, -175]})
    assert holds is not None
    assert holds.holds(np.array([inside, outside])).tolist() == [True, False]


@pytest.mark.parametrize("wrong", [{}, {"cells": []}, {"circle": 3}, "everywhere"])
def test_any_other_extent_is_refused(wrong: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="extent must be"):
        Extent.parse(wrong)
