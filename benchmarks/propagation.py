"""Time of one training step of LightGCN's propagation: ours, DGL and torch's own COO product.

python -m benchmarks.propagation   # 50,000 cells, 2 M entries once symmetrised
The last line is JSON: how many times faster ours is.
"""
# ruff: noqa: T201 - a command prints

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.measure import REPORTS, held_bytes, machine, peak_bytes, run_alone, save_report
from mora_pipeline.presets.paper.graph import Adjacency, symmetrise_and_normalise
from mora_pipeline.presets.paper.lightgcn import LightGCN
from mora_pipeline.presets.paper.propagation import Propagation


class Coo:
    """What the straightforward implementation does."""

    def __init__(self, adjacency: Adjacency) -> None:
        rows = torch.repeat_interleave(torch.arange(adjacency.num_cells), adjacency.indptr.diff().long())
        size = (adjacency.num_cells, adjacency.num_cells)
        places, checks = (
            torch.stack([rows, adjacency.indices.long()]),
            {"is_coalesced": True, "check_invariants": False},
        )
        self.matrix = torch.sparse_coo_tensor(places, adjacency.values, size, **checks)

    def __matmul__(self, vectors: Tensor) -> Tensor:
        return torch.sparse.mm(self.matrix, vectors)


WAYS: dict[str, Callable[[Adjacency], Any]] = {
    "torch": lambda adjacency: Propagation(adjacency, "torch"),
    "coo": Coo,
    "dgl": lambda adjacency: Propagation(adjacency, "dgl"),
}


def measure(way: str, cells: int, edges: int, dimension: int, repeats: int) -> dict[str, float]:
    """The fastest step of the repeats, after one to warm up, in milliseconds; the peak above graph and vectors."""
    random = np.random.default_rng(0)
    ends = random.integers(0, cells, (2, edges))
    adjacency = Adjacency.from_matrix(symmetrise_and_normalise(*ends, random.exponential(1, edges), cells))
    model, weights = LightGCN(torch.randn(cells, dimension)), torch.randn(cells, dimension)
    before, propagation, times = held_bytes(), WAYS[way](adjacency), []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        (model(propagation) * weights).sum().backward()
        times.append(time.perf_counter() - started)
    peak = (peak_bytes() - before) / 2**30
    return {
        "milliseconds": round(min(times[1:]) * 1000, 1),
        "peak_gib": round(peak, 2),
        "entries": len(adjacency.values),
    }


def compare(arguments: Sequence[str], reports: Path) -> dict[str, float]:
    """Every way in a process of its own; the table goes to the folder of reports."""
    facts = {"options": " ".join(arguments), **machine("torch", "dgl")}
    rows = [{"way": way, **run_alone("benchmarks.propagation", [*arguments, "--way", way])} for way in WAYS]
    print(save_report(reports, "propagation", "A training step of LightGCN, two layers", rows, facts))
    ours, *others = rows
    return {f"propagation_vs_{row['way']}": round(row["milliseconds"] / ours["milliseconds"], 2) for row in others}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=50_000)
    parser.add_argument("--edges", type=int, default=1_000_000, help="directed edges; symmetrising doubles them")
    parser.add_argument("--dimension", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--reports", type=Path, default=REPORTS, help="folder of the saved table")
    parser.add_argument("--way", choices=WAYS, help="measure one way alone")
    options = parser.parse_args()
    sizes = {name: getattr(options, name) for name in ("cells", "edges", "dimension", "repeats")}
    if options.way:
        print(json.dumps(measure(options.way, **sizes)))
        return
    arguments = [word for name, size in sizes.items() for word in (f"--{name}", str(size))]
    print(json.dumps(compare(arguments, options.reports)))


if __name__ == "__main__":
    main()
