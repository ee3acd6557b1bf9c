"""What training gives as tables of the lake."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mora_pipeline.contract import schemas
from mora_pipeline.contract.schemas import CellVectors


def embeddings_table(cells: pa.Table, vectors: npt.NDArray[np.float32]) -> pa.Table:
    """`schemas.embeddings`: each cell with its hex id, its centre and its vector, in the order of `cells`."""
    import h3

    own = CellVectors(cells["cell"].to_numpy(), vectors).to_table()
    hex_ids = pa.array([h3.int_to_str(cell) for cell in own["cell"].to_pylist()], pa.string())
    columns = [own["cell"], hex_ids, cells["latitude"], cells["longitude"], own["vector"]]
    return pa.table(columns, schema=schemas.embeddings(vectors.shape[1]))
