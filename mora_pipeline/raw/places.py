"""Points, geometries and cells as H3 cells of one resolution, and the places that ids refer to."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mora_pipeline.raw.cells import Cells, Spread, resolutions_of, to_resolution


def cells_at(latitude: pa.Array, longitude: pa.Array, resolution: int) -> pa.Array:
    """H3 cells (int64) of points in degrees; the points must be valid."""
    from h3ronpy.vector import coordinates_to_cells

    # h3ronpy gives unsigned cells; every valid cell is below 2^63, so the same bits are the signed number.
    return pa.array(coordinates_to_cells(latitude, longitude, resolution)).cast(pa.int64())


def centres_of(cells: Cells) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Latitude and longitude, degrees, float64 [n] each, of the centres of cells, int64 [n]."""
    from h3ronpy.vector import cells_to_coordinates

    centres = pa.record_batch(cells_to_coordinates(pa.array(cells.astype(np.uint64))))
    return centres["lat"].to_numpy(), centres["lng"].to_numpy()


def spread_of(rows: pa.RecordBatch, resolution: int) -> Spread:
    """The cells that rows lie in, by what says where they are: `cell`, or `latitude` and `longitude`.

    A cell is brought to the resolution (`cells.to_resolution`), a `geometry` with an area is spread on cells
    (`polygons.spread_polygons`), and a point lies in one.

    Args:
        rows: valid ones, [n], as `SourceReader` reads these roles.

    Returns:
        the row, a cell and its share of the row, [m] each, by row; the shares of a row sum to 1.

    Raises:
        UserError: if a row would have more than a million cells.
    """
    if "cell" in rows.schema.names:
        return to_resolution(rows["cell"].to_numpy(), resolution)
    own = cells_at(rows["latitude"], rows["longitude"], resolution).to_numpy()
    one_each = np.arange(len(own)), own, np.ones(len(own))
    if "geometry" not in rows.schema.names or rows["geometry"].null_count == len(own):
        return one_each
    from mora_pipeline.raw.polygons import spread_polygons

    within, cells, shares = spread_polygons(rows["geometry"], None, resolution)
    alone = np.setdiff1d(np.arange(len(own)), within)
    within, order = _sorted(np.concatenate([within, alone]))
    return within, np.concatenate([cells, own[alone]])[order], np.concatenate([shares, np.ones(len(alone))])[order]


def _sorted(rows: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    order = np.argsort(rows, kind="stable")
    return rows[order], order


def brought_up(cells: pa.Array, resolution: int) -> pa.Array:
    """Cells as the parents that hold them, int64; null where a cell is coarser than the resolution, or null."""
    import h3ronpy

    number = cells.fill_null(0).to_numpy()
    usable = np.asarray(cells.is_valid()).astype(bool) & (resolutions_of(number) >= resolution)
    brought = np.zeros(len(number), np.int64)
    if usable.any():
        parents = h3ronpy.change_resolution(pa.array(number[usable].astype(np.uint64)), resolution)
        brought[usable] = pa.array(parents).to_numpy().astype(np.int64)
    return pa.array(brought, mask=~usable)


def ambiguous_ids(rows: pa.Table) -> pa.Array:
    """The ids of places, string [n], that are listed at several points.

    Args:
        rows: as of `Places.of`; a place may well have several cells, or polygons.
    """
    if "latitude" not in rows.column_names:
        return pa.array([], pa.string())
    points = rows.filter(rows["geometry"].is_null()) if "geometry" in rows.column_names else rows
    axes = ("latitude", "longitude")
    bounds = points.group_by("id").aggregate([(name, end) for name in axes for end in ("min", "max")])
    south, north, west, east = (bounds[f"{name}_{end}"].to_numpy() for name in axes for end in ("min", "max"))
    return bounds["id"].filter(pa.array((south != north) | (west != east))).combine_chunks()


def _lying(rows: pa.Table, place: npt.NDArray[np.int64], resolution: int) -> Spread:
    """Places by number, the cells that they lie in and the shares, by place and cell, each pair once."""
    if "cell" in rows.column_names:
        pairs = np.unique(np.stack([place, rows["cell"].to_numpy()], axis=1), axis=0)
        of, cells, shares = to_resolution(pairs[:, 1], resolution)
        place = pairs[:, 0]
    else:
        kept, rows = _once(rows, place)
        batches = rows.combine_chunks().to_batches()
        of, cells, shares = spread_of(batches[0], resolution) if batches else spread_of(_NONE, resolution)
        place = place[kept]
    number = place[of]
    order = np.lexsort((cells, number))
    number, cells, shares = number[order], cells[order], shares[order]
    first = np.flatnonzero((np.diff(number, prepend=-1) != 0) | (np.diff(cells, prepend=-1) != 0))
    number, cells = number[first], cells[first]
    shares = np.add.reduceat(shares, first) if len(first) else shares
    return number, cells, shares / np.bincount(number, shares, minlength=1)[number]


_NONE = pa.record_batch({"latitude": pa.array([], pa.float64()), "longitude": pa.array([], pa.float64())})


def _once(rows: pa.Table, place: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], pa.Table]:
    """The first row of each place, with all polygons of the place as its geometry; and the numbers of these rows."""
    if "geometry" not in rows.column_names or rows["geometry"].null_count == len(rows):
        kept = np.unique(place, return_index=True)[1]
        return kept, rows.take(pa.array(kept))
    there = np.asarray(rows["geometry"].is_valid()).astype(bool)
    order = np.lexsort((~there, place))  # polygons before points
    starts = np.flatnonzero(np.diff(place[order], prepend=-1))
    kept, several = order[starts], np.diff(starts, append=len(order)) > 1
    geometries = rows["geometry"].combine_chunks().take(pa.array(kept)).to_pylist()
    if several.any():
        import shapely

        every = rows["geometry"].combine_chunks().to_numpy(zero_copy_only=False)
        for number in np.flatnonzero(several):
            end = starts[number + 1] if number + 1 < len(starts) else len(order)
            own = [wkb for wkb in every[order[starts[number] : end]] if wkb is not None]
            if len(own) > 1:
                joint = shapely.GeometryCollection([shapely.from_wkb(wkb) for wkb in dict.fromkeys(own)])
                geometries[number] = shapely.to_wkb(joint)
    column = rows.column_names.index("geometry")
    rows = rows.take(pa.array(kept)).set_column(column, "geometry", pa.array(geometries, pa.large_binary()))
    return kept, rows


@dataclass(frozen=True)
class Places:
    """Places by id, each in one or several cells.

    Attributes:
        ids: string [n], ascending.
        starts: where the cells of each place begin, int64 [n + 1].
        cells, shares: of each place, [m]; the shares of a place sum to 1.
    """

    ids: pa.Array
    starts: npt.NDArray[np.int64]
    cells: Cells
    shares: npt.NDArray[np.float64]

    @classmethod
    def of(cls, rows: pa.Table, resolution: int, spread: bool = True) -> "Places":
        """Places from the good rows of their table.

        An id with several cells lies evenly in them; one with several polygons lies in all of these, by area; of one
        with several points the first counts (`ambiguous_ids`).

        Args:
            rows: ``id`` (text), and what `spread_of` looks at.
            spread: whether to spread polygons; else each lies where its point does.

        Raises:
            UserError: as `spread_of`.
        """
        rows = rows.combine_chunks()
        coded = rows["id"].combine_chunks().cast(pa.string()).dictionary_encode()
        order = pc.sort_indices(coded.dictionary).to_numpy()
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order))
        place = rank[coded.indices.to_numpy()] if len(rows) else np.empty(0, np.int64)
        if "geometry" in rows.column_names and not spread:
            rows = rows.drop_columns(["geometry"])
        numbers, cells, shares = _lying(rows, place, resolution)
        starts = np.searchsorted(numbers, np.arange(len(order) + 1)).astype(np.int64)
        return cls(coded.dictionary.take(pa.array(order)), starts, cells, shares)

    @property
    def single(self) -> bool:
        """Whether every place lies in one cell."""
        return len(self.cells) == len(self.ids)

    def look_up(self, rows: pa.RecordBatch, roles: Mapping[str, str]) -> pa.RecordBatch:
        """Add a column for each place: its cell where the places are `single`, else its number; null where unknown.

        Args:
            roles: the column of each place's id, and that to add.
        """
        answers = pa.array(self.cells) if self.single else pa.array(np.arange(len(self.ids)))
        for role, name in roles.items():
            coded = rows[role].dictionary_encode()
            known = pc.index_in(coded.dictionary.cast(pa.string()), self.ids)
            rows = rows.append_column(name, answers.take(known).take(coded.indices))
        return rows

    def spread(self, numbers: npt.NDArray[np.int64]) -> Spread:
        """The cells of places by their numbers, int64 [n]: as `spread_of`."""
        counts = self.starts[numbers + 1] - self.starts[numbers]
        rows = np.repeat(np.arange(len(numbers)), counts)
        first = np.repeat(self.starts[numbers] - np.cumsum(counts) + counts, counts)
        at = first + np.arange(len(rows))
        return rows, self.cells[at], self.shares[at]

    def largest_distance_from_one(self) -> float:
        """How far the shares of a place are from a sum of 1, at most."""
        if not len(self.ids):
            return 0.0
        return float(np.abs(np.add.reduceat(self.shares, self.starts[:-1]) - 1).max())
