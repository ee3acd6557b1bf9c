import numpy as np
import pytest
import torch

from mora_pipeline.presets.paper.graph import Adjacency, symmetrise_and_normalise
from mora_pipeline.presets.paper.lightgcn import LightGCN
from mora_pipeline.presets.paper.propagation import Propagation


@pytest.mark.parametrize("layers", [0, 1, 2, 5])
def test_the_embedding_is_the_sum_of_dense_matrix_powers(layers):
    random = np.random.default_rng(1)
    matrix = symmetrise_and_normalise(*random.integers(0, 30, (2, 90)), random.exponential(5, 90), 30)
    initial = random.normal(size=(30, 8)).astype(np.float32)
    dense = matrix.toarray()
    expected = sum(np.linalg.matrix_power(dense, power) @ initial for power in range(layers + 1))
    embeddings = LightGCN(torch.from_numpy(initial), layers)(Propagation(Adjacency.from_matrix(matrix)))
    np.testing.assert_allclose(embeddings.detach().numpy(), expected, rtol=1e-5, atol=1e-5)


def test_the_table_is_a_trainable_copy():
    initial = torch.ones(3, 2)
    model = LightGCN(initial)
    with torch.no_grad():
        model.table.zero_()
    assert initial.sum() == 6
    assert [name for name, weight in model.named_parameters() if weight.requires_grad] == ["table"]
