import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from mora_pipeline.presets.paper.graph import Adjacency, symmetrise_and_normalise
from mora_pipeline.presets.paper.lightgcn import LightGCN
from mora_pipeline.presets.paper.propagation import Propagation

NUM_CELLS, DIMENSION = 50, 7


@pytest.fixture(scope="module")
def matrix():
    random = np.random.default_rng(3)
    origin, destination = random.integers(0, NUM_CELLS - 5, (2, 300))  # the last five cells have no flow
    return symmetrise_and_normalise(origin, destination, random.exponential(10, 300), NUM_CELLS)


@pytest.fixture(scope="module")
def vectors():
    return torch.randn(NUM_CELLS, DIMENSION, generator=torch.Generator().manual_seed(0))


def product_and_gradient(propagation, vectors):
    vectors = vectors.clone().requires_grad_()
    product = propagation @ vectors
    (product * torch.linspace(-1, 1, product.numel()).view_as(product)).sum().backward()
    return product.detach(), vectors.grad


@pytest.mark.parametrize("backend", ["torch", "dgl"])
def test_each_backend_is_the_dense_product_with_its_gradient(matrix, vectors, backend):
    dense = torch.from_numpy(matrix.toarray()).float()
    expected, expected_gradient = product_and_gradient(dense, vectors)
    product, gradient = product_and_gradient(Propagation(Adjacency.from_matrix(matrix), backend), vectors)
    torch.testing.assert_close(product, expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-5, atol=1e-6)


def test_the_two_backends_agree_through_two_layers(matrix, vectors):
    results = []
    for backend in ("torch", "dgl"):
        model = LightGCN(vectors, layers=2)
        embeddings = model(Propagation(Adjacency.from_matrix(matrix), backend))
        embeddings.pow(2).sum().backward()
        results.append((embeddings.detach(), model.table.grad))
    torch.testing.assert_close(results[0], results[1], rtol=1e-5, atol=1e-5)


def test_a_product_with_a_gradient_that_is_no_matrix_of_its_own(matrix, vectors):
    """`sum().backward()` hands over an expanded scalar, which sparse kernels reject or misread."""
    table = vectors.clone().requires_grad_()
    (Propagation(Adjacency.from_matrix(matrix)) @ table).sum().backward()
    expected = torch.from_numpy(matrix.toarray().sum(0)).float()[:, None].expand(-1, DIMENSION)
    torch.testing.assert_close(table.grad, expected, rtol=1e-5, atol=1e-6)


def test_a_graph_without_edges_gives_zeros(vectors):
    nowhere = np.empty(0, dtype=np.int64)
    adjacency = Adjacency.from_matrix(symmetrise_and_normalise(nowhere, nowhere, np.empty(0), NUM_CELLS))
    for backend in ("torch", "dgl"):
        product, gradient = product_and_gradient(Propagation(adjacency, backend), vectors)
        assert not product.any()
        assert not gradient.any()


def test_auto_takes_torch(matrix):
    assert Propagation(Adjacency.from_matrix(matrix), "auto").backend == "torch"


def test_dgl_is_imported_only_when_asked_for_and_leaves_no_file_at_home(tmp_path):
    script = """
import sys
from mora_pipeline.presets.paper import trainer
assert "dgl" not in sys.modules
import numpy as np
from mora_pipeline.presets.paper.graph import Adjacency, symmetrise_and_normalise
from mora_pipeline.presets.paper.propagation import Propagation
pair = np.array([0]), np.array([1])
Propagation(Adjacency.from_matrix(symmetrise_and_normalise(*pair, np.array([2.0]), 3)), "dgl")
assert "dgl" in sys.modules
"""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DGL")}
    subprocess.run([sys.executable, "-c", script], check=True, env=environment | {"HOME": str(tmp_path)}, timeout=300)
    assert not (tmp_path / ".dgl").exists()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_gives_the_cpus_product(matrix, vectors):
    adjacency = Adjacency.from_matrix(matrix)
    expected = product_and_gradient(Propagation(adjacency), vectors)
    product, gradient = product_and_gradient(Propagation(adjacency.to("cuda")), vectors.to("cuda"))
    torch.testing.assert_close((product.cpu(), gradient.cpu()), expected, rtol=1e-5, atol=1e-5)
