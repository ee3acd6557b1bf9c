"""Spherical harmonics against scipy; the distilled encoder against functions it can and cannot know."""

import json
from pathlib import Path

import h3
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from scipy.special import sph_harm_y

from mora_pipeline.contract.errors import UserError
from mora_pipeline.distillation.coordinate_encoder import (
    SETTINGS,
    WEIGHTS,
    CoordinateEncoder,
    load_encoder,
    save_encoder,
)
from mora_pipeline.distillation.distill import DistillResult, train_distilled
from mora_pipeline.distillation.harmonics import spherical_harmonics
from mora_pipeline.distillation.parameters import DistillParameters
from mora_pipeline.distillation.projection import HarmonicProjection
from mora_pipeline.steps.distil import DISTILLED_ENCODER


def scipy_harmonics(latitude: np.ndarray, longitude: np.ndarray, degree: int) -> np.ndarray:
    """Real harmonics from scipy's complex ones, whose Condon-Shortley phase (−1)^m is taken back."""
    polar, azimuth = np.radians(90 - latitude), np.radians(longitude)
    columns = []
    for level in range(degree):
        for order in range(-level, level + 1):
            value = sph_harm_y(level, abs(order), polar, azimuth) * (-1) ** order
            part = value.imag if order < 0 else value.real
            columns.append(part * (np.sqrt(2) if order else 1))
    return np.stack(columns, axis=1)


def test_harmonics_are_scipys() -> None:
    draw = np.random.default_rng(0)
    latitude = np.concatenate([draw.uniform(-90, 90, 50), [90, -90, 0, 0, 89.999999]])
    longitude = np.concatenate([draw.uniform(-180, 180, 50), [0, 77, 180, -180, 12]])
    features = spherical_harmonics(latitude, longitude)
    assert features.shape == (55, 1024)
    assert features.dtype == np.float64
    np.testing.assert_allclose(features, scipy_harmonics(latitude, longitude, 32), atol=1e-11)


def test_harmonics_are_orthonormal_on_the_sphere() -> None:
    """Gauss-Legendre in sin(latitude) times equal steps in longitude integrates these products exactly."""
    degree = 12
    nodes, weights = np.polynomial.legendre.leggauss(degree)
    steps = 2 * degree
    latitude = np.repeat(np.degrees(np.arcsin(nodes)), steps)
    longitude = np.tile(np.arange(steps) * 360 / steps - 180, degree)
    features = spherical_harmonics(latitude, longitude, degree)
    gram = features.T @ (features * np.repeat(weights * 2 * np.pi / steps, steps)[:, None])
    np.testing.assert_allclose(gram, np.eye(degree**2), atol=1e-12)


@given(latitude=st.floats(-90, 90))
@settings(max_examples=30)
def test_harmonics_are_the_same_on_both_sides_of_the_antimeridian(latitude: float) -> None:
    east, west = spherical_harmonics([latitude, latitude], [180.0, -180.0])
    np.testing.assert_allclose(east, west, atol=1e-12)


def test_longitude_means_nothing_at_a_pole() -> None:
    features = spherical_harmonics([90, 90, 90], [0, 100, -50])
    np.testing.assert_allclose(features, np.broadcast_to(features[0], features.shape), atol=1e-12)


def test_harmonics_refuse_rows_of_different_length() -> None:
    with pytest.raises(ValueError, match="equally long"):
        spherical_harmonics([1.0, 2.0], [1.0])


def city(rings: int = 13) -> tuple[np.ndarray, np.ndarray]:
    centres = [h3.cell_to_latlng(cell) for cell in sorted(h3.grid_disk(h3.latlng_to_cell(48.2, 16.4, 8), rings))]
    return np.array(centres)[:, 0], np.array(centres)[:, 1]


def smooth(latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    """16 smooth functions of a place, un-normalised and off centre."""
    y, x = (latitude - 48.2) / 0.1, (longitude - 16.4) / 0.15
    frequencies = np.linspace(0.3, 2, 16)
    return (3 * np.sin(frequencies * x[:, None]) * np.cos(frequencies[::-1] * y[:, None]) + 5).astype(np.float32)


SMALL = DistillParameters(hidden=64, hidden_layers=3, epochs=60, batch_size=64)


@pytest.fixture(scope="module")
def fitted() -> DistillResult:
    latitude, longitude = city()
    return train_distilled(latitude, longitude, smooth(latitude, longitude), SMALL)


def test_a_smooth_function_is_learnt_also_where_it_was_not_seen(fitted: DistillResult) -> None:
    assert fitted.scores["fitted_r2"] > 0.98
    assert fitted.scores["held_out_r2"] > 0.95
    assert fitted.scores["held_out_cosine"] > 0.98


def test_a_tenth_of_the_cells_is_held_out(fitted: DistillResult) -> None:
    assert fitted.held_out.sum() == round(0.1 * len(fitted.held_out))


def test_scores_are_those_of_the_saved_network(fitted: DistillResult) -> None:
    """Recomputed from the definition, over all dimensions together."""
    latitude, longitude = city()
    rows = fitted.held_out
    truth = smooth(latitude, longitude)[rows].astype(float)
    guess = fitted.encoder.encode(latitude[rows], longitude[rows]).astype(float)
    r2 = 1 - ((guess - truth) ** 2).sum() / ((truth - truth.mean(0)) ** 2).sum()
    cosine = (guess * truth).sum(1) / np.linalg.norm(guess, axis=1) / np.linalg.norm(truth, axis=1)
    assert fitted.scores["held_out_r2"] == pytest.approx(r2, abs=1e-6)
    assert fitted.scores["held_out_cosine"] == pytest.approx(cosine.mean(), abs=1e-6)
    # The curve is that of the unfolded network in training: folding changed nothing.
    assert fitted.history[-1]["held_out_r2"] == pytest.approx(r2, abs=1e-4)


def test_noise_is_not_learnt_and_the_held_out_score_says_so() -> None:
    latitude, longitude = city(6)
    noise = np.random.default_rng(1).normal(size=(len(latitude), 8)).astype(np.float32)
    scores = train_distilled(latitude, longitude, noise, SMALL.model_copy(update={"epochs": 40})).scores
    assert scores["held_out_r2"] < 0.1 < scores["fitted_r2"]


def test_one_seed_one_encoder() -> None:
    latitude, longitude = city(4)
    quick = SMALL.model_copy(update={"epochs": 3})
    first, second = (train_distilled(latitude, longitude, smooth(latitude, longitude), quick) for _ in range(2))
    assert np.array_equal(first.predicted, second.predicted)
    assert np.array_equal(first.held_out, second.held_out)
    other = train_distilled(latitude, longitude, smooth(latitude, longitude), quick.model_copy(update={"seed": 1}))
    assert not np.array_equal(first.held_out, other.held_out)


def test_four_cells_and_a_constant_target_are_enough() -> None:
    target = np.full((4, 8), 2.5, dtype=np.float32)
    found = train_distilled([1.0, 1.1, 1.2, 1.3], [2.0, 2.1, 2.0, 2.1], target, SMALL.model_copy(update={"epochs": 1}))
    np.testing.assert_allclose(found.predicted, target, atol=1e-4)


def test_three_cells_are_refused() -> None:
    with pytest.raises(UserError, match="3 cells are too few to distil, 4 at least"):
        train_distilled([1, 2, 3], [1, 2, 3], np.zeros((3, 8), np.float32), SMALL)


def test_the_projection_is_white_within_the_region() -> None:
    latitude, longitude = city()
    projection = HarmonicProjection.fit(latitude, longitude, 32, 1e-6)
    values = projection.apply(latitude, longitude)
    covariance = np.cov(values.T)
    assert values.shape[1] >= 3
    np.testing.assert_allclose(values.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(covariance - np.diag(np.diag(covariance)), 0, atol=1e-3)


def test_the_network_is_the_published_one() -> None:
    """MLP [1024] + [512] × 8 + [128] in float64."""
    shapes = [tuple(layer.weight.shape) for layer in CoordinateEncoder().linears()]
    assert shapes == [(512, 1024), *[(512, 512)] * 7, (128, 512)]
    assert all(parameter.dtype == torch.float64 for parameter in CoordinateEncoder().parameters())


def test_an_encoder_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    encoder = CoordinateEncoder(degree=6, hidden=16, hidden_layers=2, dimension=8)
    save_encoder(encoder, tmp_path)
    latitude, longitude = city(3)
    assert {path.name for path in tmp_path.iterdir()} == {"encoder.safetensors", "encoder.json"}
    loaded = load_encoder(tmp_path)
    assert np.array_equal(loaded.encode(latitude, longitude), encoder.encode(latitude, longitude))


def wrong_weights(folder: Path) -> None:
    save_file({"layers.0.weight": torch.zeros(2, 2)}, folder / WEIGHTS)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / WEIGHTS).write_bytes(b"\x80\x04 a pickle"), "cannot be read as encoder weights"),
        (lambda folder: (folder / WEIGHTS).unlink(), "cannot be read as encoder weights"),
        (wrong_weights, "come from different encoders"),
        (lambda folder: (folder / SETTINGS).write_text("{"), "cannot be read"),
        (lambda folder: (folder / SETTINGS).unlink(), "cannot be read"),
        (lambda folder: (folder / SETTINGS).write_text("[]"), "does not describe a coordinate encoder"),
        (
            lambda folder: (folder / SETTINGS).write_text(
                json.dumps(json.loads((folder / SETTINGS).read_text()) | {"hidden": 10**9})
            ),
            "does not describe a coordinate encoder",
        ),
    ],
)
def test_a_wrong_file_is_one_clear_message(tmp_path: Path, damage, message: str) -> None:
    save_encoder(CoordinateEncoder(degree=6, hidden=16, hidden_layers=2, dimension=8), tmp_path)
    damage(tmp_path)
    with pytest.raises(UserError, match=message):
        load_encoder(tmp_path)


def test_distillation_holds_no_place_for_a_gpu_that_it_does_not_use(fitted: DistillResult) -> None:
    assert DISTILLED_ENCODER.pool is None
    assert "device" not in DistillParameters.model_fields
    assert {weight.device.type for weight in fitted.encoder.parameters()} == {"cpu"}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_distillation_leaves_a_gpu_alone() -> None:
    latitude, longitude = city(4)
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    train_distilled(latitude, longitude, smooth(latitude, longitude), SMALL.model_copy(update={"epochs": 1}))
    assert torch.cuda.max_memory_allocated() == before
