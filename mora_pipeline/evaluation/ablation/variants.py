"""One training run with something changed, such as its graph, its anchor, its dimension or its seed."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from mora_pipeline.contract.schemas import DIMENSION, Edges
from mora_pipeline.evaluation.ablation.vectors_cache import kept_or_trained
from mora_pipeline.evaluation.methods.interface import Inputs
from mora_pipeline.lake.reading import edge_rows
from mora_pipeline.presets.paper.parameters import AlignmentParameters, LineParameters

if TYPE_CHECKING:
    from mora_pipeline.modalities import LoadedModality

Vectors = npt.NDArray[np.float32]
Progress = Callable[[str, int, int, float], None]


@dataclass(frozen=True)
class Variant:
    """What differs from the published embeddings; the defaults change nothing.

    Attributes:
        name: what the reader sees, such as `layers 3`.
        family: variants of one question, such as `layers`.
        graph: in place of the region's sampled graph.
        line: what LINE is trained on, in place of the region's LINE vectors.
        start: `line`, or `random`: numbers as small as LINE starts from.
        dimension: of the vectors; another one trains LINE anew.
        modalities: those that stay; None for all.
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
    alignment: dict[str, Any] = field(default_factory=dict)
    share: float = 1.0
    seed: int | None = None


@dataclass(frozen=True)
class Trained:
    """A variant's vectors, float32 [N, dimension], and the seconds that this process spent on them."""

    vectors: Vectors
    seconds: float


def train_variant(
    inputs: Inputs,
    variant: Variant,
    alignment: AlignmentParameters | None = None,
    line: LineParameters | None = None,
    progress: Progress | None = None,
) -> Trained:
    """Train a variant, or take the vectors that an earlier run kept for the same data and settings.

    Args:
        inputs: the region's; vectors are kept in its cache.
        alignment: common settings of all variants; default: the method's.
        line: settings of LINE, where a variant trains its own; its seed also draws a random start.
        progress: called with what is counted (`edges drawn` of LINE, `epochs`), how many are done, how many there are
            at most, and the loss; not where the vectors were kept.
    """
    from mora_pipeline.devices import best_device

    started = time.perf_counter()
    seed = {} if variant.seed is None else {"seed": variant.seed}
    alignment = (alignment or AlignmentParameters()).model_copy(update={**seed, **variant.alignment})
    line = (line or LineParameters()).model_copy(update={**seed, "dimension": variant.dimension})
    cells = inputs.cells
    graph = variant.graph or edge_rows(inputs.reader.read("graph"), cells)
    initial = _initial(inputs, variant, line, progress)
    modalities = _modalities(inputs, variant, alignment.seed)
    arrays: dict[str, npt.NDArray[Any]] = {"origin": graph.origin, "destination": graph.destination, "flow": graph.flow}
    arrays["initial"] = initial
    for one in modalities:
        arrays |= {f"{one.name} vectors": one.vectors, f"{one.name} present": one.present}
    told = {"alignment": alignment.model_dump(mode="json"), "temperatures": {m.name: m.temperature for m in modalities}}

    def tell(epoch: dict[str, float]) -> None:
        if progress:
            progress("epochs", round(epoch["epoch"]), alignment.maximum_epochs, epoch["train_loss"])

    def train() -> Vectors:
        from mora_pipeline.presets.paper.graph import Adjacency, symmetrise_and_normalise
        from mora_pipeline.presets.paper.trainer import train_alignment

        matrix = symmetrise_and_normalise(graph.origin, graph.destination, graph.flow, len(cells))
        return train_alignment(Adjacency.from_matrix(matrix), initial, modalities, alignment, tell).embeddings

    device = best_device(alignment.device, "alignment")
    vectors = kept_or_trained(inputs.cache, arrays, told, train, device)
    return Trained(vectors, time.perf_counter() - started)


def _initial(inputs: Inputs, variant: Variant, parameters: LineParameters, progress: Progress | None) -> Vectors:
    """What the node table starts from, float32 [N, dimension]."""
    from mora_pipeline.devices import best_device

    num_cells = len(inputs.cells)
    if variant.start == "random":
        drawn = np.random.default_rng(parameters.seed).uniform(-0.5, 0.5, (num_cells, variant.dimension))
        return (drawn / variant.dimension).astype(np.float32)
    if variant.line is None and variant.dimension == DIMENSION:
        return np.asarray(inputs.dataset("line_vectors").vectors, dtype=np.float32)
    edges = variant.line or inputs.edges

    def train() -> Vectors:
        from mora_pipeline.presets.paper.line import train_line

        tell = partial(progress, "edges drawn") if progress else None
        return train_line(edges.origin, edges.destination, edges.flow, num_cells, parameters, tell)

    arrays = {"origin": edges.origin, "destination": edges.destination, "flow": edges.flow}
    told = {"line": parameters.model_dump(mode="json"), "cells": num_cells}
    device = best_device(parameters.device, "line")
    return kept_or_trained(inputs.cache, arrays, told, train, device)


def _modalities(inputs: Inputs, variant: Variant, seed: int) -> "list[LoadedModality]":
    """The modalities that training sees: those that stay, on the cells that may be seen."""
    from mora_pipeline.modalities import LoadedModality

    declared = inputs.reader.config.modalities
    stay = declared if variant.modalities is None else variant.modalities
    found = [LoadedModality.read(inputs.reader, name, inputs.cells) for name in declared if name in stay]
    if variant.share == 1:
        return found
    num_cells = len(inputs.cells)
    seen = np.zeros(num_cells, dtype=bool)
    # The same seed's larger share includes the smaller one: what grows is only the number of cells.
    seen[np.random.default_rng(seed).permutation(num_cells)[: max(4, round(variant.share * num_cells))]] = True
    return [replace(one, present=one.present & seen) for one in found]
