"""Cells as locations, against the h3 library."""

import h3
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.cells import as_cells, to_resolution

POINTS = st.tuples(st.floats(-90, 90), st.floats(-180, 180), st.integers(0, 15))
CELLS = POINTS.map(lambda point: h3.str_to_int(h3.latlng_to_cell(*point)))
# Numbers near cells: a bit of a cell turned over, or the bits below its resolution.
NEAR = st.tuples(CELLS, st.integers(0, 63)).map(lambda pair: pair[0] ^ (1 << pair[1]))
PENTAGON_CHILD = int("820807fffffffff", 16)  # resolution 2, in base cell 4


@given(st.lists(CELLS | NEAR | st.integers(0, 2**64 - 1) | st.none(), max_size=30))
def test_numbers_are_cells_where_h3_says_so(numbers: list) -> None:
    want = [n if n is not None and h3.is_valid_cell(h3.int_to_str(n)) else None for n in numbers]
    assert as_cells(pa.array(numbers, pa.uint64())).to_pylist() == want
    signed = [None if n is None else n - 2**64 if n >= 2**63 else n for n in numbers]
    assert as_cells(pa.array(signed, pa.int64())).to_pylist() == want


@given(
    st.lists(st.tuples(CELLS | NEAR, st.sampled_from(["{:x}", "{:X}", "0x{:x}", "0X{:X}", " {:x} ", "0{:x}", "{:d}"])))
)
def test_texts_in_any_form_are_the_cells_that_they_name(rows: list) -> None:
    texts = [form.format(number) for number, form in rows]
    want = [number if h3.is_valid_cell(h3.int_to_str(number)) else None for number, _ in rows]
    assert as_cells(pa.array(texts, pa.string())).to_pylist() == want
    assert as_cells(pa.array(texts, pa.large_string())).to_pylist() == want
    assert as_cells(pa.array(texts, pa.string()).dictionary_encode()).to_pylist() == want


@given(st.lists(st.text(max_size=20), max_size=5))
def test_other_texts_are_no_cells(texts: list) -> None:
    assert as_cells(pa.array(texts, pa.string())).to_pylist() == [None] * len(texts)


@pytest.mark.parametrize("text", ["", "10,20,8", "8f", "externo", "264", "881f1d4897fffffff", "ff"])
def test_what_only_looks_like_a_cell_is_none(text: str) -> None:
    """h3ronpy reads "10,20,8" as the cell of a point."""
    assert as_cells(pa.array([text, "881f1d4897fffff"])).to_pylist() == [None, 0x881F1D4897FFFFF]


def test_all_of_a_deleted_subsequence_is_no_cell() -> None:
    """A pentagon lacks a child; the number that its id would be is no cell."""
    pentagon = h3.str_to_int(h3.get_pentagons(0)[0])
    child = (pentagon & ~(0xF << 52)) | (1 << 52)
    numbers = [child & ~(7 << 42) | (digit << 42) for digit in range(8)]
    got = as_cells(pa.array(numbers, pa.int64())).to_pylist()
    assert got == [n if h3.is_valid_cell(h3.int_to_str(n)) else None for n in numbers]
    assert got.count(None) == 2  # the deleted one, and 7, which is no digit


def test_floating_point_numbers_have_lost_digits() -> None:
    """pandas writes integers with a gap as floats: 8a2a1072b59ffff becomes another number."""
    assert as_cells(pa.array([float(0x881F1D4897FFFFF), None])).to_pylist() == [None, None]


@given(st.lists(POINTS.filter(lambda point: 2 <= point[2] <= 8), max_size=4), st.integers(4, 7))
def test_cells_come_to_a_resolution_as_h3_brings_them(points: list, resolution: int) -> None:
    cells = [h3.latlng_to_cell(*point) for point in points]
    numbers = np.array([h3.str_to_int(cell) for cell in cells], np.int64)
    rows, brought, shares = to_resolution(numbers, resolution)
    for row, cell in enumerate(cells):
        own = {h3.int_to_str(int(each)) for each in brought[rows == row]}
        finer = h3.get_resolution(cell) > resolution
        assert own == ({h3.cell_to_parent(cell, resolution)} if finer else set(h3.cell_to_children(cell, resolution)))
        assert shares[rows == row].sum() == pytest.approx(1, abs=1e-12)
        assert len(np.unique(shares[rows == row])) == 1
    assert (np.diff(rows) >= 0).all()


def test_a_pentagon_has_fewer_children() -> None:
    pentagon = h3.str_to_int(h3.get_pentagons(4)[0])
    assert h3.is_pentagon(h3.int_to_str(pentagon))
    rows, cells, shares = to_resolution(np.array([pentagon]), 6)
    assert len(cells) == len(np.unique(cells)) == 41
    assert shares.tolist() == [1 / 41] * 41
    assert not rows.any()


def test_a_fan_out_without_bounds_is_refused() -> None:
    coarse = np.array([h3.str_to_int(h3.latlng_to_cell(40, -74, 1))])
    with pytest.raises(UserError, match="resolution 1 would be spread on about 5,764,801 cells of resolution 9"):
        to_resolution(coarse, 9)


def test_no_cells_make_no_rows() -> None:
    assert [len(column) for column in to_resolution(np.empty(0, np.int64), 8)] == [0, 0, 0]
    assert as_cells(pa.array([], pa.string())).to_pylist() == []
    assert as_cells(pa.nulls(2)).to_pylist() == [None, None]
