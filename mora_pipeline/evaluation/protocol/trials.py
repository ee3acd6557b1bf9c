"""Protocols by name as trials: a task, how its rows are split, and which model is fitted."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mora_pipeline.evaluation.labels.tasks import Task
from mora_pipeline.evaluation.protocol.models import (
    BOOSTED,
    CLIPPED_RIDGE,
    LIGHTGBM,
    LIGHTGBM_FAST,
    LINEAR_PROBE,
    POOLED_RIDGE,
)
from mora_pipeline.evaluation.protocol.parameters import BenchmarkParameters
from mora_pipeline.evaluation.protocol.splits import (
    Fold,
    Rows,
    blocked_folds,
    few_shot_split,
    ordered_folds,
    random_folds,
    random_split,
)

RANDOM, BLOCKED, REGION_PAPERS = "random", "blocked", "region_papers"
FEW_SHOT, BY, FROM = "few_shot_", "by_", "from_"  # followed by labels, a grouping of region.yaml, a region


@dataclass(frozen=True)
class Trial:
    """One row of the benchmark less its method.

    Attributes:
        split: `random`, `blocked`, `by_<grouping>`, `few_shot_<labels>`, `region_papers` or `from_<region>`.
        model: a name of `MODELS`.
        folds: rows to fit and rows to test.
        skipped: why it cannot be done.
    """

    task: Task
    split: str
    seed: int
    model: str
    folds: list[Fold]
    skipped: str | None = None

    @property
    def tested(self) -> Rows:
        """Rows of the task in the order of their predictions, int64 [n]."""
        return np.concatenate([np.empty(0, np.int64), *(test for _, test in self.folds)]).astype(np.int64)

    @property
    def truth(self) -> npt.NDArray[np.float64]:
        """The labels of those rows, float64 [n], in the same order."""
        return self.task.target[self.tested]


def make_trials(task: Task, parameters: BenchmarkParameters) -> list[Trial]:
    """All trials of a task within its region, seed by seed."""
    asked = set(parameters.protocols)
    trials: list[Trial] = []
    if "paper" in asked:
        model = _boosted(task, LIGHTGBM, parameters)
        trials += [_trial(task, RANDOM, seed, model, parameters) for seed in parameters.paper_seeds]
    for split, protocol in _splits(task, asked):
        models = [_boosted(task, LIGHTGBM_FAST, parameters)] if protocol in asked else []
        models += [LINEAR_PROBE] if "linear" in asked else []
        done = {(trial.split, trial.seed, trial.model) for trial in trials}  # ridge on few groups is in `paper` already
        pairs = [(seed, model) for seed in parameters.seeds for model in models if (split, seed, model) not in done]
        trials += [_trial(task, split, seed, model, parameters) for seed, model in pairs]
    if "few_shot" in asked:
        trials += [
            _trial(task, f"{FEW_SHOT}{labels}", seed, LINEAR_PROBE, parameters)
            for labels in parameters.few_shot_labels
            for seed in parameters.seeds
        ]
    if REGION_PAPERS in asked:  # nothing is drawn: one seed is all
        trials.append(_trial(task, REGION_PAPERS, parameters.seeds[0], CLIPPED_RIDGE, parameters))
    return trials


def _boosted(task: Task, model: str, parameters: BenchmarkParameters) -> str:
    """The boosted model of a protocol, or what few groups get in its place."""
    few = task.level == "group" and len(task.target) < parameters.ridge_below_groups
    return POOLED_RIDGE if few else model


def _splits(task: Task, asked: set[str]) -> Iterator[tuple[str, str]]:
    """The splits that are asked for, and the protocol that boosts on each."""
    if asked & {"random", "linear"}:
        yield RANDOM, "random"
    if "blocked" in asked:
        yield BLOCKED, "blocked"
    if "grouped" in asked:
        yield from ((f"{BY}{name}", "grouped") for name in task.groupings)


def _trial(task: Task, split: str, seed: int, model: str, parameters: BenchmarkParameters) -> Trial:
    own = task.models.get(model, model)
    if reason := _unusable(task, split, parameters):
        return Trial(task, split, seed, own, [], reason)
    folds = _folds(task, split, seed, model, parameters)
    if reason := no_tree(task.level, model, min(len(train) for train, _ in folds), parameters):
        return Trial(task, split, seed, own, [], reason)
    return Trial(task, split, seed, own, folds)


def no_tree(level: str, model: str, fitted: int, parameters: BenchmarkParameters) -> str | None:
    """Why so few fitted rows make no tree with two leaves; None if they do, or the model has no trees."""
    child = parameters.group_minimum_child if level == "group" else parameters.cell_minimum_child
    if model not in BOOSTED or fitted >= 2 * child:
        return None
    return f"{fitted} rows to fit, a tree with {child} rows a leaf needs {2 * child}"


def _folds(task: Task, split: str, seed: int, model: str, parameters: BenchmarkParameters) -> list[Fold]:
    num_rows = len(task.target)
    if split == REGION_PAPERS:
        seed_of_shuffle = parameters.region_papers_seed if parameters.region_papers_shuffled else None
        return ordered_folds(
            task.order, parameters.region_papers_folds, _papers_rows(task, parameters), seed_of_shuffle
        )
    if split.startswith(FEW_SHOT):
        return few_shot_split(num_rows, int(split.removeprefix(FEW_SHOT)), parameters.test_share, seed)
    if split != RANDOM:
        return blocked_folds(units_of(task, split), parameters.folds, seed)
    if model == POOLED_RIDGE:
        return random_folds(num_rows, parameters.folds, seed)
    return random_split(num_rows, parameters.test_share, seed)


def _papers_rows(task: Task, parameters: BenchmarkParameters) -> Rows:
    """The rows that region papers use, int64 [n]."""
    return np.flatnonzero(task.target > 0) if parameters.region_papers_positive_only else np.arange(len(task.target))


def units_of(task: Task, split: str) -> Rows:
    """What a split keeps whole and intervals resample: the H3 parent of each label, or its group. int64 [n]."""
    return task.groupings[split.removeprefix(BY)] if split.startswith(BY) else task.blocks


def _unusable(task: Task, split: str, parameters: BenchmarkParameters) -> str | None:
    """Why no model can be tested on a task; None if one can."""
    if task.refused:
        return task.refused
    if len(task.target) < parameters.minimum_rows:
        lost = ", ".join(f"{count} {reason}" for reason, count in task.reasons.items()) or "none"
        return f"{len(task.target)} labelled rows, at least {parameters.minimum_rows} needed (dropped: {lost})"
    if np.ptp(task.target) == 0:
        return f"every label is {task.target[0]:g}"
    if split == REGION_PAPERS:
        return _unusable_for_papers(task.target[_papers_rows(task, parameters)], parameters)
    if (split == BLOCKED or split.startswith(BY)) and len(np.unique(units_of(task, split))) < 2:
        return "all rows are in one block"
    if split.startswith(FEW_SHOT):
        labels = int(split.removeprefix(FEW_SHOT))
        left = len(task.target) - math.ceil(parameters.test_share * len(task.target))
        return f"{left} rows to draw {labels} labels from" if left < labels else None
    return None


def _unusable_for_papers(target: npt.NDArray[np.float64], parameters: BenchmarkParameters) -> str | None:
    """Why region papers' protocol cannot test the labels [n] that it uses; None if it can."""
    if len(target) < parameters.minimum_rows:
        return f"{len(target)} labels above 0, at least {parameters.minimum_rows} needed (positive_only)"
    if np.ptp(target) == 0:
        return f"every label above 0 is {target[0]:g}"
    if target.min() < 0:
        return f"labels go down to {target.min():g}, and this protocol clips predictions at 0"
    return None
