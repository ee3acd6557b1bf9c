"""Who goes where: factors of a region's own flows, which mean nothing in another region."""

import numpy as np
import numpy.typing as npt
from scipy import sparse

from mora_pipeline.contract.schemas import Edges
from mora_pipeline.modalities.blocks import Vectors, principal, standardised

CELLS_A_FACTOR = 5  # a small region gets fewer factors than cells to fit them on
FACTORS_LENGTH, ALIGNED_LENGTH = 0.5, 1.0  # root mean squares, beside the 1 of the flow figures


def log_flow_factors(edges: Edges, num_cells: int, most: int) -> npt.NDArray[np.float32]:
    """U Σ of [ln(1 + F), ln(1 + Fᵀ)], F [N, N] being the flows: float32 [N, min(most, N / CELLS_A_FACTOR)]."""
    from sklearn.utils.extmath import randomized_svd

    shape = (num_cells, num_cells)
    flows = sparse.csr_matrix((edges.flow, (edges.origin, edges.destination)), shape=shape).log1p()
    both = sparse.hstack([flows, flows.T]).tocsr()
    count = max(1, min(most, num_cells // CELLS_A_FACTOR))
    left, values, _ = randomized_svd(both, count, n_iter=7, random_state=0)
    return np.asarray(left * values, dtype=np.float32)


def factor_part(edges: Edges, num_cells: int, numbers: int) -> Vectors:
    """Factors of the flows, standardised and bounded, float32 [N, numbers]; zeros where there are fewer."""
    part = np.zeros((num_cells, numbers), dtype=np.float32)
    if numbers and len(edges.flow):
        factors = log_flow_factors(edges, num_cells, numbers)
        part[:, : factors.shape[1]] = FACTORS_LENGTH * standardised(factors).apply(factors, _all(num_cells))
    return part


def aligned_part(vectors: Vectors, numbers: int) -> Vectors:
    """The strongest principal components of aligned vectors, float32 [N, d], bounded: float32 [N, numbers]."""
    part = np.zeros((len(vectors), numbers), dtype=np.float32)
    if numbers:
        components = principal(vectors, numbers).apply(vectors, _all(len(vectors)))
        part[:, : components.shape[1]] = ALIGNED_LENGTH * components
    return part


def _all(num_cells: int) -> npt.NDArray[np.bool_]:
    return np.ones(num_cells, dtype=bool)
