"""Which edges of an origin stay: strategies over arrays of whole origins, each with a proof of its result."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from spark_jobs.errors import InputError

Cells = npt.NDArray[np.int64]
Flow = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Keep = Callable[[Cells, Cells, Flow], Mask]


@dataclass(frozen=True)
class Strategy:
    """A way to sample.

    ``keep`` (origin, destination, flow of whole origins, sorted by origin) → bool, true where the edge stays;
    ``broken`` (the same, and the mask) → number of origins where the mask is not what the strategy promises.
    """

    keep: Keep
    broken: Callable[[Cells, Cells, Flow, Mask], int]


def checked_share(value: object) -> Fraction:
    """A share as the decimal that was written: 0.1 is one tenth, not the nearest binary fraction.

    Raises:
        InputError: if it is not a number above 0 and up to 1.
    """
    try:
        share = Fraction(str(value))
    except (ValueError, ZeroDivisionError):
        share = Fraction(0)
    if isinstance(value, bool) or not 0 < share <= 1:
        raise InputError(f"share is {value!r}: say a number above 0 and up to 1 (0.1 keeps a tenth).")
    return share


def kept_by_degree(degrees: Cells, share: Fraction) -> Cells:
    """``max(1, ceil(share · degree))``, exact: method.md, 'Where the sources are silent' 1."""
    distinct, position = np.unique(degrees, return_inverse=True)
    counts = [max(1, -(-int(degree) * share.numerator // share.denominator)) for degree in distinct]
    return np.asarray(counts, dtype=np.int64)[position]


def starts_of(origin: Cells) -> Cells:
    """Where each origin begins."""
    return np.flatnonzero(np.concatenate([[True], origin[1:] != origin[:-1]]))


def top_share(origin: Cells, destination: Cells, flow: Flow, share: Fraction) -> Mask:
    """True for each origin's strongest flows, ties won by the smaller destination.

    Args:
        origin, destination, flow: edges of whole origins, sorted by origin.
        share: of each origin's edges, in (0, 1]; one edge stays at least.
    """
    mask = np.zeros(len(origin), dtype=bool)
    if not len(origin):
        return mask
    starts = starts_of(origin)
    degrees = np.diff(np.append(starts, len(origin)))
    order = np.lexsort((destination, -flow, origin))
    rank = np.arange(len(origin)) - np.repeat(starts, degrees)  # sorting keeps each origin in its own stretch
    mask[order] = rank < np.repeat(kept_by_degree(degrees, share), degrees)
    return mask


def broken_top_share(origin: Cells, destination: Cells, flow: Flow, mask: Mask, share: Fraction) -> int:
    """Origins where too few or too many edges stay, or where a dropped edge beats a kept one.

    Shares no step with `top_share`: sums and extremes of each origin, no sorting.
    """
    starts = starts_of(origin)
    kept = np.add.reduceat(mask.astype(np.int64), starts)
    degrees = np.add.reduceat(np.ones(len(origin), dtype=np.int64), starts)
    wanted = np.asarray([max(1, -((-degree * share).__floor__())) for degree in degrees.tolist()], dtype=np.int64)
    weakest_kept = np.minimum.reduceat(np.where(mask, flow, np.inf), starts)
    strongest_dropped = np.maximum.reduceat(np.where(mask, -np.inf, flow), starts)
    limit = np.repeat(weakest_kept, degrees)
    last, first = np.iinfo(np.int64).max, np.iinfo(np.int64).min
    tied_kept = np.maximum.reduceat(np.where(mask & (flow == limit), destination, first), starts)
    tied_dropped = np.minimum.reduceat(np.where(~mask & (flow == limit), destination, last), starts)
    wrong = (kept != wanted) | (strongest_dropped > weakest_kept) | (tied_kept > tied_dropped)
    return int(wrong.sum())


def _top_share(params: Mapping[str, Any]) -> Strategy:
    share = checked_share(params.get("share"))
    return Strategy(
        lambda origin, destination, flow: top_share(origin, destination, flow, share),
        lambda origin, destination, flow, mask: broken_top_share(origin, destination, flow, mask, share),
    )


STRATEGIES: dict[str, Callable[[Mapping[str, Any]], Strategy]] = {"top_share": _top_share}


def make_strategy(params: Mapping[str, Any]) -> Strategy:
    """The strategy that a job's parameters name.

    Raises:
        InputError: if there is none of that name, or its own parameters are wrong.
    """
    name = params.get("strategy", "top_share")
    if name not in STRATEGIES:
        raise InputError(f"strategy is '{name}': say {', '.join(STRATEGIES)}.")
    return STRATEGIES[name](params)
