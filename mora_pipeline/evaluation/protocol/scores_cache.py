"""What was computed before: a benchmark goes on where it was stopped, and a new one fits only what is new."""

import hashlib
import os
import secrets
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mora_pipeline.contract.digests import digest
from mora_pipeline.evaluation.protocol.parameters import BenchmarkParameters
from mora_pipeline.evaluation.protocol.trials import Trial

DAYS_KEPT = 90  # that nobody asked for them
# What changes the trials but not a fit, beside what reaches a fit as data: seeds, shares and folds as rows, PCA as
# vectors.
OF_A_FIT = (
    "learning_rate", "trees", "bins", "short_learning_rate", "short_trees", "short_bins", "maximum_depth",
    "cell_leaves", "cell_minimum_child", "group_leaves", "group_minimum_child", "ridge_alpha",
)  # fmt: skip
LIBRARIES = ("lightgbm", "scikit-learn", "numpy", "scipy")


class KeptArrays:
    """Arrays of float32 in a small file each, named by all that they depend on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, key: str) -> npt.NDArray[np.float32] | None:
        """The array kept under a key; None if there is none, or the file was spoilt."""
        file = self.folder / f"{key}.npy"
        try:
            found = np.load(file, allow_pickle=False)
            os.utime(file)  # it was asked for
        except (FileNotFoundError, ValueError, EOFError):
            return None
        return np.asarray(found, dtype=np.float32)

    def keep(self, key: str, array: npt.NDArray[np.floating]) -> None:
        """Write the array in one step: another run sees it whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self.folder / f"_{key}.{os.getpid()}.{secrets.token_hex(4)}"
        with partial.open("wb") as stream:
            np.save(stream, array.astype(np.float32), allow_pickle=False)
        partial.replace(self.folder / f"{key}.npy")

    def forget(self, days: float = DAYS_KEPT) -> int:
        """Delete what nobody asked for in so many days: nights make new vectors, whose old scores are of no use.

        Returns:
            How many files went.
        """
        gone = 0
        for file in self.folder.glob("*"):
            with suppress(FileNotFoundError):  # another run renamed or deleted it meanwhile
                if file.stat().st_mtime < time.time() - days * 86_400:
                    file.unlink()
                    gone += 1
        return gone


def key_of(data: Iterable[str], trial: Trial, parameters: BenchmarkParameters) -> str:
    """A name for what a trial's predictions depend on: data, folds, model, settings, versions of code and libraries.

    Args:
        data: names of the features' and the labels' content.
    """
    told: Mapping[str, Any] = {
        "code": code_of_regressors(),
        "data": list(data),
        "folds": digest({}, {str(number): rows for number, rows in enumerate(chain.from_iterable(trial.folds))}),
        "level": trial.task.level,
        "model": trial.model,
        "settings": parameters.model_dump(mode="json", include=set(OF_A_FIT)),
        "libraries": {name: version(name) for name in LIBRARIES},
    }
    return digest(told, {})


@cache
def code_of_regressors() -> str:
    """A name for the code that fits: any change of it fits all anew."""
    return hashlib.sha256(Path(__file__).with_name("regressors.py").read_bytes()).hexdigest()
