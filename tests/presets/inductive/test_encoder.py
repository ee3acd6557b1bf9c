import dataclasses
import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.schemas import Edges
from mora_pipeline.presets.encoders import SETTINGS, WEIGHTS
from mora_pipeline.presets.inductive.encoder import load_encoder, save_encoder
from mora_pipeline.presets.inductive.train import train_inductive, with_student
from tests.presets.inductive.conftest import rows_of


@pytest.fixture(scope="module")
def trained(town, schema, small):
    return train_inductive(town.evidence(), schema, small)


def naive(encoder, evidence, cell: int) -> np.ndarray:
    """One cell's embedding from the stored numbers alone, in float64, by loops."""
    weights = {name: tensor.double().numpy() for name, tensor in encoder.tensors().items()}

    def mapped(name, vector, present):
        mean, matrix, limit = (weights[f"{name}/{part}"] for part in ("mean", "matrix", "limit"))
        exact = (vector.astype(float) - mean) @ matrix
        return np.minimum(np.maximum(exact, -limit), limit) if present else np.zeros(matrix.shape[1])

    def own(row):
        parts = [mapped(f"modality/{one.name}", one.vectors[row], one.present[row]) for one in evidence.modalities]
        counted = [one for one in evidence.modalities if one.amount_names]
        parts += [mapped(f"amounts/{one.name}", one.amounts[row], one.amounts_present[row]) for one in counted]
        return [*parts, mapped("flows", evidence.flows[row], True)]

    parts = own(cell)
    for name in ("partners", "neighbours"):
        row = getattr(evidence, name).toarray()[cell]
        mean = sum(share * np.concatenate(own(other)) for other, share in enumerate(row))
        parts.append(mapped(name, mean, row.any()))
    state = np.concatenate(
        [encoder.states.weights[name] * part for name, part in zip(order(encoder), parts, strict=True)]
    )
    vector = -weights["offset"]
    for centre, answer in zip(weights["centres"], weights["readout"], strict=True):
        vector = vector + np.exp(-encoder.readout.sharpness * np.square(state - centre).sum()) * answer
    return vector


def order(encoder):
    return list(encoder.states.weights)


def test_the_forward_pass_is_the_formula(trained, town):
    evidence = town.evidence()
    for cell in (0, 3, 14, 59):  # 3 has no flow, 0 and 14 lack a modality
        np.testing.assert_allclose(trained.embeddings[cell], naive(trained.encoder, evidence, cell), atol=2e-5)


def test_a_region_it_never_saw_is_embedded_by_the_same_formula(trained, other_town):
    evidence = other_town.evidence()
    found = trained.encoder.embed(evidence)
    assert found.shape == (35, 16)
    assert found.dtype == np.float32
    for cell in (0, 20):
        np.testing.assert_allclose(found[cell], naive(trained.encoder, evidence, cell), atol=2e-5)


def test_a_cell_it_was_not_trained_on_gets_the_vector_it_would_have_had(town, schema, small):
    """A twin of a known cell, added after training, has the known one's vector, and changes no other's."""
    trained = train_inductive(town.evidence(), schema, small)
    evidence = town.evidence()
    alone = dataclasses.replace(
        evidence,
        modalities=tuple(
            rows_of(one, np.append(np.arange(60), 9)) for one in evidence.modalities
        ),
        flows=np.concatenate([evidence.flows, evidence.flows[9:10]]),
        partners=twin(evidence.partners, 9),
        neighbours=twin(evidence.neighbours, 9),
    )  # fmt: skip
    found = trained.encoder.embed(alone)
    np.testing.assert_allclose(found[-1], trained.embeddings[9], atol=1e-5)
    np.testing.assert_allclose(found[:-1], trained.embeddings, atol=1e-5)


def twin(related, row):
    """One more cell, related to the cells that `row` is related to; nobody is related to it."""
    dense = related.toarray()
    more = np.zeros((len(dense) + 1, len(dense) + 1))
    more[:-1, :-1], more[-1, :-1] = dense, dense[row]
    return type(related)(more)


def test_the_order_of_rows_does_not_change_a_cells_vector(trained, town):
    rows = np.random.default_rng(4).permutation(len(town.latitude))
    found = trained.encoder.embed(town.reordered(rows).evidence())
    np.testing.assert_allclose(found, trained.embeddings[rows], atol=1e-5)


def test_what_was_saved_answers_alike(trained, town, tmp_path):
    save_encoder(trained.encoder, tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == [SETTINGS, WEIGHTS]
    loaded = load_encoder(tmp_path)
    assert loaded.schema == trained.encoder.schema
    np.testing.assert_array_equal(loaded.embed(town.evidence()), trained.embeddings)


def test_a_damaged_encoder_is_told(trained, tmp_path):
    save_encoder(trained.encoder, tmp_path)
    good, settings = load_file(tmp_path / WEIGHTS), json.loads((tmp_path / SETTINGS).read_text())
    save_file({**good, "centres": torch.zeros(3, 2)}, tmp_path / WEIGHTS)
    with pytest.raises(UserError, match="its weights and its settings come from different encoders"):
        load_encoder(tmp_path)
    save_file({name: tensor for name, tensor in good.items() if name != "offset"}, tmp_path / WEIGHTS)
    with pytest.raises(UserError, match="KeyError: 'offset'"):
        load_encoder(tmp_path)
    (tmp_path / WEIGHTS).write_bytes(b"cut")
    with pytest.raises(UserError, match="does not hold a whole encoder"):
        load_encoder(tmp_path)
    (tmp_path / SETTINGS).write_text(json.dumps({**settings, "format": "another"}))
    with pytest.raises(UserError, match="its format is 'another'"):
        load_encoder(tmp_path)


def test_evidence_of_other_modalities_is_refused(trained, town):
    evidence = dataclasses.replace(town.evidence(), modalities=town.modalities[:2])
    with pytest.raises(ValueError, match=r"takes \['ages', 'poi', 'sky'\], not \['ages', 'poi'\]"):
        trained.encoder.embed(evidence)


def test_evidence_of_other_amounts_is_refused(trained, town):
    poi = dataclasses.replace(town.modalities[1], amount_names=("count: (total)", "count: zoo", "count: (rest)"))
    evidence = dataclasses.replace(town.evidence(), modalities=(town.modalities[0], poi, town.modalities[2]))
    with pytest.raises(ValueError, match=r"takes the amounts .*cafe.* of poi, not .*zoo"):
        trained.encoder.embed(evidence)


def test_the_student_does_not_see_flows(town, schema, small) -> None:
    """Nor those of neighbours: another region's flows change nothing."""
    trained = train_inductive(town.evidence(), schema, small)
    encoder, figures = with_student(trained.encoder, town.evidence(), trained.embeddings)
    nothing = Edges(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    blank = dataclasses.replace(town, flows=nothing, internal=np.zeros(len(town.internal)))
    with_flows = encoder.encode(town.evidence(), without_flows=True).vectors
    assert with_flows.tobytes() == encoder.encode(blank.evidence(), without_flows=True).vectors.tobytes()
    assert not np.allclose(with_flows, trained.embeddings)
    assert figures["student_explained"] < 1


def test_an_encoder_of_flows_alone_has_no_student(town, schema, small) -> None:
    alone = dataclasses.replace(town.evidence(), modalities=())
    trained = train_inductive(alone, dataclasses.replace(schema, modalities=()), small)
    encoder, figures = with_student(trained.encoder, alone, trained.embeddings)
    assert (encoder.student, figures) == (None, {})
    with pytest.raises(ValueError, match="has no student"):
        encoder.encode(alone, without_flows=True)


def test_a_student_is_stored_with_its_encoder_and_a_damaged_one_is_named(town, schema, small, tmp_path) -> None:
    trained = train_inductive(town.evidence(), schema, small)
    encoder, _ = with_student(trained.encoder, town.evidence(), trained.embeddings)
    save_encoder(encoder, tmp_path)
    asked = town.evidence()
    read = load_encoder(tmp_path).encode(asked, without_flows=True).vectors
    assert read.tobytes() == encoder.encode(asked, without_flows=True).vectors.tobytes()
    tensors = load_file(tmp_path / WEIGHTS)
    for spoilt in (
        {name: tensor for name, tensor in tensors.items() if name != "student/readout"},
        tensors | {"student/readout": tensors["student/readout"] * float("nan")},
        tensors | {"student/mean": tensors["student/mean"][1:], "student/centres": tensors["student/centres"][:, 1:]},
    ):
        save_file({name: tensor.contiguous() for name, tensor in spoilt.items()}, tmp_path / WEIGHTS)
        with pytest.raises(UserError, match=r"does not hold a whole encoder .* Train it again"):
            load_encoder(tmp_path)
