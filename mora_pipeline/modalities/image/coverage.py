"""Whether imagery lies where the region lies, before anything is encoded."""

import h3.api.basic_int as h3
import numpy as np
import numpy.typing as npt

from mora_pipeline.contract.errors import UserError
from mora_pipeline.modalities.encoder import IntArray
from mora_pipeline.modalities.image.boundaries import FloatArray
from mora_pipeline.modalities.image.mosaic import Mosaic
from mora_pipeline.modalities.image.xyz import XyzMosaic
from mora_pipeline.modalities.sampling import place_name

USUAL_SIDE = 256  # pixels of a tile
ENOUGH = 0.5  # a share of the points below which the reason is looked for
LOOKED_AT = 1000  # cells


def covers(
    mosaic: Mosaic, latitude: FloatArray, longitude: FloatArray
) -> tuple[npt.NDArray[np.bool_], tuple[str, ...]]:
    """Which points, float64 [n] in degrees, have imagery, and what is worth saying of it.

    Returns:
        Bool [n], and sentences: of an unusual size of tiles, and of what may be wrong where few points have imagery.
    """
    found, remarks = mosaic.has_points(latitude, longitude), []
    if isinstance(mosaic, XyzMosaic) and mosaic.side != USUAL_SIDE:
        remarks.append(f"Tiles have {mosaic.side} × {mosaic.side} pixels.")
    if len(found) and found.mean() < ENOUGH and (advice := mosaic.advice(latitude, longitude)):
        remarks.append(f"{advice}.")
    elif len(found) and not found.any():
        remarks.append(f"The imagery lies elsewhere: some of it at {place_name(*mosaic.somewhere())}.")
    return found, tuple(remarks)


def refuse_uncovered(cells: IntArray, mosaic: Mosaic, where: str) -> None:
    """Say why none of the cells, int64 [n], has a window of the mosaic.

    Args:
        where: start of the message, such as ``region.yaml: modalities.sky``.

    Raises:
        UserError: always.
    """
    sample = cells[:: max(1, len(cells) // LOOKED_AT)].tolist()
    latitude, longitude = np.array([h3.cell_to_latlng(cell) for cell in sample]).T
    found, remarks = covers(mosaic, latitude, longitude)
    reason = " ".join(remarks) or "What there is covers less than half of any cell: imagery of a wider area is needed."
    if not found.any():
        reason = f"{reason} One of the cells is at {place_name(latitude[0], longitude[0])}."
    raise UserError(f"{where} has imagery of none of the region's {len(cells):,} cells. {reason}")
