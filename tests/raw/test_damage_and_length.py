"""Files that are odd in size or kind end in an answer within seconds: no traceback, no wait."""

import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.csv_files import csv_batches, csv_header
from mora_pipeline.raw.csv_records import whole_records
from mora_pipeline.raw.dialect import Dialect
from mora_pipeline.raw.folders import find_files
from mora_pipeline.raw.reader import SourceReader
from mora_pipeline.raw.shapes import shapes_of
from mora_pipeline.raw.source import NUMBER, TEXT, Source
from mora_pipeline.region.yaml_text import parse_yaml


def test_a_header_of_a_hundred_thousand_columns_is_read_in_seconds(tmp_path: Path) -> None:
    names = [f"column_{number}" for number in range(100_000)]
    file = tmp_path / "wide.csv"
    file.write_text(",".join(names) + "\n" + ",".join(["1"] * len(names)) + "\n")
    start = time.monotonic()
    assert csv_header(str(file), Dialect()) == tuple(names)
    (batch,) = csv_batches(str(file), Dialect(), [names[-1]])
    assert batch.num_rows == 1
    assert time.monotonic() - start < 10


def test_a_record_over_many_chunks_comes_back_whole() -> None:
    chunks = [b"a" * 1000] * 7 + [b"\nb", b"b\nc", b"", b"c\r\nd"]
    blocks = list(whole_records(iter(chunks), Dialect()))
    assert b"".join(blocks) == b"".join(chunks)
    assert all(block.endswith(b"\n") for block in blocks[:-1])


def test_a_path_that_no_disk_can_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="which is no path"):
        find_files(tmp_path, "f" * 5000, "region.yaml: mobility.path ")


@pytest.mark.parametrize("curve", ["CIRCULARSTRING(0 0, 4 0, 4 4)", "CURVEPOLYGON(CIRCULARSTRING(0 0, 4 0, 0 0))"])
def test_a_curve_is_no_geometry_and_its_neighbours_are(curve: str) -> None:
    shapes, _ = shapes_of(pa.array(["POINT (1 2)", curve, None]))
    assert shapes[0].x == 1
    assert shapes[1] is None
    assert shapes[2] is None


@pytest.mark.parametrize("kind", [pa.int64(), pa.float64(), pa.string()])
def test_annotations_of_the_census_are_no_numbers_in_parquet(tmp_path: Path, kind: pa.DataType) -> None:
    pq.write_table(pa.table({"y": pa.array([5, -666666666, 7], pa.int64()).cast(kind)}), tmp_path / "y.parquet")
    reader = SourceReader.of(Source((str(tmp_path / "y.parquet"),), "parquet", {"y": "y"}), {"y": NUMBER})
    ((rows, raw),) = reader.read_all()
    assert rows["y"].to_pylist() == [5, None, 7]
    assert reader.texts("y", raw, str(tmp_path / "y.parquet")).to_pylist() == ["5", None, "7"]
    if kind != pa.string():
        assert "'-666666666' in 'y' is an annotation of the Census" in reader.remarks()[0]


def test_annotations_of_the_census_are_no_numbers_where_the_head_of_a_csv_has_none(tmp_path: Path) -> None:
    rows = [*np.arange(100_000).astype(str), "-666666666", "-888888888.0"]
    (tmp_path / "y.csv").write_text("y\n" + "\n".join(rows) + "\n")
    reader = SourceReader.of(Source((str(tmp_path / "y.csv"),), "csv", {"y": "y"}), {"y": NUMBER})
    values = np.concatenate([batch["y"].to_numpy(zero_copy_only=False) for batch, _ in reader.read_all()])
    assert len(values) == len(rows)
    assert np.nanmin(values) == 0


def test_what_null_declares_holds_for_annotations_too(tmp_path: Path) -> None:
    pq.write_table(pa.table({"y": [5, -666666666]}), tmp_path / "y.parquet")
    source = Source((str(tmp_path / "y.parquet"),), "parquet", {"y": "y"}, null=("5",))
    ((rows, _),) = SourceReader.of(source, {"y": NUMBER}).read_all()
    assert rows["y"].to_pylist() == [None, -666666666]


@pytest.mark.parametrize(
    "text",
    ["a: " + "[" * 5000 + "]" * 5000, "region: 2020-02-30", "? [a, b]\n: c", "region: !!int x", "region: \x01"],
    ids=["deep", "30 February", "a list as a key", "no number", "control sign"],
)
def test_a_region_that_is_no_yaml_is_told_in_a_line(text: str) -> None:
    with pytest.raises(UserError, match=r"region\.yaml: not valid YAML") as raised:
        parse_yaml("region.yaml", text)
    assert "\n" not in str(raised.value)


def test_values_that_are_no_text_are_not_taken_for_a_damaged_file(tmp_path: Path) -> None:
    pq.write_table(pa.table({"name": [b"\xff\xfe"]}), tmp_path / "p.parquet")
    reader = SourceReader.of(Source((str(tmp_path / "p.parquet"),), "parquet", {"name": "name"}), {"name": TEXT})
    with pytest.raises(UserError, match=r"p\.parquet holds values that 'name' cannot be made of .*name other columns"):
        list(reader.read_all())
