"""Fits of one method on one task, several at a time; what an earlier run kept is not fitted again."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain

import numpy as np
import numpy.typing as npt

from mora_pipeline.contract.digests import digest
from mora_pipeline.evaluation.labels.tasks import Task
from mora_pipeline.evaluation.protocol.parameters import BenchmarkParameters
from mora_pipeline.evaluation.protocol.regressors import BOOSTED, Floats, make_regressor
from mora_pipeline.evaluation.protocol.scores_cache import KeptArrays, key_of
from mora_pipeline.evaluation.protocol.trials import Trial

Predictions = npt.NDArray[np.float32]
Tell = Callable[[int, str], None]
Pending = list[Future[npt.NDArray[np.float64]]]


class Fitter:
    """Fits trials in a pool of threads, one thread a fit: threads within a fit wait for one another."""

    def __init__(self, parameters: BenchmarkParameters, pool: ThreadPoolExecutor, kept: KeptArrays | None) -> None:
        self.parameters, self.pool, self.kept = parameters, pool, kept

    def predict(self, vectors: Floats, task: Task, trials: Sequence[Trial], tell: Tell) -> list[Predictions]:
        """Predictions of each trial of a task: those kept, else of all its folds.

        Args:
            vectors: [N, d].
            tell: called with the number of fits done and what they were.
        """
        features = features_of(task, vectors)
        keys = self._keys(features, task, trials)
        found = [self._find(key, trial) for key, trial in zip(keys, trials, strict=True)]
        missing = [trial for trial, have in zip(trials, found, strict=True) if have is None]
        submitted = self._submit(features, task, missing)
        try:
            return self._collect(task, trials, keys, found, iter(submitted), tell)
        except BaseException:  # a run that is stopped waits for the fits at work, not for those that have not begun
            for fit in chain.from_iterable(submitted):
                fit.cancel()
            raise

    def _collect(
        self, task: Task, trials: Sequence[Trial], keys: list[str], found: list[Predictions | None],
        pending: Iterator[Pending], tell: Tell,
    ) -> list[Predictions]:  # fmt: skip
        results = []
        for trial, key, have in zip(trials, keys, found, strict=True):
            if have is not None:
                tell(len(trial.folds), f"{task.name}, as before")
                results.append(have)
                continue
            parts = []
            for fit in next(pending):
                parts.append(fit.result())
                tell(1, task.name)
            results.append(np.concatenate(parts).astype(np.float32))
            if self.kept:
                self.kept.keep(key, results[-1])
        return results

    def _keys(self, features: Floats, task: Task, trials: Sequence[Trial]) -> list[str]:
        if not self.kept:
            return [""] * len(trials)
        data = [digest({}, {"features": features}), digest({}, {"labels": task.target})]
        return [key_of(data, trial, self.parameters) for trial in trials]

    def _find(self, key: str, trial: Trial) -> Predictions | None:
        if trial.skipped:
            return np.empty(0, np.float32)
        found = self.kept.find(key) if self.kept else None
        return found if found is not None and len(found) == len(trial.tested) else None

    def _submit(self, features: Floats, task: Task, trials: Sequence[Trial]) -> list[Pending]:
        """Start all fits; LightGBM's bins of the features are made once."""
        if not trials:
            return []
        num_fits = sum(len(trial.folds) for trial in trials if trial.model in BOOSTED)
        threads = max(1, num_threads(self.parameters) // max(num_fits, 1))
        regressors = {
            model: make_regressor(model, features, task.target, task.level, self.parameters, threads)
            for model in {trial.model for trial in trials}
        }
        return [[self.pool.submit(regressors[trial.model], *fold) for fold in trial.folds] for trial in trials]


def features_of(task: Task, vectors: Floats) -> Floats:
    """What a task's labels are predicted from, [n, d]: the vector of the cell, or the mean of a group's cells."""
    return np.asarray(task.membership.astype(vectors.dtype) @ vectors)


def num_threads(parameters: BenchmarkParameters) -> int:
    """Fits at a time."""
    if parameters.threads:
        return parameters.threads
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
