"""Every dataset that a job writes has exactly the schema that the contract declares, nullability included."""

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from mora_pipeline.contract import schemas
from spark_jobs import cells, grid_mobility, grid_table, grid_text, sample_graph
from spark_jobs.output import part_files, write_parts

DECLARED: dict[str, pa.Schema] = {
    "edges": schemas.EDGES,
    "self_flow": schemas.SELF_FLOW,
    "rhythm": schemas.RHYTHM,
    "quarantine": schemas.QUARANTINE,
    "texts": schemas.TEXTS,
    "text_cells": schemas.TEXT_CELLS,
    "table_cells": schemas.table_cells(["young", "old"]),
    "weights": schemas.WEIGHTS,
    "sums": schemas.table_sums(["age: (total)", "age: young", "age: old"]),
    "cells": schemas.CELLS,
    "graph": schemas.GRAPH,
}
POINTS = pd.DataFrame({"latitude": [40.0, 40.2, 99.0] * 2, "longitude": [1.0] * 6})


def check(output: dict[str, str]) -> None:
    for name, folder in output.items():
        for file in part_files(folder):
            assert pq.read_schema(file).remove_metadata() == DECLARED[name].remove_metadata(), name
            required = {field.name for field in DECLARED[name] if not field.nullable}
            columns = pq.ParquetFile(file).schema
            stored = [columns.column(number) for number in range(len(columns))]
            assert {column.name for column in stored if not column.max_definition_level} == required, name


@pytest.mark.parametrize("bad", [False, True])
def test_every_job_writes_what_is_declared(spark: SparkSession, source: Any, output: Any, bad: bool) -> None:
    points = POINTS if bad else POINTS[POINTS["latitude"] < 90]
    common = {"resolution": 7, "maximum_bad_share": 0.9}
    ends = points.rename(columns=lambda name: f"origin_{name}").assign(
        destination_latitude=40.4, destination_longitude=1.0, day="2024-01-01T00:00:00Z"
    )
    trips = source(ends, "trips.csv")
    for number, form in enumerate(["csv", "parquet"]):
        for kept in (None, str(Path(trips["files"][0]).parent / f"kept{number}")):
            raw = source(ends, f"trips.{form}")
            raw["columns"] = {**{n: n for n in ends.columns if n != "day"}}
            dates = dict.fromkeys(raw["files"], "2024-01-01")
            mobility = output("edges", "self_flow", "rhythm", "quarantine")
            params = {"kind": "trips", "source": raw, "kept": kept, "dates": dates, "output": mobility, **common}
            assert bool(grid_mobility.run(spark, params).quarantined) == bad
            check(mobility)

    shops = source(points.assign(category="shop"), "shops.csv")
    texts = output("texts", "text_cells", "quarantine")
    assert bool(grid_text.run(spark, {"source": shops, "output": texts, **common}).quarantined) == bad
    check(texts)

    people = source(points.assign(young=range(1, 1 + len(points)), old=2.0), "people.parquet")
    people["columns"] = {"latitude": "latitude", "longitude": "longitude"}
    table = output("table_cells", "weights", "sums", "quarantine")
    groups = {"age": ["young", "old"]}
    params = {"source": people, "groups": groups, "output": table, **common}
    assert bool(grid_table.run(spark, params).quarantined) == bad
    check(table)

    region = output("cells")
    listed = {"self_flow": mobility["self_flow"], "members": [texts["text_cells"]], "population": table["weights"]}
    cells.run(spark, {"edges": mobility["edges"], **listed, "resolution": 7, "output": region})
    check(region)
    graph = output("graph")
    sample_graph.run(spark, {"edges": mobility["edges"], "share": 0.5, "output": graph})
    check(graph)


def test_a_null_in_a_column_without_nulls_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    frame = spark.sql("SELECT 1L AS cell, CAST(NULL AS double) AS weight")
    with pytest.raises(Exception, match="null"):
        write_parts(frame, str(tmp_path / "weights"), schemas.WEIGHTS)
    assert list((tmp_path / "weights").iterdir()) == []
