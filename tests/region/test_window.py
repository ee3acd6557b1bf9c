"""Which files a window of weeks takes, and what tells that they changed."""

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as draw
from pydantic import ValidationError

from mora_pipeline.contract.errors import UserError
from mora_pipeline.region import RegionConfig
from mora_pipeline.region.checks import check_files
from mora_pipeline.region.jobs import mobility_job
from mora_pipeline.region.window import Window
from tests.region.conftest import Edit

days = draw.dates(date(1990, 1, 1), date(2025, 1, 1))


@given(draw.lists(days, min_size=1, max_size=30, unique=True), draw.integers(1, 60))
def test_the_last_weeks_up_to_the_newest_file_are_taken(chosen: list[date], weeks: int) -> None:
    files = {Path(f"/raw/city_{day:%Y%m%d}_v2.csv.gz"): day for day in chosen}
    taken = Window(date="_%Y%m%d_", weeks=weeks).days(list(files), "")
    newest = max(chosen)
    assert taken == {file: day for file, day in files.items() if day + timedelta(days=7 * weeks) > newest}


@pytest.mark.parametrize("name", ["trips.csv", "trips_2024-02-30.csv", "trips_24-02-03.csv"])
def test_a_name_without_its_day_is_reported(name: str) -> None:
    with pytest.raises(UserError, match=rf"^w is 'trips_%Y-%m-%d', but the name of /raw/{name} has no such day"):
        Window(date="trips_%Y-%m-%d").days([Path("/raw") / name], "w ")


def test_a_day_to_come_does_not_empty_the_window() -> None:
    """A mistyped year would push every other file out of it."""
    with pytest.raises(UserError, match=r"trips_2142-03-03\.csv has a day to come"):
        Window(date="%Y-%m-%d").days([Path("/raw/trips_2024-03-03.csv"), Path("/raw/trips_2142-03-03.csv")], "")


def test_a_name_with_several_days_is_reported() -> None:
    exported = Path("/raw/exported_2025-01-05_trips_2024-03-01.csv")
    with pytest.raises(UserError, match="has several days"):
        Window(date="%Y-%m-%d").days([exported], "")
    assert Window(date="trips_%Y-%m-%d").days([exported], "") == {exported: date(2024, 3, 1)}


DAY = date(2024, 1, 31)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("date=%Y-%m-%d", "date=2024-01-31/part-0.parquet"),
        ("%Y-%m-%d", "date=2024-01-31/part-0.parquet"),
        ("%Y-%m-%d", "2024-01-30/2024-01-31/part-0.parquet"),  # the nearest
        ("%Y-%m-%d", "2024-01-31/hour=7/part-2024.parquet"),
        ("%Y-%m-%d", "exported_2024-02-07/trips_2024-01-31.csv"),  # the name is nearer still
        ("year=%Y/month=%m/day=%d", "year=2024/month=01/day=31/a.csv"),
        ("year=%Y/month=%m/day=%d", "year=2024/month=1/day=31/a.csv"),
        ("%Y/%m/%d", "2024/01/31/a.csv"),
        ("%Y/%m/%d.csv", "2024/01/31.csv"),
    ],
)
def test_the_day_may_be_in_the_folders(pattern: str, path: str) -> None:
    file = Path("/raw/2023-01-01/region") / path
    assert Window(date=pattern).days([file], "", Path("/raw/2023-01-01/region")) == {file: DAY}


def test_folders_above_the_region_tell_no_day() -> None:
    """The region's own folder may be named after the day of a backup."""
    file = Path("/backup_2024-01-31/region/trips/a.csv")
    assert Window(date="%Y-%m-%d").days([file], "") == {file: DAY}
    with pytest.raises(UserError, match=r"the name of .*/a\.csv has no such day, nor a folder's\. Fix it"):
        Window(date="%Y-%m-%d").days([file], "", Path("/backup_2024-01-31/region"))


def test_a_folder_with_several_days_is_reported() -> None:
    with pytest.raises(UserError, match="has several days"):
        Window(date="%Y-%m-%d").days([Path("/raw/2024-01-01_2024-01-31/a.csv")], "")


def test_a_region_of_hive_folders_is_limited_to_its_last_weeks(
    tiny: Callable[[Edit | None], Path], tmp_path: Path
) -> None:
    for day in (1, 16, 17, 30):
        folder = tmp_path / f"trips/date=2024-01-{day:02}"
        folder.mkdir(parents=True)
        (folder / "part-0.csv").write_text("a,b,c,d\n1,2,3,4\n")
    ends = ("origin_latitude", "origin_longitude", "destination_latitude", "destination_longitude")

    def edit(content: dict[str, Any]) -> None:
        window = {"date": "date=%Y-%m-%d", "weeks": 2}
        columns = dict(zip(ends, "abcd", strict=True))
        content["mobility"] = {"kind": "trips", "path": "trips", "columns": columns, "window": window}

    config = RegionConfig.load(tiny(edit))
    check_files(config)
    job = mobility_job(config)
    assert job["dates"] == {
        str(tmp_path / f"trips/date=2024-01-{day}/part-0.csv"): f"2024-01-{day}" for day in (17, 30)
    }
    assert job["source"]["files"] == [*job["dates"]]


@pytest.mark.parametrize("pattern", ["%Y-%m", "%Y%m%d%d", "trips"])
def test_a_pattern_without_a_day_is_refused(pattern: str) -> None:
    with pytest.raises(ValidationError, match="it must hold %Y, %m and %d once each"):
        Window(date=pattern)


def test_a_job_is_told_the_days_the_weeks_and_the_versions(tiny: Callable[[Edit | None], Path], tmp_path: Path) -> None:
    """A region of trips; the first window goes by the files' names, the second by the rows' time."""
    for day in (1, 2, 30):
        (tmp_path / f"trips_2024-01-{day:02}.csv").write_text(
            "from_lat,from_lon,to_lat,to_lon,at\n1,2,3,4,2024-01-01\n"
        )
    listed = [tmp_path / f"trips_2024-01-{day:02}.csv" for day in (2, 30)]
    (tmp_path / "_listing.csv").write_text("path,size\n" + "".join(f"{file.name},9\n" for file in listed))
    ends = {f"{end}_latitude": f"{short}_lat" for end, short in (("origin", "from"), ("destination", "to"))}
    ends |= {key.replace("latitude", "longitude"): column.replace("lat", "lon") for key, column in ends.items()}

    def job(window: dict[str, Any], **columns: str) -> dict[str, Any]:
        def edit(content: dict[str, Any]) -> None:
            columns_of = {**ends, **columns}
            content["mobility"] = {"kind": "trips", "path": "trips_*.csv", "columns": columns_of, "window": window}

        config = RegionConfig.load(tiny(edit))
        check_files(config)
        return mobility_job(config)

    by_name = job({"date": "trips_%Y-%m-%d", "weeks": 4, "listing": "_listing.csv"})
    assert by_name["dates"] == {str(listed[1]): "2024-01-30"}
    assert by_name["source"]["files"] == [str(listed[1])]
    assert by_name["versions"].keys() == {str(file) for file in listed}
    by_row = job({"weeks": 4}, time="at")
    assert "dates" not in by_row
    assert (by_row["weeks"], len(by_row["source"]["files"])) == (4, 3)
