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
from mora_pipeline.evaluation.methods.catalogue import is_ours
from mora_pipeline.evaluation.protocol.run import Record
from mora_pipeline.evaluation.protocol.trials import BY, Trial, units_of
from mora_pipeline.region import MEAN

LEVEL = 95.0  # per cent
MORA = "mora"  # the method that all others are compared with
FEWEST_BLOCKS = 20  # with fewer, cells are resampled: an interval from a handful of blocks means little
Floats = npt.NDArray[np.float64]
Key = tuple[str, str]  # split, model


def interval_table(records: Sequence[Record], resamples: int, seed: int = 0) -> pa.Table:
    """Scores with intervals, the difference of our methods to the best baseline, and of `mora` to every other method.

    The best baseline of a task is the one with the highest R² over all seeds, chosen on the tested rows themselves:
    that favours the baseline. ``task`` is "mean" for the mean over the tasks that every method has a score for, less
    those whose label is allowed to leak; where some of them are resampled by cells and others by blocks, these two
    kinds are drawn independently.

    Args:
        records: of one benchmark.
        resamples: number of bootstrap resamples.

    Returns:
        `schemas.INTERVALS`.
    """
    drawn = Resamples([record.trial for record in records], resamples, seed)
    leaking = {record.trial.task.name for record in records if record.trial.task.leaks_allowed}
    rows: list[dict[str, Any]] = []
    for (split, model), by_task in _replicates(records, drawn).items():
        by_cells = {task: (task, split) in drawn.in_few_blocks for task in by_task}
        counted = {task: found for task, found in by_task.items() if task not in leaking}
        every = max(map(len, counted.values()), default=0)
        if common := {task: found for task, found in counted.items() if len(found) == every}:
            by_task[MEAN] = _mean(list(common.values()))
            by_cells[MEAN] = any(by_cells[task] for task in common)
        for task, found in by_task.items():
            told = {"task": task, "split": split, "model": model, "by_cells": by_cells[task]}
            rows += [{**told, **row} for row in _rows(found)]
    return pa.Table.from_pylist(rows, schema=schemas.INTERVALS)


def _rows(found: Mapping[str, Floats]) -> list[dict[str, Any]]:
    """Rows of one task from each method's R² as measured (first) and resampled (the rest)."""
    baselines = {name: values[0] for name, values in found.items() if not is_ours(name)}
    best = max(baselines, key=baselines.__getitem__, default=None)
    rows = []
    for name, values in found.items():
        low, high = interval(values[1:])
        row: dict[str, Any] = {"method": name, "r2": values[0], "low": low, "high": high}
        if best is not None and is_ours(name):
            row |= {"baseline": best, **_difference("difference", values - found[best])}
        if MORA in found and name != MORA:
            row |= _difference("mora_ahead", found[MORA] - values)
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


def _mean(found: Sequence[Mapping[str, Floats]]) -> dict[str, Floats]:
    return {name: np.mean([each[name] for each in found], axis=0) for name in found[0]}


def _replicates(records: Sequence[Record], drawn: "Resamples") -> dict[Key, dict[str, dict[str, Floats]]]:
    """R² of each method by split and model, then task: as measured, then of each resample, averaged over seeds."""
    found: dict[Key, dict[str, dict[str, list[Floats]]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for record, values in scored(records, drawn):
        trial = record.trial
        found[trial.split, trial.model][trial.task.name][record.method].append(values)
    return {
        key: {task: {name: np.mean(each, axis=0) for name, each in methods.items()} for task, methods in tasks.items()}
        for key, tasks in found.items()
    }


def scored(records: Sequence[Record], drawn: "Resamples") -> Iterator[tuple[Record, Floats]]:
    """The records that have an R², each with its R² as measured (first) and resampled, float64 [1 + resamples]."""
    for record in records:
        trial = record.trial
        if not trial.skipped and np.ptp(trial.truth) > 0:  # else R² is not defined, as in the table of scores
            yield record, resampled_r2(trial.truth, record.predicted, *drawn.of(trial))


def resampled_r2(truth: Floats, predicted: npt.NDArray[np.floating], units: Rows, weights: Floats) -> Floats:
    """R² of tested rows under each row of weights, float64 [1 + resamples]; NaN where a resample's truth is constant.

    Args:
        truth, predicted: [n].
        units: int64 [n], the unit of each row.
        weights: [1 + resamples, units], how often each unit counts.
    """
    centred, error = truth - truth.mean(), truth - predicted  # centred, so that the sums below do not cancel
    parts = (np.ones(len(truth)), centred, centred**2, error**2)
    sums = np.stack([np.bincount(units, part, weights.shape[1]) for part in parts], axis=1)
    count, total, squares, errors = (weights @ sums).T
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = squares - total**2 / count
        return np.where(spread > 1e-12 * squares, 1 - errors / spread, np.nan)


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
