import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from mora_pipeline.contract.errors import UserError
from mora_pipeline.modalities import LoadedModality
from mora_pipeline.presets.paper.alignment import Alignment, make_head, public_name, total_loss, with_amounts

BATCH, DIMENSION = 30, 16


def modality(name, kind="text", width=5, temperature=0.5):
    return LoadedModality(name, kind, np.zeros((1, width), np.float32), np.ones(1, bool), temperature)


def batch(*names, width=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    embeddings = torch.randn(BATCH, DIMENSION, generator=generator, requires_grad=True)
    vectors = {name: torch.randn(BATCH, width, generator=generator) for name in names}
    present = {name: torch.rand(BATCH, generator=generator) < 0.7 for name in names}
    return embeddings, vectors, present


def dense(anchor, other, temperature):
    logits = functional.normalize(anchor, dim=1) @ functional.normalize(other, dim=1).T / temperature
    matches = torch.arange(len(logits))
    return (functional.cross_entropy(logits, matches) + functional.cross_entropy(logits.T, matches)) / 2


def shapes(head):
    return [(layer.in_features, layer.out_features) if isinstance(layer, nn.Linear) else type(layer) for layer in head]


def test_heads_have_the_methods_shapes():
    assert shapes(make_head("text", 1024, 128)) == [(1024, 128)]
    assert shapes(make_head("image", 768, 128)) == [(768, 128)]
    assert shapes(make_head("table", 40, 128)) == [(40, 64), nn.ReLU, (64, 128)]


def test_head_weights_are_kaiming_uniform():
    weight = make_head("text", 1024, 128)[0].weight
    bound = math.sqrt(6 / 1024)
    assert 0.99 * bound < weight.abs().max() <= bound
    assert weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.02)


def test_the_loss_is_the_mean_over_modalities_with_a_temperature_each():
    model = Alignment([modality("poi"), modality("people", "table", temperature=0.7)], DIMENSION)
    embeddings, vectors, _ = batch("poi", "people")
    everywhere = {name: torch.ones(BATCH, dtype=torch.bool) for name in vectors}
    terms = model(embeddings, vectors, everywhere)
    expected = {
        name: dense(embeddings, model.heads[f"{name}_head"](vectors[name]), temperature)
        for name, temperature in (("poi", 0.5), ("people", 0.7))
    }
    for name, loss in expected.items():
        torch.testing.assert_close(terms[name][0], loss)
    torch.testing.assert_close(total_loss(terms), sum(expected.values()) / 2)


def test_a_cell_without_a_modality_is_neither_positive_nor_negative_there():
    model = Alignment([modality("poi")], DIMENSION)
    embeddings, vectors, present = batch("poi")
    rows = present["poi"]
    loss, count = model(embeddings, vectors, present)["poi"]
    torch.testing.assert_close(loss, dense(embeddings[rows], model.heads["poi_head"](vectors["poi"][rows]), 0.5))
    assert count == int(rows.sum())
    loss.backward()
    assert not embeddings.grad[~rows].any()
    assert embeddings.grad[rows].any(dim=1).all()


def test_what_stands_in_the_rows_of_missing_cells_does_not_matter():
    model = Alignment([modality("poi")], DIMENSION)
    embeddings, vectors, present = batch("poi")
    clean = model(embeddings, vectors, present)["poi"][0]
    vectors["poi"][~present["poi"]] = math.nan
    loss = model(embeddings, vectors, present)["poi"][0]
    loss.backward()
    assert torch.equal(loss, clean)
    assert all(torch.isfinite(weight.grad).all() for weight in model.parameters())


def test_another_anchor_is_compared_with_mobility_and_each_other_on_cells_that_have_both():
    model = Alignment(
        [modality("poi", temperature=0.5), modality("image", "image", temperature=0.2)], DIMENSION, anchor="image"
    )
    embeddings, vectors, present = batch("poi", "image")
    terms = model(embeddings, vectors, present)
    heads = {name: model.heads[f"{name}_head"](vectors[name]) for name in vectors}
    own, both = present["image"], present["image"] & present["poi"]
    assert set(terms) == {"mobility", "poi"}
    torch.testing.assert_close(terms["mobility"][0], dense(heads["image"][own], embeddings[own], 0.2))
    torch.testing.assert_close(terms["poi"][0], dense(heads["image"][both], heads["poi"][both], 0.5))


def test_temperatures_can_be_overridden_by_name():
    model = Alignment([modality("poi")], DIMENSION, temperatures={"poi": 0.1})
    embeddings, vectors, present = batch("poi")
    rows = present["poi"]
    expected = dense(embeddings[rows], model.heads["poi_head"](vectors["poi"][rows]), 0.1)
    torch.testing.assert_close(model(embeddings, vectors, present)["poi"][0], expected)


def test_a_term_without_negatives_is_left_out():
    model = Alignment([modality("poi"), modality("people", "table")], DIMENSION)
    embeddings, vectors, present = batch("poi", "people")
    present["poi"][:] = torch.arange(BATCH) == 4
    assert set(model(embeddings, vectors, present)) == {"people"}


def test_the_order_of_modalities_changes_nothing():
    modalities = [modality("poi"), modality("people", "table")]
    inputs = batch("poi", "people")
    totals = []
    for order in (modalities, modalities[::-1]):
        torch.manual_seed(0)
        totals.append(total_loss(Alignment(order, DIMENSION)(*inputs)))
    assert torch.equal(totals[0], totals[1])


@pytest.mark.parametrize("name", ["type", "values", "training", "forward", "table"])
def test_a_modality_may_be_called_like_an_attribute_of_a_module(name):
    model = Alignment([modality(name)], DIMENSION)
    assert set(model(*batch(name))) == {name}


def test_an_unknown_name_is_the_users_to_mend():
    with pytest.raises(UserError, match="anchor names 'imagery', but the modalities are mobility, poi"):
        Alignment([modality("poi")], DIMENSION, anchor="imagery")
    with pytest.raises(UserError, match="temperatures names 'po', but the modalities are poi"):
        Alignment([modality("poi")], DIMENSION, temperatures={"po": 0.1})


def test_learnt_temperatures_get_the_dense_gradient_and_stay_within_clips_bounds():
    model = Alignment([modality("poi")], DIMENSION, learn_temperatures=True)
    embeddings, vectors, _ = batch("poi")
    loss, _ = model(embeddings, vectors, {"poi": torch.ones(BATCH, dtype=torch.bool)})["poi"]
    log_scale = model.log_scales["poi_scale"]
    assert log_scale.item() == pytest.approx(math.log(1 / 0.5))
    expected = dense(embeddings, model.heads["poi_head"](vectors["poi"]), torch.exp(-log_scale))
    found, wanted = (torch.autograd.grad(one, log_scale, retain_graph=True)[0] for one in (loss, expected))
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-6)
    for value, clamped in ((9.0, math.log(100)), (-1.0, 0.0), (2.0, 2.0)):
        with torch.no_grad():
            log_scale.fill_(value)
        model.clamp()
        assert log_scale.item() == pytest.approx(clamped)


def test_parameters_have_plain_names_whatever_a_modality_is_called():
    called = ("poi", "x_head", "a_scale")
    model = Alignment([modality(name) for name in called], DIMENSION, learn_temperatures=True)
    names = {public_name(name) for name, _ in model.named_parameters()}
    assert names == {f"{name}.{part}" for name in called for part in ("0.weight", "0.bias", "log_scale")}
    assert public_name("table") == "table"


def test_a_head_sees_amounts_behind_the_vectors():
    random, known = np.random.default_rng(3), np.arange(40) % 4 > 0
    amounts = np.log1p(random.poisson([3, 90], (40, 2))).astype(np.float32)
    vectors = random.normal(size=(40, 5)).astype(np.float32)
    one = LoadedModality("poi", "text", vectors, np.ones(40, bool), 0.5, amounts, ("count: a", "count: b"), known)
    seen = with_amounts(one)
    assert seen.amount_names == ()
    np.testing.assert_array_equal(seen.vectors[:, :5], vectors)
    np.testing.assert_array_equal(seen.vectors[~known, 5:], 0)
    own = amounts[known].astype(float) - amounts[known].mean(0)
    np.testing.assert_allclose(seen.vectors[known, 5:], own / np.sqrt(np.square(own).sum(1).mean()), atol=1e-5)


def test_amounts_that_never_vary_are_zeros_and_a_modality_without_any_is_as_it_was():
    one = LoadedModality(
        "poi", "text", np.ones((6, 2), np.float32), np.ones(6, bool), 0.5,
        np.full((6, 1), np.float32(1.3)), ("count: (total)",), np.ones(6, bool),
    )  # fmt: skip
    assert not with_amounts(one).vectors[:, 2:].any()
    bare = modality("people")
    assert with_amounts(bare) is bare
