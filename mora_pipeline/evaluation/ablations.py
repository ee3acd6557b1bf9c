"""Ablations by family: what each part of the method is worth on this region, beside what the paper found in China."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from mora_pipeline.evaluation.ablation_parameters import FAMILIES, AblationParameters
from mora_pipeline.evaluation.methods.interface import Inputs
from mora_pipeline.evaluation.variants import Variant
from mora_pipeline.training.parameters import MOBILITY

BASE = "base"
ANCHOR, WITHOUT, CELLS = "anchor: ", "without ", "cells: "  # followed by a modality, a share
# Mean R² relative to the whole method, as MoRA reports it for China (method.md).
PUBLISHED_EFFECTS: Mapping[str, str] = {
    "graph: k-ring neighbours": "−12.2 %",
    "mobility alone": "−6.5 %",
    "start: random": "−1 to −2 %",
    "sampling: random 10 %": "worse",
    "sampling: top 30 %": "about the same",
}
# Worked out from what it prints, by kind of modality. Demographics as the anchor: mobility is 16.8 % above it, and
# 1 / 1.168 = .856. Without POI, imagery or demographics: .765, .762 or .748, where the whole has .779.
PUBLISHED_ANCHORS: Mapping[str, str] = {"table": "−14.4 % ‡"}
PUBLISHED_WITHOUT: Mapping[str, str] = {"text": "−1.8 % ‡", "image": "−2.2 % ‡", "table": "−4.0 % ‡"}
DERIVED = "‡ Worked out from means that the paper prints, for its one modality of that kind."


def variants(inputs: Inputs, parameters: AblationParameters) -> list[Variant]:
    """The method as it is, then one change at a time, family by family; what the region has no data for is left out."""
    found = [Variant(BASE, BASE)]
    for family in parameters.families or FAMILIES:
        found += _MAKERS[family](inputs, parameters)
    return found


def _anchors(inputs: Inputs, _: AblationParameters) -> Iterator[Variant]:
    for name in inputs.reader.config.modalities:
        yield Variant(f"{ANCHOR}{name}", "anchor", alignment={"anchor": name})


def _modalities(inputs: Inputs, _: AblationParameters) -> Iterator[Variant]:
    names = list(inputs.reader.config.modalities)
    if len(names) > 1:
        for left_out in names:
            yield Variant(f"{WITHOUT}{left_out}", "modalities", modalities=[name for name in names if name != left_out])
    if names:
        yield Variant(f"{MOBILITY} alone", "modalities", modalities=[])


def _graphs(inputs: Inputs, parameters: AblationParameters) -> Iterator[Variant]:
    from mora_pipeline.evaluation.graphs import k_ring_edges, rewired, top_share

    near = k_ring_edges(inputs.cells)
    chance = rewired(inputs.edges, parameters.training_seed)
    yield Variant("graph: full", "graph", graph=inputs.edges)
    yield Variant("graph: k-ring neighbours", "graph", graph=near, line=near)
    yield Variant("graph: rewired by chance", "graph", graph=top_share(chance, 0.1), line=chance)


def _samplings(inputs: Inputs, parameters: AblationParameters) -> Iterator[Variant]:
    from mora_pipeline.evaluation.graphs import at_least, median_flow, random_share, top_share

    for share in parameters.shares:
        yield Variant(f"sampling: top {100 * share:g} %", "sampling", graph=top_share(inputs.edges, share))
    chance = random_share(inputs.edges, 0.1, parameters.training_seed)
    yield Variant("sampling: random 10 %", "sampling", graph=chance)
    bound = median_flow(inputs.edges)
    yield Variant(f"sampling: flows from {bound:g}", "sampling", graph=at_least(inputs.edges, bound))


def _starts(_: Inputs, __: AblationParameters) -> Iterator[Variant]:
    yield Variant("start: random", "start", start="random")


def _layers(_: Inputs, parameters: AblationParameters) -> Iterator[Variant]:
    for layers in parameters.layers:
        yield Variant(f"layers: {layers}", "layers", alignment={"layers": layers})


def _dimensions(_: Inputs, parameters: AblationParameters) -> Iterator[Variant]:
    for dimension in parameters.dimensions:
        yield Variant(f"dimension: {dimension}", "dimension", dimension=dimension)


def _temperatures(inputs: Inputs, parameters: AblationParameters) -> Iterator[Variant]:
    names = list(inputs.reader.config.modalities)
    for value in parameters.temperatures if names else []:
        yield Variant(f"temperature: {value:g}", "temperature", alignment={"temperatures": dict.fromkeys(names, value)})


def _scaling(inputs: Inputs, parameters: AblationParameters) -> Iterator[Variant]:
    if inputs.reader.config.modalities:
        for share in parameters.cell_shares:
            yield Variant(f"{CELLS}{100 * share:g} %", "scaling", share=share)


_MAKERS: Mapping[str, Callable[[Inputs, AblationParameters], Iterator[Variant]]] = {
    "anchor": _anchors,
    "modalities": _modalities,
    "graph": _graphs,
    "sampling": _samplings,
    "start": _starts,
    "layers": _layers,
    "dimension": _dimensions,
    "temperature": _temperatures,
    "scaling": _scaling,
}


def published_effect(variant: str, kinds: Mapping[str, str]) -> str:
    """What the paper found for a variant, relative to the whole method; empty if it says nothing.

    Args:
        kinds: kind of each modality of the region (text, image, table). The paper has one of each; where a region has
            several of a kind, none of them is the paper's.
    """
    for prefix, by_kind in ((ANCHOR, PUBLISHED_ANCHORS), (WITHOUT, PUBLISHED_WITHOUT)):
        if variant.startswith(prefix):
            kind = kinds.get(variant.removeprefix(prefix), "")
            return by_kind.get(kind, "") if list(kinds.values()).count(kind) == 1 else ""
    return PUBLISHED_EFFECTS.get(variant, "")


def relative_effects(mean_r2: Mapping[str, float]) -> dict[str, float]:
    """Change of the mean R² by variant, in per cent of the base's; NaN where the base's is not positive."""
    base = mean_r2.get(BASE, np.nan)
    return {name: 100 * (value / base - 1) if base > 0 else np.nan for name, value in mean_r2.items()}


def share_of_cells(variants: Sequence[str]) -> dict[str, float]:
    """The share of cells that training saw, by variant of the family `scaling`; the base saw all."""
    scaled = [name for name in variants if name.startswith(CELLS)]
    return {**{name: float(name.removeprefix(CELLS).removesuffix(" %")) / 100 for name in scaled}, BASE: 1.0}
