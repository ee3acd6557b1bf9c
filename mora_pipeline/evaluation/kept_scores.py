"""Scores that were computed before: a benchmark goes on where it was stopped, and a new one fits only what is new."""

import hashlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mora_pipeline.evaluation.parameters import BenchmarkParameters
from mora_pipeline.evaluation.tasks import Task
from mora_pipeline.files import replace_file

DAYS_KEPT = 90  # that nobody asked for them
WITHOUT_EFFECT = {"threads", "raw_components"}  # the latter on the vectors alone, which are looked at themselves
LIBRARIES = ("lightgbm", "scikit-learn", "numpy", "scipy")
Row = dict[str, Any]


class KeptScores:
    """The rows of one method on one task, in a small file each, named by all that they depend on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, key: str) -> list[Row] | None:
        """The rows kept under a key; None if there are none, or the file was spoilt."""
        file = self.folder / f"{key}.json"
        try:
            rows = json.loads(file.read_text())
            os.utime(file)  # it was asked for
        except (FileNotFoundError, ValueError):
            return None
        return list(rows) if isinstance(rows, list) else None

    def forget(self, days: float = DAYS_KEPT) -> int:
        """Delete what nobody asked for in so many days: nights make new vectors, whose old scores are of no use.

        Returns:
            How many files went.
        """
        old = [file for file in self.folder.glob("*.json") if file.stat().st_mtime < time.time() - days * 86_400]
        for file in old:
            file.unlink(missing_ok=True)
        return len(old)

    def keep(self, key: str, rows: Sequence[Mapping[str, Any]]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        replace_file(self.folder / f"{key}.json", json.dumps(rows))


def key_of(vectors: npt.NDArray[np.floating], task: Task, parameters: BenchmarkParameters) -> str:
    """A name for what the scores of these vectors on this task depend on: data, protocol, versions of libraries."""
    told = {
        "code": code_of_protocol(),
        "task": task.name,
        "level": task.level,
        "parameters": parameters.model_dump(mode="json", exclude=WITHOUT_EFFECT),
        "libraries": {name: version(name) for name in LIBRARIES},
    }
    found = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
    membership = task.membership
    parts = (vectors, task.target, task.blocks, membership.indptr, membership.indices, membership.data)
    for part in parts:
        found.update(f"{part.dtype.str}{part.shape}".encode())
        found.update(np.ascontiguousarray(part).data)
    return found.hexdigest()


@cache
def code_of_protocol() -> str:
    """A name for the code that makes scores: any change of it makes all of them anew."""
    sources = (Path(__file__).with_name(f"{name}.py").read_bytes() for name in ("protocol", "regressors", "splits"))
    return hashlib.sha256(b"".join(sources)).hexdigest()
