"""LINE's draws, gradient and vectors against what is known of them without LINE."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare
from sklearn.metrics import roc_auc_score
from torch.nn.functional import logsigmoid

from mora_pipeline.contract.errors import UserError
from mora_pipeline.presets.paper.line import GROUP, Draw, batch_size, line_gradients, line_loss, num_samples, train_line
from mora_pipeline.presets.paper.parameters import LineParameters
from mora_pipeline.presets.paper.sampling import EdgeSampler, WeightedSampler, noise_weights

Graph = tuple[np.ndarray, np.ndarray, np.ndarray]
# Short on purpose: on 200 cells, longer training learns the single edges by heart, and communities fade.
QUICK = LineParameters(dimension=32, samples_per_cell=500, learning_rate=0.05)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def block_graph(blocks: int = 4, size: int = 50, seed: int = 0) -> tuple[Graph, np.ndarray]:
    """A planted partition: 20 % of the pairs within a block are linked, 1 % of those between blocks."""
    draw, block = np.random.default_rng(seed), np.repeat(np.arange(blocks), size)
    chance = np.where(block[:, None] == block[None, :], 0.2, 0.01)
    origin, destination = np.nonzero(np.triu(draw.random(chance.shape) < chance, 1))
    return (origin, destination, draw.lognormal(0, 0.5, len(origin))), block


def same_and_other(vectors: np.ndarray, block: np.ndarray) -> tuple[float, float]:
    cosine, same = unit(vectors) @ unit(vectors).T, block[:, None] == block[None, :]
    off_diagonal = ~np.eye(len(block), dtype=bool)
    return float(cosine[same & off_diagonal].mean()), float(cosine[~same].mean())


def test_edges_are_drawn_in_proportion_to_their_flow() -> None:
    flow = np.random.default_rng(0).lognormal(0, 1.5, 60)
    sampler = EdgeSampler(np.arange(60), np.arange(60) + 60, flow, both_directions=False, generator=seeded())
    source, target = sampler.draw(200_000)
    assert torch.equal(target, source + 60)
    assert chisquare(np.bincount(source, minlength=60), 200_000 * flow / flow.sum()).pvalue > 0.001


def test_each_direction_of_an_edge_is_drawn_as_often() -> None:
    flow = np.array([1.0, 2.0, 5.0])
    sampler = EdgeSampler(np.arange(3), np.arange(3) + 3, flow, both_directions=True, generator=seeded(1))
    source, target = sampler.draw(100_000)
    assert bool(((source - target).abs() == 3).all())
    expected = 100_000 * np.tile(flow, 2) / flow.sum() / 2
    assert chisquare(np.bincount(source, minlength=6), expected).pvalue > 0.001


@given(weights=st.lists(st.sampled_from([0.0, 1e-3, 1.0, 50.0]), min_size=1, max_size=20), seed=st.integers(0, 99))
@settings(max_examples=60)
def test_an_item_without_weight_is_never_drawn(weights: list[float], seed: int) -> None:
    values = torch.tensor(weights, dtype=torch.float64)
    if not bool(values.any()):
        with pytest.raises(ValueError, match="positive"):
            WeightedSampler(values, seeded(seed))
        return
    assert bool((values[WeightedSampler(values, seeded(seed)).draw(500)] > 0).all())


@pytest.mark.parametrize(("both", "strength"), [(True, [5.0, 9.0, 4.0, 0.0]), (False, [0.0, 5.0, 4.0, 0.0])])
def test_noise_follows_strength_to_the_power_of_three_quarters(both: bool, strength: list[float]) -> None:
    """Edges 0→1 (3), 0→1 (2) and 1→2 (4), a fourth cell without any."""
    edges = np.array([0, 0, 1]), np.array([1, 1, 2]), np.array([3.0, 2.0, 4.0])
    weights = noise_weights(*edges, num_cells=4, power=0.75, both_directions=both)
    expected = np.array([value**0.75 if value else 0.0 for value in strength])
    np.testing.assert_allclose(weights.numpy(), expected)
    drawn = np.bincount(WeightedSampler(weights, seeded()).draw(100_000), minlength=4)
    some = expected > 0
    assert chisquare(drawn[some], 100_000 * expected[some] / expected.sum()).pvalue > 0.001


@pytest.mark.parametrize("order", [1, 2])
def test_the_gradient_is_that_of_the_formula(order: int) -> None:
    """−Σ_edges [log σ(u·v') + K · mean over the group's pool of log σ(−u·w')], written edge by edge, by autograd."""
    cells, negatives = 7, 5
    vertex = torch.randn(cells, 4, dtype=torch.float64, generator=seeded()).requires_grad_()
    context = torch.randn(cells, 4, dtype=torch.float64, generator=seeded(1)).requires_grad_() if order == 2 else vertex
    source, target = (torch.randint(cells, (2 * GROUP,), generator=seeded(seed)) for seed in (2, 3))
    draw = Draw(source, target, torch.randint(cells, (2, 10), generator=seeded(4)))
    loss = torch.zeros((), dtype=torch.float64)
    for edge in range(2 * GROUP):
        u = vertex[source[edge]]
        loss = loss - logsigmoid(u @ context[target[edge]])
        for noise in draw.noise[edge // GROUP]:
            loss = loss - negatives / 10 * logsigmoid(-(u @ context[noise]))
    loss.backward()
    with torch.no_grad():
        to_source, to_target, to_noise = line_gradients(vertex, context, draw, negatives)
        assert line_loss(vertex, context, draw, negatives) == pytest.approx(float(loss) / (2 * GROUP))
    of_vertex, of_context = torch.zeros_like(vertex), torch.zeros_like(vertex)
    of_vertex.index_add_(0, source, to_source)
    of_context.index_add_(0, target, to_target).index_add_(0, draw.noise.view(-1), to_noise)
    if order == 1:
        of_vertex = of_context = of_vertex + of_context
    torch.testing.assert_close(of_vertex, vertex.grad)
    torch.testing.assert_close(of_context, context.grad)


@pytest.mark.parametrize("order", [1, 2])
def test_planted_communities_are_recovered(order: int) -> None:
    graph, block = block_graph()
    same, other = same_and_other(train_line(*graph, len(block), QUICK.model_copy(update={"order": order})), block)
    assert same > other + 0.4


def test_cells_with_the_same_neighbours_are_alike_though_never_linked() -> None:
    """Second order's promise: homes 0-39 work in halls 40-49 or in halls 50-59; no home is linked to a home."""
    origin = np.repeat(np.arange(40), 10)
    destination = np.concatenate([np.arange(10) + (40 if home < 20 else 50) for home in range(40)])
    vectors = train_line(origin, destination, np.ones(400), 60, QUICK)
    same, other = same_and_other(vectors[:40], np.arange(40) // 20)
    assert same > 0.8
    assert same > other + 0.4


def test_a_hub_that_everyone_visits_does_not_blow_up() -> None:
    """Half of every draw meets at one cell: summed unscaled, such steps grow without bound."""
    cells = 2000
    ring = np.arange(1, cells)
    origin = np.concatenate([ring, ring])
    destination = np.concatenate([np.zeros(cells - 1, dtype=np.int64), np.roll(ring, 1)])
    flow = np.concatenate([np.full(cells - 1, 100.0), np.ones(cells - 1)])
    losses: list[float] = []
    vectors = train_line(origin, destination, flow, cells, QUICK, lambda done, total, loss: losses.append(loss))
    lengths = np.linalg.norm(vectors, axis=1)
    assert np.isfinite(vectors).all()
    assert lengths.max() < 20
    assert losses[-1] < losses[0]


def test_held_out_flows_are_told_from_pairs_that_never_flow() -> None:
    """Against pairs with the same ends reshuffled, so that busy cells alone explain nothing."""
    (origin, destination, flow), block = block_graph(blocks=6)
    draw = np.random.default_rng(3)
    held = draw.random(len(flow)) < 0.1
    vectors = unit(train_line(origin[~held], destination[~held], flow[~held], len(block), QUICK))
    linked = set(zip(origin.tolist(), destination.tolist(), strict=True))
    shuffled = zip(draw.permutation(origin[held]).tolist(), draw.permutation(destination[held]).tolist(), strict=True)
    never = np.array([(a, b) for a, b in shuffled if (a, b) not in linked and (b, a) not in linked and a != b])
    pairs = np.concatenate([np.stack([origin[held], destination[held]], 1), never])
    truth = np.concatenate([np.ones(int(held.sum())), np.zeros(len(never))])
    strength = np.bincount(origin, flow, len(block)) + np.bincount(destination, flow, len(block))
    score = (vectors[pairs[:, 0]] * vectors[pairs[:, 1]]).sum(1)
    by_strength = roc_auc_score(truth, strength[pairs[:, 0]] * strength[pairs[:, 1]])
    assert roc_auc_score(truth, score) > max(0.8, by_strength + 0.1)


def test_one_seed_one_result() -> None:
    graph, block = block_graph(size=20)
    quick = QUICK.model_copy(update={"samples_per_cell": 200})
    first, second = (train_line(*graph, len(block), quick) for _ in range(2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, train_line(*graph, len(block), quick.model_copy(update={"seed": 1})))


def test_directed_edges_give_a_cell_that_only_receives_no_vector_of_its_own() -> None:
    graph = np.array([0, 1]), np.array([2, 2]), np.array([1.0, 1.0])
    lengths = {
        directed: np.linalg.norm(train_line(*graph, 3, QUICK.model_copy(update={"directed": directed})), axis=1)[2]
        for directed in (True, False)
    }
    assert lengths[True] <= 0.5 / np.sqrt(QUICK.dimension) < lengths[False]


def test_a_cell_without_edges_keeps_a_small_vector_that_is_not_zero() -> None:
    vectors = train_line(np.array([0]), np.array([1]), np.array([1.0]), 3, QUICK)
    assert vectors.shape == (3, 32)
    assert vectors.dtype == np.float32
    assert 0 < np.abs(vectors[2]).max() <= 0.5 / 32
    none = np.array([], dtype=np.int64)
    assert np.abs(train_line(none, none, np.array([]), 3, QUICK)).max() <= 0.5 / 32


def test_normalised_vectors_have_length_one() -> None:
    graph, block = block_graph(size=20)
    vectors = train_line(*graph, len(block), QUICK.model_copy(update={"normalise": True, "samples_per_cell": 100}))
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    none = np.array([], dtype=np.int64)
    vectors = train_line(none, none, np.array([]), 3, QUICK.model_copy(update={"normalise": True}))
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("order", [1, 2])
def test_a_gpu_draws_the_same_edges_and_comes_to_the_same_vectors(order: int) -> None:
    graph, block = block_graph()
    told = [QUICK.model_copy(update={"device": device, "order": order}) for device in ("cpu", "cuda", "cuda")]
    on_cpu, *on_gpu = (train_line(*graph, len(block), one) for one in told)
    np.testing.assert_array_equal(*on_gpu)
    assert np.abs(unit(on_cpu) @ unit(on_cpu).T - unit(on_gpu[0]) @ unit(on_gpu[0]).T).max() < 0.05


def test_a_gpu_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    graph, block = block_graph(size=20)
    with pytest.raises(UserError, match="line: device is 'cuda'"):
        train_line(*graph, len(block), QUICK.model_copy(update={"device": "cuda"}))


def test_progress_tells_of_every_sample() -> None:
    graph, block = block_graph(size=20)
    told: list[tuple[int, int, float]] = []
    train_line(*graph, len(block), QUICK, lambda done, total, loss: told.append((done, total, loss)))
    assert told[-1][0] == told[-1][1] >= num_samples(len(graph[2]), len(block), QUICK)
    assert all(before[0] < after[0] for before, after in itertools.pairwise(told))


def test_the_number_of_samples_serves_cells_and_edges_within_its_limit() -> None:
    parameters = LineParameters(samples_per_edge=20, samples_per_cell=1000, maximum_samples=100_000)
    assert num_samples(10, 10, parameters) == 10_000
    assert num_samples(1000, 10, parameters) == 20_000
    assert num_samples(10**9, 10, parameters) == 100_000


@pytest.mark.parametrize(("cells", "largest", "size"), [(3, 16384, 64), (200, 16384, 192), (10**6, 16384, 16384)])
def test_a_step_has_whole_groups_and_no_more_edges_than_cells(cells: int, largest: int, size: int) -> None:
    assert batch_size(cells, largest) == size


@pytest.mark.parametrize(
    ("origin", "flow", "message"),
    [([0, 1], [1.0], "differ"), ([3], [1.0], "there are 3 cells"), ([0], [0.0], "positive"), ([0], [np.nan], "finite")],
)
def test_impossible_edges_are_refused(origin: list[int], flow: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        train_line(np.array(origin), np.zeros(len(origin), dtype=int), np.array(flow), 3, QUICK)
