"""Cells belong to the group of most of their places; the middle of a group is one of its cells."""

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy import sparse

from mora_pipeline.contract.sphere import on_unit_sphere
from mora_pipeline.evaluation.labels.blocks import group_of_cells, middles
from mora_pipeline.evaluation.labels.files import UNKNOWN


def test_a_cell_is_in_the_group_of_most_of_its_places_and_the_smaller_id_wins_a_tie() -> None:
    members = pd.DataFrame(
        [("b", 0), ("a", 0), ("b", 0), ("b", 1), ("a", 1), ("c", 3), (None, 2), ("a", UNKNOWN)],
        columns=["group", "row"],
    )
    assert group_of_cells(members, 5).tolist() == [1, 0, UNKNOWN, 2, UNKNOWN]


def test_no_members_are_no_groups() -> None:
    assert group_of_cells(pd.DataFrame({"group": [], "row": []}), 3).tolist() == [UNKNOWN] * 3


def test_the_middle_of_a_group_is_its_cell_nearest_the_mean(cells: pa.Table) -> None:
    sphere = on_unit_sphere(cells["latitude"].to_numpy(), cells["longitude"].to_numpy())
    random = np.random.default_rng(0)
    assert np.allclose(np.linalg.norm(sphere, axis=1), 1)
    groups = [np.sort(random.choice(len(cells), size, replace=False)) for size in (1, 5, 40)]
    indptr = np.concatenate([[0], np.cumsum([len(group) for group in groups])])
    shares = np.concatenate([np.full(len(group), 1 / len(group)) for group in groups])
    membership = sparse.csr_matrix((shares, np.concatenate(groups), indptr), shape=(3, len(cells)))
    for group, middle in zip(groups, middles(membership, sphere), strict=True):
        distance = np.linalg.norm(sphere[group] - sphere[group].mean(axis=0), axis=1)
        assert middle in group
        assert distance[list(group).index(middle)] <= distance.min() * 1.001
