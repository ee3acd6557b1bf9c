"""The benchmark: every method's vectors on every task, by the published protocol and by blocked folds.

Published (MoRA, released evaluation): LightGBM on a random 80/20 split; ridge in pooled folds for small groups.
Ours beside it: folds of whole blocks with pooled out-of-fold predictions, and a linear probe for both splits.
"""

import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from mora_pipeline import schemas
from mora_pipeline.evaluation.kept_scores import KeptScores, key_of
from mora_pipeline.evaluation.parameters import BenchmarkParameters
from mora_pipeline.evaluation.regressors import (
    LIGHTGBM,
    POOLED_RIDGE,
    PROBE,
    Floats,
    Regressor,
    lightgbm_regressor,
    linear_probe,
    ridge_regressor,
)
from mora_pipeline.evaluation.splits import Fold, blocked_folds, random_folds, random_split
from mora_pipeline.evaluation.tasks import Task

Progress = Callable[[int, int, str], None]
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trial:
    """One row of the benchmark less its method: a task, how it is split and which model is fitted."""

    task: Task
    split: str
    seed: int
    model: str
    folds: list[Fold]
    skipped: str | None = None  # why it cannot be done


def r_squared(truth: Floats, predicted: Floats) -> float | None:
    """1 − Σ(y − ŷ)² / Σ(y − ȳ)², the mean being that of the tested rows; None where the truth is constant."""
    spread = float(np.sum((truth - truth.mean()) ** 2))
    return None if spread == 0 else 1 - float(np.sum((truth - predicted) ** 2)) / spread


def root_mean_square_error(truth: Floats, predicted: Floats) -> float:
    """√ mean (y − ŷ)², in the task's unit."""
    return float(np.sqrt(np.mean((truth - predicted) ** 2)))


def run_benchmark(
    methods: Mapping[str, Floats],
    tasks: Sequence[Task],
    parameters: BenchmarkParameters | None = None,
    progress: Progress | None = None,
    kept: KeptScores | None = None,
) -> pa.Table:
    """Score every method on every task.

    Args:
        methods: vectors by name, [N, d] in the row order of `cells`.
        tasks: from `load_tasks`, with the same N.
        parameters: the protocol; default: the published one and its blocked twin.
        progress: called with fits done, fits in all and what was fitted.
        kept: scores of earlier runs, which are taken as they are; this run's are added method by method.

    Returns:
        `schemas.BENCHMARK`: a row a method, task, split, seed and model, in the order given. ``n`` is the number of
        rows that were predicted. A trial that cannot be done has null scores and ``n`` = its labelled rows; the
        schema's metadata holds the reasons (see `skipped_trials`).

    Raises:
        ValueError: if a method's vectors do not fit the tasks, or are not finite.
    """
    parameters = parameters or BenchmarkParameters()
    for name, vectors in methods.items():
        _check_vectors(name, vectors, tasks)
    trials = {task.name: _trials(task, parameters) for task in tasks}
    total = len(methods) * sum(len(trial.folds) for each in trials.values() for trial in each)
    counter = _Counter(progress, total)
    rows: list[dict[str, Any]] = []
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(parameters.threads or _cores()) as pool:
        for name, vectors in methods.items():
            for task in tasks:
                message, key = f"{name}: {task.name}", key_of(vectors, task, parameters) if kept else ""
                scored = kept.find(key) if kept else None
                if scored is None:
                    scored = _score(vectors, trials[task.name], parameters, pool, counter, message)
                    if kept:
                        kept.keep(key, scored)
                else:
                    counter.add(f"{message}, as before", sum(len(trial.folds) for trial in trials[task.name]))
                rows.extend({"method": name, **row} for row in scored)
    skipped = [
        {"task": trial.task.name, "split": trial.split, "model": trial.model, "reason": trial.skipped}
        for each in trials.values()
        for trial in each
        if trial.skipped and trial.seed == parameters.seeds[0]
    ]
    for item in skipped:
        logger.warning("Task %(task)s, %(split)s split, %(model)s: skipped, %(reason)s", item)
    return pa.Table.from_pylist(rows, schema=schemas.BENCHMARK).replace_schema_metadata(
        {"skipped": json.dumps(skipped)}
    )


def skipped_trials(benchmark: pa.Table) -> list[dict[str, str]]:
    """Trials of a benchmark that could not be done: task, split, model, reason."""
    metadata = benchmark.schema.metadata or {}
    return list(json.loads(metadata.get(b"skipped", b"[]")))


class _Counter:
    """Counts fits; only the calling thread reports."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self.progress, self.total, self.done = progress, total, 0

    def add(self, message: str, fits: int = 1) -> None:
        self.done += fits
        if self.progress:
            self.progress(self.done, self.total, message)


def _check_vectors(name: str, vectors: Floats, tasks: Sequence[Task]) -> None:
    for task in tasks:
        if vectors.ndim != 2 or len(vectors) != task.membership.shape[1]:
            raise ValueError(f"'{name}' has shape {vectors.shape}, but the tasks know {task.membership.shape[1]} cells")
    if not np.isfinite(vectors).all():
        raise ValueError(f"'{name}' holds NaN or infinite values")


def _trials(task: Task, parameters: BenchmarkParameters) -> list[Trial]:
    small = task.level == "group" and len(task.target) < parameters.ridge_below_groups
    published = POOLED_RIDGE if small else LIGHTGBM
    pairs = [(split, seed) for split in parameters.splits for seed in parameters.seeds]
    return [_trial(task, split, seed, model, parameters) for split, seed in pairs for model in (published, PROBE)]


def _trial(task: Task, split: str, seed: int, model: str, parameters: BenchmarkParameters) -> Trial:
    num_rows = len(task.target)
    if reason := _unusable(task, split, parameters):
        return Trial(task, split, seed, model, [], reason)
    if split == "blocked":
        folds = blocked_folds(task.blocks, parameters.folds, seed)
    elif model == POOLED_RIDGE:
        folds = random_folds(num_rows, parameters.folds, seed)
    else:
        folds = random_split(num_rows, parameters.test_share, seed)
    smallest = min(len(train) for train, _ in folds)
    child = parameters.group_minimum_child if task.level == "group" else parameters.cell_minimum_child
    if model == LIGHTGBM and smallest < 2 * child:
        reason = f"{smallest} rows to fit, a tree with {child} rows a leaf needs {2 * child}"
        return Trial(task, split, seed, model, [], reason)
    return Trial(task, split, seed, model, folds)


def _unusable(task: Task, split: str, parameters: BenchmarkParameters) -> str | None:
    """Why no model can be judged on a task; None if one can."""
    if len(task.target) < parameters.minimum_rows:
        lost = ", ".join(f"{count} {reason}" for reason, count in task.reasons.items()) or "none"
        return f"{len(task.target)} labelled rows, at least {parameters.minimum_rows} needed (dropped: {lost})"
    if np.ptp(task.target) == 0:
        return f"every label is {task.target[0]:g}"
    if split == "blocked" and len(np.unique(task.blocks)) < 2:
        return "all rows lie in one block"
    return None


def _score(
    vectors: Floats,
    trials: Sequence[Trial],
    parameters: BenchmarkParameters,
    pool: ThreadPoolExecutor,
    counter: _Counter,
    message: str,
) -> list[dict[str, Any]]:
    """Fit all folds of one method on one task, several at a time, and pool each trial's predictions."""
    task = trials[0].task
    features = np.asarray(task.membership.astype(vectors.dtype) @ vectors)
    num_fits = sum(len(trial.folds) for trial in trials if trial.model == LIGHTGBM)
    threads = max(1, (parameters.threads or _cores()) // max(num_fits, 1))
    regressors = {
        model: _regressor(model, features, task, parameters, threads)
        for model in {trial.model for trial in trials if trial.folds}
    }
    pending = [[pool.submit(regressors[trial.model], *fold) for fold in trial.folds] for trial in trials]
    rows = []
    for trial, fits in zip(trials, pending, strict=True):
        predictions = []
        for fit in fits:
            predictions.append(fit.result())
            counter.add(message)
        rows.append(_row(trial, predictions))
    return rows


def _regressor(model: str, features: Floats, task: Task, parameters: BenchmarkParameters, threads: int) -> Regressor:
    if model == LIGHTGBM:
        return lightgbm_regressor(features, task.target, task.level, parameters, threads)
    if model == POOLED_RIDGE:
        return ridge_regressor(features, task.target, parameters.ridge_alpha)
    return linear_probe(features, task.target)


def _row(trial: Trial, predictions: list[npt.NDArray[np.float64]]) -> dict[str, Any]:
    row = {"task": trial.task.name, "split": trial.split, "seed": trial.seed, "model": trial.model}
    if trial.skipped:
        return {**row, "n": len(trial.task.target), "r2": None, "rmse": None}
    truth = trial.task.target[np.concatenate([test for _, test in trial.folds])]
    predicted = np.concatenate(predictions)
    scores = {"r2": r_squared(truth, predicted), "rmse": root_mean_square_error(truth, predicted)}
    return {**row, "n": len(truth), **scores}


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
