"""The rhythm of a cell as evidence: when people arrive, leave and stay, in shares of the hours of the week."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mora_pipeline.contract.cells import rows_of
from mora_pipeline.contract.rhythm import BINS, DIRECTIONS, RHYTHM_COLUMNS
from mora_pipeline.lake.reading import RegionReader

PRIOR_MOVES = 20.0  # moves of the region's mean rhythm that each cell is given in each direction

Cells = npt.NDArray[np.int64]
Shares = npt.NDArray[np.float32]
Present = npt.NDArray[np.bool_]


def read_rhythm(reader: RegionReader, cells: Cells) -> tuple[Shares, Present] | None:
    """The rhythm of a region's cells, as `rhythm_evidence`; None where its mobility carries no times.

    An input, where there is one. Regions that were last gridded before there was a dataset `rhythm` have none either.

    Raises:
        UserError: if it was made for other cells.
    """
    version = reader.read_if_made("rhythm")
    if version is None or not version.rows:
        return None
    return rhythm_evidence(version.table(), cells)


def rhythm_evidence(table: pa.Table, cells: Cells) -> tuple[Shares, Present]:
    """Shares of arrivals, departures and stays by hour of the week.

    A cell of few moves is drawn towards the region: its shares are those of its own moves and of `PRIOR_MOVES` more,
    which are spread as all moves of the region are in that direction (evenly, if it has none).

    Args:
        table: of `schemas.RHYTHM`.
        cells: int64 [N], ascending.

    Returns:
        float32 [N, k], in the order of `RHYTHM_COLUMNS`: each block of `BINS` sums to 1, rows without a rhythm are 0;
        and bool [N], true where a cell has timed moves.

    Raises:
        UserError: if the table names a cell that `cells` lacks.
    """
    row = rows_of(cells, table["cell"].to_numpy(), "rhythm")
    counts = np.stack([table[name].to_numpy() for name in RHYTHM_COLUMNS], axis=1)
    counts = counts.reshape(-1, len(DIRECTIONS), len(BINS))
    total = counts.sum(axis=0)
    amount = total.sum(axis=1, keepdims=True)
    mean = np.where(amount > 0, total / np.where(amount > 0, amount, 1), 1 / len(BINS))
    shares = (counts + PRIOR_MOVES * mean) / (counts.sum(axis=2, keepdims=True) + PRIOR_MOVES)
    evidence = np.zeros((len(cells), len(RHYTHM_COLUMNS)), dtype=np.float32)
    present = np.zeros(len(cells), dtype=bool)
    evidence[row], present[row] = shares.reshape(len(row), -1), counts.any(axis=(1, 2))
    evidence[~present] = 0
    return evidence, present
