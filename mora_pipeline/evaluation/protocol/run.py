"""The benchmark: every method's vectors on every task, by the protocols asked for.

Published (MoRA, released evaluation): LightGBM on a random 80/20 split; ridge in pooled folds for small groups.
Ours beside it: folds of whole blocks with pooled out-of-fold predictions, a linear probe, few labels; `trials` has all.
"""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from mora_pipeline.contract import schemas
from mora_pipeline.evaluation.labels.tasks import Task
from mora_pipeline.evaluation.protocol.fitting import Fitter, Predictions, num_threads
from mora_pipeline.evaluation.protocol.parameters import BenchmarkParameters
from mora_pipeline.evaluation.protocol.regressors import Floats
from mora_pipeline.evaluation.protocol.scores_cache import KeptArrays
from mora_pipeline.evaluation.protocol.trials import Trial, make_trials

Progress = Callable[[int, int, str], None]
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Record:
    """What a method predicted in a trial: float32 in the order of `Trial.tested`; empty where it was skipped."""

    method: str
    trial: Trial
    predicted: Predictions

    def row(self) -> dict[str, Any]:
        """The record's row of `schemas.BENCHMARK`."""
        trial = self.trial
        row = {"method": self.method, "task": trial.task.name, "split": trial.split, "seed": trial.seed}
        row["model"] = trial.model
        if trial.skipped:
            return {**row, "n": len(trial.task.target), "r2": None, "rmse": None}
        truth = trial.truth
        scores = {"r2": r_squared(truth, self.predicted), "rmse": root_mean_square_error(truth, self.predicted)}
        return {**row, "n": len(truth), **scores}


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
    kept: KeptArrays | None = None,
) -> list[Record]:
    """Judge every method on every task, by all protocols within the region.

    Args:
        methods: vectors by name, [N, d] in the row order of `cells`.
        tasks: from `load_tasks`, with the same N.
        parameters: protocols and regressors; default: the published ones and their blocked twins.
        progress: called with fits done, fits in all and what was fitted.
        kept: predictions of earlier runs, which are taken as they are; this run's are added trial by trial.

    Returns:
        A record a method, task and trial, in the order given.

    Raises:
        ValueError: if a method's vectors do not fit the tasks, or are not finite.
    """
    parameters = parameters or BenchmarkParameters()
    return run_trials(methods, [make_trials(task, parameters) for task in tasks], parameters, progress, kept)


def run_trials(
    methods: Mapping[str, Floats],
    trials: Sequence[Sequence[Trial]],
    parameters: BenchmarkParameters,
    progress: Progress | None = None,
    kept: KeptArrays | None = None,
) -> list[Record]:
    """Judge every method in given trials; see `run_benchmark`.

    Args:
        trials: by task.
    """
    trials = [each for each in trials if each]
    for name, vectors in methods.items():
        _check_vectors(name, vectors, [each[0].task for each in trials])
    total, done = len(methods) * sum(len(trial.folds) for each in trials for trial in each), 0
    records: list[Record] = []
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(num_threads(parameters)) as pool:
        fitter = Fitter(parameters, pool, kept)
        for name, vectors in methods.items():

            def tell(fits: int, what: str, name: str = name) -> None:
                nonlocal done
                done += fits
                if progress and fits:
                    progress(done, total, f"{name}: {what}")

            for each in trials:
                predicted = fitter.predict(vectors, each[0].task, each, tell)
                records += [Record(name, trial, own) for trial, own in zip(each, predicted, strict=True)]
    return records


def scores_table(records: Sequence[Record]) -> pa.Table:
    """`schemas.BENCHMARK`, a row a record.

    ``n`` is the number of rows that were predicted. A trial that could not be done has null scores and ``n`` = its
    labelled rows; the schema's metadata holds the reasons (see `skipped_trials`).
    """
    table = pa.Table.from_pylist([record.row() for record in records], schema=schemas.BENCHMARK)
    skipped = {
        (trial.task.name, trial.split, trial.model, trial.skipped): None
        for trial in (record.trial for record in records)
        if trial.skipped
    }
    listed = [dict(zip(("task", "split", "model", "reason"), item, strict=True)) for item in skipped]
    for item in listed:
        logger.warning("Task %(task)s, %(split)s split, %(model)s: skipped, %(reason)s", item)
    return table.replace_schema_metadata({"skipped": json.dumps(listed)})


def skipped_trials(benchmark: pa.Table) -> list[dict[str, str]]:
    """Trials of a benchmark that could not be done: task, split, model, reason."""
    metadata = benchmark.schema.metadata or {}
    return list(json.loads(metadata.get(b"skipped", b"[]")))


def _check_vectors(name: str, vectors: Floats, tasks: Sequence[Task]) -> None:
    for task in tasks:
        if vectors.ndim != 2 or len(vectors) != task.membership.shape[1]:
            raise ValueError(f"'{name}' has shape {vectors.shape}, but the tasks know {task.membership.shape[1]} cells")
    if not np.isfinite(vectors).all():
        raise ValueError(f"'{name}' holds NaN or infinite values")
