"""What a sample shows that is allowed and seldom meant is said; what is usual is not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mora_pipeline.raw.suspicions import known_otherwise, sentinel, totals


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ([5, -999, 7, -999, 9], "2 of 5 values are -999, all others from 5 to 9.*null: \\[-999\\]"),
        ([-1, -1, 0, 3], "2 of 4 values are -1"),
        ([1, 90, 99999999, 99999999, 3], "2 of 5 values are 99999999"),
    ],
)
def test_a_number_that_stands_for_none_is_named(numbers: list[float], said: str) -> None:
    import re

    assert re.search(said, sentinel(np.array(numbers, float)))


@pytest.mark.parametrize(
    "numbers",
    [[-2, -1, -1, 0, 3], [5, -999, 7, 9], [99, 99, 5, 7], [980, 999, 999, 700], [1, 1, 1, 1], [-999, -999, -999], []],
)
def test_usual_numbers_are_not_suspected(numbers: list[float]) -> None:
    assert sentinel(np.array(numbers, float)) == ""


@given(st.lists(st.floats(0, 1e6), max_size=50))
def test_numbers_that_are_zero_and_above_without_nines_are_not_suspected(numbers: list[float]) -> None:
    assert sentinel(np.array([number for number in numbers if "99" not in f"{number:.15g}"])) == ""


@pytest.mark.parametrize(
    ("unknown", "known", "why"),
    [
        ("1001", "01001", "zeros before it"),
        ("p00", "P00", "capital and small letters"),
        ("7.0", "7", "the '.0' behind it"),
        ("1,001", "1001", "thousands separators"),
        ("e\u0301a", "\u00e9a", "how letters with marks are composed"),
        ("01-001", "01001", "signs and spaces in it"),
        ("1400000US36061", "36061", "the 'US' and what stands before it"),
    ],
)
def test_ids_that_only_are_written_otherwise_are_told(unknown: str, known: str, why: str) -> None:
    said = known_otherwise([unknown], [known, "other"])
    assert why in said
    assert f"'{unknown}', which the table of places has as '{known}'" in said


def test_ids_of_elsewhere_are_not_told() -> None:
    assert known_otherwise(["264", "externo"], ["1", "2"]) == ""
    assert known_otherwise([], ["1"]) == ""
    assert known_otherwise([f"x{number}" for number in range(100)] + ["01"], ["1"]) == ""


def test_a_total_among_the_columns_of_a_histogram_is_told() -> None:
    ages = np.array([[1.0, 2, 3], [4, 5, 6]])
    assert "'all' is the sum of the other 2 columns" in totals({"young": ages[0], "old": ages[1], "all": ages.sum(0)})
    assert totals({"young": ages[0], "old": ages[1], "all": ages.sum(0) + 1}) == ""
    assert totals({"young": ages[0], "old": ages[0]}) == ""  # two equal ones are no sum
