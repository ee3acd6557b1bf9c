"""Fitted there, tested here: no label of the tested region is seen."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from lightgbm import LGBMRegressor
from mora_pipeline.evaluation.protocol.models import PROBE_ALPHAS
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mora_pipeline.evaluation.labels.tasks import Task
from mora_pipeline.evaluation.protocol.parameters import BenchmarkParameters
from mora_pipeline.evaluation.protocol.run import run_trials, scores_table
from mora_pipeline.evaluation.protocol.transfer import stacked, transfer_trials

Make = Callable[..., Task]
QUICK = BenchmarkParameters(seeds=[0])
APART = (np.zeros(150, np.int64), np.ones(400, np.int64))  # a block for each region


@pytest.fixture
def regions(make_task: Make) -> tuple[np.ndarray, np.ndarray, Task, Task]:
    random = np.random.default_rng(0)
    here, there = random.integers(-2, 3, (150, 3)).astype(float), random.integers(-2, 3, (400, 3)).astype(float)
    weights = np.array([1.0, 2.0, 0.0])
    return here, there, make_task(here @ weights + 1, name="income"), make_task(there @ weights, name="income")


def test_it_is_what_a_model_fitted_there_predicts_here(regions: tuple[np.ndarray, np.ndarray, Task, Task]) -> None:
    here, there, task, source = regions
    trials = transfer_trials([(task, source)], APART, "other", QUICK)
    scores = scores_table(run_trials({"m": stacked(here, there)}, trials, QUICK)).to_pylist()
    assert {(row["split"], row["n"]) for row in scores} == {("from_other", 150)}
    plain = LGBMRegressor(
        learning_rate=0.1, max_depth=7, n_estimators=200, num_leaves=63, min_child_samples=30, n_jobs=1, verbosity=-1
    ).fit(there, source.target)
    found = {row["model"]: row["r2"] for row in scores}
    expected = r2_score(task.target, np.asarray(plain.predict(here)))
    assert found["lightgbm_fast"] == pytest.approx(expected, abs=1e-6)
    probe = make_pipeline(StandardScaler(), RidgeCV(PROBE_ALPHAS)).fit(there, source.target)
    expected = r2_score(task.target, probe.predict(here))
    assert found["linear_probe"] == pytest.approx(expected, abs=1e-5)


def test_what_cannot_be_fitted_says_why(make_task: Make, regions: tuple[np.ndarray, np.ndarray, Task, Task]) -> None:
    _, __, task, source = regions
    few = make_task(np.arange(30.0), name="income")
    refused = replace(source, refused="the label leaks")
    for there, reason in ((few, "30 rows to fit"), (refused, "in other, the label leaks")):
        boosted, _ = transfer_trials([(task, there)], APART, "other", QUICK)[0]
        assert boosted.skipped is not None
        assert reason in boosted.skipped
        assert boosted.folds == []


def test_no_label_is_fitted_where_one_is_tested(regions: tuple[np.ndarray, np.ndarray, Task, Task]) -> None:
    """Regions may overlap: there the answer could be looked up."""
    _, __, task, source = regions
    blocks = np.arange(400) // 100
    boosted, probe = transfer_trials([(task, source)], (np.full(150, 2), blocks), "other", QUICK)[0]
    for trial in (boosted, probe):
        ((fitted, tested),) = trial.folds
        assert sorted(blocks[fitted - 150]) == [0] * 100 + [1] * 100 + [3] * 100
        assert len(tested) == 150
    everywhere = transfer_trials([(task, source)], (np.arange(150) % 4, blocks), "other", QUICK)[0][0]
    assert everywhere.skipped is not None
    assert "400 more lie where labels are tested" in everywhere.skipped
