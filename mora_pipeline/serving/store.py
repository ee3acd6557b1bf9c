"""Look embeddings up: by coordinate, by cell, by similarity; where there is no cell, the distilled encoder answers."""

from functools import cached_property
from typing import TYPE_CHECKING, Literal, get_args

import h3
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mora_pipeline.contract.cells import find_rows
from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.schemas import CellVectors
from mora_pipeline.lake import Lake, Version

if TYPE_CHECKING:
    from mora_pipeline.distillation.coordinate_encoder import CoordinateEncoder

Source = Literal["auto", "cell", "distilled"]
Vectors = npt.NDArray[np.float32]
Cells = npt.NDArray[np.int64]


class EmbeddingStore:
    """A region's committed embeddings: ``cells`` int64 [N], ascending, and ``vectors`` float32 [N, d] beside them.

    ``d`` is 128 by default, and 96 where another region's encoder of the preset `mora` embedded the region.
    """

    def __init__(self, version: Version, lake: Lake) -> None:
        own = CellVectors.from_table(version.table(["cell", "vector"]))
        self.region, self.cells, self.vectors = version.region, own.cells, own.vectors
        self._version, self._lake = version.version, lake
        if len(self.cells) == 0:
            raise UserError(f"`embeddings` of region '{self.region}' holds no cell: materialise it again.")
        self.resolution = int(h3.get_resolution(h3.int_to_str(int(self.cells[0]))))

    @classmethod
    def open(cls, region: str, lake: Lake | None = None) -> "EmbeddingStore":
        """Read the current version once; a later run of the pipeline does not change what this object answers.

        Raises:
            UserError: if the region has no embeddings yet.
        """
        lake = lake or Lake.at_home()
        return cls(lake.read("embeddings", region), lake)

    def at(self, latitude: npt.ArrayLike, longitude: npt.ArrayLike, source: Source = "auto") -> Vectors:
        """Vectors of coordinates.

        Args:
            latitude: degrees, [n] or one number.
            longitude: the same.
            source: `cell` takes the vector of the cell at the point, `distilled` asks the distilled encoder, `auto`
                takes the cell's where there is one and else the distilled encoder's.

        Returns:
            float32 [n, d].

        Raises:
            UserError: if a coordinate is not one (the row is named), no cell is there (`cell`), or the distilled
                encoder is needed and the region has none of these embeddings.
        """
        if source not in get_args(Source):
            raise UserError(f"source is '{source}'; it can be {', '.join(get_args(Source))}.")
        latitude, longitude = checked_coordinates(latitude, longitude)
        if source == "distilled":
            return self._distilled.encode(latitude, longitude)
        cells = cells_at(latitude, longitude, self.resolution)
        rows, known = find_rows(self.cells, cells)
        if source == "cell" and not known.all():
            row = int(np.flatnonzero(~known)[0])
            raise UserError(
                f"Row {row} ({latitude[row]}, {longitude[row]}) is in cell {h3.int_to_str(int(cells[row]))}, of "
                f"which '{self.region}' has no embedding ({int((~known).sum())} such rows). Say source='auto' for the "
                "distilled encoder's answer there."
            )
        vectors = self.vectors[rows]
        if not known.all():
            vectors[~known] = self._distilled.encode(latitude[~known], longitude[~known])
        return vectors

    def cell(self, cell: str | int) -> Vectors:
        """The vector of a cell, hex id or int64: float32 [d].

        Raises:
            UserError: if it is no cell, or the region has no embedding of it.
        """
        number = _cell_number(cell)
        rows, known = find_rows(self.cells, np.array([number], dtype=np.int64))
        if not known[0]:
            resolution = h3.get_resolution(h3.int_to_str(number))
            same = resolution == self.resolution
            hint = "" if same else f" Its cells have resolution {self.resolution}, not {resolution}."
            raise UserError(f"'{self.region}' has no embedding of cell {h3.int_to_str(number)}.{hint}")
        return self.vectors[rows[0]].copy()

    def nearest(self, latitude: float, longitude: float, k: int = 10, source: Source = "auto") -> pa.Table:
        """The k cells whose vectors are most similar to the one at a point, by cosine.

        Returns:
            cell, h3, latitude, longitude (of the centre), cosine; the most similar first, ties by cell. The cell at the
            point is one of them.

        Raises:
            UserError: as `at`, or if k is not positive.
        """
        if k < 1:
            raise UserError(f"k is {k}; it must be at least 1.")
        vector = self.at(latitude, longitude, source)[0]
        lengths = self._lengths * np.linalg.norm(vector)
        cosine = np.divide(self.vectors @ vector, lengths, out=np.zeros_like(lengths), where=lengths > 0)
        best = np.argsort(-cosine, kind="stable")[:k]
        names = [h3.int_to_str(int(cell)) for cell in self.cells[best]]
        centres = np.array([h3.cell_to_latlng(name) for name in names])
        columns = [self.cells[best], names, centres[:, 0], centres[:, 1], cosine[best]]
        return pa.table(columns, names=["cell", "h3", "latitude", "longitude", "cosine"])

    @cached_property
    def _lengths(self) -> Vectors:
        """Of the vectors, float32 [N]."""
        return np.linalg.norm(self.vectors, axis=1)

    @cached_property
    def _distilled(self) -> "CoordinateEncoder":
        from mora_pipeline.distillation.coordinate_encoder import load_encoder

        encoder = self._lake.read("distilled_encoder", self.region)
        if (teacher := encoder.inputs.get("embeddings", "")) != self._version:
            raise UserError(self._other_teacher(teacher))
        return load_encoder(encoder.path)

    def _other_teacher(self, teacher: str) -> str:
        """Why the distilled encoder does not fit: it was distilled from another version of the embeddings."""
        current = self._lake.read("embeddings", self.region).version
        age = "older" if teacher < self._version else "newer"  # a version begins with its time
        return (
            f"`distilled_encoder` of region '{self.region}' was distilled from version {teacher or 'unknown'} of "
            f"`embeddings`, {age} than {self._version}, which is read here: its vectors are of another space. "
        ) + (
            "Open the embeddings again."
            if teacher == current
            else f"Distil it again: mora materialize {self.region} --select distilled_encoder"
        )


def cells_at(latitude: npt.NDArray[np.float64], longitude: npt.NDArray[np.float64], resolution: int) -> Cells:
    """H3 cells of valid coordinates in degrees, float64 [n] each: int64 [n]."""
    from h3ronpy.vector import coordinates_to_cells

    cells = pa.array(coordinates_to_cells(latitude, longitude, resolution))
    return cells.to_numpy(zero_copy_only=False).astype(np.int64)


def checked_coordinates(
    latitude: npt.ArrayLike, longitude: npt.ArrayLike
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Both as float64 [n]: degrees, latitude in [-90, 90], longitude in [-180, 180].

    Raises:
        UserError: naming the first row that is not a coordinate.
    """
    try:
        latitude, longitude = (np.asarray(values, np.float64).reshape(-1) for values in (latitude, longitude))
    except (TypeError, ValueError) as error:
        raise UserError(f"Coordinates must be numbers, in degrees ({error}).") from error
    if len(latitude) != len(longitude):
        raise UserError(f"There are {len(latitude)} latitudes and {len(longitude)} longitudes; give as many of each.")
    for name, values, limit in (("latitude", latitude, 90), ("longitude", longitude, 180)):
        bad = np.flatnonzero(~(np.abs(values) <= limit))
        if len(bad):
            raise UserError(
                f"Row {bad[0]}: {name} is {values[bad[0]]}; it must be within -{limit} and {limit} degrees "
                f"({len(bad)} such rows)."
            )
    return latitude, longitude


def _cell_number(cell: str | int) -> int:
    try:
        name = cell.strip().lower() if isinstance(cell, str) else h3.int_to_str(int(cell))
    except OverflowError:  # negative, or beyond 64 bits
        name = ""
    if not h3.is_valid_cell(name):
        raise UserError(f"'{cell}' is not an H3 cell: give its hex id (862a1072fffffff) or its number.")
    return int(h3.str_to_int(name))
