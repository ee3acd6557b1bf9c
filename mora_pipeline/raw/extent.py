"""The part of the earth that is a region's: a box, or cells."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mora_pipeline.contract.errors import UserError

Cells = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Extent:
    """``box``: south, west, north, east in degrees; or ``cells``: H3 cells, int64, ascending."""

    box: tuple[float, float, float, float] | None = None
    cells: Cells | None = None

    @classmethod
    def parse(cls, params: Any) -> "Extent | None":
        """The extent that a parameter of a job describes; None if there is none.

        Raises:
            UserError: if it is neither a box nor cells.
        """
        if params is None:
            return None
        if isinstance(params, Mapping) and params.get("box"):
            south, west, north, east = map(float, params["box"])
            return cls(box=(south, west, north, east))
        if isinstance(params, Mapping) and params.get("cells"):
            return cls(cells=np.unique(np.array(params["cells"], dtype=np.int64)))
        raise UserError("extent must be {box: [south, west, north, east]} or {cells: [...]}, with at least one cell.")

    def holds(self, cells: Cells) -> npt.NDArray[np.bool_]:
        """Which cells, int64 [n], belong to it, bool [n]: by a box, those whose centre is inside."""
        if self.cells is not None:
            place = np.minimum(np.searchsorted(self.cells, cells), len(self.cells) - 1)
            return np.asarray(self.cells[place] == cells)
        from h3ronpy.vector import cells_to_coordinates

        south, west, north, east = self.box or (-90.0, -180.0, 90.0, 180.0)
        each, row = np.unique(cells, return_inverse=True)
        centres = pa.record_batch(cells_to_coordinates(pa.array(each.astype(np.uint64))))
        latitude, longitude = centres["lat"].to_numpy(), centres["lng"].to_numpy()
        across = np.logical_and if west <= east else np.logical_or  # it may cross the antimeridian
        inside = (latitude >= south) & (latitude <= north) & across(longitude >= west, longitude <= east)
        return np.asarray(inside[row])
