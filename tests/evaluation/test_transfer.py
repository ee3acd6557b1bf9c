"""Fitted there, tested here: no label of the tested region is seen."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from lightgbm import LGBMRegressor
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mora_pipeline.evaluation.labels.tasks import Task
from mora_pipeline.evaluation.protocol.models import LIGHTGBM_FAST, LINEAR_PROBE, PROBE_ALPHAS
from mora_pipeline.evaluation.protocol.parameters import BenchmarkParameters
from mora_pipeline.evaluation.protocol.run import run_trials
from mora_pipeline.evaluation.protocol.scores import scores_table
from mora_pipeline.evaluation.protocol.transfer import transfer_trial
from mora_pipeline.evaluation.protocol.trials import Trial

Make = Callable[..., Task]
QUICK = BenchmarkParameters(seeds=[0])
APART = (np.zeros(150, np.int64), np.ones(400, np.int64))  # a block for each region


def both_models(task: Task, source: Task, ground: tuple[np.ndarray, np.ndarray]) -> list[list[Trial]]:
    models = (LIGHTGBM_FAST, LINEAR_PROBE)
    return [[transfer_trial(task, source, ground, "from_other", model, QUICK) for model in models]]


@pytest.fixture
def regions(make_task: Make) -> tuple[np.ndarray, np.ndarray, Task, Task]:
    random = np.random.default_rng(0)
    here, there = random.integers(-2, 3, (150, 3)).astype(float), random.integers(-2, 3, (400, 3)).astype(float)
    weights = np.array([1.0, 2.0, 0.0])
    return here, there, make_task(here @ weights + 1, name="income"), make_task(there @ weights, name="income")


def test_it_is_what_a_model_fitted_there_predicts_here(regions: tuple[np.ndarray, np.ndarray, Task, Task]) -> None:
    here, there, task, source = regions
    trials = both_models(task, source, APART)
    scores = scores_table(run_trials({"m": np.concatenate([here, there])}, trials, QUICK)).to_pylist()
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
        boosted, _ = both_models(task, there, APART)[0]
        assert boosted.skipped is not None
        assert reason in boosted.skipped
        assert boosted.folds == []


def test_no_label_is_fitted_where_one_is_tested(regions: tuple[np.ndarray, np.ndarray, Task, Task]) -> None:
    """Regions may overlap: there the answer could be looked up."""
    _, __, task, source = regions
    blocks = np.arange(400) // 100
    boosted, probe = both_models(task, source, (np.full(150, 2), blocks))[0]
    for trial in (boosted, probe):
        ((fitted, tested),) = trial.folds
        assert sorted(blocks[fitted - 150]) == [0] * 100 + [1] * 100 + [3] * 100
        assert len(tested) == 150
    everywhere = both_models(task, source, (np.arange(150) % 4, blocks))[0][0]
    assert everywhere.skipped is not None
    assert "400 more are where labels are tested" in everywhere.skipped
