"""The columns that folders and names of files carry."""

from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as draw

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.folders import folder_columns, name_columns

text = draw.text(draw.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8)


@given(draw.dictionaries(text, text, max_size=4), text)
def test_what_a_writer_of_hive_folders_writes_is_read(columns: dict[str, str], above: str) -> None:
    """Spark and Arrow escape what a path or a pair cannot hold; any value comes back."""
    folders = [f"{quote(key, safe='')}={quote(value, safe='')}" for key, value in columns.items()]
    path = "/".join(["", "raw", quote(above, safe=""), *folders, "part-0=1.parquet"])
    assert folder_columns(path) == columns


@pytest.mark.parametrize(
    ("path", "columns"),
    [
        ("/raw/date=2024-01-31/part-0.parquet", {"date": "2024-01-31"}),
        ("/raw/year=2024/month=1/a.csv", {"year": "2024", "month": "1"}),
        ("/raw/mode=bus/old/mode=car/a.csv", {"mode": "car"}),
        ("/raw/mode=bus/mode=__HIVE_DEFAULT_PARTITION__/a.csv", {}),
        ("/raw/mode=__HIVE_DEFAULT_PARTITION__/day=3/a.csv", {"day": "3"}),
        ("/raw/at=2024-01-01 10%3A00%3A00/a.csv", {"at": "2024-01-01 10:00:00"}),
        ("/raw/rule=a=b/a.csv", {"rule": "a=b"}),
        ("/raw/mode=/a.csv", {"mode": ""}),
        ("/raw/=bus/plain/a.csv", {}),
        ("/raw/mode=bus.csv", {}),
        ("mode=bus/a.csv", {"mode": "bus"}),
    ],
)
def test_folders_that_carry_columns(path: str, columns: dict[str, str]) -> None:
    assert folder_columns(path) == columns


@pytest.mark.parametrize(
    ("name", "pattern", "columns"),
    [
        ("od_2019_car.csv.gz", "od_{year}_{mode}.csv.gz", {"year": "2019", "mode": "car"}),
        ("trips_2024-01-31.csv", "trips_%Y-%m-%d", {"year": "2024", "month": "01", "day": "31"}),
        ("trips_2024-01-31.csv.gz", "trips_%Y-%m-%d", {"year": "2024", "month": "01", "day": "31"}),
        ("ny_od_main_JT00_2019.csv.gz", "{st}_od_{part}_JT00_%Y", {"st": "ny", "part": "main", "year": "2019"}),
        ("20240131_Viajes_distritos.csv.gz", "{date}_Viajes_distritos", {"date": "20240131"}),
        ("flows (1).csv", "flows ({n}).csv", {"n": "1"}),
        ("a.b.csv", "{name}.csv", {"name": "a.b"}),
        ("nyc/2019.csv", "{city}/%Y", {"city": "nyc", "year": "2019"}),
    ],
)
def test_names_that_carry_columns(name: str, pattern: str, columns: dict[str, str]) -> None:
    assert name_columns(f"/raw/x_1/{name}", pattern) == columns


word = draw.text(draw.characters(codec="utf-8", exclude_characters="\0/_."), min_size=1, max_size=6)


@given(draw.lists(word, min_size=1, max_size=4), draw.sampled_from([".csv", ".csv.gz", ".parquet"]))
def test_any_values_without_the_text_between_them_come_back(values: list[str], ending: str) -> None:
    pattern = "_".join(f"{{c{number}}}" for number in range(len(values))) + ending
    file = "/raw/" + "_".join(values) + ending
    assert name_columns(file, pattern) == {f"c{number}": value for number, value in enumerate(values)}


@given(word, word, draw.sampled_from(["-", "_", ""]))
def test_a_pattern_stands_for_itself_but_for_its_columns(before: str, value: str, after: str) -> None:
    assume(not set(before + after) & set("{}%"))
    assert name_columns(f"/raw/{before}{value}{after}.csv", before + "{it}" + after + ".csv") == {"it": value}


@pytest.mark.parametrize(
    ("name", "pattern", "message"),
    [
        ("od_2019.csv", "od_{year}_{mode}.csv", r"^/raw/od_2019\.csv does not fit the pattern .od_"),
        ("od_2019.csv.gz", "od_{year}.csv", "does not fit the pattern"),
        ("trips_24-1-31.csv", "trips_%Y-%m-%d", "does not fit the pattern"),
        ("od_2019_car_old.csv", "od_{year}_{mode}.csv", "fits the pattern .* in more than one way"),
        ("od_2019.csv", "od_*.csv", r"'od_\*\.csv' of file names has no column\. Write one as \{year\} or %Y"),
        ("od_2019_2020.csv", "od_{year}_%Y.csv", "has year twice"),
    ],
)  # fmt: skip
def test_names_and_patterns_that_do_not_fit_are_told(name: str, pattern: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        name_columns(f"/raw/{name}", pattern)
