"""A user's own vectors, from a Parquet file: any method that is not built in can be compared so."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mora_pipeline.errors import UserError
from mora_pipeline.evaluation.methods.interface import Inputs, MethodVectors
from mora_pipeline.schemas import CellVectors


def own_vectors(inputs: Inputs, path: str) -> MethodVectors:
    """Vectors of a file, for the region's cells; cells that it lacks have zeros.

    Args:
        path: Parquet with ``cell`` (int64, or hex ids as text) and ``vector`` (a list of numbers); rows in any order,
            cells of other regions are passed over. One file for two regions is one space.

    Raises:
        UserError: if it cannot be read, lacks a column, names a cell twice, or none of the region's.
    """
    file = Path(path).expanduser()
    told = f"benchmark: files names {file}"
    try:
        table = pq.read_table(file, columns=["cell", "vector"], partitioning=None)
        cells, vectors = _cells(table["cell"]), _matrix(table["vector"])
    except (OSError, pa.ArrowException, ValueError) as error:
        raise UserError(
            f"{told}, which has no columns cell and vector that can be read ({str(error).splitlines()[0]}). "
            "It must be Parquet with cell (H3, int64 or hex text) and vector (lists of numbers, equally long)."
        ) from error
    if not np.isfinite(vectors).all():
        raise UserError(f"{told}, which holds numbers that are not finite. Remove or mend these rows.")
    inside = np.isin(cells, inputs.cells)
    if not inside.any():
        raise UserError(f"{told}, which holds none of the cells of '{inputs.reader.region}'. Check its resolution.")
    order = np.argsort(cells[inside], kind="stable")
    own = CellVectors(cells[inside][order], vectors[inside][order])
    if (np.diff(own.cells) == 0).any():
        raise UserError(f"{told}, which has several rows for a cell. Keep one row a cell.")
    return MethodVectors(inputs.on_cells(own), f"file {file.resolve()}")


def _cells(column: pa.ChunkedArray) -> np.ndarray:
    if pa.types.is_integer(column.type):
        return np.asarray(column.to_numpy(), dtype=np.int64)
    return np.array([int(text, 16) for text in column.to_pylist()], dtype=np.int64)


def _matrix(column: pa.ChunkedArray) -> np.ndarray:
    rows = column.to_pylist()
    if not rows or any(row is None for row in rows):
        raise ValueError("vector is missing in some rows")
    return np.array(rows, dtype=np.float32).reshape(len(rows), -1)
