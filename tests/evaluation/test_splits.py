"""Folds keep what they promise."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import KFold, train_test_split

from mora_pipeline.evaluation.protocol.splits import (
    blocked_folds,
    few_shot_split,
    ordered_folds,
    random_folds,
    random_split,
)


@settings(max_examples=60)
@given(st.lists(st.integers(-5, 5), min_size=2, max_size=80), st.integers(2, 6), st.integers(0, 99))
def test_no_block_is_fitted_and_tested_at_once(blocks: list[int], folds: int, seed: int) -> None:
    array = np.array(blocks)
    if len(set(blocks)) < 2:
        return
    made = blocked_folds(array, folds, seed)
    assert len(made) == min(folds, len(set(blocks)))
    assert sorted(np.concatenate([test for _, test in made])) == list(range(len(blocks)))
    for train, test in made:
        assert len(train)
        assert len(test)
        assert not set(array[train]) & set(array[test])
        assert sorted([*train, *test]) == list(range(len(blocks)))


def test_blocked_folds_are_balanced_and_depend_on_the_seed_alone() -> None:
    blocks = np.repeat(np.arange(100), np.random.default_rng(0).integers(1, 9, 100))
    first, again, other = (blocked_folds(blocks, 5, seed) for seed in (1, 1, 2))
    assert all(np.array_equal(a[1], b[1]) for a, b in zip(first, again, strict=True))
    assert any(not np.array_equal(a[1], b[1]) for a, b in zip(first, other, strict=True))
    sizes = [len(test) for _, test in first]
    assert max(sizes) - min(sizes) <= 8


def test_the_random_split_is_scikit_learns() -> None:
    train, test = train_test_split(np.arange(57), test_size=0.2, random_state=42)
    ((ours_train, ours_test),) = random_split(57, 0.2, 42)
    assert set(ours_train) == set(train)
    assert set(ours_test) == set(test)


def test_random_folds_test_every_row_once() -> None:
    assert sorted(np.concatenate([test for _, test in random_folds(23, 5, 0)])) == list(range(23))


def test_ordered_folds_are_scikit_learns_on_the_sorted_rows() -> None:
    order = np.random.default_rng(0).permutation(43) * 7
    ranked = np.argsort(order)
    for (train, test), (theirs_train, theirs_test) in zip(
        ordered_folds(order, 10), KFold(10).split(ranked), strict=True
    ):
        assert set(train) == set(ranked[theirs_train])
        assert set(test) == set(ranked[theirs_test])


def test_few_labels_are_among_those_of_the_random_split_and_more_include_the_fewer() -> None:
    ((train, test),) = random_split(200, 0.2, 3)
    ((few, few_test),), ((more, more_test),) = (few_shot_split(200, labels, 0.2, 3) for labels in (10, 50))
    assert (len(few), len(more)) == (10, 50)
    assert set(few) < set(more) < set(train)
    assert np.array_equal(few_test, test)
    assert np.array_equal(more_test, test)
