"""Time and peak memory of the aligned part of `mora`: strongest flows, LINE, alignment; of a region or an invented one.

python -m benchmarks.aligned us_east         # its cells, edges and features are in $MORA_HOME
python -m benchmarks.aligned --cells 200000  # 20 M edges, of which training sees 2 M; features as wide as the defaults'
python -m benchmarks.aligned --cells 200000 --share-of-steps 0.05   # the same memory; the time of all steps is computed
The last line is JSON. Memory is the whole process', libraries and features included.
"""
# ruff: noqa: T201 - a command prints

import argparse
import json
import math
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.measure import GIB, machine, peak_bytes
from mora_pipeline.contract.schemas import Edges
from mora_pipeline.lake import Lake, mora_home
from mora_pipeline.lake.reading import RegionReader, edge_rows
from mora_pipeline.lake.registry import Registry
from mora_pipeline.modalities import LoadedModality
from mora_pipeline.presets.mora.aligned import strongest_flows
from mora_pipeline.presets.mora.aligned_parameters import AlignedParameters
from mora_pipeline.presets.paper.line import num_samples, train_line
from mora_pipeline.presets.paper.trainer import train_alignment

Inputs = tuple[Edges, int, Sequence[LoadedModality]]
WIDTHS = {"text": 384, "table": 40, "image": 1280}  # of the encoders that need no download, and MoRA's histograms
TEMPERATURES = {"text": 0.5, "table": 0.7, "image": 0.2}
EDGES_A_CELL = 100  # so that a tenth of 200,000 cells' edges are 2 M


def read_region(region: str) -> Inputs:
    """Edges, number of cells and modalities of a region in the lake."""
    reader = RegionReader(Registry(mora_home()).load(region), Lake(mora_home() / "lake"))
    cells = reader.cells()
    modalities = [LoadedModality.read(reader, name, cells) for name in reader.config.modalities]
    return edge_rows(reader.read("edges"), cells), len(cells), modalities


def invent(num_cells: int) -> Inputs:
    """Flows to cells nearby in the order of the cells, and features at random; every modality in every cell."""
    random = np.random.default_rng(0)
    steps = random.permuted(np.arange(1, 4 * EDGES_A_CELL))[:EDGES_A_CELL]  # distinct, so that pairs are
    origin = np.repeat(np.arange(num_cells, dtype=np.int32), EDGES_A_CELL)
    destination = (origin + np.tile(steps.astype(np.int32), num_cells)) % num_cells
    flow = random.exponential(10, len(origin))
    everywhere = np.ones(num_cells, dtype=bool)
    modalities = [
        LoadedModality(
            kind, kind, random.standard_normal((num_cells, width), dtype=np.float32), everywhere, TEMPERATURES[kind]
        )
        for kind, width in WIDTHS.items()
    ]
    return Edges(origin, destination, flow), num_cells, modalities


def measure(inputs: Inputs, share_of_steps: float) -> dict[str, Any]:
    """Seconds of each part, those of LINE and alignment for all steps, and the peak memory in GiB."""
    edges, num_cells, modalities = inputs
    parameters, clock = AlignedParameters(), [time.perf_counter()]
    adjacency = strongest_flows(edges, num_cells, parameters.share)
    clock.append(time.perf_counter())
    line, settings = parameters.line(), parameters.alignment(num_cells)
    draws = int(num_samples(len(edges.flow), num_cells, line) * share_of_steps)
    start = train_line(
        edges.origin, edges.destination, edges.flow, num_cells, line.model_copy(update={"maximum_samples": draws})
    )
    clock.append(time.perf_counter())
    epochs = max(1, math.ceil(settings.maximum_epochs * share_of_steps))
    result = train_alignment(adjacency, start, modalities, settings.model_copy(update={"maximum_epochs": epochs}))
    clock.append(time.perf_counter())
    graph, drawn, aligned = np.diff(clock)
    batches = math.ceil(0.9 * num_cells / settings.batch_size)
    return {
        "cells": num_cells,
        "edges": len(edges.flow),
        "steps": settings.maximum_epochs * batches,
        "epochs_trained": len(result.history),
        "graph_seconds": round(float(graph), 1),
        "line_seconds": round(float(drawn) / share_of_steps, 1),
        "alignment_seconds": round(float(aligned) * settings.maximum_epochs / epochs, 1),
        "peak_gib": round(peak_bytes() / GIB, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("region", nargs="?", help="a region in $MORA_HOME; default: an invented one")
    parser.add_argument("--cells", type=int, default=200_000, help="of the invented region")
    parser.add_argument("--share-of-steps", type=float, default=1.0, help="of LINE and of alignment, to be trained")
    options = parser.parse_args()
    figures = measure(read_region(options.region) if options.region else invent(options.cells), options.share_of_steps)
    print("\n".join(f"{name}: {value}" for name, value in {**figures, **machine("torch", "numpy")}.items()))
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
