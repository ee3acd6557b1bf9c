"""The interface of a mosaic of imagery: one pixel grid, whatever files it is made of."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from mora_pipeline.modalities.encoder import Image, IntArray
from mora_pipeline.modalities.image.boundaries import Boundaries, FloatArray


@dataclass(frozen=True)
class Crop:
    """A window's pixels: ``pixels`` uint8 [height, width, 3] and ``covered`` bool [height, width], or None for all."""

    pixels: Image
    covered: npt.NDArray[np.bool_] | None = None

    def filled(self) -> Image:
        """The pixels, with the mean colour of the covered ones where there is no imagery: an edge of black would
        be the strongest feature in the picture."""
        if self.covered is None or self.covered.all() or not self.covered.any():
            return self.pixels
        filled = self.pixels.copy()
        filled[~self.covered] = self.pixels[self.covered].mean(axis=0).round()
        return filled


class Mosaic(Protocol):
    """Imagery on one pixel grid. Windows are int64 [n, 4]: left, top, right, bottom; right and bottom excluded."""

    @property
    def block(self) -> tuple[int, int]:
        """Width and height in pixels of what is read from disk at once."""
        ...

    def windows(self, boundaries: Boundaries) -> tuple[IntArray, npt.NDArray[np.bool_]]:
        """Bounding window of each cell, and bool [n], false where the grid has no window for it."""
        ...

    def coverage(self, windows: IntArray) -> FloatArray:
        """Share of each window's pixels that have imagery: float64 [n], in [0, 1]."""
        ...

    def has_points(self, latitude: FloatArray, longitude: FloatArray) -> npt.NDArray[np.bool_]:
        """Whether there is imagery at each point, float64 [n] in degrees: bool [n]. Little is read."""
        ...

    def advice(self, latitude: FloatArray, longitude: FloatArray) -> str:
        """What may be wrong where few of the points have imagery; empty if nothing is known."""
        ...

    def somewhere(self) -> tuple[float, float]:
        """Latitude and longitude of a place with imagery."""
        ...

    def read(self, window: tuple[int, int, int, int]) -> Crop:
        """Pixels of one window; of a very wide one perhaps every second, third ....

        Raises:
            UserError: if a file is damaged; the message names it.
        """
        ...


def outward(boxes: FloatArray) -> IntArray:
    """Pixel boxes (x min, y min, x max, y max) as whole pixels that hold them, at least one each way."""
    low, high = np.floor(boxes[:, :2]).astype(np.int64), np.ceil(boxes[:, 2:]).astype(np.int64)
    return np.concatenate([low, np.maximum(high, low + 1)], axis=1)
