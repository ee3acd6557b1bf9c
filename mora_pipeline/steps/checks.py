"""What vectors of cells must hold before anybody reads them."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from mora_pipeline.contract.schemas import CellVectors
from mora_pipeline.steps.results import Check

MINIMUM_SPREAD = 1e-3
MINIMUM_DIRECTIONS = 2.0
SAMPLED_CELLS = 20_000
# A cell whose largest unit answers less is unlike all cells of the encoder's region.
LEAST_FAMILIARITY = 0.1
UNFAMILIAR_WARNING_SHARE = 0.01  # of the cells, or of the people who live in them
MERGED_SHARE = 0.01  # of the cells, whose vectors may be another's though their states are not

Cells = npt.NDArray[np.int64]
Vectors = npt.NDArray[np.float32]


def cells_known(found: Mapping[str, Cells], cells: Cells) -> Check:
    """Every cell of every modality is one of the region's, and occurs once, in ascending order.

    Args:
        found: the cells of each modality, int64 [n].
        cells: int64 [N], ascending.
    """
    figures: dict[str, int] = {"cells": len(cells)}
    passed = True
    for name, own in found.items():
        unknown = int(np.count_nonzero(~np.isin(own, cells)))
        disordered = int(np.count_nonzero(np.diff(own) <= 0))
        figures |= {f"{name}_cells": len(own), f"{name}_unknown": unknown, f"{name}_disordered": disordered}
        passed = passed and unknown == disordered == 0
    return Check("cells_known", passed, figures)


def no_nan(found: Mapping[str, npt.NDArray[np.floating]]) -> Check:
    """Every number of every array, float [any shape], is finite."""
    bad = {f"{name}_not_finite": int(np.count_nonzero(~np.isfinite(vectors))) for name, vectors in found.items()}
    return Check("no_nan", not any(bad.values()), bad)


def one_row_per_cell(vectors: CellVectors, cells: Cells) -> Check:
    """The vectors' cells are the region's, int64 [N], in their order."""
    passed = np.array_equal(vectors.cells, cells) and len(vectors.vectors) == len(cells)
    return Check("one_row_per_cell", passed, {"rows": len(vectors.cells), "cells": len(cells)})


def not_collapsed(vectors: Vectors, states: Vectors | None = None) -> Check:
    """The vectors differ between cells (spread), in more than a few directions, and wherever their states do.

    See `spread_and_directions` for the two measures. A region of less than three cells cannot fail.

    Args:
        vectors: float32 [N, d].
        states: float32 [N, width], what an encoder made them from; None without one.
    """
    if not np.isfinite(vectors).all():
        return Check("not_collapsed", False, {"reason": "there are numbers that are not finite"})
    spread, directions = spread_and_directions(vectors)
    merged = 0 if states is None else merged_cells(vectors, states)
    passed = spread >= MINIMUM_SPREAD and directions >= MINIMUM_DIRECTIONS and merged <= MERGED_SHARE * len(vectors)
    figures = {"spread": spread, "directions": directions, "dimension": vectors.shape[1], "merged_cells": merged}
    return Check("not_collapsed", passed or len(vectors) < 3, figures)


def merged_cells(vectors: Vectors, states: Vectors) -> int:
    """How many distinct states have lost a vector of their own: states [N, width] and vectors [N, d] up to rounding."""
    by_vector, by_state = _groups(vectors), _groups(states)
    pairs = len(np.unique(by_vector.astype(np.int64) * (by_state.max(initial=0) + 1) + by_state))
    return pairs - (int(by_vector.max(initial=-1)) + 1)


def _groups(rows: Vectors) -> npt.NDArray[np.int64]:
    """A number for each row of float32 [N, d] that rows equal up to a ten-thousandth of the typical length share."""
    typical = float(np.sqrt(np.square(rows, dtype=np.float64).sum(axis=1).mean())) if len(rows) else 0.0
    rounded = np.round(rows / (1e-4 * typical)).astype(np.int32) if typical else np.zeros(rows.shape, np.int32)
    packed = np.ascontiguousarray(rounded).view(np.dtype((np.void, rounded.itemsize * rows.shape[1]))).reshape(-1)
    _, group = np.unique(packed, return_inverse=True)
    return np.asarray(group, dtype=np.int64)


def cells_familiar(familiarity: Vectors | None, population: npt.NDArray[np.float64]) -> Check:
    """Few cells, and few people, are unlike everything that the encoder was fitted to.

    Args:
        familiarity: float32 [N], in [0, 1]; None for vectors without an encoder, which cannot fail.
        population: float64 [N], NaN where it is not known.
    """
    if familiarity is None:
        return Check("cells_familiar", True, {"encoder": "none"})
    far, people = familiarity < LEAST_FAMILIARITY, np.nan_to_num(population)
    shares = {
        "share_of_cells": float(far.mean()),
        "share_of_population": float(people[far].sum() / max(people.sum(), 1e-9)),
    }
    figures = {**shares, "cells": int(far.sum()), "least": float(familiarity.min())}
    return Check("cells_familiar", max(shares.values()) < UNFAMILIAR_WARNING_SHARE, figures)


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


DESCRIPTIONS = {
    "edges_positive": "Every flow is a positive number.",
    "edges_clustered": "Every file holds all edges of its origins.",
    "flow_conserved": "The flow of the good rows is that of the edges and inside the cells.",
    "places_shares_sum_to_one": "What a place carries is what its cells get: their shares sum to 1.",
    "bad_rows_within_limit": "The share of bad rows is at most maximum_bad_share of region.yaml.",
    "shares_sum_to_one": "The shares of every group sum to 1 in every cell.",
    "cells_unique_and_sorted": "Every cell has one row, in ascending order, and node is the number of its row.",
    "follows_strategy": "Every origin keeps the edges that the sampling strategy says, and no others.",
    "cells_known": "Every cell of every modality is one of the region's cells.",
    "one_row_per_cell": "There is one row for each of the region's cells, in their order.",
    "no_nan": "Every number is finite.",
    "every_method_scored": "All methods have finite scores for the same trials: one at least, unless all were skipped.",
    "every_variant_scored": "All variants have scores for the same trials, of which there is one at least.",
    "not_collapsed": "The vectors differ between cells, in more than a few directions, wherever the evidence does.",
    "cells_familiar": "Fewer than 1 % of the cells, and of the people, are unlike all that the encoder was fitted to.",
}
