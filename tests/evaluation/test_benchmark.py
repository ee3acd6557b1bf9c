"""A whole benchmark on a small lake: labels, leaks, methods, reported scores, other regions."""

from collections.abc import Callable
from pathlib import Path

import h3
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pydantic import ValidationError

from mora_pipeline.contract import schemas
from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.schemas import CellVectors
from mora_pipeline.evaluation.benchmark import evaluate, with_reported
from mora_pipeline.evaluation.cache import ArrayCache
from mora_pipeline.evaluation.methods.interface import MethodContext
from mora_pipeline.evaluation.protocol.parameters import BenchmarkParameters
from mora_pipeline.evaluation.protocol.scores import skipped_trials
from mora_pipeline.lake import Lake
from mora_pipeline.region import RegionConfig, ReportedFolds, ReportedScores

AGES = {"kind": "table", "path": "ages.csv", "place": "id", "groups": {"age": "age_*"}}
INCOME = {"level": "cell", "path": "labels.csv", "place": "id", "column": "income"}
QUICK = BenchmarkParameters(
    methods=["mora", "raw", "coordinates", "flows"], trees=10, fast_trees=10, seeds=[1], resamples=100,
    protocols=["paper", "blocked", "linear"],
)  # fmt: skip


@pytest.fixture
def labels(cells: pa.Table, tmp_path: Path) -> pd.DataFrame:
    """A place a cell, in an order of their own, and a label that grows to the north."""
    frame = cells.select(["latitude", "longitude"]).to_pandas().set_axis(["lat", "lon"], axis=1)
    frame["id"], frame["state"] = (
        [f"p{at:03d}" for at in range(len(frame))],
        np.where(frame["lon"] > -70.66, "east", "west"),
    )
    frame["income"] = 1000 * frame["lat"] + np.random.default_rng(0).normal(size=len(frame))
    frame = frame.sample(frac=1, random_state=0)
    frame.to_csv(tmp_path / "places.csv", index=False)
    frame[["id", "income"]].sample(frac=1, random_state=1).to_csv(tmp_path / "labels.csv", index=False)
    return frame


def test_a_region_is_scored_by_every_method_with_intervals_and_predictions(
    region: Callable[..., RegionConfig], write_lake: Callable[..., Lake], make_inputs: Callable[..., MethodContext],
    labels: pd.DataFrame, tmp_path: Path,
) -> None:  # fmt: skip
    config = region(
        {"income": INCOME},
        modalities={"ages": AGES},
        blocks={"state": {"path": "places.csv", "place": "id", "group": "state"}},
        published={"source": "a paper", "scores": {"Other": {"income": 0.5}}},
    )
    parameters = QUICK.model_copy(update={"protocols": [*QUICK.protocols, "grouped"]})
    inputs = make_inputs(config, write_lake(config))
    found = evaluate(inputs, parameters, cache=ArrayCache(tmp_path / "scores"))
    assert found.scores.schema.equals(schemas.BENCHMARK)
    assert set(found.scores["split"].to_pylist()) == {"random", "blocked", "by_state", "region_papers"}
    assert found.parameters.protocols == [*parameters.protocols, "region_papers"]
    assert set(found.intervals["method"].to_pylist()) == {"mora", "raw", "coordinates", "flows"}
    rows = {(row["method"], row["split"], row["model"]): row["r2"] for row in found.scores.to_pylist()}
    assert rows["coordinates", "random", "linear_probe"] > 0.9
    assert rows["mora", "random", "linear_probe"] < 0.5
    predictions = found.predictions.to_pandas()
    assert set(predictions["split"]) == {"blocked"}
    assert sorted(predictions.loc[predictions["method"] == "mora", "cell"]) == inputs.cells.tolist()
    (task,) = found.tasks
    places = pd.Series(range(len(labels)), index=labels.index)
    assert task.order.tolist() == places.sort_index().tolist()
    assert len(set(task.groupings["state"])) == 2


def test_the_folds_of_reported_scores_are_those_that_region_yaml_declares() -> None:
    scores = {"Other": {"income": 0.5}}
    undeclared = with_reported(QUICK, ReportedScores(source="a paper", scores=scores))
    assert undeclared == QUICK.model_copy(update={"protocols": [*QUICK.protocols, "region_papers"]})
    folds = ReportedFolds(count=5, shuffled=True, seed=42, positive_only=True)
    declared = with_reported(QUICK, ReportedScores(source="a paper", scores=scores, folds=folds))
    named = {key: value for key, value in declared.model_dump().items() if key.startswith("region_papers_")}
    assert named == {
        "region_papers_folds": 5,
        "region_papers_shuffled": True,
        "region_papers_seed": 42,
        "region_papers_positive_only": True,
    }
    assert with_reported(QUICK, None) == QUICK


def test_a_leaked_label_is_refused_and_allowed_where_marked(
    region: Callable[..., RegionConfig], write_lake: Callable[..., Lake], make_inputs: Callable[..., MethodContext],
    labels: pd.DataFrame, tmp_path: Path,
) -> None:  # fmt: skip
    config = region({"income": INCOME}, modalities={"ages": AGES})
    lake = write_lake(config)
    young = lake.read("table_cells/ages", config.region).table()["young"].to_numpy()
    labels.sort_index().assign(income=2 * young + 3)[["id", "income"]].to_csv(tmp_path / "labels.csv", index=False)
    refused = evaluate(make_inputs(config, lake), QUICK).scores
    assert set(refused["r2"].to_pylist()) == {None}
    assert "input column young of ages" in skipped_trials(refused)[0]["reason"]
    allowed = region({"income": {**INCOME, "leaks": "allowed"}}, modalities={"ages": AGES})
    rows = evaluate(make_inputs(allowed, lake), QUICK).scores.to_pylist()
    assert all(row["r2"] is not None for row in rows)


def test_methods_that_share_a_space_are_fitted_elsewhere(
    region: Callable[..., RegionConfig], write_lake: Callable[..., Lake], make_inputs: Callable[..., MethodContext],
    labels: pd.DataFrame, cells: pa.Table, tmp_path: Path,
) -> None:  # fmt: skip
    near = h3.grid_disk(h3.latlng_to_cell(-33.45, -70.20, 7), 6)
    numbers = np.sort([h3.str_to_int(name) for name in near])
    centres = np.array([h3.cell_to_latlng(h3.int_to_str(int(number))) for number in numbers])
    columns = [numbers, np.arange(len(near)), *centres.T, np.zeros(len(near)), np.ones(len(near))]
    own = pa.table([pa.array(column) for column in columns], schema=schemas.CELLS)
    other = region({"income": INCOME}, region="other_city", modalities={"ages": AGES}, root="other")
    (tmp_path / "other").mkdir()
    frame = pd.DataFrame({"id": [f"q{at}" for at in range(len(near))], "lat": centres[:, 0], "lon": centres[:, 1]})
    frame.assign(income=1000 * frame["lat"]).to_csv(tmp_path / "other" / "labels.csv", index=False)
    frame.to_csv(tmp_path / "other" / "places.csv", index=False)
    lake = write_lake(other, 1, own)
    config = region({"income": INCOME}, modalities={"ages": AGES})
    write_lake(config)
    for name in (config.region, other.region):  # one encoder made both
        draft = lake.begin("shared", name)
        numbers_of = lake.read("cells", name).table()
        vectors = np.stack([numbers_of["latitude"].to_numpy(), numbers_of["longitude"].to_numpy()], axis=1)
        draft.write(CellVectors(numbers_of["cell"].to_numpy(), vectors.astype(np.float32)).to_table())
        draft.commit({"encoder_region": "one", "encoder_version": "1"})
    parameters = QUICK.model_copy(
        update={
            "methods": [*QUICK.methods, "inputs", "dataset:shared"],
            "protocols": ["transfer"],
            "transfer_from": ["other_city"],
        }
    )
    sources = {"other_city": make_inputs(other, lake, 0)}
    found = evaluate(make_inputs(config, lake, 0), parameters, sources)
    rows = found.scores.to_pylist()
    assert found.not_transferred["other_city"].keys() == {"mora", "inputs"}
    assert "without the factors of the flows" in found.not_transferred["other_city"]["inputs"]
    assert {row["split"] for row in rows} == {"from_other_city"}
    assert {row["method"] for row in rows} == {"coordinates", "flows", "raw", "inputs", "dataset:shared"}
    probe = {row["method"]: row["r2"] for row in rows if row["model"] == "linear_probe"}
    assert probe["coordinates"] > 0.9
    assert probe["dataset:shared"] > 0.9
    summed = region({"income": {**INCOME, "aggregate": "sum"}}, modalities={"ages": AGES})
    refused = evaluate(make_inputs(summed, lake, 0), parameters, sources)
    assert "aggregate is mean, and sum here" in skipped_trials(refused.scores)[0]["reason"]
    with pytest.raises(UserError, match="is not another region of this home"):
        evaluate(make_inputs(config, lake), parameters, {})
    alone = parameters.model_copy(update={"methods": ["mora"]})
    with pytest.raises(UserError, match="share no method"):
        evaluate(make_inputs(config, lake), alone, sources)
    more = region({"income": INCOME, "wage": INCOME}, modalities={"ages": AGES})
    paired = evaluate(make_inputs(more, lake, 0), parameters, sources).scores
    assert set(paired["task"].to_pylist()) == {"income"}
    renamed = region({"wage": INCOME}, modalities={"ages": AGES})
    with pytest.raises(UserError, match="'other_city' and 'test_city' share no task"):
        evaluate(make_inputs(renamed, lake, 0), parameters, sources)


def test_a_protocol_that_tries_nothing_is_no_empty_benchmark(
    region: Callable[..., RegionConfig], write_lake: Callable[..., Lake], make_inputs: Callable[..., MethodContext],
    labels: pd.DataFrame,
) -> None:  # fmt: skip
    config = region({"income": INCOME}, modalities={"ages": AGES})
    parameters = QUICK.model_copy(update={"protocols": ["grouped"]})
    with pytest.raises(UserError, match="grouped tries nothing in 'test_city'"):
        evaluate(make_inputs(config, write_lake(config)), parameters)


@pytest.mark.parametrize(
    "asked", [{"protocols": ["transfer"]}, {"protocols": ["random"], "transfer_from": ["other_city"]}]
)
def test_transfer_needs_the_protocol_and_a_region(asked: dict[str, list[str]]) -> None:
    with pytest.raises(ValidationError, match="go together"):
        BenchmarkParameters.model_validate(asked)


def test_the_full_benchmark_keeps_the_transfer_that_was_asked_for() -> None:
    assert "transfer" in BenchmarkParameters(breadth="full", transfer_from=["other_city"]).protocols
