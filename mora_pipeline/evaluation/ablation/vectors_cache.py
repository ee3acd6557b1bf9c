"""Vectors that took long to train, kept under a name of all that they depend on: a stopped ablation goes on."""

from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mora_pipeline.contract.digests import digest
from mora_pipeline.evaluation.protocol.scores_cache import KeptArrays
from mora_pipeline.presets.paper.parameters import TRAINING_FORMAT

LIBRARIES = ("torch", "numpy", "scipy")


def kept_or_trained(
    folder: Path,
    arrays: Mapping[str, npt.NDArray[Any]],
    settings: Mapping[str, Any],
    train: Callable[[], npt.NDArray[np.float32]],
    device: str,
) -> npt.NDArray[np.float32]:
    """The vectors kept in a folder for these inputs and settings, else those of `train`, which are kept.

    Args:
        arrays: all that training reads, by name.
        settings: all that it is told; JSON.
        device: where it runs. Each device has its own vectors, so that no ablation compares two. The number of threads,
            which changes how sums are rounded, is left out: an ablation may go on with more cores or fewer.
    """
    told: dict[str, Any] = {"format": TRAINING_FORMAT, "settings": settings, "device": device}
    told["libraries"] = {name: version(name) for name in LIBRARIES}
    kept, key = KeptArrays(folder), digest(told, arrays)
    vectors = kept.find(key)
    if vectors is None:
        vectors = train()
        kept.keep(key, vectors)
    return vectors
