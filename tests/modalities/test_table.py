"""Histograms as vectors."""

import numpy as np
import pyarrow as pa
import pytest

from mora_pipeline.contract.errors import UserError
from mora_pipeline.modalities.table.encoding import encode_table_cells


def test_bins_become_a_vector_in_the_order_of_columns_whatever_the_order_of_rows() -> None:
    encoded = encode_table_cells(pa.table({"cell": [30, 10, 20], "old": [0.5, 0.1, 1.0], "young": [0.5, 0.9, 0.0]}))
    assert encoded.cells.tolist() == [10, 20, 30]
    assert encoded.vectors.dtype == np.float32
    assert np.allclose(encoded.vectors, [[0.1, 0.9], [1.0, 0.0], [0.5, 0.5]])


def test_a_missing_share_is_reported() -> None:
    with pytest.raises(UserError, match="'old' has values that are missing"):
        encode_table_cells(pa.table({"cell": [1, 2], "old": [0.5, None]}))


def test_a_cell_twice_is_reported() -> None:
    with pytest.raises(UserError, match="twice"):
        encode_table_cells(pa.table({"cell": [1, 1], "old": [0.5, 0.5]}))
