"""A label that is an input in disguise is refused, whatever monotone transform hides it."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import sparse
from scipy.stats import pearsonr

from mora_pipeline.evaluation.labels.leaks import InputColumns, correlations, leaking, refuse_leaks
from mora_pipeline.evaluation.labels.tasks import Task

Make = Callable[..., Task]
RANDOM = np.random.default_rng(0)
VALUES = RANDOM.normal(size=(120, 3))
INPUTS = {"ages": InputColumns(["young", "middle", "old"], VALUES, np.ones(120, dtype=bool))}


@pytest.mark.parametrize(
    "target", [VALUES[:, 1], -3 * VALUES[:, 1] + 7, np.exp(4 * VALUES[:, 1]), VALUES[:, 1] + 0.05 * VALUES[:, 0]]
)
def test_a_label_that_is_nearly_a_column_is_refused_with_the_column_and_the_fix(
    make_task: Make, target: np.ndarray
) -> None:
    (task,) = refuse_leaks([make_task(target)], INPUTS, 0.98)
    assert task.refused is not None
    assert "input column middle of ages" in task.refused
    assert "tasks.planted.leaks: allowed" in task.refused


def test_a_label_that_inputs_merely_predict_is_judged(make_task: Make) -> None:
    (task,) = refuse_leaks([make_task(VALUES[:, 1] + 0.5 * RANDOM.normal(size=120))], INPUTS, 0.98)
    assert task.refused is None


def test_what_region_yaml_allows_is_judged(make_task: Make) -> None:
    (task,) = refuse_leaks([make_task(VALUES[:, 1], leaks_allowed=True)], INPUTS, 0.98)
    assert task.refused is None


def test_groups_are_compared_with_the_mean_of_their_cells_and_cells_without_the_modality_left_out(
    make_task: Make,
) -> None:
    membership = sparse.csr_matrix(np.kron(np.eye(40), np.full(3, 1 / 3)))
    target = membership @ VALUES[:, 2]
    present = np.ones(120, dtype=bool)
    present[:6] = False
    target[:2] = 99.0  # the labels of the groups whose cells lack it
    columns = {"ages": InputColumns(["young", "middle", "old"], VALUES, present)}
    (task,) = refuse_leaks([make_task(target, "group", membership)], columns, 0.98)
    assert task.refused is not None
    assert "column old" in task.refused


def test_correlations_are_pearsons_and_a_constant_column_has_none() -> None:
    target = RANDOM.normal(size=120)
    with_constant = np.column_stack([VALUES, np.full(120, 5.0)])
    expected = [pearsonr(VALUES[:, at], target).statistic for at in range(3)]
    assert np.allclose(correlations(with_constant, target), [*expected, 0])


def test_the_tasks_that_may_leak_are_those_that_region_yaml_allows_to() -> None:
    facts = {"income": {"leaks_allowed": False}, "homes": {"leaks_allowed": True}, "jobs": {"leaks_allowed": True}}
    assert leaking(facts) == {"homes", "jobs"}
    assert leaking({}) == frozenset()
