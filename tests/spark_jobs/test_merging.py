"""Sums with a change added, against whole numbers added up by hand."""

from collections import Counter

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as draw

from mora_pipeline.contract.errors import UserError
from spark_jobs.mobility.edges import sum_of
from spark_jobs.mobility.fixed_point import PARTS, to_float
from spark_jobs.mobility.merging import negated, with_change
from spark_jobs.mobility.move_tables import added_up, make_moves

CELLS = [600000000000000000, 617700169957507071, 617700169958293503, 617700169961701375]
Move = tuple[int, int, float, int, str]
moves = draw.lists(
    draw.tuples(
        draw.sampled_from(CELLS),
        draw.sampled_from(CELLS),
        draw.sampled_from([1.0, 2.0, 0.1, 0.7, 2.0**-40]),
        draw.integers(1, 3),
        draw.sampled_from(["ann", "bob"]),
    ),
    max_size=30,
)
kinds = draw.sampled_from(["", "users", "user"])


def table_of(found: list[Move], kind: str) -> pa.Table:
    origin, destination, flow, users, user = (pa.array(column) for column in zip(*found, strict=True))
    told = {"users": {"users": users}, "user": {"user": user}}.get(kind, {})
    return added_up(make_moves(origin, destination, flow, **told))


def flows_of(sums: pa.Table) -> npt.NDArray[np.float64]:
    return to_float({name: sums[name].to_numpy() for name in PARTS if name in sums.column_names})


def as_counts(sums: pa.Table | None) -> Counter[tuple[object, ...]]:
    """Flow by key in units of 2⁻⁸⁰, exactly; users counted beside it."""
    counted: Counter[tuple[object, ...]] = Counter()
    for row in sums.to_pylist() if sums is not None else []:
        key = (row["origin"], row["destination"], row.get("user"))
        flow = (row["whole"] << 80) + (row.get("upper", 0) << 40) + row.get("lower", 0)
        assert flow > 0
        counted[(*key, "flow")] += flow
        counted[(*key, "users")] += row.get("users", 0)
    return +counted


@given(moves, moves, moves, kinds)
def test_what_is_left_is_what_adding_up_the_rest_gives(
    stay: list[Move], leave: list[Move], come: list[Move], kind: str
) -> None:
    def added(*parts: list[Move]) -> pa.Table | None:
        found = [move for part in parts for move in part]
        return table_of(found, kind) if found else None

    changes = [table for table in (added(come),) if table is not None]
    changes += [negated(table) for table in (added(leave),) if table is not None]
    before, expected = added(stay, leave), added(stay, come)
    after = with_change(before, sum_of(changes))
    assert as_counts(after) == as_counts(expected)
    if after is not None and expected is not None and kind != "user":
        pairs = [after[name].to_pylist() for name in ("origin", "destination")]
        assert pairs == [expected[name].to_pylist() for name in ("origin", "destination")]
        assert flows_of(after).tobytes() == flows_of(expected).tobytes()


@given(moves.filter(len), kinds)
def test_nothing_is_left_of_sums_that_are_taken_away(found: list[Move], kind: str) -> None:
    sums = table_of(found, kind)
    assert with_change(sums, negated(sums)) is None
    assert with_change(sums, None) is sums


@pytest.mark.parametrize("kind", ["", "users", "user"])
def test_more_cannot_be_taken_away_than_there_is(kind: str) -> None:
    one = table_of([(CELLS[0], CELLS[1], 1.0, 1, "ann")], kind)
    other = table_of([(CELLS[0], CELLS[1], 1.5, 1, "ann")], kind)
    with pytest.raises(ArithmeticError):
        with_change(one, negated(other))


def test_users_and_amounts_that_cannot_be_are_told() -> None:
    pair = {"origin": [CELLS[0]], "destination": [CELLS[1]]}
    one = pa.table({**pair, "whole": [5], "users": [1]})
    with pytest.raises(ArithmeticError):
        with_change(one, negated(pa.table({**pair, "whole": [1], "users": [3]})))
    huge = pa.table({**pair, "whole": [2**61], "users": [1]})
    with pytest.raises(UserError, match="in a larger unit"):
        with_change(huge, huge)
