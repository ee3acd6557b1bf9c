"""The largest of each origin's edges by some key: an exact kernel without a sort, and an independent proof."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Cells = npt.NDArray[np.int64]
Indices = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Key = npt.NDArray[Any]  # float64 or uint64


def starts_of(origin: Cells) -> Indices:
    """Where each origin begins, int64 [origins], in edges sorted by origin, int64 [edges]."""
    if not len(origin):
        return np.empty(0, dtype=np.int64)
    return np.concatenate([[0], np.flatnonzero(origin[1:] != origin[:-1]) + 1])


def largest(starts: Indices, destination: Cells, key: Key, count: Indices) -> Mask:
    """True for each origin's largest keys, ties won by the smaller destination.

    Args:
        starts: int64 [n], where each origin begins.
        destination, key: [edges] of whole origins; the destinations of an origin may be in any order.
        count: int64 [n], how many edges stay of each origin, from 1 to all.
    """
    degrees = np.diff(starts, append=len(key))
    limit = np.repeat(smallest_kept(starts, degrees, key, count), degrees)
    mask: Mask = key >= limit
    kept = np.flatnonzero(mask)
    held = np.diff(np.searchsorted(kept, starts), append=len(kept)) if len(starts) else count
    surplus = held - count
    if surplus.any():
        at_limit = kept[np.repeat(surplus > 0, held)]
        at_limit = at_limit[key[at_limit] == limit[at_limit]]
        owner = np.searchsorted(starts, at_limit, side="right") - 1
        mask[_last_by_destination(at_limit, owner, destination, surplus)] = False
    return mask


def smallest_kept(starts: Indices, degrees: Indices, key: Key, count: Indices) -> Key:
    """Each origin's key of rank ``count``, the largest having rank 1: one selection for all origins of a degree."""
    limit = np.empty(len(starts), dtype=key.dtype)
    order = np.lexsort((count, degrees))
    alike = np.flatnonzero((np.diff(degrees[order], prepend=0) != 0) | (np.diff(count[order], prepend=0) != 0))
    for first, after in zip(alike, np.append(alike[1:], len(order)), strict=True):
        members = order[first:after]
        degree, place = degrees[members[0]], degrees[members[0]] - count[members[0]]
        rows = key[starts[members][:, np.newaxis] + np.arange(degree)]
        rows.partition(place, axis=1)
        limit[members] = rows[:, place]
    return limit


def _last_by_destination(edges: Indices, owner: Indices, destination: Cells, surplus: Indices) -> Indices:
    """Of each origin's edges, as many as it has surplus, from the largest destination down.

    Args:
        edges, owner: positions of edges and the numbers of their origins, ascending.
        surplus: by number of origin.
    """
    ends = destination[edges]
    if ((ends[1:] < ends[:-1]) & (owner[1:] == owner[:-1])).any():  # they ascend in all that grid_mobility writes
        edges = edges[np.lexsort((ends, owner))]
    first = starts_of(owner)
    sizes = np.diff(first, append=len(edges))
    from_the_end = np.repeat(first + sizes, sizes) - np.arange(len(edges))
    return edges[from_the_end <= np.repeat(surplus[owner[first]], sizes)]


def broken_ranking(origin: Cells, destination: Cells, key: Key, mask: Mask, wanted: Callable[[int], int]) -> int:
    """Origins where too few or too many edges stay, or where a dropped edge beats a kept one.

    Shares no step with `largest`: counts and extremes of each origin, no selection and no sort.

    Args:
        origin, destination, key, mask: [edges], at least one, sorted by origin; the mask is true where the edge stays.
        wanted: how many edges of an origin stay, from its degree.
    """
    first, last = np.append(0, np.flatnonzero(origin[:-1] < origin[1:]) + 1), np.iinfo(np.int64)
    degrees = np.diff(np.append(first, len(origin)))
    distinct, position = np.unique(degrees, return_inverse=True)
    expected = np.asarray([wanted(degree) for degree in distinct.tolist()], dtype=np.int64)[position]
    kept = np.add.reduceat(mask, first, dtype=np.int64)
    lowest, highest = (-np.inf, np.inf) if key.dtype.kind == "f" else (0, np.iinfo(key.dtype).max)
    weakest_kept = np.minimum.reduceat(np.where(mask, key, key.dtype.type(highest)), first)
    strongest_dropped = np.maximum.reduceat(np.where(mask, key.dtype.type(lowest), key), first)
    wrong = (kept != expected) | ~(strongest_dropped <= weakest_kept)  # so written, a NaN is wrong
    tied = ~wrong & (strongest_dropped == weakest_kept)
    if tied.any():
        chosen = np.repeat(tied, degrees)
        at_limit = key[chosen] == np.repeat(weakest_kept[tied], degrees[tied])
        stays, ends = mask[chosen], destination[chosen]
        own = np.cumsum(degrees[tied]) - degrees[tied]
        last_kept = np.maximum.reduceat(np.where(at_limit & stays, ends, last.min), own)
        first_dropped = np.minimum.reduceat(np.where(at_limit & ~stays, ends, last.max), own)
        wrong[tied] = last_kept > first_dropped
    return int(wrong.sum())
