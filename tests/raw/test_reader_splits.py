"""Files cut into splits: every row is in one of them, and a thousand small files are not a thousand tasks."""

import gzip
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as draw

from mora_pipeline.raw import reader as reader_module
from mora_pipeline.raw.reader import SourceReader
from mora_pipeline.raw.source import NUMBER, TEXT

Reader = Callable[..., SourceReader]
SplitReader = Callable[..., SourceReader]
FLOW = {"flow": NUMBER}


def flows(read: SourceReader) -> list[float]:
    return [
        value
        for number in range(len(read.splits))
        for rows, _ in read.read(number)
        for value in rows["flow"].to_pylist()
    ]


@pytest.fixture
def small_splits(reader: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SplitReader:
    """Parquet files of so many rows each, in row groups of 100 and splits of 250 rows."""

    def make(*rows: int) -> SourceReader:
        monkeypatch.setattr(reader_module, "ROWS_PER_SPLIT", 250)
        files, first = [], 0
        for position, number in enumerate(rows):
            files.append(tmp_path / f"{position}.parquet")
            pq.write_table(pa.table({"flow": np.arange(first, first + number) * 1.0}), files[-1], row_group_size=100)
            first += number
        read = reader(*files, kinds=FLOW)
        assert read.rows == sum(rows)
        return read

    return make


def test_every_row_group_is_in_one_split(small_splits: SplitReader) -> None:
    read = small_splits(1000)
    pieces = [[(piece.first, piece.last) for piece in split] for split in read.splits]
    assert pieces == [[(0, 3)], [(3, 6)], [(6, 9)], [(9, 10)]]
    assert flows(read) == list(range(1000))


def test_small_files_share_a_split(small_splits: SplitReader) -> None:
    read = small_splits(*[50] * 12, 0)
    assert [len(split) for split in read.splits][:2] == [5, 5]
    assert flows(read) == list(range(600))


def test_a_file_can_be_read_by_itself(small_splits: SplitReader) -> None:
    read = small_splits(300, 50, 400)
    (first, second, third) = read.source.files
    assert [row for rows, _ in read.read_file(second) for row in rows["flow"].to_pylist()] == list(range(300, 350))
    assert sum(len(rows) for rows, _ in read.read_file(third)) == 400
    assert {rows["source"][0].as_py() for rows, _ in read.read_file(first)} == {first}


def test_a_csv_is_cut_by_bytes_and_small_ones_share_a_split(
    reader: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader_module, "BYTES_PER_SPLIT", 4000)
    monkeypatch.setattr(reader_module, "ROWS_PER_SPLIT", 500)
    (tmp_path / "large.csv").write_text("flow\n" + "\n".join(map(str, range(10_000))))
    files = [tmp_path / "large.csv"]
    for number in range(8):
        files.append(tmp_path / f"{number}.csv")
        files[-1].write_text(f"flow\n{10_000 + number}\n")
    read = reader(*files, kinds=FLOW)
    large = [piece for split in read.splits for piece in split if piece.file == str(files[0])]
    assert len(large) == -(-files[0].stat().st_size // 4000)
    assert all(after.first == before.last for before, after in pairwise(large))
    assert len(read.splits) <= len(large) + 1
    assert flows(read) == list(range(10_008))
    assert read.rows == 0  # a CSV does not say how many it holds


def test_what_cannot_be_cut_is_one_piece(reader: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing tells where a record begins inside a compressed file, or where quotes may hold line breaks."""
    monkeypatch.setattr(reader_module, "BYTES_PER_SPLIT", 50)
    monkeypatch.setattr(reader_module, "ROWS_PER_SPLIT", 10)
    text = "flow\n" + "\n".join(map(str, range(1000)))
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(text.encode()))
    (tmp_path / "b.csv").write_text(text)
    (tmp_path / "c.csv").write_bytes(text.encode("utf-16"))
    for name, csv in (("a.csv.gz", {}), ("b.csv", {"multiline": True}), ("c.csv", {"encoding": "utf-16"})):
        read = reader(tmp_path / name, kinds=FLOW, csv=csv)
        assert [(piece.first, piece.last) for split in read.splits for piece in split] == [(0, None)]
        assert flows(read) == list(range(1000))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=draw.lists(draw.text("ab7é", min_size=1, max_size=9), min_size=1, max_size=40),
    size=draw.integers(1, 60),
    end=draw.sampled_from(["\n", "\r\n"]),
    closed=draw.booleans(),
)
def test_splits_of_any_size_give_each_record_once(
    reader: Reader, tmp_path: Path, lines: list[str], size: int, end: str, closed: bool
) -> None:
    (tmp_path / "a.csv").write_bytes(
        (end.join(["name,other", *[f"{line},x" for line in lines]]) + end * closed).encode()
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader_module, "BYTES_PER_SPLIT", size)
        patch.setattr(reader_module, "ROWS_PER_SPLIT", 1)
        read = reader(tmp_path / "a.csv", kinds={"name": TEXT}, csv={"separator": ",", "encoding": "utf-8"})
    assert [name for rows, _ in read.read_all() for name in rows["name"].to_pylist()] == lines
