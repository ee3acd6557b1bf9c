"""Bounded affine maps that bring frozen vectors of any kind to one scale, fitted to the cells of one region."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
Present = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
SMALLEST_DEVIATION = 1e-6  # a column, or a whole block, that varies less says nothing
RAREST = 0.001  # a column that differs from its median in a smaller share of the cells hardly varies
BOUND = 3.0  # deviations of the fitted region that a mapped number stays within


@dataclass(frozen=True)
class Block:
    """A bounded affine map of one kind of evidence: ``clip((vector - mean) @ matrix, ± limit)``.

    The limits are what the fitted region knew: a cell of another region may be far from all of it, but a single column
    that hardly varied there cannot carry it away.

    Attributes:
        mean: float32 [d].
        matrix: float32 [d, k].
        limit: float32 [k], ≥ 0.
    """

    mean: Vectors
    matrix: Vectors
    limit: Vectors

    @classmethod
    def of(cls, mean: Floats, matrix: Floats, deviation: Floats) -> "Block":
        """The block of a mean, float64 [d], a matrix, float64 [d, k], and the mapped columns' deviations, [k]."""
        return cls(mean.astype(np.float32), matrix.astype(np.float32), (BOUND * deviation).astype(np.float32))

    def apply(self, vectors: Vectors, present: Present, bounded: bool = True) -> Vectors:
        """Map the rows that are present; the others get zeros, the mean of the region that was fitted.

        Args:
            vectors: float32 [N, d].
            present: bool [N].
            bounded: whether to hold every number within its limits.

        Returns:
            float32 [N, k].
        """
        mapped = np.zeros((len(vectors), self.matrix.shape[1]), dtype=np.float32)
        mapped[present] = (vectors[present] - self.mean) @ self.matrix
        return np.clip(mapped, -self.limit, self.limit, out=mapped) if bounded else mapped


def standardised(vectors: Vectors) -> Block:
    """Every column to mean 0 and one variance, that of all columns together being 1; one that hardly varies to 0.

    Args:
        vectors: float32 [n, d], n ≥ 1.
    """
    one, varies = unit_variance(vectors)
    length = 1 / np.sqrt(max(1, varies.sum()))
    matrix = np.diag(one * length)
    return _one_long(Block.of(vectors.mean(axis=0, dtype=np.float64), matrix, varies * length), vectors)


def unit_variance(vectors: npt.NDArray[np.floating]) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """What brings each column to a variance of 1, float64 [d], and which columns vary, [d]; 0 for those that hardly do.

    Args:
        vectors: [n, d], n ≥ 1.
    """
    exact = vectors.astype(np.float64)
    deviation = exact.std(axis=0)
    varies = deviation > SMALLEST_DEVIATION * np.maximum(1, np.abs(exact).max(axis=0, initial=0))
    varies &= (vectors != np.median(vectors, axis=0)).mean(axis=0) >= RAREST
    return np.divide(1, deviation, out=np.zeros(len(deviation)), where=varies), varies


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
    return _one_long(Block.of(mean, fixed_signs(directions) * scale, np.sqrt(kept.clip(0)) * scale), vectors)


def _one_long(block: Block, vectors: Vectors) -> Block:
    """The block with a mean square of 1 over the vectors, [n, d], that it was fitted to, bounds included."""
    mapped = block.apply(vectors, np.ones(len(vectors), dtype=bool))
    length = np.sqrt(np.square(mapped, dtype=np.float64).sum(axis=1).mean())
    scale = np.float32(1 / length if length > SMALLEST_DEVIATION else 0.0)
    return Block(block.mean, block.matrix * scale, block.limit * scale)


def fixed_signs(directions: Floats) -> Floats:
    """Eigenvectors with a positive largest entry: their signs are arbitrary, and differ between libraries.

    Args:
        directions: float64 [d, k], a column each.
    """
    largest = np.abs(directions).argmax(axis=0)
    return np.asarray(directions * np.where(directions[largest, np.arange(directions.shape[1])] < 0, -1.0, 1.0))
