"""The vector of a cell from its histogram: the bins as they are (the heads of the alignment learn the rest)."""

import numpy as np
import pyarrow as pa

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.schemas import CellVectors


def encode_table_cells(table: pa.Table) -> CellVectors:
    """Bins as a float32 vector, in the order of the table's columns.

    Args:
        table: `table_cells/<modality>`: ``cell``, then one float64 column a bin; in any order of rows.

    Returns:
        Float32 [n, bins], one row a cell, ascending.

    Raises:
        UserError: if a bin is missing or not finite, or a cell has two rows.
    """
    cells = table["cell"].to_numpy()
    bins = [name for name in table.column_names if name != "cell"]
    vectors = np.empty((len(cells), len(bins)), dtype=np.float32)
    for position, name in enumerate(bins):
        vectors[:, position] = table[name].to_numpy()
        if not np.isfinite(vectors[:, position]).all():
            raise UserError(
                f"table_cells: the bin '{name}' has values that are missing or infinite. Materialise it again."
            )
    order = np.argsort(cells, kind="stable")
    if len(np.unique(cells)) != len(cells):
        raise UserError("table_cells holds a cell twice. Materialise it again.")
    return CellVectors(cells[order], vectors[order])
