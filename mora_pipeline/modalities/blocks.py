"""Affine maps that bring frozen vectors of any kind to one scale, fitted to the cells of one region."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
Present = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
SMALLEST_DEVIATION = 1e-6  # a column, or a whole block, that varies less says nothing


@dataclass(frozen=True)
class Block:
    """An affine map of one kind of evidence: ``(vector - mean) @ matrix``, float32 [d] and [d, k]."""

    mean: Vectors
    matrix: Vectors

    @classmethod
    def of(cls, mean: Floats, matrix: Floats) -> "Block":
        """The block of a mean, float64 [d], and a matrix, float64 [d, k]."""
        return cls(mean.astype(np.float32), matrix.astype(np.float32))

    def apply(self, vectors: Vectors, present: Present) -> Vectors:
        """Map the rows that are present; the others get zeros, the mean of the region that was fitted.

        Args:
            vectors: float32 [N, d].
            present: bool [N].

        Returns:
            float32 [N, k].
        """
        mapped = np.zeros((len(vectors), self.matrix.shape[1]), dtype=np.float32)
        mapped[present] = (vectors[present] - self.mean) @ self.matrix
        return mapped


def standardised(vectors: Vectors) -> Block:
    """Every column to mean 0 and one variance, that of all columns together being 1; one that does not vary to 0.

    Args:
        vectors: float32 [n, d], n ≥ 1.
    """
    exact = vectors.astype(np.float64)
    deviation = exact.std(axis=0)
    varies = deviation > SMALLEST_DEVIATION * np.maximum(1, np.abs(exact).max(axis=0, initial=0))
    scale = np.divide(1.0, deviation * np.sqrt(max(1, varies.sum())), out=np.zeros(len(deviation)), where=varies)
    return Block.of(exact.mean(axis=0), np.diag(scale))


def principal(vectors: Vectors, components: int) -> Block:
    """The strongest principal components, their variances summing to 1; signs are fixed by the largest entry.

    Args:
        vectors: float32 [n, d], n ≥ 1.
        components: how many at most.
    """
    exact = vectors.astype(np.float64)
    mean = exact.mean(axis=0)
    variances, directions = np.linalg.eigh((exact - mean).T @ (exact - mean) / len(exact))
    kept, directions = variances[::-1][:components], directions[:, ::-1][:, :components]
    total = kept.clip(0).sum()
    scale = 1 / np.sqrt(total) if total > SMALLEST_DEVIATION**2 else 0.0
    return Block.of(mean, fixed_signs(directions) * scale)


def fixed_signs(directions: Floats) -> Floats:
    """Eigenvectors with a positive largest entry: their signs are arbitrary, and differ between libraries.

    Args:
        directions: float64 [d, k], a column each.
    """
    largest = np.abs(directions).argmax(axis=0)
    return np.asarray(directions * np.where(directions[largest, np.arange(directions.shape[1])] < 0, -1.0, 1.0))
