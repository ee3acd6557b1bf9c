"""Datasets of the lake as the arrays that training takes; without torch."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mora_pipeline import schemas
from mora_pipeline.lake import Version, read_files
from mora_pipeline.schemas import CellVectors

Cells = npt.NDArray[np.int64]
Rows = npt.NDArray[np.int32]


def edge_rows(edges: Version, cells: Cells) -> tuple[Rows, Rows, npt.NDArray[np.float64]]:
    """Edges as rows of the cells, read file by file.

    Args:
        edges: `schemas.EDGES`.
        cells: int64 [N], ascending.

    Returns:
        Origin rows and destination rows, int32 [m] each, and flow, float64 [m].

    Raises:
        UserError: if the edges name a cell that `cells` lacks.
    """
    from mora_pipeline.training.graph import rows_of

    parts = []
    for file in edges.files():
        table = read_files([file], ["origin", "destination", "flow"])
        origin = rows_of(cells, table["origin"].to_numpy(), "edges").astype(np.int32)
        destination = rows_of(cells, table["destination"].to_numpy(), "edges").astype(np.int32)
        parts.append((origin, destination, table["flow"].to_numpy()))
    if not parts:
        return np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.float64)
    origins, destinations, flows = zip(*parts, strict=True)
    return np.concatenate(origins), np.concatenate(destinations), np.concatenate(flows)


def embeddings_table(cells: pa.Table, vectors: npt.NDArray[np.float32]) -> pa.Table:
    """`schemas.embeddings`: each cell with its hex id, its centre and its vector, in the order of `cells`."""
    import h3

    own = CellVectors(cells["cell"].to_numpy(), vectors).to_table()
    hex_ids = pa.array([h3.int_to_str(cell) for cell in own["cell"].to_pylist()], pa.string())
    columns = [own["cell"], hex_ids, cells["latitude"], cells["longitude"], own["vector"]]
    return pa.table(columns, schema=schemas.embeddings(vectors.shape[1]))
