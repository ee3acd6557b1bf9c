"""A user's own file is read whole or refused in one message that says what is wrong."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mora_pipeline.contract.errors import UserError
from mora_pipeline.evaluation.methods.catalogue import make_methods
from mora_pipeline.evaluation.methods.interface import MethodContext

LISTS = (pa.list_(pa.float32()), pa.list_(pa.float64(), 2), pa.large_list(pa.float32()), pa.list_(pa.int32()))
CELLS = (pa.int64(), pa.uint64(), pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string()))


def written(folder: Path, cells: pa.Array, vectors: pa.Array) -> dict[str, str]:
    pq.write_table(pa.table({"cell": cells, "vector": vectors}), folder / "mine.parquet")
    return {"mine": str(folder / "mine.parquet")}


def as_cells(values: list[int | None], kind: pa.DataType) -> pa.Array:
    if kind in (pa.int64(), pa.uint64()):
        return pa.array(values, kind)
    return pa.array([None if value is None else f"{value:x}" for value in values], pa.string()).cast(kind)


@pytest.mark.parametrize("kind", CELLS, ids=str)
@pytest.mark.parametrize("lists", LISTS, ids=str)
def test_every_usual_type_is_read_alike(
    inputs: MethodContext, tmp_path: Path, kind: pa.DataType, lists: pa.DataType
) -> None:
    files = written(tmp_path, as_cells(inputs.cells[[4, 2]].tolist(), kind), pa.array([[1, 2], [3, 4]], lists))
    found = make_methods(["constant"], files, inputs)["mine"].vectors
    assert found[[2, 4]].tolist() == [[3, 4], [1, 2]]
    assert np.count_nonzero(found) == 4


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), kind=st.sampled_from(CELLS), lists=st.sampled_from(LISTS))
def test_a_value_that_is_missing_anywhere_is_refused(
    inputs: MethodContext, tmp_path: Path, data: st.DataObject, kind: pa.DataType, lists: pa.DataType
) -> None:
    count = data.draw(st.integers(1, 5))
    cells: list[Any] = inputs.cells[:count].tolist()
    vectors: list[Any] = [[1, 2] for _ in range(count)]
    where = data.draw(st.sampled_from(("cell", "vector", "number")))
    for row in data.draw(st.sets(st.integers(0, count - 1), min_size=1)):
        if where == "cell":
            cells[row] = None
        elif where == "vector":
            vectors[row] = None
        else:
            vectors[row] = [None, 2]
    files = written(tmp_path, as_cells(cells, kind), pa.array(vectors, lists))
    message = {"cell": "cell is missing in", "vector": "vector is missing in", "number": "vector lacks"}[where]
    if where == "vector" and pa.types.is_fixed_size_list(lists):
        message = "Expected all lists to be of size"  # Parquet has no such gaps: pyarrow says so
    with pytest.raises(UserError, match=rf"{message}.*no value may be missing"):
        make_methods(["constant"], files, inputs)


@pytest.mark.parametrize(
    ("column", "vectors", "message"),
    [
        (pa.array([1.0]), pa.array([[1.0]]), "cell is of type double"),
        (pa.array([b"8a"]), pa.array([[1.0]]), "cell is of type binary"),
        (pa.array([None], pa.null()), pa.array([[1.0]]), "cell is missing in 1 of 1 rows"),
        (pa.array(["no cell"]), pa.array([[1.0]]), "invalid literal"),
        (pa.array(["f" * 17]), pa.array([[1.0]]), "columns cell and vector"),
        (pa.array([1]), pa.array([1.0]), "columns cell and vector"),
        (pa.array([1]), pa.array([["1.0"]]), "vector is of type list"),
        (pa.array([1]), pa.array([[[1.0]]]), "vector is of type list"),
        (pa.array([1]), pa.array([[]], pa.list_(pa.float32())), "vector has 0 numbers"),
        (pa.array([1, 2]), pa.array([[1.0], [1.0, 2.0]]), "vector has 1, 2 numbers"),
        (pa.array([], pa.int64()), pa.array([], pa.list_(pa.float32())), "vector is missing in 0 of 0 rows"),
    ],
)
def test_what_is_no_cell_or_no_vector_is_refused(
    inputs: MethodContext, tmp_path: Path, column: pa.Array, vectors: pa.Array, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        make_methods(["constant"], written(tmp_path, column, vectors), inputs)
