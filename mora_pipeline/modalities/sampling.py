"""A look at the numbers of a raster, without reading all of it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

SAMPLE = 256  # pixels across a part of a file that is looked at
PARTS = 3  # such parts either way, where a file has no overviews


def sampled(source: Any, bands: Sequence[int]) -> npt.NDArray[np.float64]:
    """Finite values of an open file with data, float64 [n]: from an overview, or from parts all over it."""
    from rasterio.windows import Window

    parts = []
    if source.overviews(bands[0]) or max(source.shape) <= SAMPLE * PARTS:
        shape = (len(bands), *(min(side, SAMPLE * PARTS) for side in source.shape))
        parts = [source.read(list(bands), out_shape=shape, masked=True)]
    else:
        rows, columns = (np.linspace(0, max(0, side - SAMPLE), PARTS).astype(int) for side in source.shape)
        windows = [Window(column, row, SAMPLE, SAMPLE) for row in rows.tolist() for column in columns.tolist()]
        parts = [source.read(list(bands), window=window, masked=True) for window in windows]
    values = np.concatenate([part.compressed().astype(np.float64) for part in parts])
    return values[np.isfinite(values)]


def place_name(latitude: float, longitude: float) -> str:
    """A point as messages show it."""
    north, east = "N" if latitude >= 0 else "S", "E" if longitude >= 0 else "W"
    return f"{abs(latitude):.2f}° {north}, {abs(longitude):.2f}° {east}"
