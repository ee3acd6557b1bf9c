"""How sure a score is: a bootstrap of whole blocks, paired, so that methods are compared on the same resamples.

Neighbouring cells share their errors, so cells are not resampled one by one: a resample draws H3 parents (or the
groups that the split keeps whole) with replacement, the same ones for every method, seed and task. Only a task that is
tested in a handful of them has its cells drawn, again the same ones for all such tasks.
"""

import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mora_pipeline.contract import schemas
from mora_pipeline.evaluation.labels.files import Rows
from mora_pipeline.evaluation.protocol.metrics import R2, Metric
from mora_pipeline.evaluation.protocol.parameters import MORA, OURS
from mora_pipeline.evaluation.protocol.run import Record
from mora_pipeline.evaluation.protocol.trials import BY, Trial, units_of
from mora_pipeline.region import MEAN

LEVEL = 95.0  # per cent
FEWEST_BLOCKS = 20  # with fewer, cells are resampled: an interval from a handful of blocks means little
Floats = npt.NDArray[np.float64]
Key = tuple[str, str]  # split, model


def interval_table(records: Sequence[Record], resamples: int, seed: int = 0, metric: Metric = R2) -> pa.Table:
    """Scores with intervals, the difference of our methods to the best baseline, and of `mora` to every other method.

    The best baseline of a task is the one with the best score over all seeds, chosen on the tested rows themselves:
    that favours the baseline. ``task`` is "mean" for the mean over the tasks that every method has a score for, less
    those whose label is allowed to leak; where some of them are resampled by cells and others by blocks, these two
    kinds are drawn independently.

    Args:
        records: of one benchmark.
        resamples: number of bootstrap resamples.
        metric: what is scored; a difference is positive where the first is better.

    Returns:
        `schemas.INTERVALS`; the column of the score has the metric's name.
    """
    drawn = Resamples([record.trial for record in records], resamples, seed)
    leaking = {record.trial.task.name for record in records if record.trial.task.leaks_allowed}
    rows: list[dict[str, Any]] = []
    for (split, model), by_task in _replicates(records, drawn, metric).items():
        by_cells = {task: (task, split) in drawn.in_few_blocks for task in by_task}
        counted = {task: scores for task, scores in by_task.items() if task not in leaking} if metric.comparable else {}
        every = max(map(len, counted.values()), default=0)
        if common := {task: scores for task, scores in counted.items() if len(scores) == every}:
            by_task[MEAN] = _mean(list(common.values()))
            by_cells[MEAN] = any(by_cells[task] for task in common)
        for task, scores in by_task.items():
            key = {"task": task, "split": split, "model": model, "by_cells": by_cells[task]}
            rows += [{**key, **row} for row in _rows(scores, metric)]
    fields = [field.with_name(metric.name) if field.name == R2.name else field for field in schemas.INTERVALS]
    return pa.Table.from_pylist(rows, schema=pa.schema(fields))


def _rows(scores: Mapping[str, Floats], metric: Metric) -> list[dict[str, Any]]:
    """Rows of one task from each method's score as measured (first) and resampled (the rest)."""
    merit = {name: metric.gain(values[0], 0.0) for name, values in scores.items() if name not in OURS}
    best = max(merit, key=merit.__getitem__, default=None)
    rows = []
    for name, values in scores.items():
        low, high = interval(values[1:])
        row: dict[str, Any] = {"method": name, metric.name: values[0], "low": low, "high": high}
        if best is not None and name in OURS:
            row |= {"baseline": best, **_difference("difference", metric.gain(values, scores[best]))}
        if MORA in scores and name != MORA:
            row |= _difference("mora_ahead", metric.gain(scores[MORA], values))
        rows.append(row)
    return rows


def _difference(name: str, values: Floats) -> dict[str, float]:
    """A difference as measured (first) and its interval, by column."""
    low, high = interval(values[1:])
    return {name: float(values[0]), f"{name}_low": low, f"{name}_high": high}


def interval(values: Floats) -> tuple[float, float]:
    """The middle `LEVEL` per cent of resampled values, float64 [resamples]; NaN are left out."""
    low, high = np.nanpercentile(values, [(100 - LEVEL) / 2, (100 + LEVEL) / 2])
    return float(low), float(high)


def _mean(scores: Sequence[Mapping[str, Floats]]) -> dict[str, Floats]:
    return {name: np.mean([each[name] for each in scores], axis=0) for name in scores[0]}


def _replicates(
    records: Sequence[Record], drawn: "Resamples", metric: Metric
) -> dict[Key, dict[str, dict[str, Floats]]]:
    """Each method's score by split and model, then task: as measured, then of each resample, averaged over seeds."""
    grouped: dict[Key, dict[str, dict[str, list[Floats]]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for record, values in scored(records, drawn, metric):
        trial = record.trial
        grouped[trial.split, trial.model][trial.task.name][record.method].append(values)
    return {
        key: {task: {name: np.mean(each, axis=0) for name, each in methods.items()} for task, methods in tasks.items()}
        for key, tasks in grouped.items()
    }


def scored(records: Sequence[Record], drawn: "Resamples", metric: Metric = R2) -> Iterator[tuple[Record, Floats]]:
    """The records that have a score, each with it as measured (first) and resampled, float64 [1 + resamples]."""
    for record in records:
        trial = record.trial
        if not trial.skipped and metric.score(trial.truth, record.predicted) is not None:  # as in the table of scores
            yield record, metric.resampled(trial.truth, record.predicted, *drawn.of(trial))


class Resamples:
    """The same resamples for all methods, seeds and tasks that share a kind of unit: parents, groups or cells."""

    def __init__(self, trials: Sequence[Trial], resamples: int, seed: int = 0) -> None:
        self.resamples, self.seed = resamples, seed
        self.ids: dict[str, Rows] = {}
        self.drawn: dict[str, Floats] = {}
        tested: dict[tuple[str, str], Rows] = defaultdict(lambda: np.empty(0, np.int64))
        for trial in trials:
            name = trial.task.name, trial.split
            tested[name] = np.union1d(tested[name], _blocks(trial))
        self.in_few_blocks = {name for name, blocks in tested.items() if len(blocks) < FEWEST_BLOCKS}
        for trial in trials:
            kind, units = self._units(trial)
            self.ids[kind] = np.union1d(self.ids.get(kind, np.empty(0, np.int64)), units)

    def of(self, trial: Trial) -> tuple[Rows, Floats]:
        """The units of a trial's tested rows, int64 [n], and how often each unit counts, [1 + resamples, units]."""
        kind, units = self._units(trial)
        if kind not in self.drawn:
            self.drawn[kind] = self._draw(kind)
        return np.searchsorted(self.ids[kind], units), self.drawn[kind]

    def _units(self, trial: Trial) -> tuple[str, Rows]:
        """The kind of unit that is drawn for a trial, and the unit of each tested row."""
        if (trial.task.name, trial.split) in self.in_few_blocks:
            return "cells", trial.task.middle[trial.tested]  # labels of one cell share a vector, and so their errors
        return (trial.split if trial.split.startswith(BY) else "blocks"), _blocks(trial)

    def _draw(self, kind: str) -> Floats:
        size = len(self.ids[kind])
        generator = np.random.default_rng([self.seed, zlib.crc32(kind.encode())])
        drawn = [np.bincount(generator.integers(0, size, size), minlength=size) for _ in range(self.resamples)]
        return np.stack([np.ones(size), *drawn])


def _blocks(trial: Trial) -> Rows:
    """The H3 parent, or the group that the split keeps whole, of each tested row."""
    return units_of(trial.task, trial.split)[trial.tested]
