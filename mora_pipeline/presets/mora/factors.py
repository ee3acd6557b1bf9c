"""Who goes where: factors of a region's own flows, which mean nothing in another region."""

import numpy as np
import numpy.typing as npt
from scipy import linalg, sparse

from mora_pipeline.contract.schemas import Edges
from mora_pipeline.modalities.blocks import Vectors, fixed_signs, principal, standardised

OVERSAMPLING, POWER_ITERATIONS = 10, 7  # random vectors beyond the factors, and products with A Aᵀ
SMALLEST_SQUARE = 1e-12  # of the largest squared singular value: below it a factor is rounding
CELLS_A_FACTOR = 5  # a small region gets fewer factors than cells to fit them on
FACTORS_LENGTH, ALIGNED_LENGTH = 0.5, 1.0  # root mean squares, beside the 1 of the flow figures


def log_flow_factors(edges: Edges, num_cells: int, most: int) -> npt.NDArray[np.float32]:
    """U Σ of [ln(1 + F), ln(1 + Fᵀ)], F [N, N] being the flows: float32 [N, min(most, N / CELLS_A_FACTOR)]."""
    shape = (num_cells, num_cells)
    flows = sparse.csr_array((edges.flow, (edges.origin, edges.destination)), shape=shape)
    np.log1p(flows.data, out=flows.data)
    return _both_ways_factors(flows, max(1, min(most, num_cells // CELLS_A_FACTOR))).astype(np.float32)


def _both_ways_factors(flows: sparse.csr_array, count: int) -> npt.NDArray[np.float64]:
    """U Σ of the leading singular vectors of A = [flows, flowsᵀ], float64 [N, count]; A itself is never made.

    Power iterations of A Aᵀ on random vectors of one seed, then the factors of A Aᵀ on what they span (Nyström's):
    those of `sklearn.utils.extmath.randomized_svd`, which would need A.

    Source: Halko et al. 2011, algorithms 4.4 and 5.5.
    """
    basis = np.random.RandomState(0).normal(size=(flows.shape[0], count + OVERSAMPLING))
    for _ in range(POWER_ITERATIONS):
        basis = linalg.qr(_gram(flows, basis), mode="economic", overwrite_a=True, check_finite=False)[0]
    product = _gram(flows, basis)
    squares, turn = np.linalg.eigh(basis.T @ product)
    kept = squares > max(SMALLEST_SQUARE * squares[-1], 0)
    left, values, _ = linalg.svd(product @ (turn[:, kept] / np.sqrt(squares[kept])), full_matrices=False)
    factors = np.zeros((flows.shape[0], count))
    factors[:, : len(values)] = (fixed_signs(left) * values)[:, :count]
    return factors


def _gram(flows: sparse.csr_array, vectors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """A Aᵀ times vectors, float64 [N, k], for A = [flows, flowsᵀ]."""
    product = flows @ (flows.T @ vectors)
    product += flows.T @ (flows @ vectors)
    return product


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
