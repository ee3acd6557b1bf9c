"""node2vec: walks go where the flows go, and the skip-gram puts together who is walked together."""

import sys
from collections.abc import Callable

import numpy as np
import pytest

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.schemas import Edges
from mora_pipeline.evaluation.methods.catalogue import make_methods
from mora_pipeline.evaluation.methods.interface import MethodContext
from mora_pipeline.evaluation.methods.node2vec import LENGTH, WALKS, Walks, skip_gram
from mora_pipeline.lake import Lake
from mora_pipeline.region import RegionConfig
from tests.evaluation.methods.processes import printed_in_two_processes


def two_towns(size: int = 30) -> Edges:
    """Cells of two groups, many flows within each and one between; the last cell has none."""
    random = np.random.default_rng(0)
    within = random.integers(0, size, (2, 8 * size))
    pairs = np.concatenate([within, within + size, [[0], [size]]], axis=1)
    pairs = np.unique(pairs[:, pairs[0] != pairs[1]], axis=1)
    return Edges(pairs[0], pairs[1], random.integers(1, 20, pairs.shape[1]).astype(float))


def test_without_gensim_it_says_how_to_get_it(inputs: MethodContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gensim", None)
    with pytest.raises(UserError, match=r"pip install 'mora-pipeline\[node2vec\]', or remove it"):
        make_methods(["node2vec"], {}, inputs)


def test_walks_start_in_every_cell_with_flows_and_follow_them() -> None:
    graph = two_towns()
    walks = Walks(graph, 61)
    found = np.array([[int(cell) for cell in walk] for walk in walks])
    assert found.shape == (60 * WALKS, LENGTH)
    assert np.bincount(found[:, 0], minlength=61).tolist() == [WALKS] * 60 + [0]
    steps = set(zip(found[:, :-1].reshape(-1).tolist(), found[:, 1:].reshape(-1).tolist(), strict=True))
    known = set(zip(graph.origin.tolist(), graph.destination.tolist(), strict=True))
    assert steps <= known | {(destination, origin) for origin, destination in known}
    assert list(walks) == list(walks)


def test_a_step_is_as_likely_as_its_flow_is_strong() -> None:
    """Of a star: from its middle to four cells, with flows in either direction, of which one is told twice."""
    graph = Edges(np.array([0, 2, 0, 0, 4]), np.array([1, 0, 3, 3, 0]), np.array([1.0, 2.0, 1.0, 2.0, 4.0]))
    counts = np.zeros(5)
    for walk in Walks(graph, 5):
        cells = np.array(walk, dtype=int)
        counts += np.bincount(cells[1:][cells[:-1] == 0], minlength=5)
    expected = np.array([0, 1, 2, 3, 4]) / 10
    error = np.sqrt(expected * (1 - expected) / counts.sum())
    assert (np.abs(counts / counts.sum() - expected) <= 4 * error).all()


def test_cells_of_one_town_lie_nearer_each_other_than_those_of_two() -> None:
    pytest.importorskip("gensim")
    walks = Walks(two_towns(), 61)
    found = skip_gram(walks)
    assert found.shape == (61, 128)
    assert not found[60].any()
    unit = found[:60] / np.linalg.norm(found[:60], axis=1, keepdims=True)
    cosines = unit @ unit.T - 2 * np.eye(60)
    assert ((cosines.argmax(axis=1) < 30) == (np.arange(60) < 30)).all()
    assert cosines[:30, :30].mean() > cosines[:30, 30:].mean() + 0.2
    assert np.array_equal(skip_gram(walks), found)


def test_another_process_gives_the_same_vectors() -> None:
    pytest.importorskip("gensim")
    script = (
        "import hashlib, numpy as np\n"
        "from mora_pipeline.evaluation.methods.node2vec import Walks, skip_gram\n"
        "from mora_pipeline.contract.schemas import Edges\n"
        "graph = Edges(np.arange(40), np.arange(40) * 7 % 41, np.arange(40) + 1.0)\n"
        "print(hashlib.sha256(skip_gram(Walks(graph, 41))).hexdigest())"
    )
    assert len(printed_in_two_processes(script)) == 1


def test_the_region_is_walked_along_its_sampled_graph(
    region: Callable[..., RegionConfig], write_lake: Callable[..., Lake], make_inputs: Callable[..., MethodContext]
) -> None:
    pytest.importorskip("gensim")
    config = region({})
    inputs = make_inputs(config, write_lake(config))
    graph = inputs.reader.read("graph").table()
    walked = np.isin(inputs.cells, np.concatenate([graph["origin"].to_numpy(), graph["destination"].to_numpy()]))
    found = make_methods(["node2vec"], {}, inputs)["node2vec"].vectors
    assert found.shape == (len(inputs.cells), 128)
    assert np.array_equal(found.any(axis=1), walked)
    assert 0 < walked.sum() < len(walked)


def test_a_graph_without_flows_gives_zeros() -> None:
    """Whether gensim is there or not, which refuses to learn from nothing."""
    nothing = np.empty(0, dtype=np.int32)
    assert not skip_gram(Walks(Edges(nothing, nothing, np.empty(0)), 3)).any()
