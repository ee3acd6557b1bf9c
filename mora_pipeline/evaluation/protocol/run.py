"""Every method's vectors on every task: fits several at a time, and what was predicted.

MoRA's released evaluation: LightGBM on a random 80/20 split; ridge in pooled folds for few groups.
Ours beside it: folds of whole blocks with pooled out-of-fold predictions, a linear probe, few labels; `trials` has all.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from itertools import chain

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from mora_pipeline.contract.digests import digest
from mora_pipeline.evaluation.cache import ArrayCache
from mora_pipeline.evaluation.labels.tasks import Task
from mora_pipeline.evaluation.protocol.models import BOOSTED, MODELS, Floats
from mora_pipeline.evaluation.protocol.parameters import BenchmarkParameters
from mora_pipeline.evaluation.protocol.trials import Trial, make_trials

FORMAT = 1  # of cached predictions: another number fits everything again
# What changes a fit, beside what reaches it as data: seeds, shares and folds as rows, PCA as vectors.
FIT_SETTINGS = (
    "learning_rate", "trees", "bins", "fast_learning_rate", "fast_trees", "fast_bins", "fast_columns",
    "maximum_depth",
    "cell_leaves", "cell_minimum_child", "group_leaves", "group_minimum_child", "ridge_alpha",
)  # fmt: skip
LIBRARIES = ("lightgbm", "scikit-learn")  # whose versions may change a fit
Predictions = npt.NDArray[np.float32]
Progress = Callable[[int, int, str], None]
Pending = list[Future[npt.NDArray[np.float64]]]


@dataclass(frozen=True)
class Record:
    """What a method predicted in a trial: float32 in the order of `Trial.tested`; empty where it was skipped."""

    method: str
    trial: Trial
    predicted: Predictions


def run_benchmark(
    methods: Mapping[str, Floats],
    tasks: Sequence[Task],
    parameters: BenchmarkParameters | None = None,
    progress: Progress | None = None,
    cache: ArrayCache | None = None,
) -> list[Record]:
    """Fit and test every method on every task, by all protocols within the region.

    Args:
        methods: vectors by name, [N, d] in the row order of `cells`.
        tasks: from `load_tasks`, with the same N.
        parameters: protocols and models; default: MoRA's and their blocked twins.
        progress: called with fits done, fits in all and what was fitted.
        cache: predictions of earlier runs; this run's are added trial by trial.

    Returns:
        A record a method, task and trial, in the order given.

    Raises:
        ValueError: if a method's vectors do not fit the tasks, or are not finite.
    """
    parameters = parameters or BenchmarkParameters()
    return run_trials(methods, [make_trials(task, parameters) for task in tasks], parameters, progress, cache)


def run_trials(
    methods: Mapping[str, Floats],
    trials: Sequence[Sequence[Trial]],
    parameters: BenchmarkParameters,
    progress: Progress | None = None,
    cache: ArrayCache | None = None,
) -> list[Record]:
    """Fit and test every method in given trials; see `run_benchmark`.

    Args:
        methods: vectors by name, [N, d].
        trials: by task.
    """
    trials = [each for each in trials if each]
    for name, vectors in methods.items():
        for cells in (each[0].task.membership.shape[1] for each in trials):
            if vectors.ndim != 2 or len(vectors) != cells:
                raise ValueError(f"'{name}' has shape {vectors.shape}, but the tasks know {cells} cells")
        if not np.isfinite(vectors).all():
            raise ValueError(f"'{name}' holds NaN or infinite values")
    total, done = len(methods) * sum(len(trial.folds) for each in trials for trial in each), 0
    records: list[Record] = []

    def count(method: str, fits: int, what: str) -> None:
        nonlocal done
        done += fits
        if progress and fits:
            progress(done, total, f"{method}: {what}")

    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(num_threads(parameters)) as pool:
        fitter = _Fitter(parameters, pool, cache)
        for name, vectors in methods.items():
            for each in trials:
                predicted = fitter.predict(vectors, each[0].task, each, partial(count, name))
                records += [Record(name, trial, own) for trial, own in zip(each, predicted, strict=True)]
    return records


class _Fitter:
    """Fits trials in a pool of threads, one thread a fit: threads within a fit wait for one another."""

    def __init__(self, parameters: BenchmarkParameters, pool: ThreadPoolExecutor, cache: ArrayCache | None) -> None:
        self.parameters, self.pool, self.cache = parameters, pool, cache

    def predict(
        self, vectors: Floats, task: Task, trials: Sequence[Trial], count: Callable[[int, str], None]
    ) -> list[Predictions]:
        """Predictions of each trial of a task: cached ones, else of all its folds.

        Args:
            vectors: [N, d].
            count: called with the number of fits done and what they were.
        """
        features = features_of(task, vectors)
        data = digest({}, {"features": features}) + digest({}, {"labels": task.target}) if self.cache else ""
        keys = [fit_key(data, trial, self.parameters) if self.cache else "" for trial in trials]
        known = [self._cached(key, trial) for key, trial in zip(keys, trials, strict=True)]
        missing = [trial for trial, have in zip(trials, known, strict=True) if have is None]
        submitted = self._submit(features, task, missing)
        pending = iter(submitted)
        try:
            return [
                self._collected(trial, key, pending, count) if have is None else _counted(have, trial, count)
                for trial, key, have in zip(trials, keys, known, strict=True)
            ]
        except BaseException:  # a run that is stopped waits for the fits in progress, not for those that have not begun
            for fit in chain.from_iterable(submitted):
                fit.cancel()
            raise

    def _collected(
        self, trial: Trial, key: str, pending: Iterator[Pending], count: Callable[[int, str], None]
    ) -> Predictions:
        parts = []
        for fit in next(pending):
            parts.append(fit.result())
            count(1, trial.task.name)
        predictions = np.concatenate(parts).astype(np.float32)
        if self.cache:
            self.cache.put(key, predictions)
        return predictions

    def _cached(self, key: str, trial: Trial) -> Predictions | None:
        if trial.skipped:
            return np.empty(0, np.float32)
        array = self.cache.get(key) if self.cache else None
        return array if array is not None and len(array) == len(trial.tested) else None

    def _submit(self, features: Floats, task: Task, trials: Sequence[Trial]) -> list[Pending]:
        """Start all fits; LightGBM's bins of the features are made once."""
        if not trials:
            return []
        num_fits = sum(len(trial.folds) for trial in trials if trial.model in BOOSTED)
        threads = max(1, num_threads(self.parameters) // max(num_fits, 1))
        models = {
            model: MODELS[model](features, task.target, task.level, self.parameters, threads)
            for model in {trial.model for trial in trials}
        }
        return [[self.pool.submit(models[trial.model], *fold) for fold in trial.folds] for trial in trials]


def _counted(predictions: Predictions, trial: Trial, count: Callable[[int, str], None]) -> Predictions:
    count(len(trial.folds), f"{trial.task.name}, cached")
    return predictions


def fit_key(data: str, trial: Trial, parameters: BenchmarkParameters) -> str:
    """A name for all that a trial's predictions depend on: data, folds, model, settings and libraries.

    Args:
        data: digest of the features and the labels.
    """
    facts = {
        "format": FORMAT,
        "data": data,
        "folds": digest({}, {str(number): rows for number, rows in enumerate(chain.from_iterable(trial.folds))}),
        "level": trial.task.level,
        "model": trial.model,
        "settings": parameters.model_dump(mode="json", include=set(FIT_SETTINGS)),
        "libraries": {name: version(name) for name in LIBRARIES},
    }
    return digest(facts, {})


def features_of(task: Task, vectors: Floats) -> Floats:
    """What a task's labels are predicted from, [n, d]: the vector of the cell, or the mean of a group's cells."""
    return np.asarray(task.membership.astype(vectors.dtype) @ vectors)


def num_threads(parameters: BenchmarkParameters) -> int:
    """Fits at a time."""
    if parameters.threads:
        return parameters.threads
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
