"""LINE without sampling: the matrix that second-order LINE factorises implicitly, factorised outright.

LINE's objective is least where u_i · v_j = log(A_ij vol / (k d_i d_j)): A the flow in both directions, d the strengths,
vol their sum, k the number of negatives, drawn in proportion to strength (Qiu et al., WSDM 2018; Levy and Goldberg,
NIPS 2014). Pairs without flow would be −∞; as NetMF does, every entry below 0 becomes 0, so that the matrix stays as
sparse as the graph: M = log max(vol / b · D⁻¹ A D⁻¹, 1). b is `shift` and not k: LINE fits the entries below 0 too,
where the maximum forgets them, so that b = 5 would leave only flows of five times what chance gives. NetMF's b is 1.

M ≈ U Σ Vᵀ gives the vectors U Σ^½; their products with the contexts V Σ^½, which are not returned, are the entries of
M, as in the sampled form. Both are of one magnitude as the start of a node table.

Where the graph falls into parts, M does too, and its first singular vectors all belong to the largest parts: other
cells would get nothing. So each part is factorised by itself and then turned by a random rotation: within a part
nothing changes, and cells of two parts are about orthogonal, as they should be, in one space of few dimensions.
"""

from collections.abc import Iterator

import numpy as np
import torch
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from mora_pipeline.presets.merging import Flows, Rows, merge_both_directions, row_blocks
from mora_pipeline.presets.paper.parameters import LineParameters
from mora_pipeline.presets.paper.propagation import csr_tensor

OVERSAMPLING, POWER_ITERATIONS = 32, 6
# A part of so many cells is factorised densely, which takes less time than the passes over a sparse one.
DENSE_CELLS = 600


def factorise_line(
    origin_rows: Rows, destination_rows: Rows, flow: Flows, num_cells: int, parameters: LineParameters
) -> Tensor:
    """U Σ^½ of the cells, part by part.

    Args:
        origin_rows, destination_rows: rows among the N cells, integer [edges].
        flow: > 0, [edges].

    Returns:
        float32 [N, dimension]; zero rows for cells that no entry of M names. Equal for equal input and seed on one
        machine.
    """
    matrix = shifted_log_pmi(origin_rows, destination_rows, flow, num_cells, parameters)
    vectors = torch.zeros(num_cells, parameters.dimension)
    generator = torch.Generator().manual_seed(parameters.seed)
    for cells, part in connected_parts(matrix):
        left, values = truncated_svd(part, parameters.dimension, generator)
        turn = _orthonormal(torch.randn(parameters.dimension, parameters.dimension, generator=generator))
        vectors[cells] = (left * values.sqrt()) @ turn[: len(values)]
    return vectors


def shifted_log_pmi(
    origin_rows: Rows, destination_rows: Rows, flow: Flows, num_cells: int, parameters: LineParameters
) -> sparse.csr_array:
    """M, float64 [N, N], symmetric unless `directed`, without the entries that are 0.

    With `directed`, A is not symmetrised, and d_i, d_j are what i sends and j receives.
    """
    if parameters.directed:
        shape = (num_cells, num_cells)
        matrix = sparse.coo_array((flow.astype(np.float64), (origin_rows, destination_rows)), shape=shape).tocsr()
    else:
        matrix = merge_both_directions(lambda: [(origin_rows, destination_rows, flow)], num_cells).to_scipy()
    sent, received = (np.asarray(matrix.sum(axis=axis)).reshape(-1) for axis in (1, 0))
    volume = sent.sum() / parameters.shift
    for first, last in row_blocks(matrix.indptr):
        block = slice(matrix.indptr[first], matrix.indptr[last])
        own = np.repeat(sent[first:last], np.diff(matrix.indptr[first : last + 1]))
        by_chance = own * received[matrix.indices[block]]
        matrix.data[block] = np.log(np.maximum(volume * matrix.data[block] / by_chance, 1.0))
    matrix.eliminate_zeros()
    return matrix


def connected_parts(matrix: sparse.csr_array) -> Iterator[tuple[Tensor, sparse.csr_array]]:
    """The connected parts of at least two cells, one by one: rows int64 [n] and the square block of them."""
    _, part_of_cell = connected_components(matrix, directed=False)
    order = np.argsort(part_of_cell, kind="stable")
    blocks = matrix[order][:, order]
    ends = np.cumsum(np.bincount(part_of_cell))
    for first, last in zip([0, *ends[:-1]], ends, strict=True):
        if last - first > 1:
            yield torch.from_numpy(order[first:last]), blocks[first:last, first:last]


def truncated_svd(matrix: sparse.csr_array, rank: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """The largest singular values and their left vectors: dense for a small matrix, else by a randomised range.

    Returns:
        U float32 [N, r] and Σ float32 [r], descending, r at most `rank` and the rank of the matrix; each vector's
        largest entry is positive.

    Source: Halko, Martinsson and Tropp, SIAM Review 2011, algorithms 4.4 and 5.1.
    """
    if matrix.shape[0] <= DENSE_CELLS:
        left, values, _ = torch.linalg.svd(torch.from_numpy(matrix.toarray()).float())
    else:
        left, values = _randomised_svd(matrix, rank + OVERSAMPLING, generator)
    kept = values[:rank] > values[0] * len(values) * torch.finfo(values.dtype).eps
    left, values = left[:, :rank][:, kept], values[:rank][kept]
    largest = left.gather(0, left.abs().argmax(0, keepdim=True))
    return left * largest.sign(), values


def _randomised_svd(matrix: sparse.csr_array, width: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Left vectors, float32 [n, width], and singular values, float32 [width], descending, of a matrix [n, n]."""
    forward, backward = _tensor(matrix), _tensor(matrix.T.tocsr())
    basis = _orthonormal(forward @ torch.randn(matrix.shape[1], width, generator=generator))
    for _ in range(POWER_ITERATIONS):
        basis = _orthonormal(forward @ _orthonormal(backward @ basis))
    # B = Qᵀ M is [width, N]; the SVD of its transpose needs no more than Q's own shape.
    _, values, mixing = torch.linalg.svd(backward @ basis, full_matrices=False)
    return basis @ mixing.mT, values


def _tensor(matrix: sparse.csr_array) -> Tensor:
    """A sparse matrix [n, n] in float32, which torch multiplies on all cores."""
    indptr, indices, values = (torch.from_numpy(part) for part in (matrix.indptr, matrix.indices, matrix.data))
    return csr_tensor(indptr, indices, values.float(), matrix.shape)


def _orthonormal(columns: Tensor) -> Tensor:
    """A basis of the columns of [n, k]: [n, k], orthonormal."""
    return torch.linalg.qr(columns).Q
