"""Rows of cells against a dictionary."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as draw

from mora_pipeline.contract.cells import find_rows, rows_of
from mora_pipeline.contract.errors import UserError

numbers = draw.integers(0, 50)


@given(draw.sets(numbers), draw.lists(numbers))
def test_rows_are_those_of_a_dictionary(cells: set[int], wanted: list[int]) -> None:
    ascending = np.array(sorted(cells), dtype=np.int64)
    row_of = {cell: row for row, cell in enumerate(ascending.tolist())}
    rows, known = find_rows(ascending, np.array(wanted, dtype=np.int64))
    assert known.tolist() == [cell in row_of for cell in wanted]
    assert rows.tolist() == [row_of.get(cell, 0) for cell in wanted]


def test_a_cell_that_is_not_there_is_named() -> None:
    cells = np.array([3, 5], dtype=np.int64)
    assert rows_of(cells, np.array([5, 3, 5]), "graph").tolist() == [1, 0, 1]
    with pytest.raises(UserError, match=r"`graph` names 1 cells that `cells` does not hold \(first: ff\)"):
        rows_of(cells, np.array([5, 255]), "graph")
