"""A cell described by its flows, in numbers that mean the same in every region: no ids, no factors of one graph."""

import numpy as np
import numpy.typing as npt

from mora_pipeline.contract.schemas import Edges
from mora_pipeline.contract.sphere import kilometres_between
from mora_pipeline.presets.merging import ENTRIES_AT_A_TIME

Floats = npt.NDArray[np.floating]
Rows = npt.NDArray[np.integer]

BANDS_KM = 2.0 ** np.arange(10)  # 1, 2, 4, … 512: from a step inside a city to a trip between states
QUANTILES = np.linspace(0, 1, 9)
SHARES = ("internal_share_out", "internal_share_in")


def flow_feature_names() -> list[str]:
    """The columns of `flow_features`, in order."""
    names = []
    for way in ("out", "in"):
        names += [f"{way}_{name}" for name in ("strength", "partners", "distance", "entropy")]
        names += [f"{way}_band_{band}" for band in range(len(BANDS_KM) + 1)]
        names += [f"{way}_quantile_{rank}" for rank in range(len(QUANTILES))]
    return [*names, "internal", *SHARES]


def flow_features(flows: Edges, internal_flow: Floats, latitude: Floats, longitude: Floats) -> npt.NDArray[np.float32]:
    """Describe each cell by its flows, out and in alike.

    Strength, number of partners, internal flow and the flow by distance band are ln(1 + ·); then the flow-weighted mean
    of ln(1 + km), the entropy of the partners' shares, nine quantiles of ln(1 + flow) over the partners, and the share
    of moves that stay inside the cell.

    Args:
        flows: rows of origins and destinations among the N cells, and flows, [edges] each.
        internal_flow: the flow inside each cell, [N].
        latitude, longitude: the cells' centres, degrees, [N].

    Returns:
        float32 [N, F], columns as in `flow_feature_names`; zeros where a cell has no flow in a direction.
    """
    count = len(latitude)
    kilometres = np.empty(len(flows.flow))
    for first in range(0, len(kilometres), ENTRIES_AT_A_TIME):
        block = slice(first, first + ENTRIES_AT_A_TIME)
        kilometres[block] = kilometres_between(latitude, longitude, flows.origin[block], flows.destination[block])
    columns: list[Floats] = []
    strengths = []
    for end in (flows.origin, flows.destination):
        strength: npt.NDArray[np.float64] = np.bincount(end, flows.flow, count).astype(np.float64, copy=False)
        columns += _moments(end, flows.flow, kilometres, strength)
        columns += _bands(end, flows.flow, kilometres, count)
        columns += list(_quantiles(end, flows.flow, count).T)
        strengths.append(strength)
    columns.append(np.log1p(internal_flow))
    columns += [_ratio(internal_flow, strength + internal_flow) for strength in strengths]
    return np.stack(columns, axis=1).astype(np.float32)


def flow_level(features: npt.NDArray[np.floating]) -> float:
    """What flows out of the middle cell of those that have any, in the unit of the flows; 0 without flows.

    Args:
        features: `flow_features`, [N, F].
    """
    strength = features[:, flow_feature_names().index("out_strength")]
    return float(np.expm1(np.median(strength[strength > 0]))) if (strength > 0).any() else 0.0


def _moments(end: Rows, flow: Floats, kilometres: Floats, strength: Floats) -> list[Floats]:
    """Strength, number of partners, mean distance and entropy of one direction, [N] each, of `end` rows [edges]."""
    count = len(strength)
    share = strength[end]
    np.divide(flow, share, out=share)
    weighted = np.log1p(kilometres)
    weighted *= share
    distance = np.bincount(end, weighted, count)
    np.log(share, out=weighted)
    weighted *= share
    entropy = -np.bincount(end, weighted, count)
    return [np.log1p(strength), np.log1p(np.bincount(end, minlength=count)), distance, entropy]


def _bands(end: Rows, flow: Floats, kilometres: Floats, count: int) -> list[Floats]:
    """ln(1 + flow) to partners within each distance band, [N] a band; the last one is beyond all bounds."""
    bands = len(BANDS_KM) + 1
    slot = end.astype(np.int64)
    slot *= bands
    slot += np.searchsorted(BANDS_KM, kilometres)
    return list(np.log1p(np.bincount(slot, flow, count * bands)).reshape(count, bands).T)


def _quantiles(end: Rows, flow: Floats, count: int) -> Floats:
    """Quantiles of ln(1 + flow) over each cell's partners, [N, 9], interpolated as numpy does."""
    partners = np.bincount(end, minlength=count)
    first = np.cumsum(partners) - partners
    ordered = flow[np.lexsort((flow, end))]
    np.log1p(ordered, out=ordered)
    quantiles = np.zeros((count, len(QUANTILES)))
    has = partners > 0
    position = QUANTILES * (partners[has, None] - 1)
    below, above = np.floor(position).astype(np.int64), np.ceil(position).astype(np.int64)
    low, high = (ordered[first[has, None] + rank] for rank in (below, above))
    quantiles[has] = low + (high - low) * (position - below)
    return quantiles


def _ratio(part: Floats, whole: Floats) -> Floats:
    """part / whole, and 0 where there is nothing."""
    return np.divide(part, whole, out=np.zeros(len(whole)), where=whole > 0)
