import dataclasses
import math

import numpy as np
import pyarrow as pa
import pytest
import torch

from mora_pipeline.contract import schemas
from mora_pipeline.contract.schemas import Edges
from mora_pipeline.modalities import LoadedModality
from mora_pipeline.presets.mora.aligned import aligned_vectors, strongest_flows
from mora_pipeline.presets.mora.aligned_parameters import AlignedParameters
from mora_pipeline.presets.paper.graph import load_adjacency

NUM_CELLS, NUM_GROUPS = 240, 6
GROUP = np.arange(NUM_CELLS) % NUM_GROUPS
SHORT = AlignedParameters(dimension=16, steps=6, batch_size=100)


@pytest.fixture(scope="module")
def edges():
    """Cells of one group move among themselves, nine times out of ten."""
    random = np.random.default_rng(5)
    origin = random.integers(0, NUM_CELLS, 4000)
    inside = random.integers(0, NUM_CELLS // NUM_GROUPS, 4000) * NUM_GROUPS + GROUP[origin]
    destination = np.where(random.random(4000) < 0.9, inside, random.integers(0, NUM_CELLS, 4000))
    pairs = np.unique(np.stack([origin, destination])[:, origin != destination], axis=1)
    pairs = random.permutation(pairs, axis=1)
    return Edges(*pairs.astype(np.int32), random.exponential(10, pairs.shape[1]))


@pytest.fixture(scope="module")
def modalities():
    random = np.random.default_rng(6)
    centres = random.normal(size=(NUM_GROUPS, 20))
    vectors = (centres[GROUP] + 0.3 * random.normal(size=(NUM_CELLS, 20))).astype(np.float32)
    present = random.random(NUM_CELLS) < 0.8
    return [
        LoadedModality("poi", "text", vectors, present, 0.5),
        LoadedModality("people", "table", vectors[:, :9].copy(), np.ones(NUM_CELLS, bool), 0.7),
    ]


def test_training_ends_above_chance_and_brings_groups_together(edges, modalities):
    history = []
    vectors = aligned_vectors(edges, NUM_CELLS, modalities, AlignedParameters(dimension=16, reach=1.0), history.append)
    assert vectors.dtype == np.float32
    assert vectors.shape == (NUM_CELLS, 16)
    assert min(entry["validation_loss/people"] for entry in history) < math.log(24) - 0.3
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    nearest = np.argsort(unit @ unit.T, axis=1)[:, -2]
    assert np.mean(GROUP[nearest] == GROUP) > 0.8


def test_a_seed_gives_the_same_bytes_and_another_seed_others(edges, modalities):
    one, same, other = (
        aligned_vectors(edges, NUM_CELLS, modalities, SHORT.model_copy(update={"seed": seed})) for seed in (0, 0, 1)
    )
    assert one.tobytes() == same.tobytes() != other.tobytes()


def test_the_graph_is_that_of_the_step_whatever_the_order_of_the_edges(edges):
    """Oracle: a sort of each origin's flows, and the reader of the dataset `graph`."""
    rows = []
    for origin in range(NUM_CELLS):
        own = np.flatnonzero(edges.origin == origin)
        own = own[np.lexsort((edges.destination[own], -edges.flow[own]))]
        rows += list(own[: max(1, math.ceil(len(own) / 10))]) if len(own) else []
    ends = [edges.origin[rows].astype(np.int64), edges.destination[rows].astype(np.int64)]
    graph = pa.table([*ends, edges.flow[rows]], schema=schemas.GRAPH)
    expected = load_adjacency(graph.to_batches, np.arange(NUM_CELLS))
    adjacency = strongest_flows(edges, NUM_CELLS, 0.1)
    assert all(
        torch.equal(getattr(adjacency, part), getattr(expected, part)) for part in ("indptr", "indices", "values")
    )


def test_without_flows_modalities_or_cells_there_is_nothing_to_align(edges, modalities):
    nothing = Edges(*(part[:0] for part in (edges.origin, edges.destination, edges.flow)))
    absent = [dataclasses.replace(one, present=np.zeros(NUM_CELLS, bool)) for one in modalities]
    assert aligned_vectors(nothing, NUM_CELLS, modalities, SHORT) is None
    assert aligned_vectors(edges, NUM_CELLS, [], SHORT) is None
    assert aligned_vectors(edges, NUM_CELLS, absent, SHORT) is None
    three = Edges(np.array([0], np.int32), np.array([1], np.int32), np.ones(1))
    cut = [dataclasses.replace(one, vectors=one.vectors[:3], present=one.present[:3]) for one in modalities]
    assert aligned_vectors(three, 3, cut, SHORT) is None


def test_a_modality_too_sparse_for_batches_changes_nothing(edges, modalities):
    few = np.zeros(NUM_CELLS, bool)
    few[:3] = True
    sparse = dataclasses.replace(modalities[0], name="sparse", present=few)
    alone, beside = (aligned_vectors(edges, NUM_CELLS, chosen, SHORT) for chosen in (modalities, [*modalities, sparse]))
    assert alone.tobytes() == beside.tobytes()


@pytest.mark.parametrize("num_cells", [4, 5, 180, 1138, 1139, 2681, 22_965, 200_000])
def test_every_region_takes_enough_steps_in_batches_of_one_size(num_cells):
    parameters = AlignedParameters()
    settings = parameters.alignment(num_cells)
    training = num_cells - min(max(2, round(0.1 * num_cells)), num_cells // 2)
    batches = math.ceil(training / settings.batch_size)
    assert settings.batch_size <= parameters.batch_size
    assert settings.maximum_epochs >= parameters.minimum_epochs
    assert settings.maximum_epochs * batches >= parameters.steps
    reach = settings.learning_rate * settings.maximum_epochs * batches / 2 / math.sqrt(batches)
    assert reach == pytest.approx(parameters.reach)
    assert batches * settings.batch_size - training <= max(batches, 2)
    assert 1 <= settings.patience < settings.maximum_epochs
