"""A user's own vectors, from a Parquet file: any method that is not built in can be compared so."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.schemas import CellVectors
from mora_pipeline.evaluation.methods.interface import MethodContext, MethodVectors


def own_vectors(context: MethodContext, path: str) -> MethodVectors:
    """Vectors of a file, float32 [N, d], for the region's cells; cells that it lacks have zeros.

    Args:
        path: Parquet with ``cell`` (int64, or hex ids as text) and ``vector`` (a list of numbers); rows in any order,
            cells of other regions are passed over. One file for two regions is one space.

    Raises:
        UserError: if it cannot be read, lacks a column or a value, names a cell twice, or none of the region's.
    """
    file = Path(path).expanduser()
    named = f"benchmark: files names {file}"
    try:
        table = pq.read_table(file, columns=["cell", "vector"], partitioning=None)
        cells, vectors = _cells(table["cell"]), _matrix(table["vector"])
    except (OSError, pa.ArrowException, ValueError, OverflowError) as error:
        raise UserError(
            f"{named}, which has no columns cell and vector that can be read ({str(error).splitlines()[0]}). "
            "It must be Parquet with cell (H3, int64 or hex text) and vector (lists of numbers, equally long), and no "
            "value may be missing."
        ) from error
    if not np.isfinite(vectors).all():
        raise UserError(f"{named}, which holds numbers that are not finite. Remove or fix these rows.")
    inside = np.isin(cells, context.cells)
    if not inside.any():
        raise UserError(f"{named}, which holds none of the cells of '{context.reader.region}'. Check its resolution.")
    order = np.argsort(cells[inside], kind="stable")
    own = CellVectors(cells[inside][order], vectors[inside][order])
    if (np.diff(own.cells) == 0).any():
        raise UserError(f"{named}, which has several rows for a cell. Keep one row a cell.")
    return MethodVectors(own.on(context.cells)[0], f"file {file.resolve()}")


def _cells(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Raises ValueError for what is not a cell."""
    if column.null_count:
        raise ValueError(f"cell is missing in {column.null_count} of {len(column)} rows")
    if pa.types.is_integer(column.type):
        return np.asarray(column.to_numpy(), dtype=np.int64)
    values = column.to_pylist()
    if not all(isinstance(value, str) for value in values):
        raise ValueError(f"cell is of type {column.type}")
    return np.array([int(value, 16) for value in values], dtype=np.int64)


def _matrix(column: pa.ChunkedArray) -> npt.NDArray[np.float32]:
    """Raises ValueError for what is not one vector of numbers a row, all of one length."""
    if column.null_count or not len(column):
        raise ValueError(f"vector is missing in {column.null_count} of {len(column)} rows")
    numbers = pc.list_flatten(column)  # of a column that holds no lists: an ArrowException
    if not (pa.types.is_integer(numbers.type) or pa.types.is_floating(numbers.type)):
        raise ValueError(f"vector is of type {column.type}")
    if numbers.null_count:
        raise ValueError(f"vector lacks {numbers.null_count} of its numbers")
    lengths = pc.unique(pc.list_value_length(column)).to_pylist()
    if len(lengths) > 1 or not lengths[0]:
        raise ValueError(f"vector has {', '.join(map(str, sorted(lengths)[:3]))} numbers")
    with np.errstate(over="ignore"):  # beyond float32 they are not finite, which is reported
        return numbers.to_numpy().astype(np.float32).reshape(len(column), -1)
