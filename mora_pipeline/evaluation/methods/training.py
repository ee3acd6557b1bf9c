"""MoRA trained with something changed, such as its graph, its anchor, its dimension or its seed."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from mora_pipeline.contract.schemas import DIMENSION, Edges
from mora_pipeline.evaluation.cache import cached_or_train
from mora_pipeline.evaluation.methods.interface import MethodContext, MethodVectors
from mora_pipeline.lake.reading import edge_rows
from mora_pipeline.presets.inductive.relations import neighbours
from mora_pipeline.presets.paper.parameters import TRAINING_FORMAT, AlignmentParameters, LineParameters

if TYPE_CHECKING:
    from mora_pipeline.modalities import LoadedModality

Vectors = npt.NDArray[np.float32]
Progress = Callable[[str, int, int, float], None]
RING = 6  # cells around a cell of a whole grid


@dataclass(frozen=True)
class Variant:
    """What differs from the region's embeddings; the defaults change nothing.

    Attributes:
        name: what the reader sees, such as `layers 3`.
        family: variants of one question, such as `layers`.
        graph: in place of the region's sampled graph.
        line: what LINE is trained on, in place of the region's LINE vectors.
        start: `line`, or `random`: numbers as small as LINE starts from.
        dimension: of the vectors; another one trains LINE anew.
        modalities: those that stay; None for all.
        amounts: whether the modalities' amounts stay.
        alignment: settings of the alignment in place of the common ones.
        share: of the cells, whose modalities training may see; all stay in the graph.
        seed: of this training, and of LINE and a random start where they are its own, in place of the common one.
    """

    name: str
    family: str
    graph: Edges | None = None
    line: Edges | None = None
    start: Literal["line", "random"] = "line"
    dimension: int = DIMENSION
    modalities: Sequence[str] | None = None
    amounts: bool = True
    alignment: dict[str, Any] = field(default_factory=dict)
    share: float = 1.0
    seed: int | None = None


@dataclass(frozen=True)
class Trained:
    """A variant's vectors, float32 [N, dimension], and the seconds that this process spent on them."""

    vectors: Vectors
    seconds: float


def train_variant(
    context: MethodContext,
    variant: Variant,
    alignment: AlignmentParameters | None = None,
    line: LineParameters | None = None,
    progress: Progress | None = None,
) -> Trained:
    """Train a variant, or take its cached vectors, of the same data and settings.

    Args:
        context: the region's; vectors are cached there.
        alignment: common settings of all variants; default: the method's.
        line: settings of LINE, where a variant trains its own; its seed also draws a random start.
        progress: called with what is counted (`edges drawn` of LINE, `epochs`), how many are done, how many there are
            at most, and the loss; not where the vectors were cached.
    """
    from mora_pipeline.devices import best_device

    started = time.perf_counter()
    seed = {} if variant.seed is None else {"seed": variant.seed}
    alignment = (alignment or AlignmentParameters()).model_copy(update={**seed, **variant.alignment})
    line = (line or LineParameters()).model_copy(update={**seed, "dimension": variant.dimension})
    cells = context.cells
    graph = variant.graph or edge_rows(context.reader.read("graph"), cells)
    initial = _initial(context, variant, line, progress)
    modalities = _modalities(context, variant, alignment.seed)
    arrays: dict[str, npt.NDArray[Any]] = {"origin": graph.origin, "destination": graph.destination, "flow": graph.flow}
    arrays["initial"] = initial
    for one in modalities:
        arrays |= {f"{one.name} vectors": one.vectors, f"{one.name} present": one.present}
        arrays |= {f"{one.name} amounts": one.amounts, f"{one.name} amounts present": one.amounts_present}
    settings = {
        "training": TRAINING_FORMAT,
        "alignment": alignment.model_dump(mode="json"),
        "temperatures": {modality.name: modality.temperature for modality in modalities},
    }

    def report(epoch: dict[str, float]) -> None:
        if progress:
            progress("epochs", round(epoch["epoch"]), alignment.maximum_epochs, epoch["train_loss"])

    def train() -> Vectors:
        from mora_pipeline.presets.paper.graph import Adjacency, symmetrise_and_normalise
        from mora_pipeline.presets.paper.trainer import train_alignment

        matrix = symmetrise_and_normalise(graph.origin, graph.destination, graph.flow, len(cells))
        return train_alignment(Adjacency.from_matrix(matrix), initial, modalities, alignment, report).embeddings

    device = best_device(alignment.device, "alignment")
    vectors = cached_or_train(context.cache, arrays, settings, train, device)
    return Trained(vectors, time.perf_counter() - started)


def _initial(
    context: MethodContext, variant: Variant, parameters: LineParameters, progress: Progress | None
) -> Vectors:
    """What the node table starts from, float32 [N, dimension]."""
    from mora_pipeline.devices import best_device

    num_cells = len(context.cells)
    if variant.start == "random":
        drawn = np.random.default_rng(parameters.seed).uniform(-0.5, 0.5, (num_cells, variant.dimension))
        return (drawn / variant.dimension).astype(np.float32)
    if variant.line is None and variant.dimension == DIMENSION:
        return np.asarray(context.dataset("line_vectors").vectors, dtype=np.float32)
    edges = variant.line or context.edges

    def train() -> Vectors:
        from mora_pipeline.presets.paper.line import train_line

        report = partial(progress, "edges drawn") if progress else None
        return train_line(edges.origin, edges.destination, edges.flow, num_cells, parameters, report)

    arrays = {"origin": edges.origin, "destination": edges.destination, "flow": edges.flow}
    settings = {"training": TRAINING_FORMAT, "line": parameters.model_dump(mode="json"), "cells": num_cells}
    device = best_device(parameters.device, "line")
    return cached_or_train(context.cache, arrays, settings, train, device)


def _modalities(context: MethodContext, variant: Variant, seed: int) -> "list[LoadedModality]":
    """The modalities that training sees: those that stay, on the cells that may be seen."""
    from mora_pipeline.modalities import LoadedModality

    declared = context.reader.config.modalities
    stay = declared if variant.modalities is None else variant.modalities
    present = [LoadedModality.read(context.reader, name, context.cells) for name in declared if name in stay]
    if not variant.amounts:
        present = [replace(one, amount_names=()) for one in present]
    if variant.share == 1:
        return present
    num_cells = len(context.cells)
    seen = np.zeros(num_cells, dtype=bool)
    # The same seed's larger share includes the smaller one: what grows is only the number of cells.
    seen[np.random.default_rng(seed).permutation(num_cells)[: max(4, round(variant.share * num_cells))]] = True
    return [replace(one, present=one.present & seen, amounts_present=one.amounts_present & seen) for one in present]


def paper(context: MethodContext, _: str) -> dict[str, MethodVectors]:
    """The preset `paper` at its defaults, float32 [N, 128], whichever preset the region's embeddings have."""
    return {"paper": MethodVectors(train_variant(context, Variant("paper", "preset")).vectors)}


def mora_neighbour_graph(context: MethodContext, _: str) -> dict[str, MethodVectors]:
    """MoRA at its defaults, float32 [N, 128], on the graph of each cell's nearest cells (MoRA's ablation)."""
    edges = neighbour_edges(context.coordinates)
    variant = Variant("neighbours", "graph", graph=edges, line=edges)
    return {"mora_neighbour_graph": MethodVectors(train_variant(context, variant).vectors)}


def neighbour_edges(coordinates: npt.NDArray[np.float64], count: int = RING) -> Edges:
    """Every cell and the cells nearest to it, in both directions, each pair with a flow of 1.

    Where the grid is whole, the six nearest are the ring around a cell (the paper's neighbour graph). Cells that are
    apart, as those of counties or of a city's regions are, hardly have a ring, and their nearest cells replace it.

    Args:
        coordinates: latitude and longitude of the cells' centres, degrees, [N, 2].
        count: nearest cells of each.
    """
    nearest = neighbours(coordinates[:, 0], coordinates[:, 1], count)
    joined = (nearest + nearest.T).tocoo()
    return Edges(joined.row, joined.col, np.ones(joined.nnz))
