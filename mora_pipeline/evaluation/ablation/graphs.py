"""Graphs in place of the region's own: other samples of the flows, and chance.

On arrays, for regions that training can hold; a region's own graph is sampled by Spark.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from mora_pipeline.contract.ranking import largest, starts_of
from mora_pipeline.contract.sampling import checked_share, kept_by_degree
from mora_pipeline.contract.schemas import Edges

REPAIRS = 100  # passes over the moves from a cell to itself and the repeated pairs that chance makes


def top_share(edges: Edges, share: float) -> Edges:
    """Of each origin the strongest max(1, ceil(share · out-degree)) flows; ties won by the smaller destination."""
    return _largest_of_each(edges, edges.flow, share)


def random_share(edges: Edges, share: float, seed: int) -> Edges:
    """As many flows of each origin as `top_share` keeps, chosen by chance."""
    return _largest_of_each(edges, -np.random.default_rng(seed).random(len(edges.flow)), share)


def at_least(edges: Edges, flow: float) -> Edges:
    """Flows of a minimum and more; may be none."""
    return chosen_edges(edges, np.flatnonzero(edges.flow >= flow))


def median_flow(edges: Edges) -> float:
    """The flow that half of the edges reach: a threshold that no label has chosen. 0 without edges."""
    return float(np.median(edges.flow)) if len(edges.flow) else 0.0


def same_edges(one: Edges, other: Edges) -> bool:
    """Whether two graphs hold the same flows, in whatever order."""
    return all(np.array_equal(*pair) for pair in zip(_ordered(one), _ordered(other), strict=True))


def rewired(edges: Edges, seed: int) -> Edges:
    """The same cells with the same numbers of origins and destinations, joined by chance.

    Destinations are dealt out anew among the edges; each edge keeps its origin and its flow. Where that joins a cell
    to itself or repeats a pair, the destination is swapped with another edge's, in up to `REPAIRS` passes.
    """
    generator = np.random.default_rng(seed)
    origin, destination = edges.origin, generator.permutation(edges.destination)
    for _ in range(REPAIRS):
        wrong = _unwanted(origin, destination)
        if not len(wrong):
            break
        for edge, other in zip(wrong, generator.integers(0, len(origin), len(wrong)), strict=True):
            destination[[edge, other]] = destination[[other, edge]]
    return Edges(origin, destination, edges.flow)


def _unwanted(origin: npt.NDArray[np.integer], destination: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """Edges from a cell to itself, and all but the first of each repeated pair."""
    order = np.lexsort((destination, origin))
    repeated = (np.diff(origin[order]) == 0) & (np.diff(destination[order]) == 0)
    return np.union1d(np.flatnonzero(origin == destination), order[1:][repeated]).astype(np.int64)


def _largest_of_each(edges: Edges, key: npt.NDArray[np.float64], share: float) -> Edges:
    """Of each origin the share of its edges with the largest keys, in the order they came in."""
    if not len(key):
        return edges
    order = np.argsort(edges.origin, kind="stable")
    starts = starts_of(edges.origin[order].astype(np.int64))
    destination = edges.destination[order].astype(np.int64)
    count = kept_by_degree(np.diff(starts, append=len(order)), checked_share(share))
    return chosen_edges(edges, np.sort(order[largest(starts, destination, key[order], count)]))


def _ordered(edges: Edges) -> tuple[npt.NDArray[Any], ...]:
    order = np.lexsort((edges.destination, edges.origin))
    return edges.origin[order], edges.destination[order], edges.flow[order]


def chosen_edges(edges: Edges, rows: npt.NDArray[np.integer]) -> Edges:
    """Some of the edges, by their rows, integer [m]."""
    return Edges(edges.origin[rows], edges.destination[rows], edges.flow[rows])
