"""The cells that labels lie in: of their places, or by their own cells, points and shapes."""

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from mora_pipeline.contract.cells import Cells, find_rows
from mora_pipeline.evaluation.labels.files import UNKNOWN, Rows, cell_rows
from mora_pipeline.raw.places import Places, brought_up, spread_of


def lying(table: pd.DataFrame, places: Places | None, cells: Cells, resolution: int) -> pd.DataFrame:
    """Each row once for each of its cells: ``row`` of the cell (or UNKNOWN), ``share``, and ``label``, the row.

    Args:
        table: with the ``number`` of each row's place (or UNKNOWN), or the location as `files.read_roles` reads it.
        places: that numbers are of.
        cells: of the region, int64 [N], ascending.
    """
    known = (table["number"] != UNKNOWN).to_numpy() if "number" in table else has_location(table)
    there = np.flatnonzero(known)
    if "number" in table and places is not None:
        of, own, shares = places.spread(table["number"].to_numpy(dtype=np.int64)[there])
    else:
        of, own, shares = spread_of(as_arrow(table.iloc[there]).to_batches()[0], resolution)
    alone = np.flatnonzero(~known)
    at = np.concatenate([there[of], alone])
    rows, found = find_rows(cells, own)
    row = np.concatenate([np.where(found, rows, UNKNOWN), np.full(len(alone), UNKNOWN)])
    share = np.concatenate([shares, np.ones(len(alone))])
    return table.iloc[at].assign(row=row, share=share, label=at).sort_values("label", kind="stable")


def row_of_each(table: pd.DataFrame, cells: Cells, resolution: int) -> Rows:
    """The row of the cell at the point that stands for each row, int64 [n], UNKNOWN where there is none.

    Args:
        table, cells: as of `lying`; a cell that is coarser than the resolution is no point.
    """
    if "cell" not in table:
        return cell_rows(table["latitude"], table["longitude"], resolution, cells)
    own = brought_up(pa.array(table["cell"].to_numpy(dtype=np.int64, na_value=0)), resolution)
    rows, found = find_rows(cells, own.fill_null(0).to_numpy())
    return np.where(found, rows, UNKNOWN)


def has_location(table: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Which rows have a cell, or a point on the globe, bool [n]."""
    if "cell" in table:
        return table["cell"].notna().to_numpy()
    north, east = table["latitude"].to_numpy(), table["longitude"].to_numpy()
    return np.asarray((np.abs(north) <= 90) & (np.abs(east) <= 180))  # false for NaN


def as_arrow(table: pd.DataFrame) -> pa.Table:
    """The ids and locations of rows, as `raw.places` reads them."""
    kinds = {"id": pa.string(), "cell": pa.int64(), "geometry": pa.large_binary()}
    names = [name for name in ("id", "latitude", "longitude", "cell", "geometry") if name in table]
    columns = {name: pa.array(table[name], kinds.get(name, pa.float64())) for name in names}
    return pa.Table.from_batches([pa.record_batch(columns)])
