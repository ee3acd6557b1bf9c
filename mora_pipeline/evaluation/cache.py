"""Arrays that took long to compute, in a file each, named by all that they depend on: a stopped run goes on."""

import os
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mora_pipeline.contract.digests import digest

DAYS_UNUSED = 90  # after which an array is deleted


class ArrayCache:
    """Arrays of float32 in the files of a folder, by key."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, key: str) -> npt.NDArray[np.float32] | None:
        """The array of a key, float32 [as it was put]; None if there is none, or its file is damaged."""
        file = self.folder / f"{key}.npy"
        try:
            array = np.load(file, allow_pickle=False)
            os.utime(file)  # it is in use
        except (FileNotFoundError, ValueError, EOFError):
            return None
        return np.asarray(array, dtype=np.float32)

    def put(self, key: str, array: npt.NDArray[np.floating]) -> None:
        """Write the array [any shape] as float32, in one step: another run sees it whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self.folder / f"_{key}.{os.getpid()}.{secrets.token_hex(4)}"
        with partial.open("wb") as stream:
            np.save(stream, array.astype(np.float32), allow_pickle=False)
        partial.replace(self.folder / f"{key}.npy")

    def delete_unused(self, days: float = DAYS_UNUSED) -> int:
        """Delete what no run read in so many days: every nightly run makes new vectors, and nobody asks for old scores.

        Returns:
            The number of files deleted.
        """
        deleted = 0
        for file in self.folder.glob("*"):
            with suppress(FileNotFoundError):  # another run renamed or deleted it meanwhile
                if file.stat().st_mtime < time.time() - days * 86_400:
                    file.unlink()
                    deleted += 1
        return deleted


def cached_or_train(
    folder: Path,
    arrays: Mapping[str, npt.NDArray[Any]],
    settings: Mapping[str, Any],
    train: Callable[[], npt.NDArray[np.float32]],
    device: str,
) -> npt.NDArray[np.float32]:
    """The cached vectors of these inputs and settings, else those of `train`, which are cached.

    Args:
        folder: of the cache.
        arrays: all that training reads, by name.
        settings: all that changes the result besides, as JSON; with the number of the training's format.
        train: returns float32 [N, d].
        device: where it runs. Each device has its own vectors, so that no ablation compares two. The number of threads,
            which changes how sums are rounded, is left out: an ablation may go on with more cores or fewer.

    Returns:
        float32 [N, d].
    """
    cache, key = ArrayCache(folder), digest({"settings": settings, "device": device, "torch": version("torch")}, arrays)
    vectors = cache.get(key)
    if vectors is None:
        vectors = train()
        cache.put(key, vectors)
    return vectors
