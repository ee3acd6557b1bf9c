"""All inputs of a cell side by side: what the embeddings are made from, without their training, as the rival to beat.

Every column is standardised and bounded, so that none explodes in a linear model: one number of a cell that was never
fitted, hundreds of deviations away, would outweigh all others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import sparse

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.rhythm import RHYTHM_COLUMNS
from mora_pipeline.evaluation.methods.flows import STATISTICS, flow_statistics
from mora_pipeline.evaluation.methods.interface import MethodContext, MethodVectors
from mora_pipeline.modalities import kind_of
from mora_pipeline.modalities.blocks import Block, Present, Vectors, principal, unit_variance
from mora_pipeline.presets.inductive.relations import neighbours, partners
from mora_pipeline.presets.mora.factors import log_flow_factors
from mora_pipeline.presets.rhythm import read_rhythm

FACTORS = 32  # leading singular vectors of the log flows
NEIGHBOURS = 24  # nearest cells that are a cell's surroundings, as many as the encoders look at
FACTORS_STAY = "without the factors of the flows, which belong to one region"


@dataclass(frozen=True)
class Part:
    """Columns of one kind of evidence.

    Attributes:
        names: of the d columns; a column of the same name is the same number in another region.
        values: [N, d] in the order of the cells.
        present: bool [N], the cells that have it.
    """

    names: Sequence[str]
    values: npt.NDArray[np.floating]
    present: Present = field(repr=False)

    def of(self, names: Sequence[str]) -> "Part":
        """The same with these columns alone, in this order."""
        at = {name: number for number, name in enumerate(self.names)}
        return Part(names, self.values[:, [at[name] for name in names]], self.present)


def inputs(context: MethodContext, _: str) -> dict[str, MethodVectors]:
    """Modalities, their amounts, flow figures and factors of the log flows, float32 [N, d]."""
    (own,) = side_by_side([context])
    return {"inputs": MethodVectors(own)}


def inputs_surroundings(context: MethodContext, _: str) -> dict[str, MethodVectors]:
    """`inputs` beside their means over the cells people go to and come from, and over the nearest: [N, 3 d]."""
    (own,) = side_by_side([context], surroundings=True)
    return {"inputs_surroundings": MethodVectors(own)}


def side_by_side(regions: Sequence[MethodContext], surroundings: bool = False) -> list[Vectors]:
    """The inputs of each region, float32 [N, d], in columns that mean the same in all; scales are fitted to the first.

    Columns are those of `stacked`. Factors of the flows are there for a single region only, and nothing of flows where
    a region has no mobility.

    Args:
        regions: of which labels are fitted in the first.
        surroundings: whether the means over partners and neighbours are beside them.
    """
    evidence = [_parts(region, factors=len(regions) == 1) for region in regions]
    vectors = stacked(evidence, max(region.raw_components for region in regions))
    if not surroundings:
        return vectors
    moves = all(region.reader.config.mobility for region in regions)
    return with_means(vectors, [_relations(region, moves) for region in regions])


def stacked(regions: Sequence[Mapping[str, Part]], components: int) -> list[Vectors]:
    """The parts of each region side by side, float32 [N, d], on scales that are fitted to the first.

    Columns are aligned by name, and those that a region lacks are left out. A cell without a part has zeros, the mean;
    where some cells lack one, a flag of presence is beside it. Columns are standardised and held within ±`BOUND`; one
    that does not vary in the first region is 0.

    Args:
        regions: parts by kind of evidence.
        components: a part that is wider is reduced to so many principal components; 0 keeps all.

    Raises:
        UserError: if the regions have no column in common.
    """
    columns: list[list[Vectors]] = [[] for _ in regions]
    for name in regions[0]:
        if not all(name in parts for parts in regions):
            continue
        common = [one for one in regions[0][name].names if all(one in parts[name].names for parts in regions)]
        if not common:
            continue
        parts = [parts[name].of(common) for parts in regions]
        blocks = [_standardised([(part.values, part.present) for part in parts], components)]
        if not all(part.present.all() for part in parts):
            flags = [(part.present[:, None].astype(np.float32), np.ones_like(part.present)) for part in parts]
            blocks.append(_standardised(flags))
        for block in blocks:
            for stack, own in zip(columns, block, strict=True):
                stack.append(own)
    if not columns[0]:
        raise UserError("inputs: the regions have no evidence of the same name in common.")
    return [np.concatenate(stack, axis=1) for stack in columns]


def with_means(vectors: Sequence[Vectors], relations: Sequence[Sequence[sparse.csr_array]]) -> list[Vectors]:
    """`vectors` [N, d] of each region beside their means over related cells, standardised and bounded by the first.

    Args:
        vectors: of each region.
        relations: of each region as many, row-stochastic [N, N]; a cell whose row is empty has zeros, the mean.
    """
    means = [
        [(np.asarray(each @ own, dtype=np.float32), np.diff(each.indptr) > 0) for each in related]
        for own, related in zip(vectors, relations, strict=True)
    ]
    around = [_standardised(relation) for relation in zip(*means, strict=True)]
    return [np.concatenate([own, *of], axis=1) for own, *of in zip(vectors, *around, strict=True)]


def shared_inputs(here: MethodContext, there: MethodContext, surroundings: bool) -> tuple[Vectors, Vectors, str]:
    """Inputs here [N, d] and there [M, d], where labels are fitted and scales with them; and what was left out."""
    theirs, ours = side_by_side([there, here], surroundings)
    return ours, theirs, f"{FACTORS_STAY}: {ours.shape[1]} columns that both regions have"


def _parts(context: MethodContext, factors: bool) -> Mapping[str, Part]:
    """All that is known of the region's cells, by kind of evidence."""
    everywhere = np.ones(len(context.cells), dtype=bool)
    parts = {}
    for name in context.reader.config.modalities:
        vectors, present = context.features(name)
        parts[name] = Part(_names(context, name, vectors.shape[1]), vectors, present)
        amounts, values, known = context.amounts(name)
        if amounts:
            parts[f"{name} amounts"] = Part(amounts, values, known)
    if rhythm := read_rhythm(context.reader, context.cells):
        parts["rhythm"] = Part(RHYTHM_COLUMNS, *rhythm)
    if context.reader.config.mobility:
        statistics = flow_statistics(context, "")["flows"].vectors
        parts["flows"] = Part(STATISTICS, statistics, everywhere)
    if context.reader.config.mobility and factors:
        leading = log_flow_factors(context.edges, len(context.cells), FACTORS)
        parts["factors"] = Part([str(number) for number in range(leading.shape[1])], leading, everywhere)
    return parts


def _names(context: MethodContext, modality: str, width: int) -> list[str]:
    """What each number of a modality's vectors is: a column of the user's, or a number of one frozen encoder."""
    config = context.reader.config.modalities[modality]
    columns = kind_of(config.kind).input_columns(context.reader, modality)
    return columns or [f"{config.kind} {config.backbone} {number}" for number in range(width)]


def _standardised(regions: Sequence[tuple[npt.NDArray[np.floating], Present]], components: int = 0) -> list[Vectors]:
    """Columns [N, d] of each region, and which cells have them, [N], on the scale of the first, within ±`BOUND`."""
    values, present = regions[0]
    block = _scale(values[present].astype(np.float64), components)
    return [block.apply(own.astype(np.float32), has) for own, has in regions]


def _scale(vectors: npt.NDArray[np.float64], components: int) -> Block:
    """The map to unit variance of each column, float64 [n, d], or of so many principal components of wider ones."""
    count, width = vectors.shape
    if not count:
        return Block.of(np.zeros(width), np.zeros((width, width)), np.zeros(width))
    mean = vectors.mean(axis=0)
    if not components or width <= components:
        scale, varies = unit_variance(vectors)
        return Block.of(mean, np.diag(scale), varies.astype(np.float64))
    turn = principal(vectors.astype(np.float32), components).matrix.astype(np.float64)
    scale, varies = unit_variance((vectors - mean) @ turn)
    return Block.of(mean, turn * scale, varies.astype(np.float64))


def _relations(context: MethodContext, moves: bool) -> list[sparse.csr_array]:
    """Averages [N, N] over each cell's partners, if `moves`, and over its nearest."""
    latitude, longitude = context.coordinates.T
    relations = [partners(context.edges, len(context.cells))] if moves else []
    return [*relations, neighbours(latitude, longitude, NEIGHBOURS)]
