"""Any table written in any dialect comes back equal, by declaration, and by detection or not at all."""

import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.dialect import Dialect, detect
from tests.raw.writing import Table, read, written

SEPARATORS = [",", ";", "\t", "|"]
ENCODINGS = ["utf-8", "utf-16", "utf-16-le", "latin-1", "cp1252"]
texts = st.text(st.sampled_from("aB7,;|\t\"'\\\n\r .-é#"), max_size=6)
plain_texts = st.text(st.sampled_from("abcXYZ019_-é ,;|.\"'\\"), max_size=8)
NAMES = ["id", "lat", "lon", "a b", "flow", "x;y", "n,m", "é"]
slow = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def tables(draw: st.DrawFn, values: st.SearchStrategy[str] = texts, columns: int = 1, rows: int = 0) -> Table:
    """A header of different names and rows of texts."""
    width = draw(st.integers(columns, 5))
    names = draw(st.lists(st.sampled_from(NAMES), min_size=width, max_size=width, unique=True))
    return [names, *draw(st.lists(st.lists(values, min_size=width, max_size=width), min_size=rows, max_size=8))]


@st.composite
def dialects(draw: st.DrawFn) -> Dialect:
    separator = draw(st.sampled_from([*SEPARATORS, "^", "~", " "]))
    return Dialect(
        separator=separator,
        encoding=draw(st.sampled_from(ENCODINGS)),
        quote=draw(st.sampled_from("\"'")),
        escape=draw(st.sampled_from(["", "\\"])),
        skip_lines=draw(st.integers(0, 2)),
        multiline=True,
    )


@slow
@given(tables(), dialects(), st.booleans(), st.sampled_from(["\n", "\r\n", "\r"]), st.booleans())
def test_a_table_written_in_a_declared_dialect_comes_back_equal(
    tmp_path: Path, table: Table, dialect: Dialect, always_quote: bool, line_end: str, mark: bool
) -> None:
    preamble = "".join(f"remark '{line} \" of the agency{line_end}" for line in range(dialect.skip_lines))
    text = preamble + written(table, dialect, always_quote, line_end)
    if mark and dialect.encoding in ("utf-8", "utf-16-le"):
        text = "\ufeff" + text
    (tmp_path / "table.csv").write_bytes(text.encode(dialect.encoding))
    header, *rows = table
    assert read(tmp_path / "table.csv", dialect, header) == (rows, [])
    if not any(mark in value for row in rows for value in row for mark in "\n\r"):
        assert read(tmp_path / "table.csv", replace(dialect, multiline=False), header, 17) == (rows, [])


@slow
@given(tables(), st.sampled_from(SEPARATORS), st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]), st.booleans())
def test_a_table_written_by_python_comes_back_equal(
    tmp_path: Path, table: Table, separator: str, quoting: int, doubled: bool
) -> None:
    """Python's own writer is the oracle of the naive one."""
    text = io.StringIO(newline="")
    escape = None if doubled else "\\"
    writer = csv.writer(text, delimiter=separator, quoting=quoting, doublequote=doubled, escapechar=escape)
    writer.writerows(table)
    (tmp_path / "table.csv").write_bytes(text.getvalue().encode())
    header, *rows = table
    dialect = Dialect(separator=separator, escape=escape or "", multiline=True)
    assert read(tmp_path / "table.csv", dialect, header) == (rows, [])


@slow
@given(
    tables(plain_texts, columns=2, rows=3),
    dialects(),
    st.booleans(),
    st.sampled_from(["\n", "\r\n"]),
)
def test_detection_finds_what_was_written_or_refuses(
    tmp_path: Path, table: Table, dialect: Dialect, always_quote: bool, line_end: str
) -> None:
    """No separator, quote, escape or line break is guessed wrongly; but a value between double quotes is a quoted one,
    even where nothing else in the file is quoted."""
    dialect = replace(dialect, encoding="utf-8", skip_lines=0, multiline=False)
    if dialect.separator not in SEPARATORS:
        dialect = replace(dialect, separator=",")
    header, *rows = table
    assume(dialect.quote == '"' or always_quote or not any(value.startswith('"') for row in rows for value in row))
    (tmp_path / "table.csv").write_bytes(written(table, dialect, always_quote, line_end).encode())
    try:
        found = detect(str(tmp_path / "table.csv"), {})
    except UserError as error:
        event(str(error).split("table.csv")[1][:30])
        return
    event("found")
    assert found.columns == tuple(header)
    assert read(tmp_path / "table.csv", found.dialect, header) == (rows, [])


@slow
@given(
    st.lists(st.tuples(st.integers(0, 999), st.floats(-180, 180).map(lambda x: round(x, 4))), min_size=3, max_size=30),
    st.sampled_from(SEPARATORS),
    st.sampled_from(".,"),
)
def test_plain_tables_of_numbers_are_detected(
    tmp_path: Path, numbers: list[tuple[int, float]], separator: str, decimal: str
) -> None:
    """Ids, flows and coordinates in any separator and decimal mark need no declaration, unless truly ambiguous."""
    rows = [[f"P{flow % 7}", str(flow), str(place).replace(".", decimal)] for flow, place in numbers]
    dialect = Dialect(separator=separator, decimal=decimal)
    table = [["origin", "flow", "lat"], *rows]
    (tmp_path / "table.csv").write_text(written(table, dialect))
    try:
        found = detect(str(tmp_path / "table.csv"), {}, ["flow", "lat"])
    except UserError:
        fractions = [str(place).split(".")[1] for _, place in numbers if "e" not in str(place)]
        assert separator != "," or decimal == ","
        assert all(len(fraction) == 3 for fraction in fractions)
        return
    assert read(tmp_path / "table.csv", found.dialect, table[0]) == (rows, [])
    shown = {str(place) for _, place in numbers}
    if any(len(text.split(".")[1]) != 3 for text in shown):
        assert found.dialect.decimal == decimal


@pytest.mark.parametrize("separator", SEPARATORS)
def test_a_separator_is_said_where_it_is_not_a_comma(tmp_path: Path, separator: str) -> None:
    (tmp_path / "table.csv").write_text(f"a{separator}b\n1{separator}2\n3{separator}4\n")
    remarks = detect(str(tmp_path / "table.csv"), {}).remarks
    assert bool(remarks) == (separator != ",")
