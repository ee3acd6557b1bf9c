"""The steps of a region without mobility that need no Spark: what they skip, and what the student makes of the rest."""

import dataclasses
from pathlib import Path

import h3
import numpy as np
import pandas as pd
import pytest
import yaml

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.schemas import CellVectors, Edges
from mora_pipeline.lake import Lake
from mora_pipeline.presets.inductive.region import embed_region
from mora_pipeline.steps import StepResult, all_steps, local_session, run_step
from tests.benchmarks.test_encoder import LABELS, LabelledHome
from tests.presets.inductive.conftest import make_town

CELLS = 150
REASON = "region.yaml has no mobility"
STEPS = {step.name: step for step in all_steps()}


def run(home: Path, name: str, region: str, **settings: object) -> StepResult:
    step = STEPS[name]
    return run_step(step, region, local_session(home), step.settings.model_validate(settings))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Region `east`, which has trained an encoder, and `west`, without mobility, to be embedded by it."""
    path = tmp_path_factory.mktemp("home")
    made, town = LabelledHome(path), make_town(1, CELLS)
    made.add("east", town)
    nothing = Edges(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    blank = dataclasses.replace(make_town(2, CELLS), flows=nothing, internal=np.zeros(CELLS))
    made.add("west", blank, encoder="east")
    centres = np.array([h3.cell_to_latlng(h3.int_to_str(int(cell))) for cell in made.cells(CELLS)])
    frame = pd.DataFrame(centres, columns=["lat", "lon"])
    frame["share"] = blank.modalities[0].vectors[:, 0]
    frame.to_csv(path / "west" / "labels.csv", index=False)
    file = path / "west" / "region.yaml"
    tasks = {"share": {**LABELS, "column": "share"}}
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), "tasks": tasks}))
    trained = run(path, "embeddings", "east", preset="inductive", inductive={"units": 64})
    assert trained.committed
    assert trained.metadata["student_explained"] < 1
    return path


def test_edges_have_no_rows_and_need_no_spark(home: Path) -> None:
    result = run(home, "edges", "west")
    assert result.committed
    assert result.metadata["edges"] == f"none: {REASON}"
    assert [check.passed for check in result.checks] == [True] * len(STEPS["edges"].checks)
    assert {version.dataset: version.rows for version in result.versions}["edges"] == 0


@pytest.mark.parametrize("name", ["graph", "line_vectors"])
def test_what_needs_flows_is_skipped_with_its_reason(home: Path, name: str) -> None:
    result = run(home, name, "west")
    assert (result.committed, result.versions, result.rows) == (True, [], None)
    assert result.metadata["skipped"] == REASON
    assert all(check.passed and check.figures == {"skipped": REASON} for check in result.checks)
    assert not Lake(home / "lake").has(name, "west")


def test_the_chain_goes_on_with_the_students_vectors(home: Path) -> None:
    embedded = run(home, "embeddings", "west")
    assert embedded.committed
    assert embedded.metadata["made_by"] == f"the student: {REASON}"
    version = Lake(home / "lake").read("embeddings", "west")
    assert (version.details["encoder_region"], version.details["student"]) == ("east", True)
    vectors = CellVectors.from_table(version.table()).vectors
    np.testing.assert_array_equal(embed_region("west", "east", home).vectors, vectors)

    assert run(home, "distilled_encoder", "west", epochs=3, degree=4, hidden=8, hidden_layers=1).committed
    fast = {"trees": 5, "fast_trees": 5, "seeds": [42], "folds": 3, "cell_minimum_child": 5}
    assert run(home, "benchmark", "west", **fast, methods=["mora", "distilled", "line", "raw", "flow_svd"]).committed
    benchmark = Lake(home / "lake").read("benchmark", "west")
    assert set(benchmark.table()["method"].to_pylist()) >= {"mora", "distilled", "raw"}
    assert not {"line", "flow_svd"} & set(benchmark.table()["method"].to_pylist())
    assert benchmark.details["facts"]["left out"] == {"line": REASON, "flow_svd": REASON}
    assert benchmark.details["facts"]["flows"] == "none"
    assert run(home, "champion", "west").committed


@pytest.mark.parametrize("preset", ["paper", "inductive"])
def test_no_preset_is_trained_on_it(home: Path, preset: str) -> None:
    with pytest.raises(UserError, match=r"west/region.yaml has no mobility to train it on. Add mobility, or let"):
        run(home, "embeddings", "west", preset=preset)
    with pytest.raises(UserError, match="has no mobility"):
        run(home, "ablations", "west")
