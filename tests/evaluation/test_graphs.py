"""Graphs of ablations keep what they promise, against plain loops."""

import math
from random import Random

import h3
import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from mora_pipeline.contract.schemas import Edges
from mora_pipeline.evaluation.ablation.graphs import (
    at_least,
    median_flow,
    random_share,
    rewired,
    same_edges,
    top_share,
)
from mora_pipeline.evaluation.methods.flows import pieces
from mora_pipeline.evaluation.methods.training import neighbour_edges

SIZE = 12


@st.composite
def graphs(draw: st.DrawFn) -> Edges:
    pairs = draw(st.sets(st.tuples(st.integers(0, SIZE - 1), st.integers(0, SIZE - 1)), min_size=1, max_size=60))
    chosen = [pair for pair in sorted(pairs) if pair[0] != pair[1]] or [(0, 1)]
    flows = draw(st.lists(st.integers(1, 5), min_size=len(chosen), max_size=len(chosen)))
    origin, destination = np.array(chosen).T
    return Edges(origin, destination, np.array(flows, dtype=float))


def listed(edges: Edges) -> list[tuple[int, int, float]]:
    return sorted(zip(edges.origin.tolist(), edges.destination.tolist(), edges.flow.tolist(), strict=True))


@given(graphs())
def test_pieces_are_what_flows_join_in_either_direction(edges: Edges) -> None:
    joined = [{cell} for cell in range(SIZE)]
    for origin, destination, _ in listed(edges):
        together = next(piece for piece in joined if origin in piece) | next(p for p in joined if destination in p)
        joined = [piece for piece in joined if not piece & together] + [together]
    assert pieces(edges, SIZE) == (len(joined), max(map(len, joined)) / SIZE)


@given(graphs(), st.floats(0.01, 1))
def test_the_strongest_share_of_each_origin_stays(edges: Edges, share: float) -> None:
    expected = []
    for origin in range(SIZE):
        own = sorted((edge for edge in listed(edges) if edge[0] == origin), key=lambda edge: (-edge[2], edge[1]))
        expected += own[: max(1, math.ceil(share * len(own) - 1e-9))] if own else []
    assert listed(top_share(edges, share)) == sorted(expected)


@given(graphs(), st.floats(0.01, 1))
def test_chance_keeps_as_many_of_each_origin(edges: Edges, share: float) -> None:
    kept, strongest = random_share(edges, share, 1), top_share(edges, share)
    assert np.array_equal(np.bincount(kept.origin, minlength=SIZE), np.bincount(strongest.origin, minlength=SIZE))
    assert set(listed(kept)) <= set(listed(edges))
    assert listed(random_share(edges, share, 1)) == listed(kept)


@given(graphs(), st.randoms(use_true_random=False))
def test_graphs_are_the_same_in_any_order_and_not_with_another_flow_or_edge(edges: Edges, random: Random) -> None:
    order = np.array(random.sample(range(len(edges.flow)), len(edges.flow)))
    assert same_edges(edges, Edges(edges.origin[order], edges.destination[order], edges.flow[order]))
    assert not same_edges(edges, Edges(edges.origin, edges.destination, edges.flow + 1))
    assert not same_edges(edges, Edges(edges.origin[1:], edges.destination[1:], edges.flow[1:]))


def test_a_threshold_keeps_flows_from_it_on() -> None:
    edges = Edges(np.array([0, 0, 1, 2]), np.array([1, 2, 0, 0]), np.array([1.0, 4.0, 2.0, 9.0]))
    assert median_flow(edges) == 3
    assert listed(at_least(edges, 4)) == [(0, 2, 4.0), (2, 0, 9.0)]


def test_rewiring_keeps_every_degree_and_flow_and_makes_no_loop_or_repetition() -> None:
    random = np.random.default_rng(0)
    pairs = np.unique(random.integers(0, 60, (2, 500)), axis=1)
    pairs = pairs[:, pairs[0] != pairs[1]]
    edges = Edges(*pairs, random.integers(1, 9, pairs.shape[1]).astype(float))
    found = rewired(edges, 3)
    for end in ("origin", "destination"):
        assert np.array_equal(np.bincount(getattr(found, end)), np.bincount(getattr(edges, end)))
    assert np.array_equal(found.flow, edges.flow)
    joined = set(zip(found.origin.tolist(), found.destination.tolist(), strict=True))
    assert len(joined) == len(edges.flow)
    assert all(origin != destination for origin, destination in joined)
    before = set(zip(*pairs.tolist(), strict=True))
    assert len(joined & before) < 0.5 * len(before)


def test_neighbours_are_the_ring_around_a_cell_where_the_grid_is_whole(cells: pa.Table) -> None:
    numbers = cells["cell"].to_numpy()
    found = {(a, b) for a, b, flow in listed(neighbour_edges(centres(cells))) if flow == 1}
    names = [h3.int_to_str(int(number)) for number in numbers]
    position = {name: at for at, name in enumerate(names)}
    inner = [at for at, name in enumerate(names) if all(one in position for one in h3.grid_ring(name, 3))]
    assert len(inner) > 60
    for at in inner:
        assert {b for a, b in found if a == at} == {position[one] for one in h3.grid_ring(names[at], 1)}


def test_cells_that_lie_apart_have_their_nearest_as_neighbours(cells: pa.Table) -> None:
    apart = cells.take(np.arange(0, len(cells), 17))
    points = centres(apart)
    found = {(a, b) for a, b, _ in listed(neighbour_edges(points, 3))}
    far = [[h3.great_circle_distance(tuple(one), tuple(two)) for two in points] for one in points]
    nearest = {(a, int(b)) for a, row in enumerate(far) for b in np.argsort(row)[1:4]}
    assert found == nearest | {(b, a) for a, b in nearest}


def centres(cells: pa.Table) -> np.ndarray:
    return np.stack([cells["latitude"].to_numpy(), cells["longitude"].to_numpy()], axis=1)
