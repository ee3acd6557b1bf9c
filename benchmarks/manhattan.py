"""The protocol that a family of papers uses on 180 regions of Manhattan, on vectors of cells."""

from pathlib import Path

import h3
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from sklearn.model_selection import KFold

from benchmarks.encoder_scores import pooled_score
from mora_pipeline.contract.cells import rows_of
from mora_pipeline.evaluation.protocol.models import clipped_ridge

LABELS = ["check_ins", "crimes", "service_calls"]
REPEATS = 10


def manhattan_scores(
    vectors: npt.NDArray[np.floating], cells: pa.Table, resolution: int, folder: Path
) -> dict[str, float]:
    """R² of ridge with penalty 1 on the vectors as they are, ten folds, predictions clipped at 0 and pooled.

    Args:
        vectors: [N, d] in the order of `cells`.
        folder: the raw data, with `places.parquet` and `labels_places.parquet`.

    Returns:
        By label and as a mean, in the papers' folds (unshuffled, in the order of the places); and under `repeated`
        the mean over ten shuffles, which is the one to choose by.
    """
    places = pd.read_parquet(folder / "places.parquet")
    labels = pd.read_parquet(folder / "labels_places.parquet").set_index("place_id").loc[places["place_id"], LABELS]
    own = [
        h3.str_to_int(h3.latlng_to_cell(latitude, longitude, resolution))
        for latitude, longitude in zip(places["latitude"], places["longitude"], strict=True)
    ]
    features, truth = vectors[rows_of(cells["cell"].to_numpy(), np.array(own), "places")], labels.to_numpy(dtype=float)
    by_label = _scores(features, truth, KFold(10))
    shuffles = [KFold(10, shuffle=True, random_state=100 + seed) for seed in range(REPEATS)]
    repeated = np.mean([_scores(features, truth, folds) for folds in shuffles])
    named = dict(zip(LABELS, by_label, strict=True))
    return {**named, "mean": float(np.mean(by_label)), "repeated": float(repeated)}


def _scores(features: npt.NDArray[np.floating], truth: npt.NDArray[np.float64], folds: KFold) -> list[float]:
    return [
        pooled_score(clipped_ridge(features, target, 1.0), target, list(folds.split(features))) for target in truth.T
    ]
