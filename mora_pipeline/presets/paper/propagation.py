"""One weighted sum over neighbours, Ã H, on either of two backends that agree: torch from CSR parts, and DGL."""

import os
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional

from mora_pipeline.contract.errors import UserError
from mora_pipeline.presets.paper.graph import Adjacency

Backend = Literal["auto", "dgl", "torch"]


class Propagation:
    """Ã as something to multiply with: ``propagation @ H``, differentiable in H.

    Args:
        adjacency: Ã, on the device of the vectors it will meet.
        backend: `dgl`, `torch`, or `auto`: the faster one. That is torch's: see benchmarks/propagation.py.

    Raises:
        UserError: if DGL is asked for where it cannot work.
    """

    def __init__(self, adjacency: Adjacency, backend: Backend = "auto") -> None:
        self.backend: Literal["dgl", "torch"] = "dgl" if backend == "dgl" else "torch"
        self.num_cells = adjacency.num_cells
        self._multiply = _with_dgl(adjacency) if self.backend == "dgl" else _with_torch(adjacency)

    def __matmul__(self, vectors: Tensor) -> Tensor:
        """Ã H for H float32 [N, d]."""
        return self._multiply(vectors)


class _SymmetricProduct(torch.autograd.Function):
    """Ã H; since Ã = Ãᵀ the gradient is Ã G, from the same CSR parts: autograd's own builds a transposed copy."""

    @staticmethod
    def forward(context: Any, multiply: Callable[[Tensor], Tensor], vectors: Tensor) -> Tensor:
        """Ã H, float32 [N, d], of H float32 [N, d]."""
        context.multiply = multiply
        return multiply(vectors)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[None, Tensor]:
        """Ã G, float32 [N, d], of the gradient G float32 [N, d]."""
        return None, context.multiply(gradients[0].contiguous())


def csr_tensor(indptr: Tensor, indices: Tensor, values: Tensor, size: tuple[int, int]) -> Tensor:
    """A sparse matrix [n, m] of CSR parts, indptr [n + 1], indices and values [entries]; shares the tensors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that sparse tensors are a beta feature
        return torch.sparse_csr_tensor(indptr, indices, values, size=size, check_invariants=False)


def _with_torch(adjacency: Adjacency) -> Callable[[Tensor], Tensor]:
    if adjacency.values.is_cuda:
        size = (adjacency.num_cells, adjacency.num_cells)
        multiply = csr_tensor(adjacency.indptr, adjacency.indices, adjacency.values, size).matmul
    else:
        multiply = partial(_sum_of_bags, adjacency)
    return lambda vectors: _SymmetricProduct.apply(multiply, vectors)


def _sum_of_bags(adjacency: Adjacency, vectors: Tensor) -> Tensor:
    """Ã H, float32 [N, d], on the CPU: a cell's neighbours are a bag of embeddings, and torch sums bags fastest."""
    indices, indptr, values = adjacency.indices, adjacency.indptr, adjacency.values
    return functional.embedding_bag(
        indices, vectors, indptr, mode="sum", per_sample_weights=values, include_last_offset=True
    )


def _with_dgl(adjacency: Adjacency) -> Callable[[Tensor], Tensor]:
    os.environ.setdefault("DGLBACKEND", "pytorch")  # else its import writes ~/.dgl/config.json and prints
    try:
        import dgl
        import dgl.function as message
    except ImportError as error:
        raise UserError(
            f"training: backend is 'dgl', but DGL cannot be imported ({error}). Set backend to 'torch': same result."
        ) from error
    counts = adjacency.indptr.diff().long()
    receivers = torch.repeat_interleave(torch.arange(adjacency.num_cells, device=counts.device), counts)
    try:
        graph = dgl.graph((adjacency.indices.long(), receivers), num_nodes=adjacency.num_cells)
    except dgl.DGLError as error:
        raise UserError(
            f"training: backend is 'dgl', but this DGL has no support for {counts.device.type}. "
            "Set backend to 'torch' (same result) or device to 'cpu'."
        ) from error
    graph.edata["weight"] = adjacency.values.unsqueeze(1)

    def multiply(vectors: Tensor) -> Tensor:
        with graph.local_scope():
            graph.ndata["vector"] = vectors
            graph.update_all(message.u_mul_e("vector", "weight", "part"), message.sum("part", "sum"))
            total: Tensor = graph.ndata["sum"]
            return total

    return multiply
