"""Ablations by family: the variants that show what each part of the method is worth on this region."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from mora_pipeline.contract.constants import TOP_SHARE
from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.schemas import DIMENSION
from mora_pipeline.evaluation.ablation.parameters import FAMILIES, AblationParameters
from mora_pipeline.evaluation.ablation.reported_effects import ANCHOR, RANDOM, SAMPLING, TOP, WITHOUT
from mora_pipeline.evaluation.methods.interface import MethodContext
from mora_pipeline.evaluation.methods.training import Variant, neighbour_edges
from mora_pipeline.presets.paper.parameters import MOBILITY

BASE = "base"
SEED = "seed"
CELLS = "cells: "  # followed by a share
ANEW = " (LINE anew)"  # of a variant that differs from its twin in this alone


def variants(context: MethodContext, parameters: AblationParameters) -> list[Variant]:
    """The method as it is, then one change at a time, family by family.

    What the region has no data for is left out, and so is a graph that is the region's own.

    Raises:
        UserError: if a variant is asked for by name that is none of the families'.
    """
    from mora_pipeline.evaluation.ablation.graphs import same_edges
    from mora_pipeline.lake.reading import edge_rows

    own = edge_rows(context.reader.read("graph"), context.cells)
    chosen = [Variant(BASE, BASE)]
    for family in parameters.families or FAMILIES:
        chosen += [
            variant
            for variant in _MAKERS[family](context, parameters)
            if variant.graph is None or variant.line is not None or not same_edges(variant.graph, own)
        ]
    asked = set(parameters.variants)
    if unknown := sorted(asked - {variant.name for variant in chosen}):
        names = ", ".join(f"'{variant.name}'" for variant in chosen)
        raise UserError(f"ablations.variants: no chosen family has a variant '{unknown[0]}'. There are {names}.")
    return [variant for variant in chosen if not asked or variant.name in {BASE, *asked}]


def base_graph(context: MethodContext) -> str:
    """How the region's graph was sampled, in words such as `top 10 %`; empty if its record does not say."""
    details = context.reader.read("graph").details
    match details.get("strategy"):
        case "top_share":
            return f"{TOP}{_percent(details['share'])}"
        case "random_share":
            return f"{RANDOM}{_percent(details['share'])}"
        case "fixed_k":
            return f"top {details['k']}"
        case "threshold":
            return f"flows from {details['minimum_flow']:g}"
        case "none":
            return "all flows"
    return ""


def _own_share(context: MethodContext) -> float:
    """The share of its flows that an origin keeps in the region's graph; the method's, where that is no share."""
    details = context.reader.read("graph").details
    return 1.0 if details.get("strategy") == "none" else float(details.get("share", TOP_SHARE))


def _percent(share: float) -> str:
    return f"{100 * share:g} %"


def _anchors(context: MethodContext, _: AblationParameters) -> Iterator[Variant]:
    for name in context.reader.config.modalities:
        yield Variant(f"{ANCHOR}{name}", "anchor", alignment={"anchor": name})


def _modalities(context: MethodContext, _: AblationParameters) -> Iterator[Variant]:
    names = list(context.reader.config.modalities)
    if len(names) > 1:
        for left_out in names:
            yield Variant(f"{WITHOUT}{left_out}", "modalities", modalities=[name for name in names if name != left_out])
    if any(context.amounts(name)[0] for name in names):
        yield Variant("no amounts", "modalities", amounts=False)
    if names:
        yield Variant(f"{MOBILITY} alone", "modalities", modalities=[])


def _graphs(context: MethodContext, parameters: AblationParameters) -> Iterator[Variant]:
    from mora_pipeline.evaluation.ablation.graphs import rewired, top_share

    near = neighbour_edges(context.coordinates)
    chance = rewired(context.edges, parameters.training_seed)
    yield Variant("graph: full", "graph", graph=context.edges)
    yield Variant("graph: neighbours", "graph", graph=near, line=near)
    share = _own_share(context)
    yield Variant("graph: rewired by chance", "graph", graph=top_share(chance, share), line=chance)


def _samplings(context: MethodContext, parameters: AblationParameters) -> Iterator[Variant]:
    from mora_pipeline.evaluation.ablation.graphs import at_least, median_flow, random_share, top_share

    for share in sorted({TOP_SHARE, *parameters.shares}):
        yield Variant(f"{SAMPLING}{TOP}{_percent(share)}", "sampling", graph=top_share(context.edges, share))
    share, bound = _own_share(context), median_flow(context.edges)
    chance = random_share(context.edges, share, parameters.training_seed)
    yield Variant(f"{SAMPLING}{RANDOM}{_percent(share)}", "sampling", graph=chance)
    yield Variant(f"{SAMPLING}flows from {bound:g}", "sampling", graph=at_least(context.edges, bound))


def _starts(_: MethodContext, __: AblationParameters) -> Iterator[Variant]:
    yield Variant("start: random", "start", start="random")


def _layers(_: MethodContext, parameters: AblationParameters) -> Iterator[Variant]:
    for layers in parameters.layers:
        yield Variant(f"layers: {layers}", "layers", alignment={"layers": layers})


def _dimensions(context: MethodContext, parameters: AblationParameters) -> Iterator[Variant]:
    """Each trains LINE anew, at settings that the region's own may not have had: so does 128, to compare with."""
    for dimension in sorted({DIMENSION, *parameters.dimensions}):
        name = f"dimension: {dimension}{ANEW if dimension == DIMENSION else ''}"
        yield Variant(name, "dimension", line=context.edges, dimension=dimension)


def _temperatures(context: MethodContext, parameters: AblationParameters) -> Iterator[Variant]:
    names = list(context.reader.config.modalities)
    for value in parameters.temperatures if names else []:
        yield Variant(f"temperature: {value:g}", "temperature", alignment={"temperatures": dict.fromkeys(names, value)})


def _scaling(context: MethodContext, parameters: AblationParameters) -> Iterator[Variant]:
    if context.reader.config.modalities:
        for share in parameters.cell_shares:
            yield Variant(f"{CELLS}{_percent(share)}", "scaling", share=share)


def _seeds(context: MethodContext, parameters: AblationParameters) -> Iterator[Variant]:
    """The base from further seeds: with the region's LINE vectors, and with LINE of that seed."""
    for seed in sorted({*parameters.training_seeds} - {parameters.training_seed}):
        if context.reader.config.modalities:  # else nothing is drawn but LINE
            yield Variant(f"seed: {seed}", SEED, seed=seed)
        yield Variant(f"seed: {seed}{ANEW}", SEED, line=context.edges, seed=seed)


_MAKERS: Mapping[str, Callable[[MethodContext, AblationParameters], Iterator[Variant]]] = {
    "anchor": _anchors,
    "modalities": _modalities,
    "graph": _graphs,
    "sampling": _samplings,
    "start": _starts,
    "layers": _layers,
    "dimension": _dimensions,
    "temperature": _temperatures,
    "scaling": _scaling,
    SEED: _seeds,
}


def relative_effects(mean_r2: Mapping[str, float]) -> dict[str, float]:
    """Change of the mean R² by variant, in per cent of the base's; NaN where the base's is not positive."""
    base = mean_r2.get(BASE, np.nan)
    return {name: 100 * (value / base - 1) if base > 0 else np.nan for name, value in mean_r2.items()}


def share_of_cells(variants: Sequence[str]) -> dict[str, float]:
    """The share of cells that training saw, by variant of the family `scaling`; the base saw all."""
    scaled = [name for name in variants if name.startswith(CELLS)]
    return {**{name: float(name.removeprefix(CELLS).removesuffix(" %")) / 100 for name in scaled}, BASE: 1.0}
