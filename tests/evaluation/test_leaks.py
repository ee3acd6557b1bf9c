"""A label that is an input in disguise is refused, whatever monotone transform hides it."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
from scipy import sparse
from scipy.stats import pearsonr

from mora_pipeline.contract import schemas
from mora_pipeline.evaluation.labels.leaks import InputColumns, correlations, leaking, refuse_leaks, without_labels
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


def amounts(**columns: np.ndarray) -> pa.Table:
    names = [name.replace("__", ": ").replace("total", "(total)") for name in columns]
    return pa.table([CELLS, *columns.values()], schema=schemas.amounts(names))


CELLS = np.arange(120) * 3
YOUNG, OLD = RANDOM.poisson(80, 120).astype(float), RANDOM.poisson(70, 120).astype(float)
COUNTS = {"age__total": np.log1p(YOUNG + OLD), "age__young": np.log1p(YOUNG), "age__old": np.log1p(OLD)}


def test_an_amount_that_is_a_label_is_left_out_and_with_a_total_its_parts(make_task: Make) -> None:
    tasks = [make_task(RANDOM.normal(size=120), name="noise"), make_task(YOUNG + OLD, name="population")]
    table = amounts(**COUNTS, people=np.log1p(2 * (YOUNG + OLD)), shops=np.log1p(RANDOM.poisson(9, 120)))
    stay, left_out = without_labels(table, CELLS, tasks, 0.98)
    assert stay.column_names == ["cell", "shops"]
    assert left_out["people"].startswith("its ")
    assert "correlation with the label population is " in left_out["people"]
    assert left_out["age: young"].startswith("it is a part of age: (total): its correlation with the label population")
    assert without_labels(table, CELLS, tasks[:1], 0.98) == (table, {})


def test_a_part_that_is_a_label_goes_with_the_total_that_would_give_it_back(make_task: Make) -> None:
    stay, left_out = without_labels(amounts(**COUNTS), CELLS, [make_task(YOUNG**2, name="pupils")], 0.98)
    assert stay.column_names == ["cell", "age: old"]
    assert list(left_out) == ["age: young", "age: (total)"]


def test_an_amount_stays_where_the_task_allows_leaks_and_where_few_cells_know_it(make_task: Make) -> None:
    allowed, known = make_task(YOUNG + OLD, leaks_allowed=True), amounts(**COUNTS)
    assert without_labels(known, CELLS, [allowed], 0.98) == (known, {})
    few = known.slice(0, 9)
    assert without_labels(few, CELLS, [make_task(YOUNG + OLD)], 0.98) == (few, {})
    none = schemas.amounts([]).empty_table()
    assert without_labels(none, CELLS, [make_task(YOUNG)], 0.98) == (none, {})
