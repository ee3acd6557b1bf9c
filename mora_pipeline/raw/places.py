"""Points, geometries and cells as H3 cells of one resolution, and the places that ids refer to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mora_pipeline.raw.cells import Cells, Spread, resolutions_of, to_resolution

ROWS_AT_ONCE = 1 << 14  # spread at a time: each may have many cells


def cells_at(latitude: pa.Array, longitude: pa.Array, resolution: int) -> pa.Array:
    """H3 cells (int64) of points in degrees; the points must be valid."""
    from h3ronpy.vector import coordinates_to_cells

    # h3ronpy gives unsigned cells; every valid cell is below 2^63, so the same bits are the signed number.
    return pa.array(coordinates_to_cells(latitude, longitude, resolution)).cast(pa.int64())


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
    def of(cls, ids: Sequence[pa.Array], spreads: Sequence[Spread]) -> "Places":
        """Places from the ids of batches of rows, and where these rows lie; rows of an id after its first are left out.

        Rows of one id must lie at one place.
        """
        every = pa.chunked_array([each.cast(pa.string()) for each in ids], pa.string()).combine_chunks()
        before = np.cumsum([0, *(len(each) for each in ids)])
        rows = np.concatenate([np.empty(0, np.int64), *(own + start for (own, _, _), start in zip(spreads, before, strict=False))])
        coded = every.dictionary_encode()
        order = pc.sort_indices(coded.dictionary).to_numpy()
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order))
        place = rank[coded.indices.to_numpy()] if len(every) else np.empty(0, np.int64)
        _, first = np.unique(place, return_index=True)
        once = np.isin(rows, first)
        own = place[rows[once]]
        ordered = np.argsort(own, kind="stable")
        cells = np.concatenate([np.empty(0, np.int64), *(cells for _, cells, _ in spreads)])[once][ordered]
        shares = np.concatenate([np.empty(0), *(shares for _, _, shares in spreads)])[once][ordered]
        starts = np.searchsorted(own[ordered], np.arange(len(order) + 1))
        return cls(coded.dictionary.take(pa.array(order)), starts.astype(np.int64), cells, shares)

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
