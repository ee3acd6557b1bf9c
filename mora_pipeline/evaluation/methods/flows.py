"""What flows say without training: how much goes in and out, and the leading directions of the log flows."""

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from mora_pipeline.contract.schemas import DIMENSION, Edges
from mora_pipeline.evaluation.methods.interface import MethodContext, MethodVectors

STATISTICS = ("flow out", "flow in", "destinations", "origins", "internal flow")
CELLS_A_COMPONENT = 5  # a small region gets fewer components than cells to fit them on


def flow_statistics(context: MethodContext, _: str) -> dict[str, MethodVectors]:
    """`STATISTICS` of each cell, as log1p, float64 [N, 5]."""
    vectors = statistics(context.edges, context.table["internal_flow"].to_numpy())
    return {"flows": MethodVectors(vectors, "flow statistics")}


def statistics(edges: Edges, internal_flow: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """log1p of `STATISTICS`, float64 [N, 5]."""
    num_cells = len(internal_flow)
    sums = [np.bincount(rows, edges.flow, num_cells) for rows in (edges.origin, edges.destination)]
    counts = [np.bincount(rows, minlength=num_cells) for rows in (edges.origin, edges.destination)]
    return np.log1p(np.stack([*sums, *counts, internal_flow], axis=1))


def flow_svd(context: MethodContext, _: str) -> dict[str, MethodVectors]:
    """Leading left singular vectors of the log flows out and in, float32 [N, d], as long as their singular values."""
    return {"flow_svd": MethodVectors(log_flow_components(context.edges, len(context.cells)))}


def log_flow_components(edges: Edges, num_cells: int, most: int = DIMENSION) -> npt.NDArray[np.float32]:
    """U Σ of [log1p F, log1p Fᵀ], float32 [N, min(most, N / CELLS_A_COMPONENT)]; F [N, N] are the flows."""
    from sklearn.utils.extmath import randomized_svd

    shape = (num_cells, num_cells)
    flows = sparse.csr_matrix((edges.flow, (edges.origin, edges.destination)), shape=shape).log1p()
    both = sparse.hstack([flows, flows.T]).tocsr()
    components = max(1, min(most, num_cells // CELLS_A_COMPONENT))
    left, values, _ = randomized_svd(both, components, n_iter=7, random_state=0)
    return np.asarray(left * values, dtype=np.float32)


def pieces(edges: Edges, num_cells: int) -> tuple[int, float]:
    """How many pieces the flows leave unconnected (a cell without flows is one), and the largest's share of cells."""
    shape = (num_cells, num_cells)
    joined = sparse.csr_matrix((np.ones(len(edges.flow)), (edges.origin, edges.destination)), shape=shape)
    count, piece_of_cell = connected_components(joined, directed=False)
    return int(count), float(np.bincount(piece_of_cell).max(initial=0)) / max(num_cells, 1)
