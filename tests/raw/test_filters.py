"""Filters of raw rows: what means no value is null in them, and a malformed record is never filtered away."""

from pathlib import Path

import pytest

from mora_pipeline.raw.dialect import detect
from mora_pipeline.raw.reader import SourceReader
from mora_pipeline.raw.source import NUMBER, TEXT, Source
from mora_pipeline.region.yaml_text import parse_yaml


def read(file: Path, where: str, null: tuple[str, ...] = ()) -> list[dict[str, object]]:
    source = Source((str(file),), "csv", {"name": "name", "flow": "flow"}, where=where, null=null)
    reader = SourceReader.of(source, {"name": TEXT, "flow": NUMBER})
    return [row for typed, _ in reader.read_all() for row in typed.select(["name", "flow", "malformed"]).to_pylist()]


@pytest.mark.parametrize(("text", "null"), [("", ()), (r"\N", ()), ("-999", ("-999",))])
def test_a_text_that_means_no_value_is_null_in_a_filter(tmp_path: Path, text: str, null: tuple[str, ...]) -> None:
    file = tmp_path / "flows.csv"
    file.write_text(f"name,flow\na,{text}\nb,4\n")
    assert read(file, "flow is not null", null) == [{"name": "b", "flow": 4.0, "malformed": False}]
    assert [row["name"] for row in read(file, "flow is null", null)] == ["a"]


def test_null_is_a_key_of_region_yaml() -> None:
    """YAML reads a bare null as nothing, in keys too."""
    said = parse_yaml("region.yaml", r"places: {null: ['\N', -666666666], csv: {null: [NA]}}")
    assert said == {"places": {"null": [r"\N", -666666666], "csv": {"null": ["NA"]}}}


def test_a_malformed_record_is_bad_whatever_the_filter_says(tmp_path: Path) -> None:
    file = tmp_path / "flows.csv"
    file.write_text("name,flow\na,1\nb,2,3\nc,7\n" + "d,9\n" * 40)
    rows = read(file, "flow < 5")
    assert [row["name"] for row in rows if not row["malformed"]] == ["a"]
    assert sum(bool(row["malformed"]) for row in rows) == 1


def test_a_null_of_a_database_is_no_escaped_letter(tmp_path: Path) -> None:
    """A backslash that stands before N alone says nothing about quotes inside values."""
    file = tmp_path / "export.csv"
    file.write_text('name,flow\n"a, b",\\N\n"c",3\n\\N,4\n')
    assert detect(str(file), {}, {"flow"}).dialect.escape == ""


@pytest.mark.parametrize("flow", ["flow", "flow / 1", "coalesce(flow, 0)", "if(name = 'n3', flow, flow)"])
@pytest.mark.parametrize("where", [None, "flow > 2", "number(flow) > 2"])
def test_numbers_within_expressions_are_read_as_the_file_writes_them(tmp_path: Path, flow: str, where: str) -> None:
    """A decimal comma that only an expression or a filter looks at would otherwise leave every row out, silently."""
    file = tmp_path / "flows.csv"
    file.write_text("name;flow\n" + "".join(f"n{number};{number},5\n" for number in range(8)))
    source = Source((str(file),), "csv", {"name": "name", "flow": flow}, where=where)
    found = [
        row
        for typed, _ in SourceReader.of(source, {"name": TEXT, "flow": NUMBER}).read_all()
        for row in typed["flow"].to_pylist()
    ]
    assert found == [number + 0.5 for number in range(2 if where else 0, 8)]


def test_a_filter_of_numbers_knows_thousands_where_no_role_is_a_number(tmp_path: Path) -> None:
    file = tmp_path / "names.csv"
    file.write_text('name,people\na,"1,234"\nb,"12"\nc,"1,234,567"\n')
    source = Source((str(file),), "csv", {"name": "name"}, where="people > 1000")
    names = [
        name for typed, _ in SourceReader.of(source, {"name": TEXT}).read_all() for name in typed["name"].to_pylist()
    ]
    assert names == ["a", "c"]
