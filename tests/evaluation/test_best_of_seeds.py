"""The optimistic row is each task's best of several trainings of the region's own preset."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from mora_pipeline.evaluation import best_of_seeds as module
from mora_pipeline.evaluation.best_of_seeds import best_of_seeds, trained
from mora_pipeline.evaluation.labels.tasks import Task, load_tasks
from mora_pipeline.evaluation.methods.interface import MethodContext
from mora_pipeline.evaluation.protocol.parameters import BenchmarkParameters
from mora_pipeline.evaluation.protocol.run import run_benchmark
from mora_pipeline.evaluation.protocol.scores import score_row
from mora_pipeline.lake import Lake
from mora_pipeline.lake.reading import RegionReader
from mora_pipeline.presets import EncodedRegion, register, unregister
from mora_pipeline.presets.interface import Training
from mora_pipeline.presets.registry import preset_of
from mora_pipeline.region import RegionConfig
from tests.presets.toy_preset import PRESET as TOY
from tests.presets.toy_preset import ToyParameters, ToyPreset

AGES = {"kind": "table", "path": "ages.csv", "place": "id", "groups": {"age": "age_*"}}
LABEL = {"level": "cell", "path": "labels.csv", "place": "id", "column": "visits"}
REPORTED = {"source": "a paper", "scores": {"Other": {"visits": 0.5}}}
THREE = BenchmarkParameters(best_of_seeds=3)


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    register(TOY)
    yield
    unregister(TOY.name)


@pytest.fixture
def town(
    region: Callable[..., RegionConfig],
    write_lake: Callable[..., Lake],
    make_inputs: Callable[..., MethodContext],
    cells: pa.Table,
    tmp_path: Path,
) -> Callable[..., MethodContext]:
    """Makes a region of counted visits whose embeddings are of a preset."""

    def make(preset: str = "toy", **details: Any) -> MethodContext:
        frame = cells.select(["latitude", "longitude"]).to_pandas().set_axis(["lat", "lon"], axis=1)
        frame["id"], frame["visits"] = [f"p{at:03d}" for at in range(len(frame))], np.arange(len(frame)) % 7
        frame.to_csv(tmp_path / "places.csv", index=False)
        frame.to_csv(tmp_path / "labels.csv", index=False)
        config = region({"visits": LABEL}, modalities={"ages": AGES}, published=REPORTED)
        lake = write_lake(config)
        draft = lake.begin("embeddings", config.region)
        draft.write(lake.read("embeddings", config.region).table())
        draft.inputs = {"cells": lake.read("cells", config.region).version}
        draft.inputs["features/ages"] = lake.read("features/ages", config.region).version
        draft.commit({"preset": preset, **details})
        return make_inputs(config, lake)

    return make


def tasks_of(context: MethodContext) -> list[Task]:
    return load_tasks(context.reader.config, context.table)


def test_each_task_shows_its_best_of_the_seeds(town: Callable[..., MethodContext]) -> None:
    context = town()
    found = best_of_seeds(context, tasks_of(context), THREE)
    vectors = {str(seed): TOY.project(context.reader, ToyParameters(seed=seed)).vectors for seed in range(3)}
    papers = BenchmarkParameters(protocols=["region_papers"])
    rows = [score_row(record) for record in run_benchmark(vectors, tasks_of(context), papers)]
    assert found is not None
    assert found.facts() == {"preset": "toy", "seeds": 3, "scores": {"visits": max(row["r2"] for row in rows)}}


def test_any_preset_with_a_seed_is_trained_at_its_defaults_and_leaves_nothing(
    town: Callable[..., MethodContext],
) -> None:
    for name in ("paper", "inductive"):
        context = town(name)
        quick: dict[str, Any] = {"maximum_epochs": 2} if name == "paper" else {"units": 16}
        before = sorted(context.reader.lake.root.rglob("*"))
        first, again, other = (trained(context, preset_of(name), {"seed": seed, **quick}) for seed in (0, 0, 1))
        assert first.shape == (217, 128)
        assert np.array_equal(first, again)
        assert not np.array_equal(first, other)
        assert sorted(context.reader.lake.root.rglob("*")) == before


def test_trained_vectors_are_cached_until_the_inputs_change(
    town: Callable[..., MethodContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[int] = []

    def train(self: ToyPreset, region: RegionReader, settings: ToyParameters, training: Training) -> EncodedRegion:
        runs.append(settings.seed)
        return self.project(region, settings)

    monkeypatch.setattr(ToyPreset, "train", train)
    context = town()
    for _ in range(2):
        best_of_seeds(context, tasks_of(context), THREE)
    assert runs == [0, 1, 2]
    lake, name = context.reader.lake, context.reader.region
    ages = lake.read("features/ages", name)
    draft = lake.begin("features/ages", name)
    draft.write(ages.table())
    draft.commit(ages.details)
    best_of_seeds(context, tasks_of(context), THREE)
    assert runs == [0, 1, 2]  # another version of the same content
    frame = ages.table().to_pandas()
    frame["vector"] = [vector[::-1] for vector in frame["vector"]]
    draft = lake.begin("features/ages", name)
    draft.write(pa.Table.from_pandas(pd.DataFrame(frame), schema=ages.table().schema, preserve_index=False))
    draft.commit(ages.details)
    best_of_seeds(context, tasks_of(context), THREE)
    assert runs == [0, 1, 2, 0, 1, 2]


@pytest.mark.parametrize("why", ["no seeds", "many cells", "another's encoder", "no preset", "no reported scores"])
def test_it_is_left_out_where_it_says_nothing_or_costs_much(
    town: Callable[..., MethodContext], monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    context = town(
        "gone" if why == "no preset" else "toy", encoder_region="x" if why == "another's encoder" else "test_city"
    )
    if why == "many cells":
        monkeypatch.setattr(module, "MOST_CELLS", 216)
    if why == "no reported scores":
        context.reader.config = context.reader.config.model_copy(update={"published": None})
    parameters = BenchmarkParameters(best_of_seeds=0) if why == "no seeds" else THREE
    assert best_of_seeds(context, tasks_of(context), parameters) is None
