"""How the benchmarks of the inductive encoder score vectors: R² over a region's tasks, by two models and two splits."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from mora_pipeline.evaluation.labels.tasks import Task
from mora_pipeline.evaluation.protocol.metrics import R2
from mora_pipeline.evaluation.protocol.models import Floats, Predictor, lightgbm_regressor, linear_probe
from mora_pipeline.evaluation.protocol.parameters import BenchmarkParameters
from mora_pipeline.evaluation.protocol.splits import Fold, blocked_folds, random_split
from mora_pipeline.presets.inductive.parameters import InductiveParameters
from mora_pipeline.presets.inductive.states import FLOWS, NEIGHBOURS, PARTNERS, Evidence, Vectors, fit_states

THREADS = 2
FOLDS, TEST_SHARE = 5, 0.2


def raw_vectors(evidence: Evidence, parameters: InductiveParameters) -> Vectors:
    """The modalities' own features side by side, as the encoder gets them: before flows, surroundings and units."""
    states = fit_states(evidence, parameters)
    around = {FLOWS, PARTNERS, NEIGHBOURS}
    own = [columns for name, columns in zip(states.weights, states.columns(), strict=True) if name not in around]
    whole = states.apply(evidence)
    return np.concatenate([whole[:, columns] for columns in own], axis=1)


def mean_scores(vectors: Vectors, tasks: Sequence[Task], protocol: BenchmarkParameters, seed: int) -> dict[str, float]:
    """R² averaged over tasks: LightGBM and a linear probe, on a random fifth and in folds of whole blocks, pooled.

    Args:
        vectors: [N, d].
        protocol: LightGBM's trees, leaves and learning rate.
        seed: of both splits.
    """
    scores: dict[str, list[float]] = {}
    for task in tasks:
        splits = {
            "random": random_split(len(task.target), TEST_SHARE, seed),
            "blocked": blocked_folds(task.blocks, FOLDS, seed),
        }
        for model, regressor in _regressors(vectors, task, protocol).items():
            for split, folds in splits.items():
                scores.setdefault(f"{model}, {split}", []).append(pooled_score(regressor, task.target, folds))
    return {name: float(np.mean(values)) for name, values in scores.items()}


def scores_elsewhere(
    vectors: Vectors, tasks: Sequence[Task], fit: npt.NDArray[np.int64], test: npt.NDArray[np.int64],
    protocol: BenchmarkParameters,
) -> dict[str, float]:  # fmt: skip
    """R² averaged over tasks of cells: fitted on the cells `fit`, asked on the cells `test`."""
    scores: dict[str, list[float]] = {}
    for task in tasks:
        fold = tuple(np.flatnonzero(np.isin(task.membership.indices, rows)) for rows in (fit, test))
        for model, regressor in _regressors(vectors, task, protocol).items():
            scores.setdefault(model, []).append(pooled_score(regressor, task.target, [(fold[0], fold[1])]))
    return {name: float(np.mean(values)) for name, values in scores.items()}


def _regressors(vectors: Vectors, task: Task, protocol: BenchmarkParameters) -> Mapping[str, Predictor]:
    features: Floats = np.asarray(task.membership.astype(vectors.dtype) @ vectors)
    return {
        "LightGBM": lightgbm_regressor(features, task.target, task.level, protocol, THREADS),
        "ridge": linear_probe(features, task.target),
    }


def pooled_score(regressor: Predictor, target: npt.NDArray[np.float64], folds: Sequence[Fold]) -> float:
    """R² of the tested rows of all folds together; 0 where labels are all equal."""
    predicted = np.concatenate([regressor(train, test) for train, test in folds])
    return R2.score(target[np.concatenate([test for _, test in folds])], predicted) or 0.0
