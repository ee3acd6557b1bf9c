"""Time and peak memory of reading a graph from clustered Parquet into the normalised CSR matrix, as training does.

python -m benchmarks.graph --size 120M --data build/benchmarks   # the paper's sampled graph; the files are written once
The last line is JSON. Memory is the whole process', libraries included.
"""
# ruff: noqa: T201 - a command prints

import argparse
import json
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from benchmarks.measure import REPORTS, held_bytes, machine, peak_bytes, run_alone, save_report
from benchmarks.spark_data import Edges, make_once
from benchmarks.spark_sampling import ROWS_PER_FILE
from benchmarks.spark_ways import read_once, rows_of
from mora_pipeline.lake import Version


def cells_of(files: list[Path]) -> npt.NDArray[np.int64]:
    """All ends of all edges, ascending: what the dataset `cells` holds."""
    cells = np.empty(0, np.int64)
    for file in files:
        ends = pq.read_table(file, columns=["origin", "destination"])
        own = [np.unique(ends[name].to_numpy()) for name in ends.column_names]
        cells = np.unique(np.concatenate([cells, *own]))
    return cells


def measure(folder: Path, cells_file: Path) -> dict[str, float]:
    """Read the graph once: seconds, entries, the process' peak and what it held before."""
    from mora_pipeline.presets.paper.graph import load_adjacency

    rows = sum(pq.read_metadata(file).num_rows for file in folder.glob("*.parquet"))
    cells, before, started = np.load(cells_file), held_bytes(), time.perf_counter()
    adjacency = load_adjacency(Version("graph", "invented", "none", folder, rows).batches, cells)
    return {
        "seconds": round(time.perf_counter() - started, 1),
        "peak_gib": round(peak_bytes() / 2**30, 2),
        "held_before_gib": round(before / 2**30, 2),
        "result_gib": round(sum(part.numel() * 4 for part in (adjacency.indices, adjacency.values)) / 2**30, 2),
        "entries": len(adjacency.indices),
        "cells": len(cells),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="10M", help="edges, as 10M or 120M; entries are twice as many")
    parser.add_argument("--data", type=Path, default=Path("build/benchmarks"), help="folder of the generated data")
    parser.add_argument("--reports", type=Path, default=REPORTS, help="folder of the saved table")
    parser.add_argument("--measure", action="store_true", help="measure alone; the data are there")
    options = parser.parse_args()
    rows = rows_of(options.size)
    edges = make_once(options.data / f"edges-{options.size}", Edges(rows, files=max(4, -(-rows // ROWS_PER_FILE))))
    cells_file = options.data / f"edges-{options.size}.cells.npy"
    if options.measure:
        print(json.dumps(measure(edges, cells_file)))
        return
    files = sorted(edges.glob("*.parquet"))
    np.save(cells_file, cells_of(files))
    stored, edge_count = read_once(edges), sum(pq.ParquetFile(file).metadata.num_rows for file in files)
    facts = {"stored_gib": round(stored / 2**30, 2), **machine("torch", "pyarrow", "numpy", "scipy")}
    figures = run_alone("benchmarks.graph", ["--size", options.size, "--data", str(options.data), "--measure"])
    row = {"edges": edge_count, **figures}
    print(
        save_report(options.reports, f"graph-{options.size}", "From Parquet to the normalised CSR matrix", [row], facts)
    )
    print(json.dumps({"graph_peak_gib": figures["peak_gib"], "graph_seconds": figures["seconds"]}))


if __name__ == "__main__":
    main()
