"""Files that are broken, missing or not what they seem: each is named, with what is wrong and what to do."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.reader import SourceReader
from mora_pipeline.raw.source import NUMBER, TEXT, TIME

Reader = Callable[..., SourceReader]
Read = Callable[..., list[dict[str, Any]]]
FLOW = {"place": TEXT, "flow": NUMBER}


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A folder of files that cannot be read."""
    table = pa.table({"place": ["x"] * 1000, "flow": list(range(1000))})
    pq.write_table(table, tmp_path / "whole.parquet", compression="none", use_dictionary=False)
    whole = (tmp_path / "whole.parquet").read_bytes()
    (tmp_path / "truncated.parquet").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.parquet").write_text("place,flow\n")
    (tmp_path / "nothing.parquet").write_bytes(b"")
    (tmp_path / "nothing.csv").write_bytes(b"")
    (tmp_path / "blank.csv").write_bytes(b"\n\n")
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "parquet.csv").write_bytes(whole)
    (tmp_path / "damaged.csv.gz").write_bytes(b"\x1f\x8b\x08\x00" + b"\xff" * 40)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("truncated.parquet", "cannot be read as Parquet"),
        ("text.parquet", "cannot be read as Parquet"),
        ("nothing.parquet", "cannot be read as Parquet"),
        ("absent.parquet", "does not exist on"),
        ("nothing.csv", "is empty"),
        ("blank.csv", "holds nothing but blanks"),
        ("absent.csv", "does not exist on"),
        ("folder.csv", "cannot be opened"),
        ("parquet.csv", "is a Parquet file. Name it .parquet"),
        ("damaged.csv.gz", "is truncated or damaged"),
    ],
)
def test_a_broken_file_is_named(reader: Reader, broken: Path, name: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as raised:
        reader(broken / name, kinds=FLOW)
    assert str(broken / name) in str(raised.value)


def test_a_file_that_is_not_compressed_is_read_whatever_its_name(read: Read, tmp_path: Path) -> None:
    """A browser unpacks what it fetches; such a file was refused before."""
    (tmp_path / "flows.csv.gz").write_text("place,flow\na,2\n")
    assert [row["flow"] for row in read(tmp_path / "flows.csv.gz", kinds=FLOW)] == [2.0]


@pytest.mark.parametrize("compression", ["none", "zstd"])
def test_a_parquet_file_broken_inside_is_named(reader: Reader, tmp_path: Path, compression: str) -> None:
    """A page in the middle is spoilt: the footer is whole, so that only the task notices."""
    path, random = tmp_path / "t.parquet", np.random.default_rng(0)
    table = pa.table({"place": ["x"] * 100_000, "flow": random.uniform(size=100_000)})
    pq.write_table(table, path, compression=compression, use_dictionary=False)
    content = bytearray(path.read_bytes())
    content[4 : len(content) // 2] = b"\xff" * (len(content) // 2 - 4)
    path.write_bytes(content)
    read = reader(path, kinds=FLOW)
    with pytest.raises(UserError, match=r"cannot be read.* Is it whole") as raised:
        list(read.read_all())
    assert str(path) in str(raised.value)


def test_a_file_that_a_worker_does_not_see_is_told(reader: Reader, tmp_path: Path) -> None:
    for name, write in (("a.parquet", pq.write_table), ("b.csv", None)):
        if write:
            write(pa.table({"flow": [1.0]}), tmp_path / name)
        else:
            (tmp_path / name).write_text("flow\n1\n")
        read = reader(tmp_path / name, kinds={"flow": NUMBER})
        (tmp_path / name).unlink()
        with pytest.raises(UserError, match=rf"{name} does not exist on \S+\. Every worker needs"):
            list(read.read_all())


@pytest.mark.parametrize("kind", [TEXT, NUMBER, TIME])
def test_text_of_another_encoding_is_told(reader: Reader, tmp_path: Path, kind: str) -> None:
    """Whatever it is read for: a bad row is shown as text, too."""
    latin = pa.array([b"1", b"Bogot\xe1"], pa.binary()).view(pa.string())
    for name, values in (("plain", latin), ("coded", latin.dictionary_encode())):
        file = tmp_path / f"{name}.parquet"
        pq.write_table(pa.table({"a": values}), file)
        with pytest.raises(UserError, match=rf"{name}\.parquet holds text that is not UTF-8"):
            list(reader(file, kinds={"a": kind}).read_all())


def test_a_byte_of_another_encoding_in_a_csv_is_told_with_its_line(reader: Reader, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"place,flow\n" + b"a,1\n" * 100_000 + b"Bogot\xe1,2\n")
    csv = {"encoding": "utf-8", "separator": ","}
    with pytest.raises(UserError, match=r"a\.csv, line 100002: not in utf-8"):
        list(reader(tmp_path / "a.csv", kinds=FLOW, csv=csv).read_all())


def test_a_missing_column_is_told_with_those_that_are_there(reader: Reader, tmp_path: Path) -> None:
    pq.write_table(pa.table({"places": ["a"], "flow": [1.0]}), tmp_path / "t.parquet")
    (tmp_path / "t.csv").write_text("places,flow\na,1\n")
    for name in ("t.parquet", "t.csv"):
        with pytest.raises(UserError, match=r"has no column 'place'; it has places, flow\. Did you mean 'places'\?"):
            reader(tmp_path / name, kinds=FLOW)


def test_a_column_that_is_there_twice_is_told(reader: Reader, tmp_path: Path) -> None:
    twice = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"]), pa.array([1.0])], names=["place", "place", "flow"])
    pq.write_table(twice, tmp_path / "t.parquet")
    (tmp_path / "t.csv").write_text("place,place,flow\na,b,1\n")
    for name in ("t.parquet", "t.csv"):
        with pytest.raises(UserError, match="'place'"):
            reader(tmp_path / name, kinds=FLOW)


def test_records_of_too_many_or_too_few_fields_are_kept_apart_as_they_stand(read: Read, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('place,flow\na,1\nb\n"c,d",2,3\n' + "e,4\n" * 30)
    rows = read(tmp_path / "a.csv", kinds=FLOW)
    whole = [(row["place"], row["flow"]) for row in rows if not row["malformed"]]
    assert whole == [("a", 1.0)] + [("e", 4.0)] * 30
    malformed = [row["raw"] for row in rows if row["malformed"]]
    assert malformed == ['{"record": "b"}', '{"record": "\\"c,d\\",2,3"}']
    assert all((row["place"], row["flow"]) == (None, None) for row in rows if row["malformed"])
