"""Which cells belong together: H3 parents, and the groups that region.yaml names."""

import h3ronpy
import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from mora_pipeline.evaluation.labels.files import UNKNOWN, Rows

BLOCK_LEVELS = 3  # a block is the H3 parent three levels up, about 343 cells (method.md, "Evaluation")


def parents(cells: Rows, resolution: int) -> Rows:
    """The H3 parents, `BLOCK_LEVELS` up, of cells of a resolution, int64 [n] both, in their order."""
    if not len(cells):
        return cells
    coarse = max(0, resolution - BLOCK_LEVELS)
    return np.asarray(h3ronpy.change_resolution(cells.astype(np.uint64), coarse)).astype(np.int64)


def group_of_cells(members: pd.DataFrame, num_cells: int) -> Rows:
    """The group that most of a cell's places are in; the smaller id wins a tie.

    Args:
        members: columns ``group`` (text or None), ``row`` (of the cell, or UNKNOWN) and, if places may
            have several cells, ``share`` (of the place there).
        num_cells: number of cells N.

    Returns:
        int64 [N], numbers of groups; UNKNOWN for cells without any.
    """
    known = members[(members["row"] != UNKNOWN) & members["group"].notna()]
    numbers = pd.factorize(known["group"], sort=True)[0].astype(np.int64)
    groups = np.full(num_cells, UNKNOWN, dtype=np.int64)
    places = pd.DataFrame({"row": known["row"].to_numpy(dtype=np.int64), "group": numbers})
    places["share"] = known["share"].to_numpy() if "share" in known else 1.0
    counts: pd.DataFrame = places.groupby(["row", "group"])[["share"]].sum().reset_index()
    ordered = counts.sort_values(["row", "share", "group"], ascending=[True, False, True])
    first = ordered.drop_duplicates("row")
    groups[first["row"].to_numpy(dtype=np.int64)] = first["group"].to_numpy(dtype=np.int64)
    return groups


def middles(membership: sparse.csr_matrix, sphere: npt.NDArray[np.float64]) -> Rows:
    """Row of the member cell nearest the middle of each label's cells, int64 [n]; the smaller cell wins a tie.

    Args:
        membership: CSR [n, N], one cell a label at least.
        sphere: float64 [N, 3], the cells' centres on the unit sphere.
    """
    if membership.nnz == membership.shape[0]:
        return np.asarray(membership.indices, dtype=np.int64)
    label = np.repeat(np.arange(membership.shape[0]), np.diff(membership.indptr))
    nearness = np.einsum("ij,ij->i", (membership @ sphere)[label], sphere[membership.indices])
    order = np.lexsort((membership.indices, -nearness.round(12), label))
    return np.asarray(membership.indices[order][membership.indptr[:-1]], dtype=np.int64)
