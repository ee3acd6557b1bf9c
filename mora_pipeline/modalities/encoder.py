"""The interfaces of frozen backbones: a name, a dimension and `encode`."""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

Progress = Callable[[int, int], None]  # (done, total), in items; called after every batch
IntArray = npt.NDArray[np.int64]
Image = npt.NDArray[np.uint8]  # [height, width, 3], RGB
Vectors = npt.NDArray[np.float32]  # [n, dimension]


class TextEncoder(Protocol):
    """Maps texts to vectors; the same text always to the same vector."""

    @property
    def name(self) -> str: ...

    @property
    def dimension(self) -> int: ...

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """Vectors of `texts`, in their order: float32 [len(texts), dimension]."""
        ...


class ImageEncoder(Protocol):
    """Maps images of any size to vectors; resizes them itself."""

    @property
    def name(self) -> str: ...

    @property
    def dimension(self) -> int: ...

    def encode(self, images: Iterable[Image], progress: Progress | None = None) -> Vectors:
        """Vectors of `images`, in their order: float32 [n, dimension]; `images` is consumed a batch at a time."""
        ...
