"""docs/raw_files.md says what the reader of raw tables does: its examples are run, its lists are complete."""

import ast
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml

from mora_pipeline.raw.dialect import KEYS
from mora_pipeline.raw.expressions import parse
from mora_pipeline.raw.formats import FORMATS
from mora_pipeline.raw.language.functions import FUNCTIONS
from mora_pipeline.raw.number_format import CENSUS
from mora_pipeline.raw.time_formats import ALIASES, DIRECTIVES, NAMED
from mora_pipeline.raw.times import as_moments
from mora_pipeline.region import RegionConfig

PAGE = (Path(__file__).resolve().parents[2] / "docs/raw_files.md").read_text()
FUNCTION = re.compile(r"^\| (`\w+`(?:, `\w+`)*) \| .+? \| `(.+)` \| (.+?) \|$", re.MULTILINE)
ROW = pa.record_batch({"row": [0]})
VALUES = {"true": True, "false": False}


def value_of(text: str) -> Any:
    values = parse(text, {"row": pa.int64()}).evaluate(ROW)
    return values[0].as_py()


@pytest.mark.parametrize(("text", "gives"), [match[1:] for match in FUNCTION.findall(PAGE)])
def test_an_example_of_a_function_gives_what_the_page_says(text: str, gives: str) -> None:
    assert value_of(text) == (VALUES[gives] if gives in VALUES else ast.literal_eval(gives))


def test_every_function_is_on_the_page() -> None:
    named = {name for match in FUNCTION.findall(PAGE) for name in re.findall(r"\w+", match[0])}
    assert named == set(FUNCTIONS)


def test_the_keys_of_a_dialect_and_all_endings_are_on_the_page() -> None:
    quoted = set(re.findall(r"`([^`\n]+)`", PAGE))
    assert set(KEYS) <= quoted
    plain = {ending for ending in FORMATS if ending.count(".") == 1}
    packed = {f".{ending.rpartition('.')[2]}" for ending in FORMATS}
    assert plain | packed <= quoted


def test_the_directives_of_a_time_and_the_annotations_of_the_census_are_on_the_page() -> None:
    directives = set(re.findall(r"`%(\w)`", PAGE))
    assert directives == {*DIRECTIVES, *ALIASES}
    assert all(f"`{name}`" in PAGE for name in NAMED)
    assert all(f"−{-number}" in PAGE for number in CENSUS)


def test_the_times_on_the_page_are_read_without_a_format() -> None:
    table = PAGE.partition("## Times")[2].partition("`time_format`")[0]
    times = [text for line in table.splitlines() for text in re.findall(r"`(\d[^`]+)`", line.rpartition(" | ")[2])]
    assert len(times) >= 9
    assert as_moments(pa.array(times))[0].null_count == 0


def test_the_yaml_on_the_page_is_a_region() -> None:
    whole = {
        "region": "town",
        "resolution": 8,
        "places": {"path": "p.csv", "id": "id", "latitude": "lat", "longitude": "lon"},
        "mobility": {"kind": "od", "path": "f.csv", "columns": {"origin": "o", "destination": "d"}},
    }
    parts = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]
    assert parts
    for part in parts:
        RegionConfig.model_validate(whole | part)
