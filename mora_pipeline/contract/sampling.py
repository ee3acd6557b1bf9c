"""Which edges of an origin stay: strategies over arrays of whole origins, each with a proof of its result."""

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.ranking import Cells, Indices, Key, Mask, broken_ranking, largest, starts_of

Flow = npt.NDArray[np.float64]
Hashes = npt.NDArray[np.uint64]
KeyOf = Callable[[Cells, Cells, Flow], Key]


@dataclass(frozen=True)
class Strategy:
    """A way to sample.

    ``keep`` (origin, destination, flow of whole origins, sorted by origin) → bool, true where the edge stays;
    ``broken`` (the same, and the mask) → number of origins where the mask is not what the strategy promises.
    """

    keep: Callable[[Cells, Cells, Flow], Mask]
    broken: Callable[[Cells, Cells, Flow, Mask], int]


def checked_share(value: object) -> Fraction:
    """A share as the decimal that was written: 0.1 is one tenth, not the nearest binary fraction.

    Raises:
        UserError: if it is not a number above 0 and up to 1.
    """
    try:
        share = Fraction(str(value))
    except (ValueError, ZeroDivisionError):
        share = Fraction(0)
    if isinstance(value, bool) or not 0 < share <= 1:
        raise UserError(f"share is {value!r}: say a number above 0 and up to 1 (0.1 keeps a tenth).")
    return share


def checked_whole(name: str, value: object, smallest: int) -> int:
    """A whole number below 2^63.

    Raises:
        UserError: if it is not a whole number, or too small.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not smallest <= value < 1 << 63:
        raise UserError(f"{name} is {value!r}: say a whole number from {smallest} up.")
    return value


def checked_minimum_flow(value: object) -> float:
    """The least flow that stays.

    Raises:
        UserError: if it is not a number above 0.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < sys.float_info.max:
        raise UserError(f"minimum_flow is {value!r}: say a number above 0, in the unit of the flows.")
    return float(value)


def kept_by_degree(degrees: Indices, share: Fraction) -> Indices:
    """``max(1, ceil(share · degree))``, exact: method.md, 'Where the sources are silent' 1."""
    distinct, position = np.unique(degrees, return_inverse=True)
    counts = [max(1, -(-int(degree) * share.numerator // share.denominator)) for degree in distinct]
    return np.asarray(counts, dtype=np.int64)[position]


def hashes(origin: Cells, destination: Cells, seed: int) -> Hashes:
    """A number for each edge that depends on its two ends and the seed alone, as if drawn from all of uint64.

    Origins and destinations are int64 [edges], sorted by origin; the numbers are uint64 [edges].

    Source: chained finalisers of splitmix64 (Steele, Lea and Flood 2014).
    """
    starts = starts_of(origin)
    mixed = _mixed(_mixed(np.full(1, seed, dtype=np.uint64)) ^ origin[starts].view(np.uint64))
    return _mixed(np.repeat(mixed, np.diff(starts, append=len(origin))) ^ destination.view(np.uint64))


def _mixed(number: Hashes) -> Hashes:
    number = number + np.uint64(0x9E3779B97F4A7C15)
    number = (number ^ (number >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    number = (number ^ (number >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return number ^ (number >> np.uint64(31))


def ranked(key_of: KeyOf, count_of: Callable[[Indices], Indices], wanted: Callable[[int], int]) -> Strategy:
    """Keep each origin's largest by a key, ties won by the smaller destination.

    Args:
        count_of: how many stay, from all degrees at once; ``wanted``: the same from one degree, for the proof.
    """

    def keep(origin: Cells, destination: Cells, flow: Flow) -> Mask:
        starts = starts_of(origin)
        count = count_of(np.diff(starts, append=len(origin)))
        return largest(starts, destination, key_of(origin, destination, flow), count)

    def broken(origin: Cells, destination: Cells, flow: Flow, mask: Mask) -> int:
        return broken_ranking(origin, destination, key_of(origin, destination, flow), mask, wanted)

    return Strategy(keep, broken)


def top_share(params: Mapping[str, Any]) -> Strategy:
    """The strongest share of each origin's edges, one at least: the method's."""
    share = checked_share(params.get("share"))
    return ranked(_flow, partial(kept_by_degree, share=share), lambda degree: max(1, math.ceil(share * degree)))


def random_share(params: Mapping[str, Any]) -> Strategy:
    """As many edges as `top_share`, whatever their flow: those whose hash is largest."""
    share, seed = checked_share(params.get("share")), checked_whole("seed", params.get("seed", 0), 0)
    key_of: KeyOf = lambda origin, destination, _: hashes(origin, destination, seed)  # noqa: E731
    return ranked(key_of, partial(kept_by_degree, share=share), lambda degree: max(1, math.ceil(share * degree)))


def fixed_k(params: Mapping[str, Any]) -> Strategy:
    """The strongest k edges of each origin, or all that it has."""
    k = checked_whole("k", params.get("k"), 1)
    return ranked(_flow, lambda degrees: np.minimum(degrees, k), lambda degree: min(degree, k))


def threshold(params: Mapping[str, Any]) -> Strategy:
    """Every edge of at least the minimum flow; an origin may lose all."""
    minimum = checked_minimum_flow(params.get("minimum_flow"))
    return Strategy(
        lambda origin, destination, flow: flow >= minimum,
        lambda origin, destination, flow, mask: broken_extremes(origin, flow, mask, minimum),
    )


def everything(params: Mapping[str, Any]) -> Strategy:
    """Every edge."""
    return Strategy(
        lambda origin, destination, flow: np.ones(len(origin), dtype=bool),
        lambda origin, destination, flow, mask: len(np.unique(origin[~mask])),
    )


def broken_extremes(origin: Cells, flow: Flow, mask: Mask, minimum: float) -> int:
    """Origins whose weakest kept edge is too weak, or whose strongest dropped edge is not; arrays are [edges]."""
    starts = starts_of(origin)
    weakest_kept = np.minimum.reduceat(np.where(mask, flow, np.inf), starts)
    strongest_dropped = np.maximum.reduceat(np.where(mask, -np.inf, flow), starts)
    return int(np.count_nonzero(~((weakest_kept >= minimum) & (strongest_dropped < minimum))))


def _flow(origin: Cells, destination: Cells, flow: Flow) -> Flow:
    return flow


STRATEGIES: dict[str, Callable[[Mapping[str, Any]], Strategy]] = {
    "top_share": top_share,
    "random_share": random_share,
    "fixed_k": fixed_k,
    "threshold": threshold,
    "none": everything,
}


def make_strategy(params: Mapping[str, Any]) -> Strategy:
    """The strategy that a job's parameters name.

    Raises:
        UserError: if there is no strategy of that name, or its own parameters are wrong.
    """
    name = params.get("strategy", "top_share")
    if not isinstance(name, str) or name not in STRATEGIES:
        raise UserError(f"strategy is {name!r}: say {', '.join(STRATEGIES)}.")
    return STRATEGIES[name](params)
