"""The models that predict labels from vectors: LightGBM as MoRA released it, ridge for few groups, and a linear probe.

Each is a function of the rows to fit and the rows to test that returns predictions, so that what is common to all
folds (LightGBM's bins) is done once. `MODELS` has them by name; another model is one more entry.
"""

from collections.abc import Callable
from functools import partial

import lightgbm
import numpy as np
import numpy.typing as npt
from sklearn.linear_model import Ridge

from mora_pipeline.evaluation.protocol.parameters import BenchmarkParameters
from mora_pipeline.evaluation.protocol.splits import Rows

Floats = npt.NDArray[np.floating]
Predictor = Callable[[Rows, Rows], npt.NDArray[np.float64]]  # rows to fit and to test [m] → predictions [m]
LEAST_VARIATION = 0.05  # of a feature on the fit rows, as a share of its standard deviation on all rows
PROBE_ALPHAS = 10.0 ** np.arange(-2, 6)  # penalties that the linear probe chooses from
LIGHTGBM = "lightgbm"  # MoRA's settings
LIGHTGBM_FAST = "lightgbm_fast"  # the same with fewer, larger steps: about a tenth of the time
BOOSTED = (LIGHTGBM, LIGHTGBM_FAST)
POOLED_RIDGE = "pooled_ridge"  # MoRA's ridge for few groups
CLIPPED_RIDGE = "clipped_ridge"  # of papers on regions of a city: clipped at 0
LINEAR_PROBE = "linear_probe"


def lightgbm_regressor(
    features: Floats,
    target: npt.NDArray[np.float64],
    level: str,
    parameters: BenchmarkParameters,
    threads: int = 1,
    fast: bool = False,
) -> Predictor:
    """LightGBM with MoRA's released parameters; the features are binned once for all folds.

    Bins see the features of all rows, never a label. One thread a fit: several fits at a time use the cores better,
    and threads of one fit wait for each other on a busy machine.

    Args:
        features: [n, d].
        target: float64 [n].
        level: `cell`, `point` or `group`; groups have smaller trees.
        threads: of one fit.
        fast: fewer trees, larger steps, fewer bins; and a tree of vectors that are wider than the embeddings chooses
            from as many columns as they have, so that a stack of inputs costs no more than they do.

    Source: MoRA's released evaluation (method.md); `fast` is ours.
    """
    grouped = level == "group"
    trees = parameters.fast_trees if fast else parameters.trees
    settings = {
        "objective": "regression",
        "learning_rate": parameters.fast_learning_rate if fast else parameters.learning_rate,
        "max_depth": parameters.maximum_depth,
        "num_leaves": parameters.group_leaves if grouped else parameters.cell_leaves,
        "min_child_samples": parameters.group_minimum_child if grouped else parameters.cell_minimum_child,
        "max_bin": parameters.fast_bins if fast else parameters.bins,
        "deterministic": True,
        "force_col_wise": True,
        "feature_pre_filter": False,  # it would drop features by all rows, not by the fit rows
        "num_threads": threads,
        "feature_fraction": _share_of_columns(features.shape[1], parameters.fast_columns) if fast else 1.0,
        "seed": 0,  # draws the columns of each tree, where they are not all; nothing else is drawn
        "verbosity": -1,
    }
    binned = lightgbm.Dataset(features, label=target, params=settings).construct()

    def predict(train: Rows, test: Rows) -> npt.NDArray[np.float64]:
        booster = lightgbm.train(settings, binned.subset(train), trees)
        return np.asarray(booster.predict(features[test], num_threads=threads), dtype=np.float64)

    return predict


def _share_of_columns(columns: int, most: int) -> float:
    """The share of the columns that is at most so many; 0: all."""
    return min(1.0, most / columns) if most else 1.0


def ridge_regressor(features: Floats, target: npt.NDArray[np.float64], alpha: float) -> Predictor:
    """Ridge on the vectors as they are: what MoRA's protocol does with cities.

    Args:
        features: [n, d].
        target: float64 [n].
        alpha: the penalty.
    """
    features = features.astype(np.float64)

    def predict(train: Rows, test: Rows) -> npt.NDArray[np.float64]:
        model = Ridge(alpha=alpha).fit(features[train], target[train])
        return np.asarray(model.predict(features[test]), dtype=np.float64)

    return predict


def clipped_ridge(features: Floats, target: npt.NDArray[np.float64], alpha: float) -> Predictor:
    """`ridge_regressor` with predictions clipped at 0, as MVURE, MGFN, HREP and HAFusion predict counts.

    Features are [n, d], the target float64 [n].
    """
    predict = ridge_regressor(features, target, alpha)
    return lambda train, test: np.maximum(predict(train, test), 0)


def linear_probe(features: Floats, target: npt.NDArray[np.float64]) -> Predictor:
    """Ridge on standardised features; the penalty of each fold has the smallest leave-one-out error on its fit rows.

    In the eigenvectors V of XᵀX = V diag(λ) Vᵀ, with Z = X V: the fit is ŷ = ȳ + Z (Zᵀy / (λ + α)), the leverage of a
    row is h = 1/n + Σ z² / (λ + α), and its leave-one-out residual (y − ŷ) / (1 − h). One decomposition serves all
    penalties, where scikit-learn's RidgeCV takes a singular value decomposition of X. A feature that hardly varies on
    the fit rows, beside how it varies on all, counts as constant: singular vectors of flows live on one county each,
    and a county that is left out would be hundreds of standard deviations away.

    Args:
        features: [n, d].
        target: float64 [n].
    """
    features = features.astype(np.float64)
    least = LEAST_VARIATION * features.std(axis=0)

    def predict(train: Rows, test: Rows) -> npt.NDArray[np.float64]:
        fitted, mean = features[train], target[train].mean()
        centre, scale = fitted.mean(axis=0), fitted.std(axis=0)
        # Constant up to rounding, or as good as.
        scale[scale <= np.maximum(1e-12 * np.abs(centre), least)] = np.inf
        standard = (fitted - centre) / scale
        values, vectors = np.linalg.eigh(standard.T @ standard)
        rotated, labels = standard @ vectors, target[train] - mean
        shrink = 1 / (np.maximum(values, 0)[:, None] + PROBE_ALPHAS)  # [d, number of penalties]
        weights = shrink * (rotated.T @ labels)[:, None]
        leverage = 1 / len(train) + rotated**2 @ shrink
        left_out = (labels[:, None] - rotated @ weights) / np.maximum(1 - leverage, 1e-9)
        best = np.argmin(np.mean(left_out**2, axis=0))
        return np.asarray((features[test] - centre) / scale @ (vectors @ weights[:, best]) + mean)

    return predict


Factory = Callable[[Floats, npt.NDArray[np.float64], str, BenchmarkParameters, int], Predictor]
"""Makes a predictor from features [n, d], labels [n], the task's level, the parameters, and the threads of one fit."""
MODELS: dict[str, Factory] = {
    LIGHTGBM: lightgbm_regressor,
    LIGHTGBM_FAST: partial(lightgbm_regressor, fast=True),
    POOLED_RIDGE: lambda features, target, _, parameters, __: ridge_regressor(features, target, parameters.ridge_alpha),
    CLIPPED_RIDGE: lambda features, target, _, parameters, __: clipped_ridge(features, target, parameters.ridge_alpha),
    LINEAR_PROBE: lambda features, target, *_: linear_probe(features, target),
}
