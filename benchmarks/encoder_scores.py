"""How the benchmarks of the inductive encoder score vectors: R² over a region's tasks, by two models and two splits.

And by the protocol that a family of papers uses on 180 regions of Manhattan.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import h3
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from sklearn.model_selection import KFold

from mora_pipeline.contract.cells import rows_of
from mora_pipeline.evaluation.labels.tasks import Task
from mora_pipeline.evaluation.protocol.metrics import R2
from mora_pipeline.evaluation.protocol.models import Floats, Predictor, clipped_ridge, lightgbm_regressor, linear_probe
from mora_pipeline.evaluation.protocol.parameters import BenchmarkParameters
from mora_pipeline.evaluation.protocol.splits import Fold, blocked_folds, random_split
from mora_pipeline.presets.inductive.parameters import InductiveParameters
from mora_pipeline.presets.inductive.states import FLOWS, NEIGHBOURS, PARTNERS, RHYTHM, Evidence, Vectors, fit_states

THREADS = 2
FOLDS, TEST_SHARE = 5, 0.2
LABELS, REPEATS = ["check_ins", "crimes", "service_calls"], 10  # of Manhattan
Splits = Callable[[Task], dict[str, list[Fold]]]


def raw_vectors(evidence: Evidence, parameters: InductiveParameters, fitted: Evidence | None = None) -> Vectors:
    """The modalities' own features side by side, as the encoder gets them: before flows, surroundings and units.

    Scales and components are those of `fitted`, where they are another region's.
    """
    states = fit_states(fitted or evidence, parameters)
    around = {FLOWS, RHYTHM, PARTNERS, NEIGHBOURS}
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

    def splits(task: Task) -> dict[str, list[Fold]]:
        random = random_split(len(task.target), TEST_SHARE, seed)
        return {", random": random, ", blocked": blocked_folds(task.blocks, FOLDS, seed)}

    return _mean_scores(vectors, tasks, protocol, splits)


def scores_elsewhere(
    vectors: Vectors, task: Task, fit: npt.NDArray[np.int64], test: npt.NDArray[np.int64]
) -> dict[str, float]:
    """R² of one task of cells by the benchmark's fast LightGBM and its linear probe.

    Args:
        vectors: [N, d].
        fit: rows of the cells whose labels are known.
        test: rows of those that are asked.
    """
    features: Floats = np.asarray(task.membership.astype(vectors.dtype) @ vectors)
    fitted, tested = (np.flatnonzero(np.isin(task.membership.indices, rows)) for rows in (fit, test))
    regressors = {
        "LightGBM": lightgbm_regressor(features, task.target, task.level, BenchmarkParameters(), THREADS, fast=True),
        "ridge": linear_probe(features, task.target),
    }
    return {name: pooled_score(regressor, task.target, [(fitted, tested)]) for name, regressor in regressors.items()}


def _mean_scores(
    vectors: Vectors, tasks: Sequence[Task], protocol: BenchmarkParameters, splits: Splits
) -> dict[str, float]:
    scores: dict[str, list[float]] = {}
    for task in tasks:
        features: Floats = np.asarray(task.membership.astype(vectors.dtype) @ vectors)
        regressors = {
            "LightGBM": lightgbm_regressor(features, task.target, task.level, protocol, THREADS),
            "ridge": linear_probe(features, task.target),
        }
        own = splits(task).items()
        for model, regressor in regressors.items():
            for split, folds in own:
                scores.setdefault(f"{model}{split}", []).append(pooled_score(regressor, task.target, folds))
    return {name: float(np.mean(values)) for name, values in scores.items()}


def pooled_score(regressor: Predictor, target: npt.NDArray[np.float64], folds: Sequence[Fold]) -> float:
    """R² of the tested rows of all folds together; 0 where labels are all equal."""
    predicted = np.concatenate([regressor(train, test) for train, test in folds])
    return R2.score(target[np.concatenate([test for _, test in folds])], predicted) or 0.0


def manhattan_scores(
    vectors: npt.NDArray[np.floating], cells: pa.Table, resolution: int, folder: Path
) -> dict[str, float]:
    """R² of ridge with penalty 1 on the vectors as they are, ten folds, predictions clipped at 0 and pooled.

    Args:
        vectors: [N, d] in the order of `cells`.
        folder: the raw data, with `places.parquet` and `labels_places.parquet`.

    Returns:
        By label and as a mean, in the papers' folds (unshuffled, in the order of the places); and under `repeated`
        the mean over ten shuffles, which is the one to choose by.
    """
    places = pd.read_parquet(folder / "places.parquet")
    labels = pd.read_parquet(folder / "labels_places.parquet").set_index("place_id").loc[places["place_id"], LABELS]
    own = [
        h3.str_to_int(h3.latlng_to_cell(latitude, longitude, resolution))
        for latitude, longitude in zip(places["latitude"], places["longitude"], strict=True)
    ]
    features, truth = vectors[rows_of(cells["cell"].to_numpy(), np.array(own), "places")], labels.to_numpy(dtype=float)
    by_label = _scores(features, truth, KFold(10))
    shuffles = [KFold(10, shuffle=True, random_state=100 + seed) for seed in range(REPEATS)]
    repeated = np.mean([_scores(features, truth, folds) for folds in shuffles])
    named = dict(zip(LABELS, by_label, strict=True))
    return {**named, "mean": float(np.mean(by_label)), "repeated": float(repeated)}


def _scores(features: npt.NDArray[np.floating], truth: npt.NDArray[np.float64], folds: KFold) -> list[float]:
    return [
        pooled_score(clipped_ridge(features, target, 1.0), target, list(folds.split(features))) for target in truth.T
    ]
