"""The closed form of the encoder: principal components of the Gaussian kernel, seen through its units (Nyström)."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mora_pipeline.training.inductive.encoder import CHUNK, GaussianReadout, gaussian_units
from mora_pipeline.training.inductive.parameters import InductiveParameters
from mora_pipeline.training.inductive.states import fixed_signs

SMALLEST_SHARE = 1e-6  # eigenvalues of the centres' kernel below this share of the largest are float32's rounding


def kernel_components(states: Tensor, parameters: InductiveParameters) -> tuple[GaussianReadout, float]:
    """Fit the readout: the directions in which the cells' kernel features vary most.

    With K the units' answers at the centres, φ(x) = K^-1/2 k(x) are Nyström's features of the Gaussian kernel; the
    embedding is their projection on the strongest eigenvectors of their covariance over the cells. Nothing is drawn
    but the centres. No other linear readout of that length loses less of the features in the mean square, so that what
    is near in the states stays near, and smooth functions of the states become linear in the embedding.

    Args:
        states: float32 [N, width], in the order of the cells.

    Returns:
        The readout, and the share of the features' variance that it keeps. Embeddings of these cells have mean 0 and
        the root mean square length of the parameters; where the features have fewer directions than the dimension
        (a region of few cells), the last numbers are 0.

    Source: Schölkopf et al. 1998 (kernel PCA); Williams & Seeger 2001 (Nyström).
    """
    centres = states[torch.from_numpy(chosen_centres(len(states), parameters))].contiguous()
    whiten = _inverse_root(gaussian_units(centres, centres, parameters.sharpness))
    mean, covariance = _moments(states, centres, parameters.sharpness)
    variances, directions = torch.linalg.eigh(whiten.T @ covariance @ whiten)
    variances = variances.clamp_min(0)
    kept = min(parameters.dimension, len(variances))
    strongest = torch.from_numpy(fixed_signs(directions[:, -kept:].flip(1).cpu().numpy())).to(states.device)
    spread = float(variances[-kept:].sum())
    scale = parameters.length / spread**0.5 if spread > SMALLEST_SHARE else 0.0  # else all cells are alike
    readout = torch.zeros(len(centres), parameters.dimension, dtype=torch.float64, device=states.device)
    readout[:, :kept] = whiten @ strongest * scale
    found = GaussianReadout(centres, readout.float(), (mean @ readout).float(), parameters.sharpness)
    return found, spread / max(float(variances.sum()), SMALLEST_SHARE)


def chosen_centres(num_cells: int, parameters: InductiveParameters) -> npt.NDArray[np.int64]:
    """Rows of the cells that units are centred on, ascending; all cells if there are no more than units."""
    drawn = np.random.default_rng(parameters.seed).permutation(num_cells)[: parameters.units]
    return np.asarray(np.sort(drawn))


def _inverse_root(kernel: Tensor) -> Tensor:
    """K^-1/2 on the directions that K has, float64 [units, rank]."""
    values, vectors = torch.linalg.eigh(kernel.double())
    kept = values > SMALLEST_SHARE * values[-1]
    return vectors[:, kept] / values[kept].sqrt()


def _moments(states: Tensor, centres: Tensor, sharpness: float) -> tuple[Tensor, Tensor]:
    """Mean and covariance of the units' answers over the cells, float64 [units] and [units, units]."""
    count = len(centres)
    total = torch.zeros(count, dtype=torch.float64, device=states.device)
    products = torch.zeros(count, count, dtype=torch.float64, device=states.device)
    for chunk in states.split(CHUNK):
        answers = gaussian_units(chunk, centres, sharpness).double()
        total += answers.sum(0)
        products.addmm_(answers.T, answers)
    mean = total / len(states)
    return mean, products / len(states) - torch.outer(mean, mean)
