"""The sampled mobility graph as the matrix that propagation multiplies with: symmetrised, normalised, in CSR parts."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from scipy import sparse
from torch import Tensor

from mora_pipeline.errors import UserError

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
        """Take over what `symmetrise_and_normalise` returns.

        Raises:
            ValueError: if `matrix` is not symmetric; the backward pass of propagation multiplies with Ã itself.
        """
        if (matrix != matrix.T).nnz:
            raise ValueError("an adjacency must be symmetric: symmetrise it before normalising")
        index_type = np.int64 if matrix.nnz > INT32_LIMIT else np.int32
        return cls(
            torch.from_numpy(matrix.indptr.astype(index_type)),
            torch.from_numpy(matrix.indices.astype(index_type)),
            torch.from_numpy(matrix.data.astype(np.float32)),
        )


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
    if not np.all(np.isfinite(flow) & (flow > 0)):
        raise ValueError("every flow must be positive and finite")
    for rows in (origin_rows, destination_rows):
        if len(rows) and (rows.min() < 0 or rows.max() >= num_cells):
            raise ValueError(f"edges name rows outside the {num_cells} cells")
    between = origin_rows != destination_rows
    origin, destination, flow = origin_rows[between], destination_rows[between], flow[between]
    order = np.lexsort((flow, destination, origin))  # so that repeated pairs add up alike in every order of the input
    directed = sparse.coo_array(
        (flow[order], (origin[order], destination[order])), shape=(num_cells, num_cells)
    ).tocsr()
    both = sparse.csr_array(directed + directed.T)
    both.sort_indices()
    strength = np.asarray(both.sum(axis=1)).reshape(-1)
    scale = np.divide(1.0, np.sqrt(strength), out=np.zeros_like(strength), where=strength > 0)
    row_of_entry = np.repeat(np.arange(num_cells), np.diff(both.indptr))
    both.data *= scale[row_of_entry] * scale[both.indices]  # the product first: bitwise the same for (i, j) and (j, i)
    return both


def rows_of(cells: npt.NDArray[np.int64], wanted: npt.NDArray[np.int64], dataset: str) -> npt.NDArray[np.int64]:
    """Rows of the `wanted` cells in the sorted `cells`.

    Args:
        dataset: what holds the wanted cells, for the message.

    Raises:
        UserError: if `cells` lacks one of them.
    """
    rows = np.searchsorted(cells, wanted)
    known = rows < len(cells)
    known[known] = cells[rows[known]] == wanted[known]
    if not known.all():
        raise UserError(
            f"The dataset `{dataset}` names {int((~known).sum())} cells that `cells` does not hold (first: "
            f"{int(wanted[~known][0]):x}): they were made from different inputs. "
            "Materialise the region's `cells` and everything after it again."
        )
    return rows


def load_adjacency(graph: pa.Table, cells: npt.NDArray[np.int64]) -> Adjacency:
    """Read the sampled graph in the row order of the cells.

    Args:
        graph: columns of `schemas.GRAPH`, rows in any order.
        cells: int64 [N], ascending.

    Raises:
        UserError: if the graph names a cell that `cells` lacks, or a flow that is not positive.
    """
    origin = rows_of(cells, graph["origin"].to_numpy(), "graph")
    destination = rows_of(cells, graph["destination"].to_numpy(), "graph")
    try:
        matrix = symmetrise_and_normalise(origin, destination, graph["flow"].to_numpy(), len(cells))
    except ValueError as error:
        raise UserError(f"The dataset `graph` cannot be used: {error}. Materialise it again.") from error
    return Adjacency.from_matrix(matrix)
