"""The part of a vector that belongs to its region: who goes where."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mora_pipeline.contract.schemas import Edges
from mora_pipeline.presets.mora.factors import CELLS_A_FACTOR, factor_part, log_flow_factors
from mora_pipeline.presets.mora.parameters import MoraParameters
from mora_pipeline.presets.mora.train import region_part


def random_edges(num_cells, seed=0):
    """Flows whose logarithms have a few strong directions and little noise."""
    random = np.random.default_rng(seed)
    strong = random.normal(size=(num_cells, 4)) * [3.0, 2.0, 1.2, 0.6]
    flow = np.exp(1 + strong @ random.normal(size=(4, num_cells)) + 0.01 * random.normal(size=(num_cells, num_cells)))
    np.fill_diagonal(flow, 0)
    origin, destination = np.nonzero(flow)
    return flow, Edges(origin, destination, flow[origin, destination])


@pytest.mark.parametrize("num_cells", [12, 60])  # twelve vectors span all of twelve cells
def test_factors_are_those_of_a_dense_decomposition(num_cells):
    flow, edges = random_edges(num_cells)
    found = log_flow_factors(edges, num_cells, 3)
    left, values, _ = np.linalg.svd(np.log1p(np.concatenate([flow, flow.T], axis=1)), full_matrices=False)
    count = found.shape[1]
    expected = left[:, :count] * values[:count]
    signs = np.sign((found * expected).sum(axis=0))
    np.testing.assert_allclose(found * signs, expected, atol=1e-5 * values[0])


def test_factors_beyond_the_rank_of_the_flows_are_0():
    """All go from one cell to all others: two factors, and no rounding that a scale of 1 would blow up."""
    edges = Edges(np.zeros(59, np.int64), np.arange(1, 60), np.full(59, 20.0))
    found = log_flow_factors(edges, 60, 5)
    assert found[:, :2].any(axis=0).all()
    assert not found[:, 2:].any()
    assert not log_flow_factors(Edges(edges.origin, edges.destination, np.full(59, 1e-300)), 60, 5).any()


def test_factors_need_little_memory_beyond_the_flows():
    """A region has far more edges than cells: flows are held once, not beside their transpose."""
    random, num_edges = np.random.default_rng(0), 400_000
    edges = Edges(*random.integers(0, 2000, (2, num_edges), np.int32), random.exponential(1, num_edges))
    tracemalloc.start()
    log_flow_factors(edges, 2000, 8)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20 * num_edges


@settings(max_examples=20, deadline=None)
@given(num_cells=st.integers(4, 40), numbers=st.integers(0, 12), scale=st.sampled_from([1e-3, 1.0, 1e6]))
def test_factors_are_bounded_and_of_the_length_that_was_asked_for(num_cells, numbers, scale):
    _, edges = random_edges(num_cells, num_cells)
    part = factor_part(Edges(edges.origin, edges.destination, edges.flow * scale), num_cells, numbers)
    assert part.shape == (num_cells, numbers)
    assert np.isfinite(part).all()
    real = min(numbers, max(1, num_cells // CELLS_A_FACTOR))
    assert not part[:, real:].any()
    assert np.abs(part).max(initial=0) <= 0.5 * 3 * 1.2


def test_without_flows_there_are_zeros():
    nothing = Edges(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    assert not region_part(nothing, None, 7, MoraParameters()).any()


def test_where_nothing_can_be_aligned_factors_take_its_place():
    _, edges = random_edges(200)
    alone = region_part(edges, None, 200, MoraParameters())
    assert alone.shape == (200, 32)
    assert alone.any(axis=0).all()
    aligned = np.random.default_rng(1).normal(size=(200, 128)).astype(np.float32)
    both = region_part(edges, aligned, 200, MoraParameters())
    np.testing.assert_allclose(np.abs(both[:, :16]) > 0, np.abs(alone[:, :16]) > 0)
    assert np.sqrt(np.square(both[:, 16:]).sum(1).mean()) == pytest.approx(1, rel=1e-3)
