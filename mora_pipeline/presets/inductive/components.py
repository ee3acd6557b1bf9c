"""The closed form of the encoder: principal components of the Gaussian kernel, seen through its units, and turned."""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mora_pipeline.modalities.blocks import fixed_signs
from mora_pipeline.presets.inductive.encoder import CHUNK, GaussianReadout, gaussian_units
from mora_pipeline.presets.inductive.parameters import InductiveParameters

SMALLEST_SHARE = 1e-6  # eigenvalues of the centres' kernel below this share of the largest are float32's rounding


def kernel_components(
    states: Tensor, blocks: Sequence[slice], parameters: InductiveParameters
) -> tuple[GaussianReadout, float]:
    """Fit the readout: the directions in which the cells' kernel features vary most, turned towards the blocks.

    With K the units' answers at the centres, φ(x) = K^-1/2 k(x) are Nyström's features of the Gaussian kernel; the
    embedding is their projection on the strongest eigenvectors of their covariance over the cells. Nothing is drawn
    but the centres. No other linear readout of that length loses less of the features in the mean square, so that what
    is near in the states stays near, and smooth functions of the states become linear in the embedding. The rotation
    (see `turned`) leaves lengths, angles and every linear model as they are, and helps models that split on one number
    at a time.

    Args:
        states: float32 [N, width], in the order of the cells.
        blocks: the columns of each kind of evidence.

    Returns:
        The readout, and the share of the features' variance that it keeps. Embeddings of these cells have mean 0 and
        the root mean square length of the parameters; where the features have fewer directions than the dimension
        (a region of few cells), the last numbers are 0.

    Source: Schölkopf et al. 1998 (kernel PCA); Williams & Seeger 2001 (Nyström).
    """
    centres = states[torch.from_numpy(chosen_centres(len(states), parameters))].contiguous()
    whiten = _inverse_root(gaussian_units(centres, centres, parameters.sharpness))
    mean, covariance = _moments(
        (gaussian_units(chunk, centres, parameters.sharpness) for chunk in states.split(CHUNK)), len(states)
    )
    variances, directions = torch.linalg.eigh(whiten.T @ covariance @ whiten)
    variances = variances.clamp_min(0)
    kept = min(parameters.dimension, len(variances))
    spread = float(variances[-kept:].sum())
    scale = parameters.length / spread**0.5 if spread > SMALLEST_SHARE else 0.0  # else all cells are alike
    readout = torch.zeros(len(centres), parameters.dimension, dtype=torch.float64, device=states.device)
    readout[:, :kept] = whiten @ directions[:, -kept:].flip(1) * scale
    flat = GaussianReadout(centres, readout.float(), (mean @ readout).float(), parameters.sharpness)
    readout[:, :kept] = readout[:, :kept] @ turned(flat(states)[:, :kept], states, blocks)
    fitted = GaussianReadout(centres, readout.float(), (mean @ readout).float(), parameters.sharpness)
    return fitted, spread / max(float(variances.sum()), SMALLEST_SHARE)


def chosen_centres(num_cells: int, parameters: InductiveParameters) -> npt.NDArray[np.int64]:
    """Rows of the cells that units are centred on, int64 [units], ascending; all N cells if there are no more."""
    drawn = np.random.default_rng(parameters.seed).permutation(num_cells)[: parameters.units]
    return np.asarray(np.sort(drawn))


def turned(embeddings: Tensor, states: Tensor, blocks: Sequence[slice]) -> Tensor:
    """The rotation that brings embeddings nearest to the strongest principal components of the single blocks.

    So each number of an embedding describes one kind of evidence as far as that is possible.

    Args:
        embeddings: float32 [N, d], with mean 0.
        states: float32 [N, width].
        blocks: the columns of each kind of evidence in the states.

    Returns:
        float64 [d, d], orthogonal.

    Source: Schönemann 1966 (orthogonal Procrustes problem).
    """
    axes = _block_axes(states, blocks, embeddings.shape[1])
    products = torch.zeros(embeddings.shape[1], axes.shape[1], dtype=torch.float64, device=states.device)
    for own, chunk in zip(embeddings.split(CHUNK), states.split(CHUNK), strict=True):
        products += own.double().T @ (chunk.double() @ axes)
    left, _, right = torch.linalg.svd(products, full_matrices=True)
    # Fewer axes than numbers (narrow states): the numbers that are left keep the order of their variances.
    rest = torch.eye(len(left), dtype=torch.float64, device=states.device)[len(right) :, len(right) :]
    return left @ torch.block_diag(right, rest)


def _block_axes(states: Tensor, blocks: Sequence[slice], most: int) -> Tensor:
    """The strongest principal directions of single blocks of states [N, width]: float64 [width, at most `most`]."""
    _, covariance = _moments(states.split(CHUNK), len(states))
    axes = torch.zeros(len(covariance), len(covariance), dtype=torch.float64)
    strengths = torch.zeros(len(covariance), dtype=torch.float64)
    for block in blocks:
        variances, directions = torch.linalg.eigh(covariance[block, block].cpu())
        axes[block, block] = torch.from_numpy(fixed_signs(directions.numpy()))
        strengths[block] = variances
    order = strengths.argsort(descending=True, stable=True)[:most]
    return axes[:, order].to(states.device)


def _inverse_root(kernel: Tensor) -> Tensor:
    """K^-1/2 of a symmetric K [units, units], on the directions that K has: float64 [units, rank]."""
    values, vectors = torch.linalg.eigh(kernel.double())
    kept = values > SMALLEST_SHARE * values[-1]
    return vectors[:, kept] / values[kept].sqrt()


def _moments(chunks: Iterable[Tensor], count: int) -> tuple[Tensor, Tensor]:
    """Mean, float64 [d], and covariance, float64 [d, d], of `count` rows that come in chunks [n, d]."""
    total, products = torch.zeros(()), torch.zeros(())
    for chunk in chunks:
        exact = chunk.double()
        total, products = exact.sum(0) + total.to(exact), exact.T @ exact + products.to(exact)
    mean = total / count
    return mean, products / count - torch.outer(mean, mean)
