"""A tiny region of trips, and one of events, from raw files to the hours that a preset reads."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from mora_pipeline.contract.rhythm import BINS, RHYTHM_COLUMNS
from mora_pipeline.lake import Lake
from mora_pipeline.lake.reading import RegionReader
from mora_pipeline.lake.registry import Registry
from mora_pipeline.presets.rhythm import read_rhythm
from mora_pipeline.steps import all_steps, local_session, run_step

ZONE = "America/Santiago"
HOMES, OFFICES = (-33.40, -70.60), (-33.50, -70.70)  # the middles of two quarters, apart by several cells
DAYS = pd.date_range("2024-03-04", periods=14)  # summer time, four hours behind UTC from April on


def commutes(people: int = 1000) -> pd.DataFrame:
    """A home, an office and the local times of the ways between them, of each person on each weekday.

    So many people that a cell has more moves of its own than the twenty of the region's mean that it is given.
    """
    random = np.random.default_rng(0)
    place = np.concatenate([np.full((people, 2), HOMES), np.full((people, 2), OFFICES)], axis=1)
    place += random.uniform(-0.02, 0.02, place.shape)
    rows = [
        (f"p{person:03d}", *place[person], day + pd.Timedelta(hours=8), day + pd.Timedelta(hours=18))
        for day in DAYS[DAYS.dayofweek < 5]
        for person in range(people)
    ]
    names = ["user", "home_latitude", "home_longitude", "office_latitude", "office_longitude", "morning", "evening"]
    return pd.DataFrame(rows, columns=names)


def trips(folder: Path) -> dict[str, Any]:
    """Both ways as trips, with local times."""
    ways = commutes()
    ends = ["from_latitude", "from_longitude", "to_latitude", "to_longitude", "time"]
    there = ways[["home_latitude", "home_longitude", "office_latitude", "office_longitude", "morning"]]
    back = ways[["office_latitude", "office_longitude", "home_latitude", "home_longitude", "evening"]]
    both = [way.set_axis(ends, axis=1) for way in (there, back)]
    pd.concat(both).astype({"time": "datetime64[us]"}).to_parquet(folder / "trips.parquet", index=False)
    columns = {
        "origin_latitude": ends[0],
        "origin_longitude": ends[1],
        "destination_latitude": ends[2],
        "destination_longitude": ends[3],
        "time": ends[4],
    }
    return {"kind": "trips", "path": "trips.parquet", "columns": columns}


def events(folder: Path) -> dict[str, Any]:
    """A record at home in the morning, one at the office in the evening, with the zone written."""
    ways = commutes()
    names = ["user", "time", "latitude", "longitude"]
    at_home = ways[["user", "morning", "home_latitude", "home_longitude"]].set_axis(names, axis=1)
    at_work = ways[["user", "evening", "office_latitude", "office_longitude"]].set_axis(names, axis=1)
    both = pd.concat([at_home, at_work])
    both.assign(time=both["time"].dt.tz_localize(ZONE)).to_csv(folder / "events.csv", index=False)
    return {"kind": "events", "path": "events.csv", "columns": {name: name for name in names}, "maximum_gap_hours": 12}


@pytest.mark.parametrize(("mobility", "back"), [(trips, "departures"), (events, "arrivals")])
def test_hours_come_from_raw_files_to_the_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mobility: Any, back: str
) -> None:
    """Whoever leaves home does so in the morning; at the offices, the evening is when a trip leaves or an event is."""
    monkeypatch.setenv("MORA_SPARK_MASTER", "local[2]")
    monkeypatch.setenv("MORA_SPARK_DRIVER_MEMORY", "1g")
    raw = tmp_path / "raw"
    raw.mkdir()
    described = {"region": "hours", "resolution": 8, "mobility": {**mobility(raw), "time_zone": ZONE}}
    (raw / "region.yaml").write_text(yaml.safe_dump(described))
    session = local_session(tmp_path / "home")
    region = Registry(session.home).add(raw / "region.yaml").region
    for step in all_steps():
        if step.name in ("raw_files", "edges", "cells"):
            result = run_step(step, region, session)
            assert result.committed
            if step.name == "edges":
                assert [version.dataset for version in result.versions][-3:] == ["self_flow", "rhythm", "edges"]
    reader = RegionReader(session.region(region), Lake(session.home / "lake"))
    table = reader.read("cells").table()
    found = read_rhythm(reader, table["cell"].to_numpy())
    assert found is not None
    shares, present = found
    assert present.all()

    def mean(north: bool, direction: str, name: str) -> float:
        there = (table["latitude"].to_numpy() > (HOMES[0] + OFFICES[0]) / 2) == north
        return float(shares[there, RHYTHM_COLUMNS.index(f"{direction}_{name}")].mean())

    assert mean(True, "departures", "weekday_06_10") > 0.9
    assert mean(False, back, "weekday_16_20") > 0.9
    assert all(mean(False, "stays", name) == pytest.approx(1 / len(BINS)) for name in BINS)
