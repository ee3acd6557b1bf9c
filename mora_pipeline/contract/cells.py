"""The row of a cell: `cells` is sorted, so a row is found by binary search."""

import numpy as np
import numpy.typing as npt

from mora_pipeline.contract.errors import UserError

Cells = npt.NDArray[np.int64]


def find_rows(cells: Cells, wanted: Cells) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """The row of each wanted cell, and whether there is one.

    Args:
        cells: int64 [N], ascending.
        wanted: int64 [n], in any order.

    Returns:
        int64 [n], 0 where `cells` lacks the cell, and bool [n], true where it has it.
    """
    rows = np.searchsorted(cells, wanted)
    known = rows < len(cells)
    known[known] = cells[rows[known]] == wanted[known]
    rows[~known] = 0
    return rows, known


def rows_of(cells: Cells, wanted: Cells, dataset: str) -> npt.NDArray[np.int64]:
    """The row of each wanted cell, int64 [n].

    Args:
        cells: int64 [N], ascending.
        wanted: int64 [n], in any order.
        dataset: that holds the wanted cells, for the message.

    Raises:
        UserError: if `cells` lacks one of them.
    """
    rows, known = find_rows(cells, wanted)
    if not known.all():
        raise UserError(
            f"The dataset `{dataset}` names {int((~known).sum())} cells that `cells` does not hold (first: "
            f"{int(wanted[~known][0]):x}): they were made from different inputs. "
            "Materialise the region's `cells` and everything after it again."
        )
    return rows
