"""Which rows are fitted and which are tested: published splits, folds that keep whole blocks apart, few labels."""

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import KFold, train_test_split

Rows = npt.NDArray[np.int64]
Fold = tuple[Rows, Rows]  # rows to fit, rows to test; both ascending


def random_split(num_rows: int, test_share: float, seed: int) -> list[Fold]:
    """One split, the one scikit-learn's `train_test_split` makes (the published protocol uses it)."""
    train, test = train_test_split(np.arange(num_rows), test_size=test_share, random_state=seed)
    return [(np.sort(train), np.sort(test))]


def random_folds(num_rows: int, folds: int, seed: int) -> list[Fold]:
    """Shuffled folds of rows: every row is tested once."""
    return list(KFold(folds, shuffle=True, random_state=seed).split(np.arange(num_rows)))


def ordered_folds(order: Rows, folds: int, rows: Rows | None = None, shuffle_seed: int | None = None) -> list[Fold]:
    """Folds of rows in an order, as scikit-learn's `KFold` makes them; every row is tested once.

    Args:
        order: int64 [n], what the rows are sorted by first.
        folds: number of folds; no more than rows.
        rows: int64 [m], those that are fitted and tested; None: all.
        shuffle_seed: of the shuffle of the sorted rows; None: folds are of consecutive rows.
    """
    rows = np.arange(len(order)) if rows is None else rows
    ranked = rows[np.argsort(order[rows], kind="stable")]
    shuffle = shuffle_seed is not None
    splits = KFold(min(folds, len(rows)), shuffle=shuffle, random_state=shuffle_seed).split(ranked)
    return [(np.sort(ranked[train]), np.sort(ranked[test])) for train, test in splits]


def few_shot_split(num_rows: int, labels: int, test_share: float, seed: int) -> list[Fold]:
    """Few rows to fit, and the rows to test of `random_split`; more labels include the fewer of the same seed.

    Raises:
        ValueError: if there are fewer rows to fit than labels.
    """
    ((train, test),) = random_split(num_rows, test_share, seed)
    if labels > len(train):
        raise ValueError(f"{labels} labels cannot be drawn from {len(train)} rows")
    return [(np.sort(np.random.default_rng(seed).permutation(train)[:labels]), test)]


def blocked_folds(blocks: npt.NDArray[np.int64], folds: int, seed: int) -> list[Fold]:
    """Folds of whole blocks: no block has rows on both sides, and every row is tested once.

    The blocks are shuffled and each goes to the fold that has the fewest rows so far. Fewer blocks than folds make
    one fold a block.

    Args:
        blocks: int64 [n], the block of each row.
        folds: number of folds, at most.
        seed: seed of the shuffle.

    Raises:
        ValueError: if there is only one block.
    """
    names, membership, sizes = np.unique(blocks, return_inverse=True, return_counts=True)
    if len(names) < 2:
        raise ValueError("blocked folds need at least two blocks")
    loads = np.zeros(min(folds, len(names)), dtype=np.int64)
    fold_of_block = np.zeros(len(names), dtype=np.int64)
    for block in np.random.default_rng(seed).permutation(len(names)):
        fold_of_block[block] = np.argmin(loads)
        loads[fold_of_block[block]] += sizes[block]
    fold_of_row = fold_of_block[membership]
    return [(np.flatnonzero(fold_of_row != fold), np.flatnonzero(fold_of_row == fold)) for fold in range(len(loads))]
