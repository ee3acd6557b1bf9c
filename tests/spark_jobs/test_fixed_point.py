"""Sums of flows against fractions.Fraction: exact, and so the same in any order and grouping."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as draw

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.rules import LARGEST
from spark_jobs.mobility import fixed_point as module
from spark_jobs.mobility.fixed_point import summed, to_fixed_point, to_float

amount = draw.one_of(
    draw.floats(2.0**-28, LARGEST),
    draw.integers(1, 2**40).map(float),
    draw.integers(1, 10**6).map(lambda number: number / 10),
)


def total(values: np.ndarray, order: np.ndarray) -> float:
    return float(to_float(summed(to_fixed_point(values), order, np.array([0])))[0])


@given(draw.lists(amount, min_size=1, max_size=60), draw.randoms(use_true_random=False))
def test_a_sum_is_the_exact_one_in_any_order(values: list[float], random: object) -> None:
    amounts = np.array(values)
    order = list(range(len(values)))
    random.shuffle(order)  # type: ignore[attr-defined]
    found = total(amounts, np.array(order))
    truth = sum(map(Fraction, values), Fraction(0))
    assert found == total(amounts, np.arange(len(values)))
    assert abs(Fraction(found) - truth) <= truth * Fraction(1, 2**52)


@given(draw.lists(amount, min_size=2, max_size=60), draw.integers(1, 59))
def test_sums_of_sums_are_the_sum(values: list[float], cut: int) -> None:
    """Tasks add up what they see; what they send is added up again."""
    amounts, cut = np.array(values), min(cut, len(values) - 1)
    parts = summed(to_fixed_point(amounts), np.arange(len(values)), np.array([0, cut]))
    both = summed(parts, np.arange(2), np.array([0]))
    assert float(to_float(both)[0]) == total(amounts, np.arange(len(values)))


@given(draw.floats(1e-12, 1e-9))
def test_a_tiny_flow_is_kept_as_well_as_can_be(value: float) -> None:
    assert abs(float(to_float(to_fixed_point(np.array([value])))[0]) - value) <= 2.0**-81


def test_whole_numbers_need_one_part() -> None:
    assert set(to_fixed_point(np.array([1.0, 2.0**40]))) == {"whole"}


def test_sums_beyond_the_bits_are_told() -> None:
    amounts = {"whole": np.full(5, 2**60)}
    with pytest.raises(UserError, match="larger unit"):
        summed(amounts, np.arange(5), np.array([0]))


def test_a_long_run_is_carried_in_between(monkeypatch: pytest.MonkeyPatch) -> None:
    """More fractions than 63 bits hold, if they were added without a carry."""
    monkeypatch.setattr(module, "LONGEST_RUN", 7)
    values = np.random.default_rng(0).random(100)
    found = to_float(summed(to_fixed_point(values), np.arange(100), np.array([0, 1, 50])))
    parts = (values[:1], values[1:50], values[50:])
    assert found.tolist() == [float(sum(map(Fraction, part.tolist()), Fraction(0))) for part in parts]
