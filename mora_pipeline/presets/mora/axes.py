"""Plain numbers beside the Gaussian units: directions of a state, so that trees can split on them one at a time.

Units answer nothing beyond what they have seen; a plain number goes on, up to its bound. All axes are linear in the
state, which is bounded, so they mean the same in every region that the encoder embeds.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mora_pipeline.modalities.blocks import SMALLEST_DEVIATION, fixed_signs
from mora_pipeline.presets.inductive.states import FLOWS, NEIGHBOURS, PARTNERS
from mora_pipeline.presets.mora.parameters import FLOW_FIGURES, MoraParameters

Vectors = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
# Root mean squares, beside the 1 of the flow figures; partners and neighbours have half of the surroundings each.
MODALITY_LENGTH, SURROUNDINGS_LENGTH = 0.5, 0.5
SMALLEST_SHARE = 1e-6  # of the strongest variance: below it, a direction of float32 states is rounding


@dataclass(frozen=True)
class Axes:
    """``state @ matrix - offset``: float32 [width, k] and [k]."""

    matrix: Vectors
    offset: Vectors

    def __call__(self, states: Vectors) -> Vectors:
        """The plain numbers of states, float32 [n, width]: float32 [n, k]."""
        return np.asarray(states @ self.matrix - self.offset, dtype=np.float32)


def fit_axes(
    states: Vectors, columns: Mapping[str, slice], flow_features: tuple[str, ...], parameters: MoraParameters
) -> Axes:
    """Fit the plain numbers of a region: flow figures, modalities, surroundings, in this order.

    Args:
        states: float32 [N, width], N ≥ 2.
        columns: those of each block of a state, by its name; no block has weight 0.
        flow_features: the names of the columns of the block of flows.

    Returns:
        Axes of up to ``len(FLOW_FIGURES) + modality_numbers + surroundings_numbers`` numbers, with mean 0 over the
        states; modalities of fewer directions give fewer.
    """
    half, each = parameters.surroundings_numbers // 2, SURROUNDINGS_LENGTH / 2**0.5
    own = [block for name, block in columns.items() if name not in (FLOWS, PARTNERS, NEIGHBOURS)]
    parts = [
        _flow_axes(states, columns.get(FLOWS), flow_features),
        _strongest(states, own, parameters.modality_numbers) * MODALITY_LENGTH,
        _strongest(states, [columns[PARTNERS]] if PARTNERS in columns else [], half, half) * each,
        _strongest(states, [columns[NEIGHBOURS]] if NEIGHBOURS in columns else [], half, half) * each,
    ]
    matrix = np.concatenate(parts, axis=1)
    return Axes(matrix.astype(np.float32), (states.mean(axis=0, dtype=np.float64) @ matrix).astype(np.float32))


def _flow_axes(states: Vectors, flows: slice | None, names: tuple[str, ...]) -> Floats:
    """One axis a flow figure, float64 [width, figures], of length 1 together; all zero without a block of flows."""
    axes = np.zeros((states.shape[1], len(FLOW_FIGURES)))
    if flows is None:
        return axes
    for axis, name in enumerate(FLOW_FIGURES):
        column = flows.start + names.index(name)
        deviation = states[:, column].std(dtype=np.float64)
        axes[column, axis] = 1 / deviation if deviation > SMALLEST_DEVIATION else 0.0
    return axes / np.sqrt(max(1, int(np.count_nonzero(axes))))


def _strongest(states: Vectors, blocks: list[slice], most: int, width: int = 0) -> Floats:
    """The strongest principal directions of single blocks, each block of one length, and together of length 1.

    Args:
        states: float32 [N, width of a state].
        blocks: columns.
        most: how many directions at most.
        width: zeros fill up to so many.

    Returns:
        float64 [width of a state, at most `most`], the strongest first; signs are fixed by the largest entry.
    """
    axes: list[tuple[float, Floats]] = []
    for block in blocks:
        part = states[:, block].astype(np.float64)
        part -= part.mean(axis=0)
        variances, directions = np.linalg.eigh(part.T @ part / len(part))
        total = variances.sum()
        if total <= SMALLEST_DEVIATION**2:
            continue
        for column in range(len(variances))[::-1][:most]:
            if variances[column] > SMALLEST_SHARE * variances[-1]:
                axis = np.zeros(states.shape[1])
                axis[block] = fixed_signs(directions[:, column : column + 1])[:, 0] / np.sqrt(total)
                axes.append((variances[column] / total, axis))
    axes = sorted(axes, key=lambda item: -item[0])[:most]
    together = float(np.sqrt(np.sum([share for share, _ in axes])))
    found = [axis / together for _, axis in axes]
    found += [np.zeros(states.shape[1])] * (width - len(found))
    return np.stack(found, axis=1) if found else np.zeros((states.shape[1], 0))
