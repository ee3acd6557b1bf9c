"""Time of one training step of LightGCN's propagation: the CSR product, DGL and torch's own COO product.

python -m benchmarks.propagation --cells 50000 --edges 1000000   # 2 M entries once symmetrised
The last line is JSON: how many times faster the CSR product is.
"""
# ruff: noqa: T201 - a command prints

import argparse
import json
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from mora_pipeline.training.graph import Adjacency, symmetrise_and_normalise
from mora_pipeline.training.lightgcn import LightGCN
from mora_pipeline.training.propagation import Propagation


class Coo:
    """What the straightforward implementation does."""

    def __init__(self, adjacency: Adjacency) -> None:
        rows = torch.repeat_interleave(torch.arange(adjacency.num_cells), adjacency.indptr.diff().long())
        size = (adjacency.num_cells, adjacency.num_cells)
        self.matrix = torch.sparse_coo_tensor(
            torch.stack([rows, adjacency.indices.long()]),
            adjacency.values,
            size,
            is_coalesced=True,
            check_invariants=False,
        )

    def __matmul__(self, vectors: Tensor) -> Tensor:
        return torch.sparse.mm(self.matrix, vectors)


def seconds_a_step(step: Callable[[], None], repeats: int) -> float:
    """The fastest of the repeats, after one to warm up."""
    step()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        step()
        times.append(time.perf_counter() - started)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=10_000)
    parser.add_argument("--edges", type=int, default=200_000, help="directed edges; symmetrising doubles them")
    parser.add_argument("--dimension", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    random = np.random.default_rng(0)
    ends = random.integers(0, options.cells, (2, options.edges))
    matrix = symmetrise_and_normalise(ends[0], ends[1], random.exponential(1, options.edges), options.cells)
    adjacency = Adjacency.from_matrix(matrix)
    model = LightGCN(torch.randn(options.cells, options.dimension))
    weights = torch.randn(options.cells, options.dimension)
    ways = {"csr": Propagation(adjacency, "torch"), "dgl": Propagation(adjacency, "dgl"), "coo": Coo(adjacency)}
    seconds = {}
    for name, way in ways.items():
        seconds[name] = seconds_a_step(lambda way=way: (model(way) * weights).sum().backward(), options.repeats)
        print(f"{name}: {seconds[name] * 1000:.0f} ms a step ({matrix.nnz:,} entries)")
    ratios = {f"propagation_vs_{name}": round(seconds[name] / seconds["csr"], 2) for name in ("coo", "dgl")}
    print(json.dumps(ratios))


if __name__ == "__main__":
    main()
