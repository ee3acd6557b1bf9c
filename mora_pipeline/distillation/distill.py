"""Distil a region's embeddings into a network that needs a coordinate and nothing else.

Where the sources are silent: mean squared error on the un-normalised embeddings, AdamW with a rising and falling step
size, a share of the cells never fitted and scored apart. Within one region the harmonics are almost collinear, so
the network is trained on their principal components, brought to one scale. That is a linear map of its input, folded
into the first layer afterwards, as the targets' mean and scale are into the last: the result is the method's network.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from mora_pipeline.contract.errors import UserError
from mora_pipeline.distillation.coordinate_encoder import CoordinateEncoder
from mora_pipeline.distillation.harmonics import Floats
from mora_pipeline.distillation.parameters import DistillParameters
from mora_pipeline.distillation.projection import HarmonicProjection

Bools = npt.NDArray[np.bool_]
Vectors = npt.NDArray[np.float32]
STEPS_PER_EPOCH, SMALLEST_BATCH = 32, 32


@dataclass(frozen=True)
class DistillResult:
    """A fitted encoder with its predictions for the cells, and how good they are.

    Attributes:
        predicted: float32 [N, d].
        held_out: bool [N], true for cells never fitted.
        scores: ``fitted_r2``, ``held_out_r2``, ``fitted_cosine`` and ``held_out_cosine``.
        history: an entry an epoch.
    """

    encoder: CoordinateEncoder
    predicted: Vectors
    held_out: Bools
    scores: dict[str, float]
    history: list[dict[str, float]]


def train_distilled(
    latitude: npt.ArrayLike,
    longitude: npt.ArrayLike,
    embeddings: Vectors,
    parameters: DistillParameters,
    on_epoch: Callable[[dict[str, float]], None] | None = None,
) -> DistillResult:
    """Fit the network from cell centres to embeddings.

    Args:
        latitude, longitude: the cells' centres, degrees, [N].
        embeddings: un-normalised, float32 [N, d].
        parameters: the network's size and its training.
        on_epoch: called with ``epoch``, ``fitted_r2`` (running, over the epoch) and ``held_out_r2``.

    Returns:
        The encoder of the last epoch: the held-out cells choose nothing, so that their scores stay unbiased.

    Raises:
        UserError: if there are fewer than 4 cells.
        ValueError: if the arrays differ in length, or a value is not finite.
    """
    latitude, longitude = np.asarray(latitude, np.float64), np.asarray(longitude, np.float64)
    _check(latitude, longitude, embeddings)
    held_out = _held_out(len(embeddings), parameters)
    projection = HarmonicProjection.fit(
        latitude[~held_out], longitude[~held_out], parameters.degree, parameters.smallest_component
    )
    inputs = torch.from_numpy(projection.apply(latitude, longitude))
    targets = torch.from_numpy(embeddings.astype(np.float64))
    fitted = targets[torch.from_numpy(~held_out)]
    mean = fitted.mean(0)
    scale = (fitted - mean).square().mean().sqrt().clamp_min(1e-12)
    network = _network(inputs.shape[1], targets.shape[1], parameters)
    history = _fit(network, inputs, (targets - mean) / scale, torch.from_numpy(held_out), parameters, on_epoch)
    encoder = _folded(network, projection, mean, scale, parameters, targets.shape[1])
    predicted = encoder.encode(latitude, longitude)
    return DistillResult(encoder, predicted, held_out, _scores(predicted, embeddings, held_out), history)


def _held_out(num_cells: int, parameters: DistillParameters) -> Bools:
    """The cells never fitted, bool [N]: one at least, and all but two at most."""
    chosen = np.zeros(num_cells, dtype=bool)
    count = min(max(1, round(parameters.held_out_share * num_cells)), num_cells - 2)
    chosen[np.random.default_rng(parameters.seed).permutation(num_cells)[:count]] = True
    return chosen


def _network(inputs: int, outputs: int, parameters: DistillParameters) -> nn.Sequential:
    """The encoder's layers on projected inputs, Kaiming-normal, in the precision of training."""
    generator = torch.Generator().manual_seed(parameters.seed)
    widths = [inputs, *[parameters.hidden] * parameters.hidden_layers, outputs]
    layers: list[nn.Module] = []
    for width, following in pairwise(widths):
        linear = nn.Linear(width, following, dtype=getattr(torch, parameters.precision))
        last = len(layers) == 2 * parameters.hidden_layers
        nn.init.kaiming_normal_(linear.weight, nonlinearity="linear" if last else "relu", generator=generator)
        nn.init.zeros_(linear.bias)
        layers += [linear] if last else [linear, nn.ReLU()]
    return nn.Sequential(*layers)


def _fit(
    network: nn.Sequential,
    inputs: Tensor,
    targets: Tensor,
    held_out: Tensor,
    parameters: DistillParameters,
    on_epoch: Callable[[dict[str, float]], None] | None,
) -> list[dict[str, float]]:
    """Fit in place; targets [N, d] have mean 0 and variance 1 over the fitted cells, so R² is 1 − loss there."""
    precision = getattr(torch, parameters.precision)
    inputs, targets = inputs.to(precision), targets.to(precision)
    fitted = torch.nonzero(~held_out).squeeze(1)
    # A small region still takes STEPS_PER_EPOCH steps an epoch, or it would end before it has learnt anything.
    batch = min(parameters.batch_size, max(SMALLEST_BATCH, len(fitted) // STEPS_PER_EPOCH))
    batches = -(-len(fitted) // batch)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=parameters.learning_rate, weight_decay=parameters.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, parameters.learning_rate, total_steps=parameters.epochs * batches + 1, pct_start=0.1
    )
    generator = torch.Generator().manual_seed(parameters.seed)
    history = []
    for epoch in range(parameters.epochs):
        squares = 0.0
        for rows in fitted[torch.randperm(len(fitted), generator=generator)].split(batch):
            loss = functional.mse_loss(network(inputs[rows]), targets[rows])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            squares += float(loss.detach()) * len(rows)
        with torch.no_grad():
            r2 = _r2(network(inputs[held_out]), targets[held_out])
        history.append({"epoch": float(epoch), "fitted_r2": 1 - squares / len(fitted), "held_out_r2": r2})
        if on_epoch is not None:
            on_epoch(history[-1])
    return history


@torch.no_grad()
def _folded(
    network: nn.Sequential,
    projection: HarmonicProjection,
    mean: Tensor,
    scale: Tensor,
    parameters: DistillParameters,
    dimension: int,
) -> CoordinateEncoder:
    """The method's network: the same function of the harmonics [n, degree²] themselves, un-normalised, in float64."""
    encoder = CoordinateEncoder(parameters.degree, parameters.hidden, parameters.hidden_layers, dimension)
    linears = [module for module in network if isinstance(module, nn.Linear)]
    for layer, trained in zip(encoder.linears(), linears, strict=True):
        weight, bias = trained.weight.double(), trained.bias.double()
        if trained is linears[0]:
            weight = weight @ torch.from_numpy(projection.matrix).T
            bias = bias - weight @ torch.from_numpy(projection.mean)
        if trained is linears[-1]:
            weight, bias = weight * scale, bias * scale + mean
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)
    return encoder.requires_grad_(False).eval()


def _scores(predicted: Vectors, embeddings: Vectors, held_out: Bools) -> dict[str, float]:
    """R² over all dimensions together and mean cosine, of vectors [N, d], of the fitted and the held-out cells."""
    scores = {}
    for name, rows in (("fitted", ~held_out), ("held_out", held_out)):
        guess, truth = torch.from_numpy(predicted[rows]).double(), torch.from_numpy(embeddings[rows]).double()
        scores[f"{name}_r2"] = _r2(guess, truth)
        scores[f"{name}_cosine"] = float(functional.cosine_similarity(guess, truth).mean())
    return scores


def _r2(predicted: Tensor, truth: Tensor) -> float:
    """1 − squared error / squared distance from the mean, of [n, d]; NaN where the truth does not vary."""
    spread = (truth - truth.mean(0)).square().sum()
    return float(1 - (predicted - truth).square().sum() / spread) if spread > 0 else float("nan")


def _check(latitude: Floats, longitude: Floats, embeddings: Vectors) -> None:
    if not len(latitude) == len(longitude) == len(embeddings):
        raise ValueError(f"{len(latitude)} latitudes, {len(longitude)} longitudes and {len(embeddings)} embeddings")
    if len(embeddings) < 4:
        raise UserError(
            f"distilled_encoder: {len(embeddings)} cells are too few to distil, 4 at least are needed. Use a finer "
            "resolution or data of a larger region; the embeddings are there and serve without it."
        )
    if not (np.isfinite(latitude).all() and np.isfinite(longitude).all() and np.isfinite(embeddings).all()):
        raise ValueError("coordinates and embeddings must be finite")
