"""A source may hold so many bad rows, and these may carry so much; more is refused with what to do."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as draw

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.bad_share import check_share
from mora_pipeline.raw.tallies import GOOD, Count

NOT_ABOVE = "flow not positive"
NO_NUMBER = "flow missing or not a number"
ELSEWHERE = "unknown place"
HINT = "Each that is bad for 'flow missing or not a number' is larger than every good flow"


def count(rows: int, amount: float, unknown: int = 0, smallest: float = 1.0, largest: float = 9.0) -> Count:
    return Count(rows, amount, unknown, smallest, largest)


def check(
    counts: dict[str, Count], allowed: float = 0.01, amount: str | None = "flow", folder: str | None = None
) -> None:
    check_share("od.csv", counts, [ELSEWHERE], allowed, "mobility.maximum_bad_share", amount, ["{1}", "{2}"], folder)


def message(
    counts: dict[str, Count], allowed: float = 0.01, amount: str | None = "flow", folder: str | None = None
) -> str:
    with pytest.raises(UserError) as raised:
        check(counts, allowed, amount, folder)
    return str(raised.value)


def test_too_many_rows_are_refused_with_reasons_examples_and_the_setting() -> None:
    told = message({GOOD: count(96, 96.0), NO_NUMBER: count(3, 0.0, 3), NOT_ABOVE: count(1, 0.0)}, folder="q")
    assert told == (
        "od.csv: 4 of 100 rows (4.00%) are bad, more than mobility.maximum_bad_share = 0.01 allows. "
        "flow missing or not a number: 3, flow not positive: 1. For example {1}, {2}. All of them are in q. "
        "Fix the file, or raise mobility.maximum_bad_share."
    )


def test_exactly_as_many_as_allowed_pass() -> None:
    check({GOOD: count(99, 99.0), NOT_ABOVE: count(1, 1.0)})


def test_few_rows_that_carry_much_are_refused() -> None:
    """One row of a thousand, and a quarter of all people: a thousands separator does this."""
    told = message({GOOD: count(999, 3000.0), NO_NUMBER: count(1, 1000.0, 0, 1000.0, 1000.0)})
    assert told.startswith(
        "od.csv: 1 bad rows carry an estimated 25.0% of its flow (1,000 of 4,000), more than "
        "mobility.maximum_bad_share = 0.01 allows. flow missing or not a number: 1."
    )
    assert f"{HINT} (the largest of which is 9): are they written in another way, such as 48,210 for 48210?" in told


def test_the_hint_is_given_only_where_all_of_a_reason_are_the_largest() -> None:
    told = message({GOOD: count(999, 3000.0), NO_NUMBER: count(2, 1000.0, 0, 8.0, 992.0)})
    assert "carry an estimated 25.0%" in told
    assert HINT not in told
    unread = message({GOOD: count(999, 100.0), NO_NUMBER: count(9, 50.0, 9), NOT_ABOVE: count(1, 50.0)})
    assert HINT not in unread


def test_a_row_that_says_nothing_counts_as_a_good_one_on_average() -> None:
    """Good rows carry 2 each, those of them that say it: 1 % of rows are 1 % of the flow."""
    good = count(99, 2.0 * 90, 9)
    check({GOOD: good, NO_NUMBER: count(1, 0.0, 1)}, allowed=0.011)
    told = message({GOOD: good, NO_NUMBER: count(1, 0.0, 1)}, allowed=0.0109)
    assert "carry an estimated 1.1% of its flow (2 of 182)" in told


def test_without_an_amount_rows_alone_count() -> None:
    check({GOOD: count(999, 1.0), NO_NUMBER: count(1, 1e6)}, amount=None)


def test_rows_apart_are_on_neither_side() -> None:
    """99 of 100 rows are zeros of a dense matrix: the one bad of two others is half of what matters."""
    told = message({ELSEWHERE: count(98, 1e9), GOOD: count(1, 1.0), NOT_ABOVE: count(1, 1.0)}, allowed=0.4)
    assert "1 of 2 rows (50.00%) are bad" in told
    assert told.endswith("Apart from these: unknown place: 98.")
    check({ELSEWHERE: count(98, 1e9), GOOD: count(1, 1.0)}, allowed=0.0)


def test_an_empty_source_is_refused() -> None:
    assert message({}) == "od.csv holds no rows."
    assert message({GOOD: Count()}) == "od.csv holds no rows."


def test_a_source_without_a_good_row_is_refused_whatever_is_allowed() -> None:
    told = message({NOT_ABOVE: count(2, 0.0), ELSEWHERE: count(3, 1.0)}, allowed=1.0)
    assert told == "od.csv: none of its 5 rows can be used. unknown place: 3, flow not positive: 2."
    assert message({ELSEWHERE: count(3, 1.0)}) == "od.csv: none of its 3 rows can be used. unknown place: 3."


@given(
    good=draw.lists(draw.integers(0, 50), min_size=1, max_size=30),
    bad=draw.lists(draw.one_of(draw.none(), draw.integers(0, 500)), max_size=10),
    apart=draw.integers(0, 50),
    allowed=draw.sampled_from([0.0, 0.05, 0.2, 0.5]),
)
def test_refused_is_what_one_row_after_the_other_says(
    good: list[int], bad: list[int | None], apart: int, allowed: float
) -> None:
    mean = sum(good) / len(good)
    carried = sum(mean if value is None else value for value in bad)
    total = carried + sum(good)
    shares = [len(bad) / (len(bad) + len(good)), carried / total if total else 0.0]
    assume(all(abs(share - allowed) > 1e-9 or share == allowed == 0 for share in shares))
    known = [value for value in bad if value is not None]
    counts = {GOOD: Count(len(good), float(sum(good)), 0, min(good), max(good))}
    if bad:
        bounds = (min(known), max(known)) if known else (float("inf"), float("-inf"))
        counts[NO_NUMBER] = Count(len(bad), float(sum(known)), len(bad) - len(known), *bounds)
    if apart:
        counts[ELSEWHERE] = Count(apart, 1e6, 0, 1.0, 1e6)
    if max(shares) > allowed:
        assert "more than mobility.maximum_bad_share" in message(counts, allowed)
    else:
        check(counts, allowed)
