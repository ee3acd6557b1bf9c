"""Points and places to H3 cells, in Arrow."""

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc


def cells_at(latitude: pa.Array, longitude: pa.Array, resolution: int) -> pa.Array:
    """H3 cells (int64) of points in degrees; the points must be valid."""
    from h3ronpy.vector import coordinates_to_cells

    # h3ronpy gives unsigned cells; every valid cell is below 2^63, so the same bits are the signed number.
    return pa.array(coordinates_to_cells(latitude, longitude, resolution)).cast(pa.int64())


def look_up_cells(rows: pa.RecordBatch, roles: Mapping[str, str], places: pa.Table) -> pa.RecordBatch:
    """Add the cells of places, null where a place is unknown.

    Args:
        roles: the column of each place's id, and that of its cell.
        places: id and cell, each id once.
    """
    for role, cell in roles.items():
        coded = rows[role].dictionary_encode()
        known = pc.index_in(coded.dictionary.cast(pa.string()), places["id"].combine_chunks())
        rows = rows.append_column(cell, places["cell"].combine_chunks().take(known).take(coded.indices))
    return rows
