import dataclasses

import numpy as np
import pytest
import torch
from scipy.linalg import orthogonal_procrustes
from sklearn.decomposition import PCA, KernelPCA

from mora_pipeline.contract.errors import UserError
from mora_pipeline.presets.inductive.components import chosen_centres, kernel_components, turned
from mora_pipeline.presets.inductive.parameters import InductiveParameters
from mora_pipeline.presets.inductive.states import fit_states
from mora_pipeline.presets.inductive.train import train_inductive


def fitted(town, parameters):
    evidence = town.evidence()
    states = fit_states(evidence, parameters)
    inputs = torch.from_numpy(states.apply(evidence))
    readout, explained = kernel_components(inputs, states.columns(), parameters)
    return inputs, states.columns(), readout(inputs), explained


def test_with_every_cell_a_centre_it_is_kernel_pca_up_to_a_rotation(town, small):
    parameters = small.model_copy(update={"units": 1000})
    states, _, found, explained = fitted(town, parameters)
    exact = states.numpy().astype(np.float64)
    oracle = KernelPCA(16, kernel="rbf", gamma=parameters.sharpness, eigen_solver="dense")
    expected = oracle.fit_transform(exact)
    expected *= parameters.length / np.sqrt(np.square(expected).sum(1).mean())
    np.testing.assert_allclose((found @ found.T).numpy(), expected @ expected.T, atol=2e-3)
    total = KernelPCA(None, kernel="rbf", gamma=parameters.sharpness).fit(exact).eigenvalues_.sum()
    assert explained == pytest.approx(oracle.eigenvalues_.sum() / total, rel=1e-3)


def test_no_rotation_brings_embeddings_nearer_to_the_blocks_components(town, small):
    """The axes are those of scikit-learn's PCA of each block, the strongest of all; the best rotation is scipy's."""
    states, blocks, found, _ = fitted(town, small)
    axes = []
    for block in blocks:
        pca = PCA().fit(states[:, block].numpy().astype(np.float64))
        axes += list(zip(pca.explained_variance_, pca.transform(states[:, block].numpy()).T, strict=True))
    strongest = np.stack([axis for _, axis in sorted(axes, key=lambda item: -item[0])[:16]], axis=1)
    _, nearest = orthogonal_procrustes(found.numpy(), strongest)
    reached = np.abs((found.numpy() * strongest).sum(0)).sum()  # the signs of principal components are arbitrary
    assert reached == pytest.approx(nearest, rel=1e-3)
    rotation = turned(found, states, blocks).numpy()
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(16), atol=1e-9)
    np.testing.assert_allclose(rotation, np.eye(16), atol=1e-3)  # they are turned already


def test_narrow_states_leave_the_other_numbers_as_they_are():
    random = np.random.default_rng(0)
    embeddings, states = (torch.from_numpy(random.normal(size=(50, width)).astype(np.float32)) for width in (6, 2))
    rotation = turned(embeddings, states, [slice(0, 1), slice(1, 2)]).numpy()
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(6), atol=1e-9)


def test_embeddings_have_mean_zero_and_the_length_that_was_asked_for(town, schema, small):
    found = train_inductive(town.evidence(), schema, small.model_copy(update={"length": 2.5}))
    np.testing.assert_allclose(found.embeddings.mean(0), 0, atol=1e-5)
    assert np.sqrt(np.square(found.embeddings).sum(1).mean()) == pytest.approx(2.5, rel=1e-4)
    assert 0 < found.scores["explained"] <= 1


def test_equal_seeds_give_equal_bytes_and_others_other_centres(town, schema, small):
    first, second = (train_inductive(town.evidence(), schema, small) for _ in range(2))
    assert first.embeddings.tobytes() == second.embeddings.tobytes()
    for name, tensor in first.encoder.tensors().items():
        assert torch.equal(tensor, second.encoder.tensors()[name]), name
    drawn = chosen_centres(60, small)
    assert len(set(drawn.tolist())) == len(drawn) == small.units
    assert drawn.tolist() == sorted(drawn.tolist())
    assert drawn.tolist() != chosen_centres(60, small.model_copy(update={"seed": 1})).tolist()


def test_fewer_directions_than_the_dimension_leave_the_last_numbers_zero(town, schema):
    parameters = InductiveParameters(units=20, neighbours=5)
    found = train_inductive(town.evidence(), schema, parameters)
    assert found.embeddings.shape == (60, 128)
    assert found.embeddings[:, :10].any(axis=0).all()
    assert not found.embeddings[:, 20:].any()


def test_a_region_with_mobility_alone_is_embedded(town, schema, small):
    bare = dataclasses.replace(town, modalities=())
    found = train_inductive(bare.evidence(), dataclasses.replace(schema, modalities=()), small)
    assert np.isfinite(found.embeddings).all()
    assert np.linalg.matrix_rank(found.embeddings, tol=1e-3) > 5


def test_cells_that_are_all_alike_get_zeros_and_nothing_breaks(town, schema, small):
    evidence = town.evidence()
    alike = dataclasses.replace(evidence, modalities=(), flows=np.ones_like(evidence.flows))
    found = train_inductive(alike, dataclasses.replace(schema, modalities=()), small)
    np.testing.assert_array_equal(found.embeddings, 0)


def test_mistakes_are_told_before_training(town, schema, small):
    evidence = town.evidence()
    poi = town.modalities[1]
    spoilt = dataclasses.replace(poi, vectors=poi.vectors * np.nan)
    with pytest.raises(UserError, match="features of poi hold NaN"):
        train_inductive(dataclasses.replace(evidence, modalities=(spoilt,)), schema, small)
    nowhere = dataclasses.replace(poi, present=np.zeros(60, bool))
    with pytest.raises(UserError, match="no cell has poi"):
        train_inductive(dataclasses.replace(evidence, modalities=(nowhere,)), schema, small)


def test_cuda_is_asked_for_in_vain_where_there_is_none(town, schema, small, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="device is 'cuda', but torch sees no CUDA"):
        train_inductive(town.evidence(), schema, small.model_copy(update={"device": "cuda"}))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_cuda_gives_what_the_cpu_gives(town, schema, small):
    on_cpu, on_cuda = (
        train_inductive(town.evidence(), schema, small.model_copy(update={"device": device}))
        for device in ("cpu", "cuda")
    )
    np.testing.assert_allclose(on_cuda.embeddings, on_cpu.embeddings, atol=1e-2)
