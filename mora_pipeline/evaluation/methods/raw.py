"""The modalities' frozen vectors and amounts, as encoded: together, alone, and as principal components."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.schemas import DIMENSION
from mora_pipeline.evaluation.methods.interface import MethodContext, MethodVectors
from mora_pipeline.modalities import kind_of

Vectors = npt.NDArray[np.float32]
Features = tuple[Vectors, npt.NDArray[np.bool_]]
SMALLEST_SHARE = 1e-10  # of the strongest variance: below it, a component of float32 vectors is rounding


def raw(context: MethodContext, which: str) -> dict[str, MethodVectors]:
    """All modalities side by side; `raw:<modality>` one of them, `raw:each` each of them. None: nothing.

    A modality's amounts are behind its vectors. Vectors are those of `raw_features`, float32 [N, d].

    Raises:
        UserError: if the region has no such modality.
    """
    names = list(context.reader.config.modalities)
    if not which:
        return {"raw": _together(context, names)} if names else {}
    if which != "each" and which not in names:
        raise UserError(f"benchmark: methods names raw:{which}, but the modalities are {', '.join(names) or 'none'}.")
    return {f"raw:{name}": _together(context, [name]) for name in (names if which == "each" else [which])}


def pca(context: MethodContext, _: str) -> dict[str, MethodVectors]:
    """All modalities side by side as the encoders made them, standardised, as principal components [N, up to 128]."""
    names = list(context.reader.config.modalities)
    if not names:
        return {}
    return {"pca": MethodVectors(standard_components([part for name in names for part in _parts(context, name)]))}


def standard_components(modalities: Sequence[Features], most: int = DIMENSION) -> Vectors:
    """Principal components of `raw_features` at their full width, every column standardised first.

    Args:
        modalities: vectors float32 [N, d] and presence bool [N] of each.
        most: how many components stay.

    Returns:
        float32 [N, at most `most`], the strongest first.
    """
    features = raw_features(modalities, components=0).astype(np.float64)
    return principal_axes(StandardScaler().fit_transform(features), most)  # a column that does not vary becomes 0


def _together(context: MethodContext, names: Sequence[str]) -> MethodVectors:
    parts = {name: _parts(context, name) for name in names}
    features = [part for name in names for part in parts[name]]
    columns = [  # a modality that some cells lack has a flag of presence beside it, which shifts the columns after it
        (
            name,
            _meaning(context, name),
            [(values.shape[1], bool(known.all())) for values, known in parts[name]],
            context.amounts(name)[0],
        )
        for name in names
    ]
    # Components of one region's features mean nothing in another's.
    reduced = any(context.raw_components and vectors.shape[1] > context.raw_components for vectors, _ in features)
    vectors = raw_features(features, context.raw_components)
    return MethodVectors(vectors, None if reduced else f"raw {columns}")


def _parts(context: MethodContext, name: str) -> list[Features]:
    """A modality's vectors and, if it has any, its amounts; who knows those has a flag only where it is news."""
    vectors, present = context.features(name)
    names, amounts, known = context.amounts(name)
    if not names:
        return [(vectors, present)]
    return [(vectors, present), (amounts, np.ones_like(known) if np.array_equal(known, present) else known)]


def _meaning(context: MethodContext, name: str) -> object:
    """What the numbers of a modality mean: the columns they are of, or else the encoder that made them."""
    modality = context.reader.config.modalities[name]
    return kind_of(modality.kind).input_columns(context.reader, name) or (modality.kind, modality.backbone)


def raw_features(modalities: Sequence[Features], components: int = DIMENSION) -> Vectors:
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
    parts: list[Vectors] = []
    for vectors, present in modalities:
        spread = np.zeros_like(vectors, dtype=np.float32)
        spread[present] = vectors[present]
        parts.append(_reduced(spread, present, components))
        if not present.all():
            parts.append(present[:, None].astype(np.float32))
    return np.concatenate(parts, axis=1)


def _reduced(vectors: Vectors, present: npt.NDArray[np.bool_], components: int) -> Vectors:
    num_present = int(present.sum())
    if not components or vectors.shape[1] <= components or num_present < 2:
        return vectors
    solver = "covariance_eigh" if num_present > vectors.shape[1] else "full"  # both exact: nothing is drawn
    model = PCA(min(components, num_present), svd_solver=solver)
    reduced = np.zeros((len(vectors), model.n_components), dtype=np.float32)
    reduced[present] = model.fit_transform(vectors[present].astype(np.float64))
    return reduced


def principal_axes(vectors: npt.NDArray[np.floating], most: int = DIMENSION) -> npt.NDArray[np.float32]:
    """Vectors turned to their own principal components; nothing is drawn.

    Args:
        vectors: [N, d].
        most: how many components stay.

    Returns:
        float32 [N, at most `most`], the strongest first, with mean 0; fewer where the vectors have fewer directions,
        and one column of zeros where they are all alike. Signs are arbitrary.
    """
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    variances, directions = np.linalg.eigh(centred.T @ centred)
    real = int((variances > SMALLEST_SHARE * variances[-1]).sum()) if variances[-1] > 0 else 0
    kept = max(1, min(most, real))
    return np.asarray(centred @ directions[:, ::-1][:, :kept], dtype=np.float32)
