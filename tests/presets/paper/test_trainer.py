import dataclasses
import itertools
import math

import numpy as np
import pyarrow as pa
import pytest
import torch
from safetensors.torch import load, save

from mora_pipeline.contract import schemas
from mora_pipeline.contract.errors import UserError
from mora_pipeline.modalities import LoadedModality
from mora_pipeline.presets.paper.graph import Adjacency, load_adjacency, symmetrise_and_normalise
from mora_pipeline.presets.paper.learner import Learner, make_optimiser, split_cells
from mora_pipeline.presets.paper.lightgcn import LightGCN
from mora_pipeline.presets.paper.parameters import AlignmentParameters
from mora_pipeline.presets.paper.propagation import Propagation
from mora_pipeline.presets.paper.trainer import PRODUCTS, train_alignment

NUM_CELLS, NUM_GROUPS = 300, 6
SHORT = AlignmentParameters(maximum_epochs=4, batch_size=100)


@dataclasses.dataclass
class Region:
    """A planted structure: cells of one group move among themselves and have alike features."""

    edges: pa.Table
    cells: np.ndarray
    line: np.ndarray
    modalities: list[LoadedModality]

    @property
    def adjacency(self):
        return load_adjacency(self.edges.to_batches, self.cells)


@pytest.fixture(scope="module")
def region():
    random = np.random.default_rng(5)
    group = np.arange(NUM_CELLS) % NUM_GROUPS
    cells = np.sort(random.choice(10**6, NUM_CELLS, replace=False)).astype(np.int64)
    origin = random.integers(0, NUM_CELLS, 3000)
    stay = random.random(3000) < 0.9
    inside = random.integers(0, NUM_CELLS // NUM_GROUPS, 3000) * NUM_GROUPS + group[origin]
    destination = np.where(stay, inside, random.integers(0, NUM_CELLS, 3000))
    flow = random.exponential(10, 3000)
    edges = pa.table([cells[origin], cells[destination], flow], schema=schemas.GRAPH)
    centres = random.normal(size=(NUM_GROUPS, 20))
    vectors = (centres[group] + 0.3 * random.normal(size=(NUM_CELLS, 20))).astype(np.float32)
    line = (0.1 * random.normal(size=(NUM_CELLS, 16))).astype(np.float32)
    present = random.random(NUM_CELLS) < 0.8
    modalities = [
        LoadedModality("poi", "text", vectors, present, 0.5),
        LoadedModality("people", "table", vectors[:, :9].copy(), np.ones(NUM_CELLS, bool), 0.7),
    ]
    return Region(edges, cells, line, modalities)


def train(region, parameters=SHORT, modalities=None, **arguments):
    modalities = region.modalities if modalities is None else modalities
    return train_alignment(region.adjacency, region.line, modalities, parameters, **arguments)


def test_alignment_finds_a_planted_structure_well_above_chance(region):
    parameters = AlignmentParameters(maximum_epochs=60, learning_rate=1e-2, validation_share=0.2)
    result = train(region, parameters)
    held_out = 60
    best = result.history[result.best_epoch - 1]["validation_loss/people"]
    assert best < math.log(held_out) - 0.4
    unit = result.embeddings / np.linalg.norm(result.embeddings, axis=1, keepdims=True)
    nearest = np.argsort(unit @ unit.T, axis=1)[:, -2]
    assert np.mean(nearest % NUM_GROUPS == np.arange(NUM_CELLS) % NUM_GROUPS) > 0.8


def test_two_runs_with_one_seed_are_equal_to_the_last_byte(region):
    one, other = train(region), train(region)
    assert one.embeddings.tobytes() == other.embeddings.tobytes()
    assert save(one.weights) == save(other.weights)
    assert train(region, SHORT.model_copy(update={"seed": 1})).embeddings.tobytes() != one.embeddings.tobytes()


def test_training_leaves_the_callers_random_numbers_alone(region):
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    train(region)
    assert torch.equal(torch.rand(3), expected)


def test_the_order_of_edges_and_of_modalities_changes_nothing(region):
    shuffled = region.edges.take(np.random.default_rng(0).permutation(len(region.edges)))
    again = train(dataclasses.replace(region, edges=shuffled), modalities=region.modalities[::-1])
    assert again.embeddings.tobytes() == train(region).embeddings.tobytes()


def test_the_order_of_feature_rows_changes_nothing(region):
    random = np.random.default_rng(0)
    shuffled = []
    for one in region.modalities:
        order = random.permutation(np.flatnonzero(one.present))
        table = schemas.CellVectors(region.cells[order], one.vectors[order]).to_table()
        vectors, present = schemas.CellVectors.from_table(table).on(region.cells)
        shuffled.append(dataclasses.replace(one, vectors=vectors, present=present))
    assert train(region, modalities=shuffled).embeddings.tobytes() == train(region).embeddings.tobytes()


def test_the_two_backends_train_alike(region):
    by_backend = [train(region, SHORT.model_copy(update={"backend": name})).embeddings for name in ("torch", "dgl")]
    np.testing.assert_allclose(by_backend[0], by_backend[1], atol=1e-4)


def test_the_embeddings_are_the_propagated_table_not_normalised(region):
    result = train(region)
    model = LightGCN(result.weights["table"])
    with torch.no_grad():
        expected = model(Propagation(region.adjacency)).numpy()
    np.testing.assert_array_equal(result.embeddings, expected)
    assert result.embeddings.dtype == np.float32
    assert np.ptp(np.linalg.norm(result.embeddings, axis=1)) > 0.01


def test_weights_fit_into_safetensors_under_plain_names(region):
    weights = train(region).weights
    assert {name: tuple(value.shape) for name, value in load(save(weights)).items()} == {
        "table": (NUM_CELLS, 16),
        "poi.0.weight": (16, 20),
        "poi.0.bias": (16,),
        "people.0.weight": (64, 9),
        "people.0.bias": (64,),
        "people.2.weight": (16, 64),
        "people.2.bias": (16,),
    }


def test_history_holds_every_epoch_and_modality_and_is_told_as_it_grows(region):
    told = []
    result = train(region, on_epoch=told.append)
    losses = {f"{kind}{of}" for kind in ("train_loss", "validation_loss") for of in ("", "/poi", "/people")}
    assert told == result.history
    assert [entry["epoch"] for entry in told] == [1, 2, 3, 4]
    for entry in told:
        assert set(entry) == losses | {"epoch", "seconds"}
        assert entry["validation_loss"] == pytest.approx(
            (entry["validation_loss/poi"] + entry["validation_loss/people"]) / 2
        )


def scripted(monkeypatch, losses):
    """Let validation report these losses while training goes on as it does."""
    script = itertools.chain(losses, itertools.repeat(max(losses) + 1))
    monkeypatch.setattr(Learner, "validate", lambda self: {"validation_loss": next(script)})


def test_early_stopping_keeps_the_best_epoch(region, monkeypatch):
    scripted(monkeypatch, [5.0, 3.0, 4.0, 4.0, 4.0])
    stopped = train(region, AlignmentParameters(maximum_epochs=50, patience=3))
    assert (len(stopped.history), stopped.best_epoch) == (5, 2)
    scripted(monkeypatch, [5.0, 3.0])
    two_epochs = train(region, AlignmentParameters(maximum_epochs=2))
    assert stopped.embeddings.tobytes() == two_epochs.embeddings.tobytes()


def test_an_improvement_resets_the_patience(region, monkeypatch):
    scripted(monkeypatch, [5.0, 6.0, 4.0, 6.0, 3.0, 6.0, 6.0])
    result = train(region, AlignmentParameters(maximum_epochs=50, patience=2))
    assert (len(result.history), result.best_epoch) == (7, 5)


def test_validation_cells_take_no_part_in_the_loss_but_stay_in_the_graph(region):
    """Their features are replaced by noise: training must not notice."""
    _, held_out = split_cells(NUM_CELLS, SHORT.validation_share, SHORT.seed)
    noisy = [dataclasses.replace(one, vectors=one.vectors.copy()) for one in region.modalities]
    for one in noisy:
        one.vectors[held_out.numpy()] = 9.0
    parameters = SHORT.model_copy(update={"maximum_epochs": 1})
    result = train(region, parameters)
    assert train(region, parameters, noisy).embeddings.tobytes() == result.embeddings.tobytes()
    assert not np.array_equal(result.weights["table"][held_out], region.line[held_out.numpy()])


def test_the_split_is_a_random_tenth_drawn_once():
    training, held_out = split_cells(1000, 0.1, 0)
    assert (len(training), len(held_out)) == (900, 100)
    assert sorted([*training.tolist(), *held_out.tolist()]) == list(range(1000))
    assert held_out.tolist() == split_cells(1000, 0.1, 0)[1].tolist() != split_cells(1000, 0.1, 1)[1].tolist()
    assert 400 < held_out.double().mean() < 600


def test_biases_are_not_decayed_and_the_table_is():
    table, head = LightGCN(torch.ones(3, 2)), torch.nn.Linear(2, 2)
    decayed, spared = make_optimiser([table, head], AlignmentParameters()).param_groups
    assert [weight.ndim for weight in decayed["params"]] == [2, 2]
    assert [weight.ndim for weight in spared["params"]] == [1]
    assert (decayed["weight_decay"], spared["weight_decay"]) == (1e-3, 0.0)


def test_without_modalities_the_propagated_line_vectors_are_the_embeddings(region):
    result = train(region, modalities=[])
    with torch.no_grad():
        expected = LightGCN(torch.from_numpy(region.line))(Propagation(region.adjacency)).numpy()
    np.testing.assert_array_equal(result.embeddings, expected)
    assert (result.history, result.best_epoch, list(result.weights)) == ([], 0, ["table"])


def test_each_modality_can_be_missing(region):
    for one in region.modalities:
        result = train(region, modalities=[one])
        assert np.isfinite(result.embeddings).all()
        assert f"train_loss/{one.name}" in result.history[0]


def test_a_subset_of_the_modalities_trains_as_if_there_were_no_others(region):
    poi, _ = region.modalities
    chosen = train(region, SHORT.model_copy(update={"modalities": ["poi"]}))
    assert chosen.embeddings.tobytes() == train(region, modalities=[poi]).embeddings.tobytes()
    assert train(region, SHORT.model_copy(update={"modalities": []})).history == []
    with pytest.raises(UserError, match=r"embeddings.paper.modalities names 'pois', but region\.yaml has poi, people"):
        train(region, SHORT.model_copy(update={"modalities": ["pois"]}))


def test_learnt_temperatures_are_trained_told_and_kept(region):
    parameters = SHORT.model_copy(update={"learn_temperatures": True, "learning_rate": 1e-2})
    result = train(region, parameters)
    last = result.history[-1]
    assert 0.01 <= last["temperature/poi"] < 0.5
    assert last["temperature/people"] != 0.7
    best = result.history[result.best_epoch - 1]
    assert math.exp(-result.weights["poi.log_scale"]) == pytest.approx(best["temperature/poi"])


@pytest.mark.parametrize(("precision", "tolerance"), [("tf32", 1e-2), ("bfloat16", 5e-2)])
def test_a_lower_precision_comes_near_and_is_left_behind(region, precision, tolerance):
    exact, seen = train(region), []
    told = SHORT.model_copy(update={"precision": precision})
    near = train(region, told, on_epoch=lambda entry: seen.append(torch.get_float32_matmul_precision()))
    assert set(seen) == {PRODUCTS[precision]} != {"highest"}
    np.testing.assert_allclose(near.embeddings, exact.embeddings, atol=tolerance)
    assert near.history[-1]["train_loss"] == pytest.approx(exact.history[-1]["train_loss"], rel=1e-2)
    assert torch.get_float32_matmul_precision() == "highest"


@pytest.mark.parametrize("dimension", [3, 40])
def test_the_dimension_is_that_of_the_line_vectors(region, dimension):
    line = np.random.default_rng(0).normal(size=(NUM_CELLS, dimension)).astype(np.float32)
    result = train(dataclasses.replace(region, line=line), SHORT.model_copy(update={"maximum_epochs": 1}))
    assert result.embeddings.shape == (NUM_CELLS, dimension)
    assert result.weights["people.2.bias"].shape == (dimension,)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_trains_as_the_cpu_does_and_twice_alike(region):
    there = [train(region, SHORT.model_copy(update={"device": "cuda"})).embeddings for _ in range(2)]
    assert there[0].tobytes() == there[1].tobytes()
    np.testing.assert_allclose(
        there[0], train(region, SHORT.model_copy(update={"device": "cpu"})).embeddings, atol=1e-3
    )


def test_a_modality_can_be_the_anchor(region):
    result = train(region, SHORT.model_copy(update={"anchor": "people"}))
    assert "train_loss/mobility" in result.history[0]
    assert "train_loss/poi" in result.history[0]
    assert "train_loss/people" not in result.history[0]


def test_a_region_of_ten_cells_trains():
    chain = np.arange(9)
    adjacency = Adjacency.from_matrix(symmetrise_and_normalise(chain, chain + 1, np.ones(9), 10))
    one = LoadedModality("poi", "text", np.eye(10, dtype=np.float32), np.arange(10) != 4, 0.5)
    result = train_alignment(adjacency, np.eye(10, dtype=np.float32), [one], AlignmentParameters(maximum_epochs=3))
    assert len(result.history) == 3
    assert np.isfinite(result.embeddings).all()


def test_the_training_loss_decides_where_no_two_held_out_cells_share_a_modality(region):
    _, held_out = split_cells(NUM_CELLS, SHORT.validation_share, SHORT.seed)
    present = np.ones(NUM_CELLS, bool)
    present[held_out[1:].numpy()] = False
    one = dataclasses.replace(region.modalities[1], present=present)
    result = train(region, modalities=[one])
    assert "validation_loss" not in result.history[0]
    assert result.best_epoch == 1 + np.argmin([entry["train_loss"] for entry in result.history])


def test_read_only_arrays_are_taken(region):
    line = region.line.copy()
    line.setflags(write=False)
    frozen = [dataclasses.replace(one, vectors=one.vectors.copy()) for one in region.modalities]
    for one in frozen:
        one.vectors.setflags(write=False)
    train(dataclasses.replace(region, line=line), modalities=frozen)


def test_mistakes_are_told_before_training(region):
    poi, people = region.modalities
    cases = [
        (dataclasses.replace(poi, vectors=poi.vectors[1:]), "features of poi have 299 rows, but the graph has 300"),
        (dataclasses.replace(people, present=np.arange(NUM_CELLS) == 3), "people is known for 1 of 300 cells"),
        (dataclasses.replace(people, vectors=people.vectors * np.nan), "features of people hold NaN"),
    ]
    for modality, message in cases:
        with pytest.raises(UserError, match=message):
            train(region, modalities=[modality])
    with pytest.raises(UserError, match="line_vectors have 10 rows"):
        train(dataclasses.replace(region, line=region.line[:10]))


def test_a_loss_that_is_no_longer_finite_is_told(region, monkeypatch):
    scripted(monkeypatch, [math.nan])
    with pytest.raises(UserError, match=r"loss is nan in epoch 1\. Use a lower learning_rate"):
        train(region)


def test_an_anchor_that_shares_no_cells_with_anything_is_told(region):
    poi, people = region.modalities
    apart = [dataclasses.replace(poi, present=np.arange(NUM_CELLS) < 2), people]
    with pytest.raises(UserError, match=r"no two cells of one batch have both the anchor \(poi\)"):
        train(region, AlignmentParameters(anchor="poi", batch_size=2, seed=3), modalities=apart)


def test_an_epoch_whose_batches_hold_no_pair_of_a_sparse_modality_ends_nothing(region):
    people = dataclasses.replace(region.modalities[1], present=np.arange(NUM_CELLS) < 6)
    told = AlignmentParameters(maximum_epochs=12, patience=12, batch_size=45, validation_share=0.01)
    result = train(region, told, modalities=[people])
    trained = ["train_loss" in entry for entry in result.history]
    assert len(trained) == 12
    assert 0 < sum(trained) < 12
    assert trained[result.best_epoch - 1]


def test_cuda_is_asked_for_in_vain_where_there_is_none(region, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="device is 'cuda', but torch sees no CUDA"):
        train(region, SHORT.model_copy(update={"device": "cuda"}))
