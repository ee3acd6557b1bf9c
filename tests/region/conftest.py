"""A tiny region with one file of each kind, to be spoilt by tests."""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import PIL.Image
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from mora_pipeline.modalities import kind_of
from mora_pipeline.region import RegionConfig

Edit = Callable[[dict[str, Any]], Any]

TINY: dict[str, Any] = {
    "region": "tiny",
    "resolution": 8,
    "places": {"path": "places.parquet", "id": "place_id", "latitude": "latitude", "longitude": "longitude"},
    "mobility": {
        "kind": "od",
        "path": "commuting_flows.parquet",
        "columns": {"origin": "origin_place", "destination": "destination_place", "flow": "workers"},
    },
    "modalities": {
        "poi": {
            "kind": "text",
            "path": "pois.csv",
            "columns": {"latitude": "lat", "longitude": "lon", "name": "name", "category": "category"},
        },
        "imagery": {"kind": "image", "source": "xyz", "zoom": 8, "path": "imagery/{z}/{x}/{y}.png"},
        "ages": {
            "kind": "table",
            "path": "ages.parquet",
            "place": "place_id",
            "weight": "population",
            "groups": {"age": "age_*"},
        },
    },
    "tasks": {
        "income": {
            "level": "cell",
            "path": "labels.csv",
            "place": "place_id",
            "column": "income",
            "weight": "population",
        },
        "crime": {
            "level": "group",
            "path": "counties.csv",
            "id": "fips",
            "column": "crime",
            "members": {"path": "places.parquet", "group": "county", "place": "place_id"},
        },
        "rent": {"level": "point", "path": "flats.csv", "latitude": "lat", "longitude": "lon", "column": "rent"},
    },
}


def job_of(config: RegionConfig, name: str) -> dict[str, Any]:
    """The parameters of the Spark job that grids a modality, less its output."""
    modality = config.modalities[name]
    return kind_of(modality.kind).job_parameters(config, name, modality)


def write_files(folder: Path) -> None:
    """The raw files of TINY, and events and trips besides."""

    def parquet(name: str, **columns: Any) -> None:
        pq.write_table(pa.table(columns), folder / name)

    parquet(
        "places.parquet", place_id=["a"], latitude=[1.0], longitude=[2.0], county=["c"], population=[5], tags=[["x"]]
    )
    parquet("commuting_flows.parquet", origin_place=["a"], destination_place=["b"], workers=[3])
    parquet("ages.parquet", place_id=["a"], population=[5.0], age_young=[40.0], age_old=[60.0], note=["n"], age=["?"])
    (folder / "pois.csv").write_text("lat,lon,name,category\n1.0,2.0,Café,cafe\n")
    (folder / "labels.csv").write_text("place_id,income,remark\na,100.5,fine\n")
    (folder / "counties.csv").write_text("fips,crime\n01001,7\n")
    (folder / "flats.csv").write_text("lat,lon,rent\n1,2,900\n")
    (folder / "events.csv").write_text("user,time,lat,lon\nu,2024-03-04 08:00:00,1,2\n")
    (folder / "trips.csv").write_text("from_lat,from_lon,to_lat,to_lon\n1,2,3,4\n")
    (folder / "imagery/8/1").mkdir(parents=True)
    PIL.Image.new("RGB", (256, 256)).save(folder / "imagery/8/1/2.png")


@pytest.fixture
def tiny(tmp_path: Path) -> Callable[[Edit | None], Path]:
    """Writes the region's files and its region.yaml, edited; returns the latter's path."""
    write_files(tmp_path)

    def write(edit: Edit | None = None) -> Path:
        content = deepcopy(TINY)
        if edit is not None:
            edit(content)
        path = tmp_path / "region.yaml"
        path.write_text(yaml.safe_dump(content, sort_keys=False))
        return path

    return write
