"""What a benchmark compares with that needs no training: coordinates, and the frozen features side by side."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sklearn.decomposition import PCA


def coordinate_features(cells: pa.Table) -> npt.NDArray[np.float64]:
    """Latitude and longitude of the cells' centres, float64 [N, 2], degrees."""
    return np.stack([cells["latitude"].to_numpy(), cells["longitude"].to_numpy()], axis=1)


def raw_features(
    modalities: Sequence[tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]], components: int = 128
) -> npt.NDArray[np.float32]:
    """The modalities' frozen vectors side by side, as the encoders made them.

    A cell without a modality has zeros and a flag of 0 there; a modality that all cells have gets no flag.
    A modality wider than `components` is reduced to that many principal components, fitted on the cells that have it
    (no label is seen), so that a wide frozen encoder does not cost ten times the fits of an embedding.

    Args:
        modalities: vectors float32 [N, d] and presence bool [N] of each.
        components: the largest width of a modality; 0 keeps all as they are.

    Returns:
        float32 [N, sum of widths and flags].

    Raises:
        ValueError: if there is no modality.
    """
    if not modalities:
        raise ValueError("raw features need at least one modality")
    parts: list[npt.NDArray[np.float32]] = []
    for vectors, present in modalities:
        spread = np.zeros_like(vectors, dtype=np.float32)
        spread[present] = vectors[present]
        parts.append(_reduced(spread, present, components))
        if not present.all():
            parts.append(present[:, None].astype(np.float32))
    return np.concatenate(parts, axis=1)


def _reduced(
    vectors: npt.NDArray[np.float32], present: npt.NDArray[np.bool_], components: int
) -> npt.NDArray[np.float32]:
    num_present = int(present.sum())
    if not components or vectors.shape[1] <= components or num_present < 2:
        return vectors
    solver = "covariance_eigh" if num_present > vectors.shape[1] else "full"  # both exact: nothing is drawn
    model = PCA(min(components, num_present), svd_solver=solver)
    reduced = np.zeros((len(vectors), model.n_components), dtype=np.float32)
    reduced[present] = model.fit_transform(vectors[present].astype(np.float64))
    return reduced
