"""LINE's closed form against dense linear algebra on small graphs, and what its vectors promise."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import sparse

from mora_pipeline.presets.paper import line_closed_form
from mora_pipeline.presets.paper.line import train_line
from mora_pipeline.presets.paper.line_closed_form import shifted_log_pmi, truncated_svd
from mora_pipeline.presets.paper.parameters import LineParameters

CLOSED = LineParameters(method="closed_form", dimension=8)


def random_edges(num_cells=40, count=300, seed=0):
    random = np.random.default_rng(seed)
    origin, destination = random.integers(0, num_cells, (2, count))
    between = origin != destination
    return origin[between], destination[between], random.exponential(1, count)[between]


def dense(edges, num_cells):
    directed = np.zeros((num_cells, num_cells))
    np.add.at(directed, edges[:2], edges[2])
    return directed


@given(seed=st.integers(0, 50), shift=st.sampled_from([0.5, 1.0, 5.0]))
def test_the_matrix_is_netmfs_formula(seed, shift):
    """log max(vol(G) / b · D⁻¹ A D⁻¹, 1) of the symmetrised flows, written densely."""
    edges, cells = random_edges(12, 25, seed), 12
    flows = dense(edges, cells) + dense(edges, cells).T
    strength = np.maximum(flows.sum(0), 1e-9)
    expected = np.log(np.maximum(flows.sum() / shift * flows / np.outer(strength, strength), 1))
    found = shifted_log_pmi(*edges, cells, CLOSED.model_copy(update={"shift": shift}))
    np.testing.assert_allclose(found.toarray(), expected, rtol=1e-12, atol=1e-12)


def test_directed_flows_are_compared_with_what_is_sent_and_received():
    edges, cells = random_edges(), 40
    flows = dense(edges, cells)
    expected = np.log(np.maximum(flows.sum() * flows / np.outer(flows.sum(1), flows.sum(0)), 1))
    found = shifted_log_pmi(*edges, cells, CLOSED.model_copy(update={"directed": True}))
    np.testing.assert_allclose(found.toarray(), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dense_cells", [0, 600])
def test_both_ways_find_the_singular_vectors_that_were_planted(monkeypatch, dense_cells):
    """A spectrum that falls slowly, as those of graphs do: power iterations must still find each vector."""
    random = np.random.default_rng(1)
    left, right = (np.linalg.qr(random.normal(size=(300, 300)))[0] for _ in range(2))
    values = 1 / np.sqrt(np.arange(1, 301))
    matrix = sparse.csr_array(left * values @ right.T)
    monkeypatch.setattr(line_closed_form, "DENSE_CELLS", dense_cells)
    found, found_values = truncated_svd(matrix, 8, torch.Generator().manual_seed(0))
    np.testing.assert_allclose(found_values, values[:8], rtol=1e-3)
    assert np.abs((found.numpy() * left[:, :8]).sum(0)).min() > 0.99
    largest = np.abs(found.numpy()).argmax(0)
    assert (found.numpy()[largest, range(8)] > 0).all()


@pytest.mark.parametrize("dense_cells", [0, 600])
def test_vectors_of_every_rank_are_the_root_of_the_dense_matrix(monkeypatch, dense_cells):
    """Turned or not, the products of U Σ^½ are U Σ Uᵀ = (M Mᵀ)^½, by numpy's eigenvalues of the dense product."""
    edges, cells = random_edges(), 40
    monkeypatch.setattr(line_closed_form, "DENSE_CELLS", dense_cells)
    monkeypatch.setattr(line_closed_form, "OVERSAMPLING", 0)
    parameters = CLOSED.model_copy(update={"dimension": cells})
    vectors = train_line(*edges, cells, parameters).astype(np.float64)
    matrix = shifted_log_pmi(*edges, cells, parameters).toarray()
    squares, basis = np.linalg.eigh(matrix @ matrix.T)
    root = basis * np.sqrt(np.maximum(squares, 0)) @ basis.T
    np.testing.assert_allclose(vectors @ vectors.T, root, atol=1e-4)


def test_a_small_part_of_the_graph_gets_vectors_as_well_as_a_large_one():
    """A part of 30 cells and one of 4: eight singular vectors of the whole would all belong to the first."""
    large, small = random_edges(30, 200), (np.array([30, 31, 32]), np.array([31, 32, 33]), np.ones(3))
    vectors = train_line(*(np.concatenate(both) for both in zip(large, small, strict=True)), 34, CLOSED)
    lengths = np.linalg.norm(vectors, axis=1)
    assert lengths[30:].min() > 0.3 * np.median(lengths[:30])


def test_more_dimensions_than_cells_are_no_trouble():
    vectors = train_line(np.array([0, 2]), np.array([1, 3]), np.ones(2), 4, CLOSED.model_copy(update={"dimension": 16}))
    assert vectors.shape == (4, 16)
    assert vectors.dtype == np.float32
    for part in (vectors[:2], vectors[2:]):
        np.testing.assert_allclose(part @ part.T, np.diag([np.log(4.0)] * 2), atol=1e-4)


def test_cells_with_the_same_neighbours_are_alike_though_never_linked():
    """Second order's promise: homes 0-39 work in halls 40-49 or in halls 50-59; no home is linked to a home."""
    origin = np.repeat(np.arange(40), 10)
    destination = np.concatenate([np.arange(10) + (40 if home < 20 else 50) for home in range(40)])
    vectors = train_line(origin, destination, np.ones(400), 60, CLOSED)
    unit = vectors[:40] / np.linalg.norm(vectors[:40], axis=1, keepdims=True)
    same = np.arange(40)[:, None] // 20 == np.arange(40) // 20
    cosine = unit @ unit.T
    assert cosine[same].min() > 0.99
    assert np.abs(cosine[~same]).max() < 0.9


def test_cells_of_which_nothing_is_known_keep_small_vectors_that_are_not_zero():
    """A fifth cell without flow: the gradient of a cosine has no bound at zero."""
    vectors = train_line(np.array([0, 2]), np.array([1, 3]), np.ones(2), 5, CLOSED)
    assert 0 < np.abs(vectors[4]).max() <= 0.5 / 8


def test_the_same_bytes_come_out_whatever_the_order_of_the_edges():
    edges = random_edges()
    order = np.random.default_rng(1).permutation(len(edges[0]))
    first = train_line(*edges, 40, CLOSED)
    assert first.tobytes() == train_line(*edges, 40, CLOSED).tobytes()
    assert first.tobytes() == train_line(*(part[order] for part in edges), 40, CLOSED).tobytes()


def test_normalised_vectors_have_length_one():
    vectors = train_line(*random_edges(), 40, CLOSED.model_copy(update={"normalise": True}))
    torch.testing.assert_close(torch.from_numpy(vectors).norm(dim=1), torch.ones(40))


def test_first_order_has_no_closed_form():
    with pytest.raises(ValidationError, match="no closed form of first order"):
        LineParameters(order=1, method="closed_form")
    assert LineParameters(order=1).order == 1
