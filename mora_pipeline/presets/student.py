"""A student of an encoder: its vectors from a part of its evidence, for cells whose other evidence nobody has.

Nothing here knows what the evidence is: the caller makes states that hold only what a student may see.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydantic import Field
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from mora_pipeline.parameters import Parameters

Floats = npt.NDArray[np.float64]
Vectors = npt.NDArray[np.float32]
SHARPNESS = (0.1, 0.25, 0.5, 1.0)  # γ of the units, of which one is chosen; the mean |x|² of the states is 1
PENALTIES = 10.0 ** np.arange(-2, 2.5, 0.5)
SMALLEST_SHARE = 1e-6  # of the largest eigenvalue: below it a direction of the kernel is rounding
SMALLEST_SPREAD = 1e-12  # mean square of states that are all alike
CHUNK = 8192  # cells at a time
PARTS = ("mean", "scale", "centres", "readout", "offset", "sharpness")


class StudentParameters(Parameters):
    """How a student is fitted; what is not here is chosen by leaving out groups of cells."""

    units: int = Field(1024, ge=2, description="Gaussian units, each centred on a cell of the region; at most all.")
    directions: int = Field(400, ge=1, description="Strongest directions of the units that the ridge may use.")
    folds: int = Field(5, ge=2, description="Groups of like cells that are left out in turn, to choose the penalty.")
    seed: int = Field(0, ge=0, description="Seed that chooses the units' cells and the groups.")


@dataclass(frozen=True)
class Student:
    """S(x) = Σ_k exp(-γ |z - c_k|²) r_k + offset, with z = (x - mean) · scale.

    Attributes:
        mean: float32 [width].
        scale: brings the fitted states to a mean square of 1.
        centres: float32 [units, width], scaled states of some fitted cells.
        readout: float32 [units, dimension].
        offset: float32 [dimension].
        sharpness: γ.
    """

    mean: Vectors
    scale: float
    centres: Vectors
    readout: Vectors
    offset: Vectors
    sharpness: float

    def with_largest(self, states: Vectors) -> tuple[Vectors, Vectors]:
        """Vectors, float32 [n, dimension], and each cell's largest answer of a unit, float32 [n], in [0, 1].

        Args:
            states: float32 [n, width].
        """
        vectors = np.empty((len(states), len(self.offset)), dtype=np.float32)
        largest = np.empty(len(states), dtype=np.float32)
        for first in range(0, len(states), CHUNK):
            rows = slice(first, first + CHUNK)
            answers = _units((states[rows] - self.mean) * np.float32(self.scale), self.centres, self.sharpness)
            vectors[rows], largest[rows] = answers @ self.readout + self.offset, answers.max(axis=1)
        return vectors, largest

    def arrays(self) -> dict[str, npt.NDArray[np.float32]]:
        """All that it is by name, float32, to be stored; `from_arrays` reads it."""
        return {name: np.atleast_1d(np.asarray(getattr(self, name), dtype=np.float32)) for name in PARTS}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[np.float32]]) -> "Student":
        """The inverse of `arrays`.

        Raises:
            KeyError: if a part is missing.
            ValueError: if the parts do not fit together, or one is not finite.
        """
        mean, scale, centres, readout, offset, sharpness = (np.asarray(arrays[name]) for name in PARTS)
        width, dimension = len(mean), len(offset)
        if centres.shape[1:] != (width,) or readout.shape != (len(centres), dimension):
            raise ValueError("the parts of its student come from different ones")
        if not all(np.isfinite(part).all() for part in (mean, scale, centres, readout, offset, sharpness)):
            raise ValueError("its student holds NaN or infinity")
        return cls(mean, float(scale.item()), centres, readout, offset, float(sharpness.item()))


@dataclass(frozen=True)
class FittedStudent:
    """A student, and the share of the targets' variance that it foretells in groups of cells that were left out."""

    student: Student
    explained: float


def fit_student(states: Vectors, targets: Vectors, parameters: StudentParameters) -> FittedStudent:
    """Fit a student by kernel ridge regression, the kernel seen through its strongest directions (Nyström).

    Sharpness and penalty are those with the smallest error on cells that were left out together: groups of like cells
    (k-means of the states), for another region is unlike the fitted one. Cells left out one by one have their
    neighbours' means among the fitted ones, and would choose too small a penalty.

    Args:
        states: float32 [N, width], N ≥ 2.
        targets: the encoder's vectors of the same cells, float32 [N, d].

    Returns:
        Equal bytes for equal arguments on one machine.

    Source: Williams & Seeger 2001 (Nyström); Hinton et al. 2015 (distillation).
    """
    mean = states.mean(axis=0, dtype=np.float64)
    centred = states.astype(np.float64) - mean
    spread = float(np.square(centred).sum(axis=1).mean())
    scale = spread**-0.5 if spread > SMALLEST_SPREAD else 0.0
    scaled = centred * scale
    drawn = np.random.default_rng(parameters.seed).permutation(len(states))[: parameters.units]
    centres, middle = scaled[np.sort(drawn)], targets.mean(axis=0, dtype=np.float64)
    wanted = targets.astype(np.float64) - middle
    groups = _groups(scaled, parameters)
    best, chosen = np.inf, (SHARPNESS[0], float(PENALTIES[-1]))
    for sharpness in SHARPNESS:
        features = _features(scaled, centres, sharpness, _whitening(centres, sharpness, parameters.directions))
        errors = _left_out_errors(features, wanted, groups)
        if errors.min() < best:
            best, chosen = float(errors.min()), (sharpness, float(PENALTIES[errors.argmin()]))
    sharpness, penalty = chosen
    whitening = _whitening(centres, sharpness, parameters.directions)
    features = _features(scaled, centres, sharpness, whitening)
    level = features.mean(axis=0)
    features -= level
    weights = np.linalg.solve(features.T @ features + penalty * np.eye(features.shape[1]), features.T @ wanted)
    readout, offset = whitening @ weights, middle - level @ weights
    parts = (part.astype(np.float32) for part in (mean, centres, readout, offset))
    mean32, centres32, readout32, offset32 = parts
    total = float(np.square(wanted).sum())
    student = Student(mean32, float(np.float32(scale)), centres32, readout32, offset32, float(np.float32(sharpness)))
    return FittedStudent(student, 1 - best / total if total > 0 else 0.0)


def _groups(states: Floats, parameters: StudentParameters) -> npt.NDArray[np.int64]:
    """Groups of like cells, int64 [N]; at least two, of one cell each where there are no more."""
    distinct = len(np.unique(states, axis=0))
    folds = min(parameters.folds, distinct)
    if folds < 2:
        return np.arange(len(states)) % 2
    model = KMeans(folds, n_init=1, random_state=parameters.seed)
    with threadpool_limits(1, user_api="openmp"):  # the order in which threads add up would show in the last bits
        return np.asarray(model.fit_predict(states), dtype=np.int64)


def _left_out_errors(features: Floats, wanted: Floats, groups: npt.NDArray[np.int64]) -> Floats:
    """Squared errors of ridge on groups of cells that were left out, float64 [penalties].

    Args:
        features: float64 [N, directions].
        wanted: float64 [N, d].
        groups: int64 [N].
    """
    errors = np.zeros(len(PENALTIES))
    for group in np.unique(groups):
        out = groups == group
        level, middle = features[~out].mean(axis=0), wanted[~out].mean(axis=0)
        fitted, asked = features[~out] - level, features[out] - level
        values, vectors = np.linalg.eigh(fitted.T @ fitted)
        products, asked = vectors.T @ (fitted.T @ (wanted[~out] - middle)), asked @ vectors
        for number, penalty in enumerate(PENALTIES):
            predicted = asked @ (products / (values.clip(0) + penalty)[:, None]) + middle
            errors[number] += np.square(wanted[out] - predicted).sum()
    return errors


def _whitening(centres: Floats, sharpness: float, directions: int) -> Floats:
    """K^-1/2 on the strongest directions of the units' kernel, float64 [units, at most `directions`]."""
    values, vectors = np.linalg.eigh(_units(centres, centres, sharpness))
    values, vectors = values[::-1][:directions], vectors[:, ::-1][:, :directions]
    kept = values > SMALLEST_SHARE * values[0]
    return np.asarray(vectors[:, kept] / np.sqrt(values[kept]))


def _features(states: Floats, centres: Floats, sharpness: float, whitening: Floats) -> Floats:
    """Nyström's features of the kernel, float64 [N, directions]; all units of only `CHUNK` cells at a time."""
    chunks = (states[first : first + CHUNK] for first in range(0, len(states), CHUNK))
    return np.concatenate([_units(chunk, centres, sharpness) @ whitening for chunk in chunks])


def _units(states: npt.NDArray[np.floating], centres: npt.NDArray[np.floating], sharpness: float) -> Floats:
    """exp(-γ |x - centre|²) of all pairs, [n, units], in the precision of the states."""
    squares = np.square(states).sum(axis=1)[:, None] + np.square(centres).sum(axis=1) - 2 * states @ centres.T
    return np.exp(-sharpness * np.maximum(squares, 0))
