"""LINE without sampling: the matrix that second-order LINE factorises implicitly, factorised outright.

LINE's objective is least where u_i · v_j = log(A_ij / (k d_i P_j)): A the flow, d_i the flow that leaves i, P the noise
distribution, k the number of negatives (Qiu et al., WSDM 2018; Levy and Goldberg, NIPS 2014). Pairs without flow would
be −∞; as NetMF does, every entry below 0 becomes 0, so that the matrix stays as sparse as the graph:
M = log max(A_ij / (b d_i P_j), 1). With P ∝ d that is Qiu's log max(vol(G) / b · D⁻¹ A D⁻¹, 1); P ∝ d^noise_power here,
the distribution that the sampled form draws from. b is `shift` and not k: LINE fits the entries below 0 too, where the
maximum forgets them, so that b = 5 would leave only flows of five times what chance gives. NetMF's own b is 1.

M ≈ U Σ Vᵀ gives the vectors U Σ^½. So u · v has the scale of M, which is what the sampled form's vectors approach too:
both are of one magnitude as the start of a node table.
"""

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from mora_pipeline.training.merging import Flows, Rows, merge_both_directions, row_blocks
from mora_pipeline.training.parameters import LineParameters
from mora_pipeline.training.propagation import csr_tensor

OVERSAMPLING, POWER_ITERATIONS = 32, 6


def factorise_line(
    origin_rows: Rows, destination_rows: Rows, flow: Flows, num_cells: int, parameters: LineParameters
) -> Tensor:
    """U Σ^½ of the cells.

    Returns:
        float32 [N, dimension]; columns beyond the rank of M are 0, and so are the rows of cells that no entry of M
        names. Equal for equal input and seed on one machine.
    """
    matrix = shifted_log_pmi(origin_rows, destination_rows, flow, num_cells, parameters)
    left, values = truncated_svd(matrix, parameters.dimension, parameters.seed)
    vectors = torch.zeros(num_cells, parameters.dimension)
    vectors[:, : len(values)] = left * values.sqrt()
    return vectors


def shifted_log_pmi(
    origin_rows: Rows, destination_rows: Rows, flow: Flows, num_cells: int, parameters: LineParameters
) -> sparse.csr_array:
    """M, float64 [N, N], without the entries that are 0."""
    if parameters.directed:
        shape = (num_cells, num_cells)
        matrix = sparse.coo_array((flow.astype(np.float64), (origin_rows, destination_rows)), shape=shape).tocsr()
    else:
        matrix = merge_both_directions(lambda: [(origin_rows, destination_rows, flow)], num_cells).to_scipy()
    out, into = (np.asarray(matrix.sum(axis=axis)).reshape(-1) for axis in (1, 0))
    noise = np.where(into > 0, into**parameters.noise_power, 0.0)
    noise *= parameters.shift / noise.sum()
    for first, last in row_blocks(matrix.indptr):
        block = slice(matrix.indptr[first], matrix.indptr[last])
        own = np.repeat(out[first:last], np.diff(matrix.indptr[first : last + 1]))
        matrix.data[block] = np.log(np.maximum(matrix.data[block] / (own * noise[matrix.indices[block]]), 1.0))
    matrix.eliminate_zeros()
    return matrix


def truncated_svd(matrix: sparse.csr_array, rank: int, seed: int) -> tuple[Tensor, Tensor]:
    """The largest singular values and their left vectors, by a randomised range and power iterations.

    Returns:
        U float32 [N, r] and Σ float32 [r], descending, r at most `rank` and the rank of the matrix; each vector's
        largest entry is positive.

    Source: Halko, Martinsson and Tropp, SIAM Review 2011, algorithms 4.4 and 5.1.
    """
    width = min(rank + OVERSAMPLING, matrix.shape[0])
    forward, backward = _tensor(matrix), _tensor(matrix.T.tocsr())
    found = torch.randn(matrix.shape[1], width, generator=torch.Generator().manual_seed(seed))
    basis = _orthonormal(forward @ found)
    for _ in range(POWER_ITERATIONS):
        basis = _orthonormal(forward @ _orthonormal(backward @ basis))
    # B = Qᵀ M is [width, N]; the SVD of its transpose needs no more than Q's own shape.
    _, values, mixing = torch.linalg.svd(backward @ basis, full_matrices=False)
    left = basis @ mixing.mT
    kept = values[:rank] > values[0] * width * torch.finfo(values.dtype).eps
    left, values = left[:, :rank][:, kept], values[:rank][kept]
    largest = left.gather(0, left.abs().argmax(0, keepdim=True))
    return left * largest.sign(), values


def _tensor(matrix: sparse.csr_array) -> Tensor:
    """The matrix in float32, as what torch multiplies with on all cores."""
    indptr, indices, values = (torch.from_numpy(part) for part in (matrix.indptr, matrix.indices, matrix.data))
    return csr_tensor(indptr, indices, values.float(), matrix.shape)


def _orthonormal(columns: Tensor) -> Tensor:
    return torch.linalg.qr(columns).Q
