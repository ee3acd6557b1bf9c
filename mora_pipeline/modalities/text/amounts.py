"""How many texts a cell has, by category: what the mean of their vectors does not say."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mora_pipeline.contract import schemas
from mora_pipeline.contract.amounts import REST, TOTAL, part_of
from mora_pipeline.contract.cells import rows_of
from mora_pipeline.contract.errors import UserError

MOST_CATEGORIES = 64  # with a column of their own
FEWEST_CELLS, FEWEST_SHARE = 3, 0.01  # that have a category with a column
COUNT = "count"  # all texts together


def text_amounts(texts: pa.Table, text_cells: pa.Table, cells: npt.NDArray[np.int64]) -> pa.Table:
    """ln(1 + count) of all texts, of each of the commonest categories, and of the rest, for all cells of a region.

    The commonest are those in the most cells. Where no text has a category, distinct texts are categories if they are
    at most `MOST_CATEGORIES`; more of them are names, and only all texts are counted.

    Args:
        texts: `schemas.TEXTS`.
        text_cells: `schemas.TEXT_CELLS`; the order of rows in both tables is irrelevant.
        cells: int64 [N], ascending; a cell without texts gets zeros.

    Returns:
        `schemas.amounts`, N rows.

    Raises:
        UserError: if the tables do not belong together, or come from before there were categories.
    """
    if "category" not in texts.column_names:
        raise UserError(
            "`texts` was made by an earlier version of this program, without categories. Materialise the asset "
            "`text_cells` and everything after it again."
        )
    rows = rows_of(cells, text_cells["cell"].to_numpy(), "text_cells")
    names, category_of_text = _categories(texts)
    positions = pc.index_in(text_cells["text_id"], texts["text_id"])
    if positions.null_count:
        raise UserError("text_cells names a text that texts does not hold. Materialise the asset `text_cells` again.")
    category, count = category_of_text[positions.to_numpy()], text_cells["count"].to_numpy()
    order = np.lexsort((count, category, rows))  # sums of shuffled input are equal to the last bit
    rows, category, count = rows[order], category[order], count[order]
    commonest = _commonest(names, rows, category, len(cells))
    columns = {part_of(COUNT, TOTAL): np.bincount(rows, count, len(cells))}
    for code in commonest:
        own = category == code
        columns[part_of(COUNT, names[code])] = np.bincount(rows[own], count[own], len(cells))
    if names:
        rest = ~np.isin(category, commonest)
        columns[part_of(COUNT, REST)] = np.bincount(rows[rest], count[rest], len(cells))
    logarithms = [pa.array(np.log1p(column)) for column in columns.values()]
    return pa.table([pa.array(cells), *logarithms], schema=schemas.amounts(list(columns)))


def _categories(texts: pa.Table) -> tuple[list[str], npt.NDArray[np.int64]]:
    """The categories, sorted, and the one of each text, -1 where it has none; no categories where texts are names."""
    labels = texts["category"]
    if labels.null_count == len(labels):
        labels = texts["text"]
        if len(pc.unique(labels)) > MOST_CATEGORIES:
            return [], np.full(len(labels), -1)
    names = pc.unique(labels.drop_null()).sort()
    return names.to_pylist(), pc.fill_null(pc.index_in(labels, names).cast(pa.int64()), -1).to_numpy()


def _commonest(
    names: list[str], rows: npt.NDArray[np.int64], category: npt.NDArray[np.int64], num_cells: int
) -> npt.NDArray[np.int64]:
    """The categories in the most cells, ascending; ties are won by the name that comes first."""
    pairs = np.unique(np.stack([rows, category], axis=1)[category >= 0], axis=0)
    num_with = np.bincount(pairs[:, 1], minlength=len(names))
    num_with[[code for code, name in enumerate(names) if name in (TOTAL, REST)]] = 0  # columns of ours have these names
    enough = num_with >= max(FEWEST_CELLS, FEWEST_SHARE * num_cells)
    ranked = np.argsort(-num_with, kind="stable")
    return np.sort(ranked[enough[ranked]][:MOST_CATEGORIES])
