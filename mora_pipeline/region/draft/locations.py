"""Where the rows of a table are: coordinates, a geometry, or an H3 cell."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.cells import as_cells
from mora_pipeline.raw.forms import FileForm
from mora_pipeline.raw.numbers import as_numbers
from mora_pipeline.region.draft.column_sample import ColumnSample, Floats
from mora_pipeline.region.draft.points import find_points, main_point


@dataclass(frozen=True)
class Location:
    """The columns that say where a row is, by the key of region.yaml.

    Attributes:
        roles: ``latitude`` and ``longitude``, ``geometry``, or ``cell``.
        crs: of a geometry, as the file states it.
    """

    roles: Mapping[str, str]
    crs: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.roles.values())

    def coordinates(self, batch: Mapping[str, pa.Array], form: FileForm) -> tuple[Floats, Floats]:
        """Latitude and longitude, degrees, NaN where there are none, [n].

        Args:
            batch: the values of each role.
        """
        if "geometry" in self.roles:
            from mora_pipeline.raw.geometry import points_of

            return _floats(points_of(batch["geometry"], self.crs))
        if "cell" in self.roles:
            return _centres(as_cells(batch["cell"]))
        numbers = [as_numbers(batch[role], form.written, form.written.null) for role in ("latitude", "longitude")]
        return _floats((numbers[0], numbers[1]))


def location_of(columns: Mapping[str, ColumnSample], file: str, form: FileForm) -> Location | None:
    """Where the rows are; None if nothing says so, or if they have two ends.

    Args:
        file: one of the table's.
    """
    points = find_points(columns)
    if point := main_point(points):
        return Location({"latitude": point.latitude, "longitude": point.longitude})
    cells = [name for name, column in columns.items() if column.cell_resolution is not None]
    if len(cells) == 1 and not points:
        return Location({"cell": cells[0]})
    geometry = next((name for name, column in columns.items() if column.is_geometry), None)
    if geometry and not points:
        return Location({"geometry": geometry}, _crs(file, geometry, form))
    return None


def _crs(file: str, column: str, form: FileForm) -> str | None:
    try:
        if form.format == "vector":
            from mora_pipeline.raw.vector_files import vector_schema

            return vector_schema(file, form.layer)[1]
        if form.format == "parquet":
            from mora_pipeline.raw.crs import parquet_crs

            return parquet_crs(file, column)
    except (UserError, OSError):
        pass
    return None


def _floats(axes: tuple[pa.Array, pa.Array]) -> tuple[Floats, Floats]:
    latitude, longitude = (np.asarray(axis.to_numpy(zero_copy_only=False), dtype=np.float64) for axis in axes)
    return latitude, longitude


def _centres(cells: pa.Array) -> tuple[Floats, Floats]:
    import h3.api.basic_int as h3

    centres = [h3.cell_to_latlng(cell) if cell else (np.nan, np.nan) for cell in cells.to_pylist()]
    latitude, longitude = np.array(centres, dtype=np.float64).reshape(-1, 2).T
    return latitude, longitude
