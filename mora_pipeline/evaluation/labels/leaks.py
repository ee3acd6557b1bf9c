"""Labels that are inputs in disguise: such a task says nothing about embeddings and is refused."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.stats import rankdata

from mora_pipeline.contract.amounts import REST, TOTAL, part_of, whole_of
from mora_pipeline.contract.cells import rows_of
from mora_pipeline.evaluation.labels.tasks import Task

Floats = npt.NDArray[np.float64]
FEWEST_ROWS = 10  # that a correlation says anything about


@dataclass(frozen=True)
class InputColumns:
    """Columns that reach the methods: names, values [N, d] in the order of `cells`, and which cells have them [N].

    ``remedy`` says how such a column leaves the inputs.
    """

    names: Sequence[str]
    values: npt.NDArray[np.floating]
    present: npt.NDArray[np.bool_]
    remedy: str = "Remove the column"


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


def leaking_columns(task: Task, columns: InputColumns, bound: float) -> dict[str, tuple[str, float]]:
    """The columns that a label nearly is, by name: `correlation` or `rank correlation`, and it; the largest first."""
    whole = np.asarray(task.membership @ columns.present.astype(np.float64)) > 1 - 1e-9
    target = task.target[whole]
    if not len(columns.names) or len(target) < FEWEST_ROWS or np.ptp(target) == 0:
        return {}
    values = np.asarray(task.membership @ columns.values.astype(np.float64))[whole]
    found: dict[str, tuple[str, float]] = {}
    for what, by_column in (
        ("correlation", correlations(values, target)),
        ("rank correlation", correlations(rankdata(values, axis=0), rankdata(target))),
    ):
        for column in np.argsort(-np.abs(by_column), kind="stable"):
            if abs(by_column[column]) >= bound:
                found.setdefault(columns.names[column], (what, float(by_column[column])))
    return found


def without_labels(
    amounts: pa.Table, cells: npt.NDArray[np.int64], tasks: Sequence[Task], bound: float
) -> tuple[pa.Table, dict[str, str]]:
    """Amounts without those that are a label, or nearly so, unless its task allows leaks.

    Where the total of something is a label, its parts go too: they add up to it. Where a part is one, the total and the
    rest go: with the other parts they would give it back.

    Args:
        amounts: `schemas.amounts`.
        cells: int64 [N], ascending, of the tasks.
        bound: as of `refuse_leaks`.

    Returns:
        The amounts that stay, and why the others do not, by name.
    """
    names = [name for name in amounts.column_names if name != "cell"]
    values, present = np.zeros((len(cells), len(names))), np.zeros(len(cells), dtype=bool)
    rows = rows_of(cells, amounts["cell"].to_numpy(), "amounts")
    present[rows] = True
    for position, name in enumerate(names):
        values[rows, position] = amounts[name].to_numpy()
    left_out: dict[str, str] = {}
    for task in tasks:
        if task.leaks_allowed:
            continue
        for name, (what, value) in leaking_columns(task, InputColumns(names, values, present), bound).items():
            left_out.setdefault(name, f"its {what} with the label {task.name} is {value:.3f}")
    labels = list(left_out)
    for name in [name for name in labels if name != part_of(whole_of(name), TOTAL)]:
        for other in (part_of(whole_of(name), TOTAL), part_of(whole_of(name), REST)):
            if other in names:
                left_out.setdefault(other, f"it would give back {name}: {left_out[name]}")
    for total in [name for name in labels if name == part_of(whole_of(name), TOTAL)]:
        for name in names:
            if whole_of(name) == whole_of(total):
                left_out.setdefault(name, f"it is a part of {total}: {left_out[total]}")
    return amounts.drop_columns(list(left_out)), left_out


def _checked(task: Task, inputs: Mapping[str, InputColumns], bound: float) -> Task:
    for modality, columns in inputs.items():
        for name, (what, value) in leaking_columns(task, columns, bound).items():
            reason = (
                f"the label leaks: its {what} with the input column {name} of {modality} is {value:.3f}. "
                f"{columns.remedy}, or write tasks.{task.name}.leaks: allowed in region.yaml"
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
