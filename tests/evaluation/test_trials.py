"""Protocols by name give the trials that they promise."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold, cross_val_predict

from mora_pipeline.evaluation.labels.tasks import Task
from mora_pipeline.evaluation.protocol.parameters import FULL_METHODS, PROTOCOLS, BenchmarkParameters
from mora_pipeline.evaluation.protocol.run import run_benchmark
from mora_pipeline.evaluation.protocol.scores import score_row
from mora_pipeline.evaluation.protocol.trials import make_trials

Make = Callable[..., Task]


@pytest.fixture
def task(make_task: Make) -> Task:
    states = np.arange(400) % 4
    return make_task(np.random.default_rng(0).normal(10, 1, 400), num_blocks=40, groupings={"state": states})


def trials(task: Task, *protocols: str) -> list[tuple[str, int, str]]:
    made = make_trials(task, BenchmarkParameters(protocols=list(protocols), seeds=[1, 2], few_shot_labels=[10, 50]))
    assert all(trial.folds for trial in made)
    return [(trial.split, trial.seed, trial.model) for trial in made]


def test_each_protocol_has_its_split_seeds_and_model(task: Task) -> None:
    assert trials(task, "paper") == [("random", 42, "lightgbm")]
    assert trials(task, "random") == [("random", 1, "lightgbm_fast"), ("random", 2, "lightgbm_fast")]
    assert trials(task, "blocked") == [("blocked", 1, "lightgbm_fast"), ("blocked", 2, "lightgbm_fast")]
    assert trials(task, "grouped") == [("by_state", 1, "lightgbm_fast"), ("by_state", 2, "lightgbm_fast")]
    assert trials(task, "linear") == [("random", 1, "linear_probe"), ("random", 2, "linear_probe")]
    assert trials(task, "region_papers") == [("region_papers", 1, "clipped_ridge")]
    few = [("few_shot_10", 1), ("few_shot_10", 2), ("few_shot_50", 1), ("few_shot_50", 2)]
    assert trials(task, "few_shot") == [(*pair, "linear_probe") for pair in few]


def test_the_linear_probe_follows_every_split_asked_for(task: Task) -> None:
    made = trials(task, "blocked", "grouped", "linear")
    assert {split for split, _, model in made if model == "linear_probe"} == {"random", "blocked", "by_state"}
    assert {split for split, _, model in made if model == "lightgbm_fast"} == {"blocked", "by_state"}


def test_folds_by_group_keep_every_group_whole(task: Task) -> None:
    states = task.groupings["state"]
    for trial in make_trials(task, BenchmarkParameters(protocols=["grouped"])):
        assert sorted(trial.tested) == list(range(400))
        for train, test in trial.folds:
            assert not set(states[train]) & set(states[test])


def test_the_region_papers_folds_follow_the_order_of_the_places(make_task: Make) -> None:
    order = np.random.default_rng(1).permutation(100)
    task = replace(make_task(np.arange(100.0)), order=order)
    (trial,) = make_trials(task, BenchmarkParameters(protocols=["region_papers"]))
    tested = [set(order[test]) for _, test in trial.folds]
    assert tested == [set(range(start, start + 10)) for start in range(0, 100, 10)]


def test_the_protocol_of_region_papers_is_scikit_learns_ridge_in_pooled_folds_clipped_at_0(make_task: Make) -> None:
    random = np.random.default_rng(2)
    vectors, order = random.normal(size=(100, 3)), random.permutation(100)
    counts = np.maximum(vectors @ [2.0, -1.0, 0.5] + random.normal(size=100), 0)
    methods, tasks = {"m": vectors}, [replace(make_task(counts), order=order)]
    (found,) = run_benchmark(methods, tasks, BenchmarkParameters(protocols=["region_papers"]))
    placed = np.argsort(order)
    predicted = cross_val_predict(Ridge(1.0), vectors[placed], counts[placed], cv=KFold(10))
    assert (predicted < 0).any()
    assert score_row(found)["r2"] == pytest.approx(r2_score(counts[placed], np.maximum(predicted, 0)), abs=1e-6)


def test_labels_below_0_are_not_judged_by_predictions_clipped_at_0(make_task: Make) -> None:
    (trial,) = make_trials(make_task(np.arange(100.0) - 3), BenchmarkParameters(protocols=["region_papers"]))
    assert trial.skipped == "labels go down to -3, and this protocol clips predictions at 0"


def test_few_groups_get_ridge_once_though_two_protocols_ask(make_task: Make) -> None:
    task = make_task(np.random.default_rng(0).normal(size=60), "group", num_blocks=12)
    made = make_trials(task, BenchmarkParameters(protocols=["paper", "random", "blocked"], seeds=[42, 43]))
    found = [(trial.split, trial.seed) for trial in made]
    assert {trial.model for trial in made} == {"pooled_ridge"}
    assert found == [("random", 42), ("random", 43), ("blocked", 42), ("blocked", 43)]


def test_more_labels_than_rows_are_told(make_task: Make) -> None:
    (trial,) = make_trials(
        make_task(np.arange(100.0)), BenchmarkParameters(protocols=["few_shot"], few_shot_labels=[200], seeds=[1])
    )
    assert trial.skipped == "80 rows to draw 200 labels from"


def test_the_full_benchmark_has_five_seeds_and_every_protocol_within_a_region() -> None:
    full = BenchmarkParameters().full()
    assert len(full.seeds) == len(full.paper_seeds) == 5
    assert set(full.protocols) == PROTOCOLS.keys() - {"transfer"}
    assert full.methods == list(FULL_METHODS)
