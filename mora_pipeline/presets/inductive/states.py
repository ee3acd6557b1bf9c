"""The state of a cell: its own evidence and that of its surroundings, on scales that belong to the encoder.

Every block (a modality, its amounts, the flows, their hours, the mean over partners, the mean over neighbours) is
centred, mapped, bounded and weighted by numbers that were fitted once, so that a cell of another region gets the state
that it would have had in this one.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from mora_pipeline.contract.errors import UserError
from mora_pipeline.modalities import LoadedModality, kind_of
from mora_pipeline.modalities.blocks import SMALLEST_DEVIATION, Block, Present, Vectors, standardised
from mora_pipeline.presets.inductive.parameters import InductiveParameters

FLOWS, RHYTHM, PARTNERS, NEIGHBOURS = "flows", "rhythm", "partners", "neighbours"  # those of modalities have a prefix
MODALITY, AMOUNTS = "modality/", "amounts/"


@dataclass(frozen=True)
class Evidence:
    """All that the encoder sees of a region, in the row order of the cells.

    Attributes:
        modalities: those beside mobility, sorted by name.
        flows: `flow_features`, float32 [N, F].
        partners, neighbours: row-stochastic averages, [N, N]; an empty row says that there are none.
        rhythm: shares of the hours of the week, float32 [N, k], and which cells have them, bool [N]; None where
            mobility carries no times.
    """

    modalities: tuple[LoadedModality, ...]
    flows: Vectors
    partners: sparse.csr_array
    neighbours: sparse.csr_array
    rhythm: tuple[Vectors, Present] | None = None

    @property
    def num_cells(self) -> int:
        return len(self.flows)


@dataclass(frozen=True)
class StateMap:
    """The blocks by name, each with a mean square of 1 over the cells that it was fitted to, and their weights."""

    blocks: Mapping[str, Block]
    weights: Mapping[str, float]

    def columns(self) -> list[slice]:
        """The columns of each block in a state."""
        ends = np.cumsum([self.blocks[name].matrix.shape[1] for name in self.weights]).tolist()
        return [slice(start, end) for start, end in zip([0, *ends[:-1]], ends, strict=True)]

    def columns_without_flows(self) -> npt.NDArray[np.int64]:
        """The columns of a state that no flow has a part in, int64 [k]: own evidence, and its means over neighbours."""
        columns = dict(zip(self.weights, self.columns(), strict=True))
        own = [name for name in columns if name not in (PARTNERS, NEIGHBOURS)]
        names = np.repeat(own, [self.blocks[name].matrix.shape[1] for name in own])
        rows = np.flatnonzero(
            (names != FLOWS) & (names != RHYTHM)
        )  # own blocks come first, and the means have the same columns as they
        return np.concatenate([rows, columns[NEIGHBOURS].start + rows])

    def apply(self, evidence: Evidence, bounded: bool = True) -> Vectors:
        """States of a region's cells, float32 [N, width]: own blocks, then the means of those over related cells.

        Args:
            evidence: of N cells.
            bounded: whether every number stays within what the fitted region knew, as encoders have it.
        """
        own = _own_blocks(self.blocks, evidence, bounded)
        side_by_side = np.concatenate(list(own.values()), axis=1)
        parts = own | {
            name: self.blocks[name].apply(*_mean_over(related, side_by_side), bounded)
            for name, related in _relations(evidence).items()
        }
        return np.concatenate([np.float32(weight) * parts[name] for name, weight in self.weights.items()], axis=1)


def fit_states(evidence: Evidence, parameters: InductiveParameters) -> StateMap:
    """Fit the blocks to a region.

    A modality's kind says how: the columns of a table, like those of amounts and flows, are standardised one by one;
    text and image vectors are reduced to principal components, which keep their variances. A column that does not vary
    gets 0. A modality's vectors and amounts share its weight, so that one with amounts weighs as much as one without.
    The squares of the weights sum to 1, and so does the mean square of a state.

    Args:
        evidence: of N cells; the blocks map them to states float32 [N, width].

    Raises:
        UserError: if every weight is 0.
    """
    blocks = {
        MODALITY + one.name: kind_of(one.kind).fit_block(one.vectors[one.present], parameters.components)
        for one in evidence.modalities
    }
    blocks |= {
        AMOUNTS + one.name: standardised(one.amounts[one.amounts_present])
        for one in evidence.modalities
        if one.amount_names
    }
    blocks[FLOWS] = standardised(evidence.flows)
    if evidence.rhythm and evidence.rhythm[1].any():
        shares, known = evidence.rhythm
        blocks[RHYTHM] = standardised(shares[known])
    weights = {FLOWS: parameters.flow_weight, RHYTHM: parameters.modality_weight}
    for one in evidence.modalities:
        own = [name for name in (MODALITY + one.name, AMOUNTS + one.name) if name in blocks]
        weights |= dict.fromkeys(own, parameters.modality_weight / len(own) ** 0.5)
    weights = {name: weights[name] for name in blocks}
    side_by_side = np.concatenate(list(_own_blocks(blocks, evidence).values()), axis=1)
    related_weights = (parameters.partner_weight, parameters.neighbour_weight)
    for (name, related), weight in zip(_relations(evidence).items(), related_weights, strict=True):
        means, present = _mean_over(related, side_by_side)
        blocks[name], weights[name] = _one_scale(means[present]), weight
    total = float(np.sqrt(sum(weight**2 for weight in weights.values())))
    if total == 0:
        raise UserError("encoder: every weight is 0, so cells have nothing to differ by. Give one a weight.")
    return StateMap(blocks, {name: weight / total for name, weight in weights.items()})


def check_finite(evidence: Evidence) -> None:
    """Refuse features with NaN or infinity: the mean over related cells would carry them on.

    Raises:
        UserError: naming the modality and the remedy.
    """
    for one in evidence.modalities:
        broken = int((~np.isfinite(one.vectors[one.present]).all(axis=1)).sum())
        if broken:
            raise UserError(
                f"encoder: features of {one.name} hold NaN or infinity in {broken} cells. Look at what "
                f"region.yaml names for modalities.{one.name}, and make {one.kind}_features again."
            )


def _relations(evidence: Evidence) -> dict[str, sparse.csr_array]:
    return {PARTNERS: evidence.partners, NEIGHBOURS: evidence.neighbours}


def _own_blocks(blocks: Mapping[str, Block], evidence: Evidence, bounded: bool = True) -> dict[str, Vectors]:
    """The mapped modalities, amounts and flows of each cell by block, float32 [N, k] each."""
    own = {MODALITY + one.name: (one.vectors, one.present) for one in evidence.modalities}
    own |= {AMOUNTS + one.name: (one.amounts, one.amounts_present) for one in evidence.modalities if one.amount_names}
    own[FLOWS] = (evidence.flows, np.ones(evidence.num_cells, dtype=bool))
    if RHYTHM in blocks:
        own[RHYTHM] = evidence.rhythm or _unknown(evidence.num_cells, len(blocks[RHYTHM].mean))
    return {name: blocks[name].apply(vectors, present, bounded) for name, (vectors, present) in own.items()}


def _unknown(num_cells: int, width: int) -> tuple[Vectors, Present]:
    """Evidence that no cell has: float32 [N, width], and bool [N]."""
    return np.zeros((num_cells, width), dtype=np.float32), np.zeros(num_cells, dtype=bool)


def _mean_over(related: sparse.csr_array, own: Vectors) -> tuple[Vectors, Present]:
    """Means of `own`, float32 [N, d], over each cell's related cells, float32 [N, d]; and who has any, bool [N]."""
    # `astype` would copy the columns too.
    narrow = sparse.csr_array((related.data.astype(np.float32), related.indices, related.indptr), shape=related.shape)
    return np.asarray(narrow @ own, dtype=np.float32), np.diff(related.indptr) > 0


def _one_scale(vectors: Vectors) -> Block:
    """All columns of float32 [n, d] by one factor, so that they keep their shares: means of blocks that are fitted."""
    exact = vectors.astype(np.float64)
    width = exact.shape[1]
    total = exact.var(axis=0).sum() if len(exact) else 0.0
    scale = 1 / np.sqrt(total) if total > SMALLEST_DEVIATION**2 else 0.0
    mean, deviation = (exact.mean(axis=0), exact.std(axis=0)) if len(exact) else (np.zeros(width), np.zeros(width))
    return Block.of(mean, np.eye(width) * scale, deviation * scale)
