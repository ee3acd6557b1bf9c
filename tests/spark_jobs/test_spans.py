"""Spans of row groups: together they hold every edge once, and no origin twice."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mora_pipeline.contract.errors import UserError
from spark_jobs.spans import spans_of, whole_origins


def edges_of(degrees: list[int]) -> pd.DataFrame:
    origin = np.repeat(np.arange(len(degrees)), degrees)
    return pd.DataFrame({"origin": origin, "destination": np.arange(len(origin)), "flow": 1.0})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("spans")


@given(
    degrees=st.lists(st.integers(1, 40), min_size=1, max_size=30),
    rows_per_group=st.integers(1, 30),
    rows_per_span=st.integers(1, 100),
    rows_per_piece=st.integers(1, 50),
)
@settings(deadline=None)
def test_every_edge_lies_in_one_piece_with_its_whole_origin(
    folder: Path, degrees: list[int], rows_per_group: int, rows_per_span: int, rows_per_piece: int
) -> None:
    """Origins that run over several row groups, spans and pieces included."""
    edges, file = edges_of(degrees), folder / "edges.parquet"
    edges.to_parquet(file, index=False, row_group_size=rows_per_group)
    spans = spans_of([str(file)], rows_per_span)
    pieces = [list(whole_origins(span, rows_per_piece)) for span in spans]
    assert all(pieces), "a span without edges would give an empty file"
    seen: list[int] = []
    for piece in (piece for own in pieces for piece in own):
        found = piece["origin"].to_numpy()
        seen += list(dict.fromkeys(found.tolist()))
    assert seen == list(range(len(degrees)))
    table = pa.Table.from_batches([piece for own in pieces for piece in own])
    pd.testing.assert_frame_equal(table.to_pandas(), edges)


def test_a_large_file_is_cut_and_a_small_one_is_not(tmp_path: Path) -> None:
    edges_of([10] * 100).to_parquet(tmp_path / "edges.parquet", index=False, row_group_size=50)
    file = str(tmp_path / "edges.parquet")
    assert len(spans_of([file], 250)) == 4
    assert len(spans_of([file])) == 1
    assert len(spans_of([file, file])) == 2


def test_a_file_without_statistics_stays_whole(tmp_path: Path) -> None:
    table = pa.Table.from_pandas(edges_of([10] * 100), preserve_index=False)
    pq.write_table(table, tmp_path / "edges.parquet", row_group_size=50, write_statistics=False)
    spans = spans_of([str(tmp_path / "edges.parquet")], 100)
    assert len(spans) == 1
    assert sum(piece.num_rows for piece in whole_origins(spans[0])) == 1000


def test_a_file_sorted_only_within_row_groups_is_refused(tmp_path: Path) -> None:
    edges = pd.concat([edges_of([10] * 50), edges_of([10] * 50)])
    edges.to_parquet(tmp_path / "edges.parquet", index=False, row_group_size=500)
    (span,) = spans_of([str(tmp_path / "edges.parquet")], 100)
    with pytest.raises(UserError, match="not sorted by origin"):
        list(whole_origins(span, 100))


def test_whole_numbers_and_short_floats_are_edges_too(tmp_path: Path) -> None:
    edges = edges_of([3, 4]).astype({"origin": "uint64", "destination": "int32", "flow": "float32"})
    edges.to_parquet(tmp_path / "edges.parquet", index=False)
    (span,) = spans_of([str(tmp_path / "edges.parquet")])
    assert pa.Table.from_batches(whole_origins(span)).schema.types == [pa.int64(), pa.int64(), pa.float64()]
