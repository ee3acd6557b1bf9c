"""Raw files in the shapes that people have: each gives what it should, or a message that names what is wrong.

The folders of ``../shared/data/cases`` are read as their region.yaml says, checked, and gridded by the real jobs.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from mora_pipeline.modalities import kind_of
from mora_pipeline.region import RegionConfig
from mora_pipeline.region.checks import check_files
from mora_pipeline.region.jobs import mobility_job
from spark_jobs import grid_mobility, grid_table, grid_text

CASES = Path(__file__).resolve().parents[3] / "shared" / "data" / "cases"
JOBS = {"text": grid_text, "table": grid_table}
WHOLE = sorted(path.parent.name for path in CASES.glob("*/expected.json"))


@pytest.fixture
def case(request: pytest.FixtureRequest) -> Iterator[tuple[RegionConfig, dict[str, Any]]]:
    folder = CASES / request.param
    if not folder.exists():
        pytest.skip("the cases are not here")
    yield RegionConfig.load(folder), json.loads((folder / "expected.json").read_text())


def gridded(spark: SparkSession, config: RegionConfig, folder: Path) -> dict[str, Any]:
    output = {name: str(folder / name) for name in ("edges", "self_flow", "rhythm", "quarantine")}
    outcome = grid_mobility.run(spark, {**json.loads(json.dumps(mobility_job(config), default=str)), "output": output, **({"kept": str(folder / "kept")} if "weeks" in mobility_job(config) else {})})
    edges, inside = (pq.read_table(folder / name).to_pylist() for name in ("edges", "self_flow"))
    found: dict[str, Any] = {
        "edges": {(str(row["origin"]), str(row["destination"])): row["flow"] for row in edges},
        "self": {str(row["cell"]): row["internal_flow"] for row in inside},
        "outcome": outcome,
    }
    for name, modality in config.modalities.items():
        if modality.kind == "text":
            kind = kind_of("text")
            output = {key: str(folder / name / key) for key in (*kind.job_outputs, "quarantine")}
            grid_text.run(spark, {**kind.job_parameters(config, name, modality), "output": output})
            texts = {row["text_id"]: row["text"] for row in pq.read_table(output["texts"]).to_pylist()}
            rows = pq.read_table(output["text_cells"]).to_pylist()
            found["text"] = {(str(row["cell"]), texts[row["text_id"]]): row["count"] for row in rows}
    return found


@pytest.mark.parametrize("case", WHOLE, indirect=True)
def test_a_case_gives_what_it_should(
    spark: SparkSession, case: tuple[RegionConfig, dict[str, Any]], tmp_path: Path
) -> None:
    config, expected = case
    check_files(config)
    found = gridded(spark, config, tmp_path)
    assert found["edges"] == {(origin, destination): flow for origin, destination, flow in expected["edges"]}
    assert found["self"] == {cell: flow for cell, flow in expected["self"]}
    if "text" in expected:
        assert found["text"] == {(cell, text): count for cell, text, count in expected["text"]}
