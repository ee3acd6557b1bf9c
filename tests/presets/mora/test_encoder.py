"""The part of a vector that every region can have: what its numbers are, and that they survive storage and borders."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from sklearn.decomposition import PCA

from mora_pipeline.contract.errors import UserError
from mora_pipeline.presets.encoders import SETTINGS, WEIGHTS
from mora_pipeline.presets.inductive.encoder import load_encoder as load_inductive
from mora_pipeline.presets.inductive.encoder import save_encoder
from mora_pipeline.presets.inductive.flows import flow_feature_names
from mora_pipeline.presets.inductive.states import NEIGHBOURS, PARTNERS, fit_states
from mora_pipeline.presets.inductive.train import train_inductive, with_student
from mora_pipeline.presets.mora.encoder import load_encoder
from mora_pipeline.presets.mora.parameters import FLOW_FIGURES, MoraParameters
from mora_pipeline.presets.mora.train import train_encoder


def parts(vectors, parameters, plain):
    """Gaussian numbers, flow figures, modalities, surroundings."""
    first = vectors.shape[1] - plain
    ends = [first, first + len(FLOW_FIGURES), vectors.shape[1] - parameters.surroundings_numbers]
    return np.split(vectors, ends, axis=1)


def rms(part):
    return float(np.sqrt(np.square(part).sum(1).mean()))


def test_a_vector_has_128_numbers_of_which_96_mean_the_same_elsewhere():
    assert (MoraParameters().dimension, MoraParameters().transferable_numbers) == (128, 96)


def test_the_flow_figures_are_the_bounded_columns_themselves(trained, town, few):
    evidence = town.evidence()
    _, figures, _, _ = parts(trained.encoded.vectors, few, 22)
    for number, name in enumerate(FLOW_FIGURES):
        column = evidence.flows[:, flow_feature_names().index(name)].astype(float)
        expected = np.clip((column - column.mean()) / column.std(), -3, 3)
        np.testing.assert_allclose(
            figures[:, number] * len(FLOW_FIGURES) ** 0.5, (expected - expected.mean()) / expected.std(), atol=1e-4
        )


def test_modalities_are_the_strongest_components_of_single_blocks(trained, town, few):
    """The oracle is scikit-learn's PCA of each block alone; a component never mixes two blocks."""
    states = fit_states(town.evidence(), few.units_for(10))
    found = parts(trained.encoded.vectors, few, 22)[2]
    applied, axes = states.apply(town.evidence()), []
    for name, block in zip(states.weights, states.columns(), strict=True):
        if name in ("flows", PARTNERS, NEIGHBOURS):
            continue
        part = applied[:, block].astype(float)
        part /= np.sqrt(part.var(0).sum())
        pca = PCA().fit(part)
        axes += list(zip(pca.explained_variance_, pca.transform(part).T, strict=True))
    strongest = np.stack([axis for _, axis in sorted(axes, key=lambda item: -item[0])[: few.modality_numbers]], axis=1)
    expected = strongest / rms(strongest) * 0.5
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-4)


def test_the_parts_have_their_lengths_and_mean_zero(trained, few):
    lengths = [rms(part) for part in parts(trained.encoded.vectors, few, 22)]
    np.testing.assert_allclose(lengths, [1, 1, 0.5, 0.5], rtol=1e-3)
    np.testing.assert_allclose(trained.encoded.vectors.mean(0), 0, atol=1e-5)


def test_numbers_that_a_region_lacks_go_to_the_units(town, schema, few):
    """Mobility alone has no modality to be described by, and its vectors are as long as all others."""
    bare = dataclasses.replace(town, modalities=())
    found = train_encoder(bare.evidence(), dataclasses.replace(schema, modalities=()), few)
    assert found.encoded.vectors.shape == (60, few.transferable_numbers)
    assert found.scores["plain_numbers"] == len(FLOW_FIGURES) + few.surroundings_numbers
    assert found.encoded.vectors.any(axis=0).all()


def test_an_encoder_survives_storage_with_its_student(trained, town, other_town, few, tmp_path):
    encoder, scores = with_student(trained.encoder, town.evidence(), trained.encoded.vectors)
    save_encoder(encoder, tmp_path)
    read = load_encoder(tmp_path)
    for without_flows in (False, True):
        expected = encoder.encode(other_town.evidence(), without_flows)
        found = read.encode(other_town.evidence(), without_flows)
        assert found.vectors.tobytes() == expected.vectors.tobytes()
        assert found.vectors.shape == (35, few.transferable_numbers)
    assert scores["student_explained"] < 1


def test_equal_seeds_give_equal_bytes(trained, town, schema, few):
    again = train_encoder(town.evidence(), schema, few)
    assert again.encoded.vectors.tobytes() == trained.encoded.vectors.tobytes()
    for name, tensor in again.encoder.tensors().items():
        assert torch.equal(tensor, trained.encoder.tensors()[name]), name


def test_a_damaged_encoder_is_named(trained, tmp_path):
    save_encoder(trained.encoder, tmp_path)
    good = load_file(tmp_path / WEIGHTS)
    save_file({**good, "axes/matrix": torch.zeros(3, 2)}, tmp_path / WEIGHTS)
    with pytest.raises(UserError, match=r"does not hold a whole encoder .*axes"):
        load_encoder(tmp_path)
    save_file({name: tensor for name, tensor in good.items() if name != "axes/offset"}, tmp_path / WEIGHTS)
    with pytest.raises(UserError, match=r"does not hold a whole encoder .*axes/offset"):
        load_encoder(tmp_path)


def test_the_encoder_of_another_preset_is_refused_with_the_setting_to_write(trained, town, schema, tmp_path):
    save_encoder(trained.encoder, tmp_path / "mora")
    with pytest.raises(UserError, match=r"'town' is of preset mora, but preset inductive .*\{preset: mora, encoder"):
        load_inductive(tmp_path / "mora")
    save_encoder(train_inductive(town.evidence(), schema, MoraParameters().units_for(8)).encoder, tmp_path / "other")
    with pytest.raises(UserError, match=r"is of preset inductive, but preset mora .*\{preset: inductive, encoder"):
        load_encoder(tmp_path / "other")
    assert json.loads((tmp_path / "mora" / SETTINGS).read_text())["preset"] == "mora"


def test_a_column_that_hardly_varied_does_not_collapse_another_region(town, schema, few):
    """One cell in a thousand had people from far away where the encoder was fitted; elsewhere every cell has.

    Its standardised value would be in the hundreds, no unit would answer, and all such cells would get one vector.
    """
    evidence = town.evidence()
    column = flow_feature_names().index("out_band_10")
    rare = evidence.flows.copy()
    rare[:, column] = 0
    rare[0, column] = 1e-3
    encoder = train_encoder(dataclasses.replace(evidence, flows=rare), schema, few).encoder
    common = evidence.flows.copy()
    common[:, column] = 5 + np.random.default_rng(0).random(60)
    encoded = encoder.encode(dataclasses.replace(evidence, flows=common))
    assert len(np.unique(encoded.vectors.round(4), axis=0)) == 60
    assert np.abs(encoded.vectors).max() < 10
    assert encoded.familiarity.max() < 0.1, "each of these cells says that it is unlike all that was seen"


@pytest.mark.parametrize("num_cells", [8, 20])
def test_a_region_of_a_few_cells_is_embedded(schema, num_cells):
    from tests.presets.inductive.conftest import make_town

    small = make_town(5, num_cells)
    found = train_encoder(small.evidence(), schema, MoraParameters(neighbours=5))
    assert found.encoded.vectors.shape == (num_cells, 96)
    assert np.isfinite(found.encoded.vectors).all()
