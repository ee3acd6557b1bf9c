"""Related cells: by movement, and by distance. Averages over them as matrices [N, N] whose rows sum to 1."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.spatial import cKDTree

from mora_pipeline.contract.schemas import Edges
from mora_pipeline.contract.sphere import on_unit_sphere
from mora_pipeline.presets.inductive.flows import Floats
from mora_pipeline.presets.merging import ENTRIES_AT_A_TIME, EdgeBatch, merge_both_directions, row_blocks


def partners(flows: Edges, num_cells: int) -> sparse.csr_array:
    """Averages over the cells that people go to and come from, weighted by ln(1 + flow).

    The logarithm keeps one strong link from outweighing all others; both directions count the same.

    Args:
        flows: rows of origins and destinations among the N cells, and flows, [edges] each.

    Returns:
        float64 [N, N]; the row of a cell without flow is empty.
    """

    def edges() -> Iterator[EdgeBatch]:
        for first in range(0, len(flows.flow), ENTRIES_AT_A_TIME // 2):  # an edge makes two entries
            block = slice(first, first + ENTRIES_AT_A_TIME // 2)
            yield flows.origin[block], flows.destination[block], np.log1p(flows.flow[block])

    return _averages(merge_both_directions(edges, num_cells).to_scipy())


def neighbours(latitude: Floats, longitude: Floats, count: int) -> sparse.csr_array:
    """Averages over the nearest other cells of the region, as many for a dense grid as for scattered cells.

    Args:
        latitude, longitude: the cells' centres, degrees, [N].
        count: how many; fewer in a region of fewer cells.

    Returns:
        float64 [N, N].
    """
    num_cells = len(latitude)
    count = min(count, num_cells - 1)
    if count < 1:
        return sparse.csr_array((num_cells, num_cells))
    points = on_unit_sphere(latitude, longitude)
    _, nearest = cKDTree(points).query(points, count + 1)
    rows, columns = np.repeat(np.arange(num_cells), count + 1), nearest.reshape(-1)
    others = rows != columns  # a cell is its own nearest, though not always the first where two share a point
    return _averages(sparse.csr_array((np.ones(others.sum()), (rows[others], columns[others])), shape=(num_cells,) * 2))


def _averages(weights: sparse.csr_array) -> sparse.csr_array:
    """Rows of [N, N] divided by their sums, in place."""
    sums = np.asarray(weights.sum(axis=1)).reshape(-1)
    scale: npt.NDArray[np.float64] = np.divide(1.0, sums, out=np.zeros(len(sums)), where=sums > 0)
    for first, last in row_blocks(weights.indptr):
        block = slice(weights.indptr[first], weights.indptr[last])
        weights.data[block] *= np.repeat(scale[first:last], np.diff(weights.indptr[first : last + 1]))
    return weights
