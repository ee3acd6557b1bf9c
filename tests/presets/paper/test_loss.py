import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from mora_pipeline.presets.paper.loss import contrastive_loss


def dense_loss(anchor, other, temperature):
    logits = functional.normalize(anchor, dim=1) @ functional.normalize(other, dim=1).T / temperature
    matches = torch.arange(len(logits))
    return (functional.cross_entropy(logits, matches) + functional.cross_entropy(logits.T, matches)) / 2


def pair(size, dimension, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    shared = torch.randn(size, dimension, generator=generator, dtype=dtype)
    noise = torch.randn(2, size, dimension, generator=generator, dtype=dtype)
    return [(shared + noise[side]).requires_grad_() for side in (0, 1)]


def loss_and_gradients(function, anchor, other, *arguments):
    loss = function(anchor, other, *arguments)
    return loss.detach(), *torch.autograd.grad(loss * 3, [anchor, other])


@given(
    size=st.integers(1, 40),
    dimension=st.integers(1, 9),
    tile=st.integers(1, 50),
    temperature=st.sampled_from([0.005, 0.05, 0.2, 0.7, 5.0]),
    seed=st.integers(0, 9),
)
def test_loss_and_gradient_are_the_dense_formulas_for_every_shape_and_tile(size, dimension, tile, temperature, seed):
    anchor, other = pair(size, dimension, seed)
    expected = loss_and_gradients(dense_loss, anchor, other, temperature)
    torch.testing.assert_close(
        loss_and_gradients(contrastive_loss, anchor, other, temperature, tile), expected, rtol=1e-9, atol=1e-10
    )


@pytest.mark.parametrize("temperature", [0.01, 0.2, 0.5, 0.7])
def test_single_precision_agrees_with_the_dense_formula_in_double(temperature):
    anchor, other = pair(700, 16)
    expected = loss_and_gradients(dense_loss, anchor, other, temperature)
    single = [side.detach().float().requires_grad_() for side in (anchor, other)]
    result = loss_and_gradients(contrastive_loss, *single, temperature, 256)
    torch.testing.assert_close([part.double() for part in result], list(expected), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("temperature", [0.5, 0.01])
def test_the_gradient_passes_the_numerical_check(temperature):
    anchor, other = pair(5, 3)
    assert torch.autograd.gradcheck(lambda *sides: contrastive_loss(*sides, temperature, 2), (anchor, other))


def test_a_temperature_that_is_learnt_gets_the_dense_gradient():
    anchor, other = pair(20, 4)
    gradients = []
    for function in (contrastive_loss, dense_loss):
        temperature = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
        function(anchor, other, temperature).backward()
        gradients.append(temperature.grad)
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-10, atol=1e-12)


def test_vectors_that_tell_nothing_cost_the_logarithm_of_the_batch():
    """method.md: chance is ln B."""
    alike = torch.ones(3000, 4)
    assert contrastive_loss(alike, alike, 0.5).item() == pytest.approx(math.log(3000), abs=1e-4)


def test_the_papers_sanity_value_of_perfect_positives_among_orthogonal_negatives():
    """method.md: 7.12 at B = 20480, the mean over temperatures 0.5, 0.7 and 0.2; here at B = 64 by the same formula."""

    def expected(size):
        return sum(math.log(1 + (size - 1) * math.exp(-1 / one)) for one in (0.5, 0.7, 0.2)) / 3

    assert expected(20480) == pytest.approx(7.12, abs=0.01)
    identity = torch.eye(64)
    measured = sum(contrastive_loss(identity, identity, one).item() for one in (0.5, 0.7, 0.2)) / 3
    assert measured == pytest.approx(expected(64), abs=1e-5)


def test_scale_of_the_vectors_does_not_matter_and_a_zero_vector_is_no_nan():
    anchor, other = pair(10, 4)
    torch.testing.assert_close(contrastive_loss(anchor * 100, other, 0.2), contrastive_loss(anchor, other, 0.2))
    zero = torch.zeros(4, 3, requires_grad=True)
    loss = contrastive_loss(zero, torch.eye(4, 3), 0.2)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(zero.grad).all()


def test_two_runs_are_equal_to_the_last_bit():
    anchor, other = pair(600, 8, dtype=torch.float32)
    first, second = (loss_and_gradients(contrastive_loss, anchor, other, 0.2, 128) for _ in range(2))
    assert all(torch.equal(one, two) for one, two in zip(first, second, strict=True))


def test_memory_grows_with_the_batch_and_not_its_square():
    """The largest single allocation of forward and backward stays far below the logit matrix."""
    size = 2048
    anchor, other = pair(size, 16, dtype=torch.float32)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        contrastive_loss(anchor, other, 0.5, 256).backward()
    largest = max(event.cpu_memory_usage for event in profile.events())
    assert largest < size * size * 4 / 10


@pytest.mark.parametrize(
    ("shapes", "temperature"), [(((3, 2), (4, 2)), 0.5), (((0, 2), (0, 2)), 0.5), (((3, 2), (3, 2)), 0.0)]
)
def test_senseless_arguments_are_refused(shapes, temperature):
    with pytest.raises(ValueError, match="must be"):
        contrastive_loss(torch.ones(shapes[0]), torch.ones(shapes[1]), temperature)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_gives_the_cpus_loss_and_gradient():
    anchor, other = pair(3000, 32, dtype=torch.float32)
    expected = loss_and_gradients(contrastive_loss, anchor, other, 0.2)
    there = [side.detach().cuda().requires_grad_() for side in (anchor, other)]
    result = loss_and_gradients(contrastive_loss, *there, 0.2)
    torch.testing.assert_close([part.cpu() for part in result], list(expected), rtol=1e-4, atol=1e-5)
