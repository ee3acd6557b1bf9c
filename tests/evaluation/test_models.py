"""Each model equals the plain one of its library."""

import numpy as np
import pytest
from lightgbm import LGBMRegressor
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mora_pipeline.evaluation.protocol.models import (
    PROBE_ALPHAS,
    clipped_ridge,
    lightgbm_regressor,
    linear_probe,
)
from mora_pipeline.evaluation.protocol.parameters import BenchmarkParameters
from mora_pipeline.evaluation.protocol.splits import random_split


def _data(num_rows: int, width: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(num_rows, width)).astype(np.float32) * rng.uniform(0.1, 9, width).astype(np.float32)
    return features, features[:, 0] + np.sin(features[:, 1]) + rng.normal(size=num_rows)


@pytest.mark.parametrize(("level", "leaves", "child"), [("cell", 63, 30), ("point", 63, 30), ("group", 31, 50)])
def test_lightgbm_is_the_published_one(level: str, leaves: int, child: int) -> None:
    """Equal but for bins, which LGBMRegressor makes from the fit rows and we from all rows."""
    features, target = _data(1500, 6)
    features = features.round(1)  # fewer values than bins: both see the same bins
    ((train, test),) = random_split(1500, 0.2, 42)
    plain = LGBMRegressor(
        learning_rate=0.05, max_depth=7, n_estimators=1000, num_leaves=leaves, min_child_samples=child,
        deterministic=True, force_col_wise=True, n_jobs=1, verbosity=-1,
    ).fit(features[train], target[train])  # fmt: skip
    ours = lightgbm_regressor(features, target, level, BenchmarkParameters())(train, test)
    theirs = np.asarray(plain.predict(features[test]))
    assert np.corrcoef(ours, theirs)[0, 1] > 0.995
    assert abs(np.mean((ours - target[test]) ** 2) / np.mean((theirs - target[test]) ** 2) - 1) < 0.03


@pytest.mark.parametrize(("fast", "trees", "step"), [(False, 50, 0.05), (True, 200, 0.1)])
def test_lightgbm_on_equal_bins_is_exactly_that_of_the_library(fast: bool, trees: int, step: float) -> None:
    """MoRA's settings with fewer trees, and fast LightGBM with its own trees and steps."""
    features, target = _data(400, 3)
    features = np.sign(features) + np.round(np.tanh(features), 0)
    ((train, test),) = random_split(400, 0.2, 42)
    plain = LGBMRegressor(
        learning_rate=step, max_depth=7, n_estimators=trees, num_leaves=63, min_child_samples=30, n_jobs=1, verbosity=-1
    ).fit(features[train], target[train])
    ours = lightgbm_regressor(features, target, "cell", BenchmarkParameters(trees=50), fast=fast)(train, test)
    assert np.allclose(ours, np.asarray(plain.predict(features[test])), atol=1e-6)


def test_threads_of_lightgbm_do_not_change_the_result() -> None:
    features, target = _data(800, 5)
    ((train, test),) = random_split(800, 0.2, 0)
    one, two = (
        lightgbm_regressor(features, target, "cell", BenchmarkParameters(trees=30), threads)(train, test)
        for threads in (1, 2)
    )
    assert np.array_equal(one, two)


@pytest.mark.parametrize(("num_rows", "width"), [(300, 12), (60, 100)])
def test_the_linear_probe_is_ridge_with_leave_one_out_penalty(num_rows: int, width: int) -> None:
    features, target = _data(num_rows, width)
    features[:, -1] = 5.0  # constant
    ((train, test),) = random_split(num_rows, 0.2, 0)
    exact = features.astype(np.float64)
    oracle = make_pipeline(StandardScaler(), RidgeCV(PROBE_ALPHAS)).fit(exact[train], target[train])
    assert np.allclose(linear_probe(features, target)(train, test), oracle.predict(exact[test]))


def test_what_the_fit_rows_hardly_show_does_not_upset_the_linear_probe() -> None:
    """A singular vector of the flows of one county, whose cells are all in the tested block."""
    features, target = _data(300, 4)
    train, test = np.arange(240), np.arange(240, 300)
    of_one_county = np.where(np.arange(300) < 240, 1e-9 * np.random.default_rng(1).normal(size=300), 0.13)
    upset = np.column_stack([features, of_one_county])
    assert np.allclose(linear_probe(upset, target)(train, test), linear_probe(features, target)(train, test))


def test_the_ridge_of_region_papers_is_scikit_learns_clipped_at_zero() -> None:
    features, target = _data(120, 5)
    features = features.astype(np.float64)
    ((train, test),) = random_split(120, 0.2, 0)
    expected = np.maximum(Ridge(alpha=1).fit(features[train], target[train]).predict(features[test]), 0)
    found = clipped_ridge(features, target, 1.0)(train, test)
    assert np.allclose(found, expected)
    assert (found == 0).any()


def test_a_tree_of_fast_lightgbm_chooses_from_no_more_columns_than_an_embedding_has() -> None:
    """As the library draws them; MoRA's own LightGBM, and vectors that are no wider, see all columns in every tree."""
    features, target = _data(300, 40)
    features = np.sign(features) + np.round(np.tanh(features), 0)
    ((train, test),) = random_split(300, 0.2, 42)

    def predicted(columns: int, fast: bool = True) -> np.ndarray:
        parameters = BenchmarkParameters(fast_columns=columns, fast_trees=30, trees=30)
        return lightgbm_regressor(features, target, "cell", parameters, fast=fast)(train, test)

    plain = LGBMRegressor(
        learning_rate=0.1, max_depth=7, n_estimators=30, num_leaves=63, min_child_samples=30, colsample_bytree=0.25,
        random_state=0, n_jobs=1, verbosity=-1,
    ).fit(features[train], target[train])  # fmt: skip
    assert np.allclose(predicted(10), np.asarray(plain.predict(features[test])), atol=1e-6)
    assert np.array_equal(predicted(0), predicted(40))
    assert not np.array_equal(predicted(10), predicted(0))
    assert np.array_equal(predicted(10, fast=False), predicted(0, fast=False))
    assert BenchmarkParameters().fast_columns == 128
