"""Regions that are right, and use most of what a region.yaml may say; with the files that they name."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import PIL.Image
import pyarrow as pa
import pyarrow.parquet as pq

from tests.region.conftest import TINY

EVENTS: dict[str, Any] = {
    "kind": "events",
    "path": "events*.csv",
    "columns": {"user": "user", "time": "time", "latitude": "lat", "longitude": "lon"},
    "time_format": "%Y-%m-%d %H:%M:%S",
    "time_zone": "UTC",
    "maximum_gap_hours": 8.0,
    "minimum_users": 1,
}
TRIPS: dict[str, Any] = {
    "kind": "trips",
    "path": "trips.csv",
    "columns": {
        "origin_latitude": "from_lat",
        "origin_longitude": "from_lon",
        "destination_latitude": "to_lat",
        "destination_longitude": "to_lon",
    },
    "csv": {"separator": ",", "encoding": "utf-8", "decimal": ".", "null": ["NA", -999], "skip_lines": 0},
    "where": "from_lat > 0",
    "maximum_bad_share": 0.1,
}


def _with(**parts: Any) -> dict[str, Any]:
    return {**deepcopy(TINY), **deepcopy(parts)}


REGIONS: list[dict[str, Any]] = [
    _with(),
    _with(mobility=EVENTS, extent={"box": [0.5, 1.5, 1.5, 2.5]}, embeddings={"preset": "mora"}),
    _with(mobility=TRIPS, extent={"places": True}, blocks={"county": {**TINY["tasks"]["crime"]["members"]}}),
]


def write_right_files(folder: Path) -> None:
    """The files of `REGIONS`, few rows each, that agree with one another."""

    def parquet(name: str, **columns: Any) -> None:
        pq.write_table(pa.table(columns), folder / name)

    ids, latitude, longitude = ["a", "b"], [1.0, 1.1], [2.0, 2.1]
    parquet(
        "places.parquet",
        place_id=ids,
        latitude=latitude,
        longitude=longitude,
        county=["01001", "01002"],
        population=[5, 7],
    )
    parquet("commuting_flows.parquet", origin_place=ids, destination_place=ids[::-1], workers=[3, 4])
    parquet("ages.parquet", place_id=ids, population=[5.0, 7.0], age_young=[40.0, 50.0], age_old=[60.0, 50.0])
    (folder / "pois.csv").write_text("lat,lon,name,category\n1.0,2.0,Café,cafe\n1.1,2.1,Bar,bar\n", encoding="utf-8")
    (folder / "labels.csv").write_text("place_id,income,remark\na,100.5,fine\nb,90,fine\n")
    (folder / "counties.csv").write_text("fips,crime\n01001,7\n01002,8\n")
    (folder / "flats.csv").write_text("lat,lon,rent\n1,2,900\n1.1,2.1,800\n")
    (folder / "events.csv").write_text("user,time,lat,lon\nu,2024-03-04 08:00:00,1,2\nu,2024-03-04 09:00:00,1.1,2.1\n")
    (folder / "trips.csv").write_text("from_lat,from_lon,to_lat,to_lon\n1,2,1.1,2.1\n1.1,2.1,1,2\n")
    (folder / "imagery/8/129").mkdir(parents=True)
    PIL.Image.new("RGB", (256, 256)).save(folder / "imagery/8/129/127.png")
