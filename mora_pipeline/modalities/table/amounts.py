"""How much a cell has of what a table counts, which the shares of its bins do not say."""

import numpy as np
import pyarrow as pa

from mora_pipeline.contract import schemas
from mora_pipeline.contract.errors import UserError


def table_amounts(sums: pa.Table, weights: pa.Table | None, weight: str) -> pa.Table | None:
    """ln(1 + sum) of each bin and group that is a count, and of the weight.

    Args:
        sums: `table_sums/<modality>`: no columns for groups that are shares.
        weights: `table_weights/<modality>`, if the table has a weight: of the same cells.
        weight: its name.

    Returns:
        `schemas.amounts`, ascending by cell, one row a cell of the table; None if nothing in the table is an amount.

    Raises:
        UserError: if the two tables are of different cells.
    """
    columns = {name: sums[name].to_numpy() for name in sums.column_names if name != "cell"}
    if weights is not None:
        if not sums["cell"].equals(weights["cell"]):
            raise UserError("table_sums and table_weights hold different cells. Materialise table_cells again.")
        columns[weight] = weights["weight"].to_numpy()
    if not columns:
        return None
    logarithms = [pa.array(np.log1p(column)) for column in columns.values()]
    table = pa.table([sums["cell"], *logarithms], schema=schemas.amounts(list(columns)))
    return table.sort_by("cell")
