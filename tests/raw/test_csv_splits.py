"""A file read in splits is the file read at once, wherever the splits lie."""

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mora_pipeline.raw.csv_blocks import blocks, line_start, read_head
from mora_pipeline.raw.csv_files import csv_batches, csv_splits
from mora_pipeline.raw.dialect import Dialect, detect
from tests.raw.writing import read

slow = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
lines = st.lists(
    st.tuples(st.text(st.sampled_from('ab1,é "'), max_size=8), st.sampled_from(["\n", "\r\n", "\r", "\n\n"])),
    max_size=20,
)


@slow
@given(
    st.lists(st.tuples(st.text("ab1é ", max_size=6), st.text("xy,", max_size=6))),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.integers(1, 200),
    st.sampled_from(["utf-8", "latin-1"]),
    st.booleans(),
)
def test_splits_put_together_are_the_whole(
    tmp_path: Path, table: list[tuple[str, str]], line_end: str, target: int, encoding: str, mark: bool
) -> None:
    """Some rows have too many values: these are malformed in any split."""
    text = line_end.join(["remark", "first,second", *(f"{one},{two}" for one, two in table)])
    data = text.encode(encoding)
    (tmp_path / "table.csv").write_bytes(b"\xef\xbb\xbf" + data if mark and encoding == "utf-8" else data)
    dialect = Dialect(skip_lines=1, encoding=encoding)
    rows, malformed = read(tmp_path / "table.csv", dialect, ["first", "second"], target)
    assert rows == [[one, two] for one, two in table if "," not in two]
    assert malformed == [f"{one},{two}" for one, two in table if "," in two]


@slow
@given(lines, st.integers(1, 60))
def test_every_line_begins_in_exactly_one_split(tmp_path: Path, written: list[tuple[str, str]], offset: int) -> None:
    data = "".join(text + end for text, end in written).encode()
    (tmp_path / "text").write_bytes(data)
    begins = [0]
    for line in data.splitlines(keepends=True):
        begins.append(begins[-1] + len(line))
    expected = next((begin for begin in begins if begin >= offset), len(data))
    assert line_start(str(tmp_path / "text"), offset) == expected


@slow
@given(
    st.lists(st.tuples(st.text('ab\n",é', max_size=9), st.text("xy\r\n", max_size=5)), max_size=12), st.integers(1, 50)
)
def test_blocks_never_cut_a_record_with_line_breaks(tmp_path: Path, table: list[tuple[str, str]], size: int) -> None:
    """Records are longer than the pieces in which the file is read here."""
    quoted = ['"' + one.replace('"', '""') + f'",{two}'.replace(two, f'"{two}"' if two else "") for one, two in table]
    (tmp_path / "table.csv").write_bytes("".join(f"{line}\n" for line in ["first,second", *quoted]).encode())
    file, dialect = str(tmp_path / "table.csv"), Dialect(multiline=True)
    pieces = list(blocks(file, "", dialect, read_head(file, "", dialect), (0, None), size))
    assert b"".join(piece.data for piece in pieces).decode() == "".join(f"{line}\n" for line in quoted)
    assert all(piece.data.count(b'"') % 2 == 0 for piece in pieces)


def test_a_header_longer_than_a_split_is_no_data(tmp_path: Path) -> None:
    names = [f"column_{number}" for number in range(40)]
    (tmp_path / "table.csv").write_text(",".join(names) + "\n" + ",".join("1" * 40) + "\n")
    rows, malformed = read(tmp_path / "table.csv", Dialect(), names[:1], 16)
    assert (rows, malformed) == ([["1"]], [])


def test_a_file_that_cannot_be_split_is_one(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("a,b\n" + "1,2\n" * 100)
    (tmp_path / "wide.csv").write_text("a,b\n" + "1,2\n" * 100, "utf-16")
    assert len(csv_splits(str(tmp_path / "table.csv"), Dialect(), 40)) == 11
    assert csv_splits(str(tmp_path / "table.csv"), Dialect(multiline=True), 40) == [(0, None)]
    assert csv_splits(str(tmp_path / "wide.csv"), Dialect(encoding="utf-16"), 40) == [(0, None)]


def test_a_batch_has_no_more_rows_than_asked(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("a,b\n" + "1,2\n" * 100)
    sizes = [len(batch) for batch in csv_batches(str(tmp_path / "table.csv"), Dialect(), ["a"], rows=30)]
    assert sizes == [30, 30, 30, 10]


def test_a_file_at_an_address_is_read_in_splits(tmp_path: Path) -> None:
    """Only the splits of a large file look for the lines that they begin with."""
    path = tmp_path / "table.csv"
    path.write_text("number\n" + "".join(f"{number}\n" for number in range(1000)))
    address = path.as_uri()
    dialect = detect(address, {}, ["number"]).dialect
    spans = csv_splits(address, dialect, target_bytes=1000)
    batches = [batch for span in spans for batch in csv_batches(address, dialect, ["number"], span)]
    assert len(spans) > 2
    assert [int(text) for batch in batches for text in batch["number"].to_pylist()] == list(range(1000))
