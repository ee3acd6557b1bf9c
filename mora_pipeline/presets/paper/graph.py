"""The sampled mobility graph as the matrix that propagation multiplies with: symmetrised, normalised, in CSR parts."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from scipy import sparse
from torch import Tensor

from mora_pipeline.contract.cells import rows_of
from mora_pipeline.contract.errors import UserError
from mora_pipeline.presets.merging import ENTRIES_AT_A_TIME, Csr, EdgeBatch, merge_both_directions, row_blocks

INT32_LIMIT = np.iinfo(np.int32).max


@dataclass(frozen=True)
class Adjacency:
    """Ã [N, N], symmetric, as CSR: row i holds the normalised flow between cell i and its neighbours.

    Attributes:
        indptr: int32 [N + 1] (int64 beyond 2³¹ entries), where each row starts; so do MKL and cuSPARSE like it.
        indices: the same type [entries], neighbours, ascending within a row.
        values: float32 [entries], weights in (0, 1].
    """

    indptr: Tensor
    indices: Tensor
    values: Tensor

    @property
    def num_cells(self) -> int:
        return len(self.indptr) - 1

    def to(self, device: torch.device | str) -> "Adjacency":
        return Adjacency(self.indptr.to(device), self.indices.to(device), self.values.to(device))

    @classmethod
    def from_matrix(cls, matrix: sparse.csr_array) -> "Adjacency":
        """Take over what `symmetrise_and_normalise` returns, float64 [N, N].

        Raises:
            ValueError: if `matrix` is not symmetric; the backward pass of propagation multiplies with Ã itself.
        """
        if (matrix != matrix.T).nnz:
            raise ValueError("an adjacency must be symmetric: symmetrise it before normalising")
        return cls.narrowed(Csr(matrix.indptr, matrix.indices, matrix.data.astype(np.float64)))

    @classmethod
    def narrowed(cls, matrix: Csr) -> "Adjacency":
        """The same for a matrix known to be symmetric, whose values are used up: a copy might not fit beside them."""
        entries = len(matrix.indices)
        index_type = np.int64 if entries > INT32_LIMIT else np.int32
        indptr, indices = (part.astype(index_type, copy=False) for part in (matrix.indptr, matrix.indices))
        values = matrix.values.view(np.float32)
        for first in range(0, entries, ENTRIES_AT_A_TIME):  # a float32 lands on a float64 that was read already
            block = slice(first, min(first + ENTRIES_AT_A_TIME, entries))
            values[block] = matrix.values[block].astype(np.float32)
        del values
        matrix.values.resize(-(-entries // 2), refcheck=False)  # shrinks in place
        narrow = matrix.values.view(np.float32)[:entries]
        return cls(torch.from_numpy(indptr), torch.from_numpy(indices), torch.from_numpy(narrow))


def symmetrise_and_normalise(
    origin_rows: npt.NDArray[np.integer],
    destination_rows: npt.NDArray[np.integer],
    flow: npt.NDArray[np.floating],
    num_cells: int,
) -> sparse.csr_array:
    """Turn directed flows into Ã = D^-1/2 (A + Aᵀ) D^-1/2, D the row sums (strengths) of A + Aᵀ.

    Args:
        origin_rows, destination_rows: rows of the cells [edges], each in [0, num_cells); a pair may occur repeatedly
            (its flows add up), in any order; moves inside one cell are left out.
        flow: positive, finite [edges].

    Returns:
        float64 [num_cells, num_cells], symmetric, indices sorted; a cell without flow has an empty row.

    Raises:
        ValueError: if a flow is not positive and finite or a row is outside the cells.

    Source: LightGCN's normalisation. The code released with MoRA divides by out-strengths of a directed A, which gives
    a cell that only receives flow a factor of 1e5; we symmetrise first (method.md).
    """
    flow = np.asarray(flow, dtype=np.float64)
    _check_flows(flow)
    for rows in (origin_rows, destination_rows):
        if len(rows) and (rows.min() < 0 or rows.max() >= num_cells):
            raise ValueError(f"edges name rows outside the {num_cells} cells")
    return _normalised(merge_both_directions(lambda: [(origin_rows, destination_rows, flow)], num_cells)).to_scipy()


def _normalised(both: Csr) -> Csr:
    """D^-1/2 A D^-1/2 of a symmetric A [N, N], in place."""
    num_cells = len(both.indptr) - 1
    strength = np.asarray(both.to_scipy().sum(axis=1)).reshape(-1)
    scale = np.divide(1.0, np.sqrt(strength), out=np.zeros(num_cells), where=strength > 0)
    for first, last in row_blocks(both.indptr):
        block = slice(both.indptr[first], both.indptr[last])
        own = np.repeat(scale[first:last], np.diff(both.indptr[first : last + 1]))
        # The product first: bitwise the same for (i, j) and (j, i).
        both.values[block] *= own * scale[both.indices[block]]
    return both


def load_adjacency(read: Callable[[], Iterable[pa.RecordBatch]], cells: npt.NDArray[np.int64]) -> Adjacency:
    """Read the sampled graph in the row order of the cells, as a stream: the edges are never held beside the result.

    Args:
        read: gives the graph from the beginning each time it is called (`Version.batches`): columns of
            `schemas.GRAPH`, rows in any order.
        cells: int64 [N], ascending.

    Raises:
        UserError: if the graph names a cell that `cells` lacks, or a flow that is not positive.
    """

    def edges() -> Iterator[EdgeBatch]:
        for batch in read():
            flow = batch["flow"].to_numpy()
            try:
                _check_flows(flow)
            except ValueError as error:
                raise UserError(f"The dataset `graph` cannot be used: {error}. Materialise it again.") from error
            origin, destination = (
                rows_of(cells, batch[name].to_numpy(), "graph").astype(np.int32) for name in ("origin", "destination")
            )
            yield origin, destination, flow

    return Adjacency.narrowed(_normalised(merge_both_directions(edges, len(cells))))


def _check_flows(flow: npt.NDArray[np.floating]) -> None:
    """Raise a `ValueError` unless every flow [edges] is positive and finite."""
    if not np.all(np.isfinite(flow) & (flow > 0)):
        raise ValueError("every flow must be positive and finite")
