"""Compressed files are read as what they hold, whole, or refused with the reason."""

import bz2
import gzip
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.csv_files import csv_splits
from mora_pipeline.raw.dialect import Dialect, detect
from tests.raw.writing import read

HEADER = b"origin,flow\n"
ROWS = b"".join(b"P%d,%d\n" % (number, number * number) for number in range(50_000))
EXPECTED = [line.decode().split(",") for line in ROWS.splitlines()]


def zstd(data: bytes) -> bytes:
    return pa.Codec("zstd").compress(data, asbytes=True)


COMPRESSIONS: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("flows.csv.gz", gzip.compress),
    ("flows.csv.GZ", gzip.compress),
    ("flows.CSV.zst", zstd),
    ("flows.csv.bz2", bz2.compress),
]


@pytest.mark.parametrize(("name", "compress"), COMPRESSIONS)
def test_compressed_files_are_read_whole(tmp_path: Path, name: str, compress: Callable[[bytes], bytes]) -> None:
    """Also those of several members, as `cat a.gz b.gz` and pbzip2 write."""
    (tmp_path / name).write_bytes(compress(HEADER + ROWS[:100_000]) + compress(ROWS[100_000:]))
    found = detect(str(tmp_path / name), {})
    assert found.remarks == ()
    assert read(tmp_path / name, found.dialect, found.columns, 1000) == (EXPECTED, [])
    assert csv_splits(str(tmp_path / name), found.dialect, 1000) == [(0, None)]


@pytest.mark.parametrize(("name", "compress"), COMPRESSIONS)
@pytest.mark.parametrize("kept", [0.1, 0.6, 0.99])
def test_a_truncated_file_is_refused(
    tmp_path: Path, name: str, compress: Callable[[bytes], bytes], kept: float
) -> None:
    whole = compress(HEADER + ROWS)
    (tmp_path / name).write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(UserError, match=rf"{name} is truncated or damaged .* Fetch it again"):
        read(tmp_path / name, detect(str(tmp_path / name), {}).dialect, ["flow"])


def test_what_a_file_holds_counts_and_is_said(tmp_path: Path) -> None:
    """A browser unpacks flows.csv.gz; a server names gzip flows.csv."""
    (tmp_path / "a.csv.gz").write_bytes(HEADER + ROWS)
    (tmp_path / "b.csv").write_bytes(gzip.compress(HEADER + ROWS))
    for name, remark in [
        ("a.csv.gz", "a.csv.gz is not compressed, unlike its name"),
        ("b.csv", "b.csv is compressed by gzip, unlike its name"),
    ]:
        found = detect(str(tmp_path / name), {})
        assert found.remarks == (remark,)
        assert read(tmp_path / name, found.dialect, found.columns) == (EXPECTED, [])


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (b"PAR1....", "is a Parquet file"),
        (b"\xd0\xcf\x11\xe0.", "is an Excel workbook"),
        (b"<!DOCTYPE html>", "is a web page"),
        (b"\n  <html>", "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"%PDF-1.7", "is a PDF document"),
    ],
)
def test_a_file_that_is_plainly_something_else_is_told(tmp_path: Path, head: bytes, message: str) -> None:
    (tmp_path / "flows.csv").write_bytes(head)
    with pytest.raises(UserError, match=message):
        detect(str(tmp_path / "flows.csv"), {})


def zipped(file: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> str:
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return str(file)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_all_members_of_a_zip_are_read_each_by_its_own_header(tmp_path: Path, method: int) -> None:
    """What a Mac, a file manager and a publisher leave beside the tables is no table."""
    members = {
        "data/": b"",
        "data/2019.csv": HEADER + ROWS,
        "__MACOSX/data/._2019.csv": b"\0\5\26\7",
        "data/._2020.csv": b"\0\5",
        "data/.DS_Store": b"\0",
        "README.txt": b"Read me, please, first",
        "metadata.xml": b"<xml/>",
        "data/2020.CSV": b"flow,year,origin\n7,2020,P9\n",
    }
    zipped(tmp_path / "flows.csv.zip", members, method)
    found = detect(str(tmp_path / "flows.csv.zip"), {})
    assert found.columns == ("origin", "flow")
    assert read(tmp_path / "flows.csv.zip", found.dialect, ["origin", "flow"]) == ([*EXPECTED, ["P9", "7"]], [])


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({}, "holds no csv, tsv or txt table"),
        ({"__MACOSX/._a.csv": b"a"}, "holds no csv, tsv or txt table"),
        ({"a.csv": HEADER, "b.parquet": b"PAR1"}, "b.parquet, which is no csv"),
        ({"a.csv": HEADER, "b.csv.gz": b"\x1f\x8b"}, "b.csv.gz, which is no csv"),
        ({"a.csv": HEADER, "b.tsv": b"a\tb\n"}, "several forms: a.csv and b.tsv"),
        ({"a.csv": HEADER + ROWS, "b.csv": b"x,y\n1,2\n"}, "tables without a common column"),
        ({"[Content_Types].xml": b"<xml/>", "xl/sheet.xml": b"<xml/>"}, "Excel"),
        ({"a.csv": HEADER + ROWS, "b.csv": b""}, "member b.csv is empty"),
        ({"a.csv": HEADER + ROWS, "b.csv": b"origin;flow\n1;2\n3;4\n"}, "common column"),
    ],
)
def test_a_zip_of_anything_else_is_refused(tmp_path: Path, members: dict[str, bytes], message: str) -> None:
    with pytest.raises(UserError, match=message):
        detect(zipped(tmp_path / "flows.zip", members), {})


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    file = Path(zipped(tmp_path / "flows.zip", {"a.csv": HEADER + ROWS}))
    data = bytearray(file.read_bytes())
    data[data.index(b"PK\x03\x04") + 6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    file.write_bytes(data)
    with pytest.raises(UserError, match=r"holds a.csv under a password. Unpack it"):
        detect(str(file), {})


@pytest.mark.parametrize("kept", [0.3, 0.7, 0.999])
def test_a_truncated_or_damaged_zip_is_refused(tmp_path: Path, kept: float) -> None:
    file = Path(zipped(tmp_path / "flows.zip", {"a.csv": HEADER + ROWS}))
    whole = file.read_bytes()
    file.write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(UserError, match=r"flows.zip is truncated or damaged .* Fetch it again"):
        detect(str(file), {})
    middle = len(whole) // 2
    file.write_bytes(whole[:middle] + bytes(byte ^ 0x55 for byte in whole[middle : middle + 50]) + whole[middle + 50 :])
    with pytest.raises(UserError, match=r"a.csv is truncated or damaged"):
        read(file, Dialect(), ["flow"])


def test_a_member_with_a_path_out_of_the_archive_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    zipped(tmp_path / "in" / "flows.zip", {"../../evil.csv": HEADER + b"P1,5\n", "/tmp/evil.csv": HEADER + b"P2,6\n"})
    assert read(tmp_path / "in" / "flows.zip", Dialect(), ["flow"]) == ([["5"], ["6"]], [])
    assert [path.name for path in tmp_path.rglob("*")] == ["in", "flows.zip"]


def test_a_zip_bomb_is_a_stream(tmp_path: Path) -> None:
    """A hundred million bytes of rows in a small file: the first batch comes before the rest is unpacked."""
    from mora_pipeline.raw.csv_files import csv_batches

    zipped(tmp_path / "bomb.zip", {"a.csv": HEADER + b"P1,5\n" * 20_000_000})
    before = pa.total_allocated_bytes()
    batches = csv_batches(str(tmp_path / "bomb.zip"), Dialect(), ["flow"])
    assert next(batches).num_rows > 0
    assert pa.total_allocated_bytes() - before < 64 << 20
    batches.close()


def test_a_line_in_a_member_is_told_by_its_name(tmp_path: Path) -> None:
    zipped(tmp_path / "flows.zip", {"a.csv": HEADER + ROWS, "b.csv": HEADER + b"P1,5\n\xff,6\n"})
    with pytest.raises(UserError, match=r"flows.zip, member b.csv, line 3: not in utf-8"):
        read(tmp_path / "flows.zip", Dialect(), ["flow"])
