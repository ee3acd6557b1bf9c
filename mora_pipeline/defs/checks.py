"""What vectors of cells must hold before anybody reads them."""

from collections.abc import Mapping

import dagster as dg
import numpy as np
import numpy.typing as npt

from mora_pipeline.contract.schemas import CellVectors

MINIMUM_SPREAD = 1e-3
MINIMUM_DIRECTIONS = 2.0
SAMPLED_CELLS = 20_000

Cells = npt.NDArray[np.int64]
Vectors = npt.NDArray[np.float32]


def result(name: str, passed: bool, **figures: float | int | str) -> dg.AssetCheckResult:
    """The result of a check, with what it measured."""
    return dg.AssetCheckResult(check_name=name, passed=bool(passed), metadata=figures)


def by_name(*results: dg.AssetCheckResult) -> dict[str, dg.AssetCheckResult]:
    """Check results by the name of their check."""
    return {str(item.check_name): item for item in results}


def cells_known(found: Mapping[str, Cells], cells: Cells) -> dg.AssetCheckResult:
    """Every cell of every modality is one of the region's, and stands once, in ascending order.

    Args:
        found: the cells of each modality; ``cells`` int64 [N], ascending.
    """
    figures: dict[str, int] = {"cells": len(cells)}
    sound = True
    for name, own in found.items():
        unknown = int(np.count_nonzero(~np.isin(own, cells)))
        disordered = int(np.count_nonzero(np.diff(own) <= 0))
        figures |= {f"{name}_cells": len(own), f"{name}_unknown": unknown, f"{name}_disordered": disordered}
        sound = sound and unknown == disordered == 0
    return result("cells_known", sound, **figures)


def no_nan(found: Mapping[str, Vectors]) -> dg.AssetCheckResult:
    """Every number of every array is finite."""
    bad = {f"{name}_not_finite": int(np.count_nonzero(~np.isfinite(vectors))) for name, vectors in found.items()}
    return result("no_nan", not any(bad.values()), **bad)


def one_row_per_cell(vectors: CellVectors, cells: Cells) -> dg.AssetCheckResult:
    """The vectors' cells are the region's, in their order."""
    sound = np.array_equal(vectors.cells, cells) and len(vectors.vectors) == len(cells)
    return result("one_row_per_cell", sound, rows=len(vectors.cells), cells=len(cells))


def not_collapsed(vectors: Vectors) -> dg.AssetCheckResult:
    """The vectors differ between cells (spread), in more than a few directions.

    See `spread_and_directions` for the two measures. A region of less than three cells cannot fail.
    """
    if not np.isfinite(vectors).all():
        return result("not_collapsed", False, reason="there are numbers that are not finite")
    spread, directions = spread_and_directions(vectors)
    sound = len(vectors) < 3 or (spread >= MINIMUM_SPREAD and directions >= MINIMUM_DIRECTIONS)
    return result("not_collapsed", sound, spread=spread, directions=directions, dimension=vectors.shape[1])


def spread_and_directions(vectors: Vectors) -> tuple[float, float]:
    """How much vectors vary, and in how many directions.

    Args:
        vectors: float32 [n, d], finite; of more than `SAMPLED_CELLS` rows, evenly spaced ones are looked at.

    Returns:
        The variance around the mean as a share of the mean squared length (0: all are equal, 1: the mean is 0), and
        the effective rank exp(entropy of the normalised eigenvalues of the covariance), in [1, d].

    Source: effective rank, Roy & Vetterli 2007.
    """
    sample = vectors[:: max(1, len(vectors) // SAMPLED_CELLS)].astype(np.float64)
    centred = sample - sample.mean(axis=0)
    total = float(np.square(sample).sum())
    variance = np.clip(np.linalg.eigvalsh(centred.T @ centred), 0, None)
    if total == 0 or variance.sum() == 0:
        return 0.0, 1.0
    share = variance / variance.sum()
    share = share[share > 0]
    return float(variance.sum() / total), float(np.exp(-(share * np.log(share)).sum()))
