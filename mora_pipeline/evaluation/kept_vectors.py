"""Vectors that took long to train, kept under a name of all that they depend on: a stopped ablation goes on."""

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mora_pipeline.evaluation.kept_scores import KeptArrays, digest

LIBRARIES = ("torch", "numpy", "scipy")


def kept_or_trained(
    folder: Path,
    arrays: Mapping[str, npt.NDArray[Any]],
    settings: Mapping[str, Any],
    train: Callable[[], npt.NDArray[np.float32]],
) -> npt.NDArray[np.float32]:
    """The vectors kept in a folder for these inputs and settings, else those of `train`, which are kept.

    Args:
        arrays: all that training reads, by name.
        settings: all that it is told; JSON.
    """
    told: dict[str, Any] = {
        "code": _code_of_training(),
        "settings": settings,
        "libraries": {name: version(name) for name in LIBRARIES},
    }
    told["arrays"] = {name: digest([array]) for name, array in arrays.items()}
    kept, key = KeptArrays(folder), hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
    vectors = kept.find(key)
    if vectors is None:
        vectors = train()
        kept.keep(key, vectors)
    return vectors


@cache
def _code_of_training() -> str:
    """A name for the code of training: any change of it trains all anew."""
    folder = Path(__file__).parents[1] / "training"
    return hashlib.sha256(b"".join(file.read_bytes() for file in sorted(folder.glob("*.py")))).hexdigest()
