"""Labels that are inputs in disguise: such a task says nothing about embeddings and is refused."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from mora_pipeline.evaluation.labels.tasks import Task

Floats = npt.NDArray[np.float64]
FEWEST_ROWS = 10  # that a correlation says anything about


@dataclass(frozen=True)
class InputColumns:
    """Columns that reach the methods: names, values [N, d] in the order of `cells`, and which cells have them [N]."""

    names: Sequence[str]
    values: npt.NDArray[np.floating]
    present: npt.NDArray[np.bool_]


def refuse_leaks(tasks: Sequence[Task], inputs: Mapping[str, InputColumns], bound: float) -> list[Task]:
    """Mark the tasks whose label is an input column, or nearly so.

    Each column is brought to the task's level as vectors are (the cell's own, or a group's mean). The label is refused
    if its correlation with one column, in size, reaches the bound: of the values, or of their ranks, which no monotone
    transform of a column escapes. Labels made from several columns together are not detected.

    Args:
        tasks: those that allow leaks are left as they are.
        inputs: by modality.
        bound: in (0, 1].
    """
    return [task if task.leaks_allowed else _checked(task, inputs, bound) for task in tasks]


def leaking(facts: Mapping[str, Mapping[str, Any]]) -> frozenset[str]:
    """The tasks whose label is allowed to leak from the inputs.

    Args:
        facts: by task; ``leaks_allowed`` tells.
    """
    return frozenset(name for name, task in facts.items() if task["leaks_allowed"])


def _checked(task: Task, inputs: Mapping[str, InputColumns], bound: float) -> Task:
    for modality, columns in inputs.items():
        whole = np.asarray(task.membership @ columns.present.astype(np.float64)) > 1 - 1e-9
        target = task.target[whole]
        if len(target) < FEWEST_ROWS or np.ptp(target) == 0:
            continue
        values = np.asarray(task.membership @ columns.values.astype(np.float64))[whole]
        for what, by_column in (
            ("correlation", correlations(values, target)),
            ("rank correlation", correlations(rankdata(values, axis=0), rankdata(target))),
        ):
            worst = int(np.argmax(np.abs(by_column)))
            if abs(by_column[worst]) >= bound:
                reason = (
                    f"the label leaks: its {what} with the input column {columns.names[worst]} of {modality} is "
                    f"{by_column[worst]:.3f}. Remove the column, or write tasks.{task.name}.leaks: allowed in "
                    "region.yaml"
                )
                return replace(task, refused=reason)
    return task


def correlations(values: Floats, target: Floats) -> Floats:
    """Pearson's r of each column with the target, float64 [d]; 0 for a column without spread.

    Args:
        values: [n, d].
        target: [n], with spread.
    """
    centred, label = values - values.mean(axis=0), target - target.mean()
    lengths = np.linalg.norm(centred, axis=0)
    flat = lengths <= 1e-9 * np.abs(values).max(axis=0, initial=0) * np.sqrt(len(values))
    products = label @ centred
    return np.divide(products, lengths * np.linalg.norm(label), out=np.zeros_like(products), where=~flat)
