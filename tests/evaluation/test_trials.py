"""Protocols by name give the trials that they promise."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import ValidationError
from scipy import sparse
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold, cross_val_predict

from mora_pipeline.evaluation.labels.tasks import Task
from mora_pipeline.evaluation.protocol.parameters import NIGHTLY, PROTOCOLS, BenchmarkParameters
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
    full = BenchmarkParameters(breadth="full")
    assert len(full.seeds) == len(full.paper_seeds) == 5
    assert set(full.protocols) == PROTOCOLS.keys() - {"transfer"}
    assert {"mora", "inputs", "inputs_surroundings", "raw", "paper", "inductive"} <= set(full.methods)


def test_the_nightly_benchmark_compares_the_embeddings_with_their_inputs() -> None:
    nightly = BenchmarkParameters()
    assert nightly.breadth == NIGHTLY
    assert {"mora", "inputs", "inputs_surroundings", "raw", "distilled", "coordinates"} == set(nightly.methods)
    assert nightly.protocols == ["random", "blocked", "linear"]
    assert BenchmarkParameters(breadth="nightly", methods=[]) == nightly


def test_what_is_given_wins_over_the_breadth() -> None:
    asked = BenchmarkParameters(breadth="full", methods=["mora"], seeds=[7])
    assert (asked.methods, asked.seeds) == (["mora"], [7])
    assert "grouped" in asked.protocols
    with pytest.raises(ValidationError, match="breadth"):
        BenchmarkParameters(breadth="wide")  # type: ignore[arg-type]


@given(
    folds=st.integers(2, 12), seed=st.integers(0, 50), shuffled=st.booleans(), positive_only=st.booleans(),
    counts=arrays(np.int64, 40, elements=st.integers(0, 3)),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_declared_folds_are_scikit_learns_on_the_rows_in_the_order_of_the_places(
    folds: int, seed: int, shuffled: bool, positive_only: bool, counts: np.ndarray
) -> None:
    counts[:22] = np.arange(22) + 1  # labels above 0, and not all the same
    order = np.random.default_rng(seed).permutation(40)
    rows = np.arange(40)
    task = Task("visits", "cell", counts.astype(float), sparse.identity(40, format="csr"), rows, rows, order)
    asked = {"region_papers_folds": folds, "region_papers_shuffled": shuffled, "region_papers_seed": seed}
    parameters = BenchmarkParameters(
        protocols=["region_papers"],
        region_papers_positive_only=positive_only,
        **asked,  # type: ignore[arg-type]
    )
    (trial,) = make_trials(task, parameters)
    placed = np.argsort(order)
    used = placed[counts[placed] > 0] if positive_only else placed
    expected = KFold(folds, shuffle=shuffled, random_state=seed if shuffled else None).split(used)
    for (train, test), (their_train, their_test) in zip(trial.folds, expected, strict=True):
        assert sorted(train) == sorted(used[their_train])
        assert sorted(test) == sorted(used[their_test])
    assert sorted(trial.tested) == sorted(used)


@pytest.mark.parametrize(
    ("target", "told"),
    [
        (np.r_[np.zeros(90), np.arange(1.0, 11)], "10 labels above 0, at least 20 needed (positive_only)"),
        (np.r_[np.zeros(50), np.full(50, 3.0)], "every label above 0 is 3"),
    ],
)
def test_too_few_labels_above_0_are_told(make_task: Make, target: np.ndarray, told: str) -> None:
    parameters = BenchmarkParameters(protocols=["region_papers"], region_papers_positive_only=True)
    (trial,) = make_trials(make_task(target), parameters)
    assert trial.skipped == told


def test_labels_below_0_do_no_harm_where_only_those_above_are_used(make_task: Make) -> None:
    parameters = BenchmarkParameters(protocols=["region_papers"], region_papers_positive_only=True)
    (trial,) = make_trials(make_task(np.arange(100.0) - 30), parameters)
    assert trial.skipped is None
    assert sorted(trial.tested) == list(range(31, 100))
