"""H3 cells as locations: read in any form, and brought to the resolution of a region."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.shapes import flat, is_text

Cells = npt.NDArray[np.int64]
Spread = tuple[npt.NDArray[np.int64], Cells, npt.NDArray[np.float64]]  # row, cell, share
HEX_CELL = r"^0?8[0-9a-f]{14}$"
DECIMAL_CELL = (
    r"^[0-9]{18}$"  # cells lie between 5.7e17 and 6.5e17; and no cell's 15 hexadecimal digits are all decimal
)
MOST_CHILDREN = 1_000_000


def as_cells(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    """H3 cells, int64 [n], null where a value is no valid cell.

    Args:
        values: hexadecimal text (upper or lower case, with or without 0x), decimal text, or integers, [n]. Floating
            point numbers are no cells: they have lost digits.
    """
    values = flat(values)
    if is_text(values.type):
        return _valid(_of_texts(values))
    if pa.types.is_integer(values.type):
        # The highest bit of a cell is 0: a larger unsigned number is none, and negative here.
        return _valid(_signed(values) if values.type == pa.uint64() else values.cast(pa.int64()))
    return pa.nulls(len(values), pa.int64())


def _signed(values: pa.Array) -> pa.Array:
    """The same bits, as signed numbers."""
    return pa.array(values.fill_null(0).to_numpy().view(np.int64), mask=np.asarray(values.is_null()).astype(bool))


def _of_texts(texts: pa.Array) -> pa.Array:
    """The numbers that texts name, int64, null where they name none."""
    plain = pc.replace_substring_regex(pc.utf8_lower(pc.utf8_trim_whitespace(texts)), "^0x", "")
    decimal = pc.match_substring_regex(plain, DECIMAL_CELL)
    numbers = pc.if_else(decimal, plain, None).cast(pa.int64())
    in_hex = pc.match_substring_regex(plain, HEX_CELL)
    if not pc.any(in_hex).as_py():
        return numbers
    import h3ronpy

    # h3ronpy takes more than cells, such as "10,20,8" for a point, so it sees only what looks like one.
    parsed = h3ronpy.cells_parse(pc.if_else(in_hex, plain, None).cast(pa.string()), set_failing_to_invalid=True)
    return pc.coalesce(_signed(pa.array(parsed)), numbers)


def _valid(numbers: pa.Array) -> pa.Array:
    """The numbers, null where they are no cells."""
    import h3ronpy

    unsigned = pa.array(numbers.fill_null(0).to_numpy().view(np.uint64))
    return pc.if_else(pa.array(h3ronpy.cells_valid(unsigned, booleanarray=True)), numbers, pa.scalar(None, pa.int64()))


def resolutions_of(cells: Cells) -> npt.NDArray[np.int64]:
    """The resolution of each cell, int64 [n]: four bits of its id."""
    return (cells >> 52) & 15


def to_resolution(cells: Cells, resolution: int) -> Spread:
    """Cells at one resolution: a finer cell becomes its parent, a coarser one is spread evenly on its children.

    Args:
        cells: valid cells of any resolutions, int64 [n].

    Returns:
        the row of `cells`, a cell of the resolution, and its share of the row, [m] each, in the order of the rows;
        the shares of a row sum to 1.

    Raises:
        UserError: if a cell has more than a million children of the resolution.
    """
    import h3ronpy

    coarsest = int(resolutions_of(cells).min()) if len(cells) else resolution
    if (children := 7 ** max(resolution - coarsest, 0)) > MOST_CHILDREN:
        raise UserError(
            f"a cell of resolution {coarsest} would be spread on about {children:,} cells of resolution {resolution}. "
            "Use data of finer cells, or a coarser resolution for the region."
        )
    brought = pa.array(h3ronpy.change_resolution_list(pa.array(cells.astype(np.uint64)), resolution))
    counts = pc.list_value_length(brought).to_numpy().astype(np.int64)
    rows = np.repeat(np.arange(len(cells)), counts)
    return rows, pc.list_flatten(brought).to_numpy().astype(np.int64), np.repeat(1 / counts, counts)
