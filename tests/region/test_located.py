"""A region whose places, texts and labels are shapes or cells, in files as people have them."""

from pathlib import Path
from typing import Any

import h3
import numpy as np
import pandas as pd
import pytest
import yaml

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.source import Source
from mora_pipeline.region import RegionConfig
from mora_pipeline.region.extent import cells_of_polygons
from mora_pipeline.region.jobs import mobility_job, places_source
from mora_pipeline.region.samples import read_places
from mora_pipeline.region.understanding import Understanding, understand

shapely, pyogrio = pytest.importorskip("shapely"), pytest.importorskip("pyogrio")
FEET = "EPSG:2263"  # New York's state plane
SQUARES = np.array([shapely.box(980_000 + 5_000 * n, 200_000, 984_000 + 5_000 * n, 204_000) for n in range(6)])


def zones(folder: Path, name: str = "taxi_zones.shp", crs: str | None = FEET, **options: Any) -> None:
    """As the taxi commission's: numbered polygons in feet."""
    from pyogrio.raw import write

    fields = [np.arange(1, 7), np.array([f"zone {n}" for n in range(6)], object)]
    kind = {"geometry_type": "Polygon", "crs": crs, **options}
    write(folder / name, shapely.to_wkb(SQUARES), fields, ["LocationID", "zone"], **kind)


def taxi(folder: Path, **places: Any) -> RegionConfig:
    random = np.random.default_rng(0)
    ends = random.choice([1, 2, 3, 4, 5, 6, 264], (500, 2))
    pd.DataFrame(ends, columns=["PULocationID", "DOLocationID"]).to_parquet(folder / "trips.parquet")
    content = {
        "region": "taxi",
        "resolution": 9,
        "places": {"path": "taxi_zones.shp", "id": "LocationID", "geometry": "geometry", **places},
        "mobility": {
            "kind": "od",
            "path": "trips.parquet",
            "columns": {"origin": "PULocationID", "destination": "DOLocationID"},
        },
    }
    (folder / "region.yaml").write_text(yaml.safe_dump(content))
    return RegionConfig.load(folder)


def matched(found: Understanding, key: str) -> tuple[int, int]:
    (match,) = (each for each in found.matches if each.key == key)
    return match.matched, match.of


def test_a_shapefile_of_zones_in_feet_is_a_table_of_places(tmp_path: Path) -> None:
    zones(tmp_path)
    config = taxi(tmp_path)
    found = understand(config)
    assert found.box is not None
    assert 40 < found.box.south < found.box.north < 41
    assert -75 < found.box.west < found.box.east < -73
    assert found.warnings == ()
    known, every = matched(found, "mobility")
    assert every == 500
    assert 300 < known < 450  # those of zone 264 are nowhere
    places = read_places(Source.parse(mobility_job(config)["places"], set()), 9, spread=True)
    assert len(places.cells) > 6 * 10
    assert places.ids.to_pylist() == list("123456")


@pytest.mark.filterwarnings("ignore:'crs' was not provided")
def test_zones_without_a_crs_are_refused_until_it_is_declared(tmp_path: Path) -> None:
    zones(tmp_path, crs=None)
    with pytest.raises(UserError, match=r"taxi_zones\.shp has no \.prj file.*crs: EPSG:4326"):
        understand(taxi(tmp_path))
    with pytest.raises(UserError, match=r"'EPSG:99999999', which is no coordinate reference system"):
        understand(taxi(tmp_path, crs="EPSG:99999999"))
    found = understand(taxi(tmp_path, crs=FEET))
    assert found.box is not None
    assert 40 < found.box.south < 41


def test_a_layer_is_picked_of_several(tmp_path: Path) -> None:
    for layer in ("zones", "boroughs"):
        zones(tmp_path, "zones.gpkg", layer=layer, append=layer == "boroughs")
    with pytest.raises(UserError, match="several layers: zones, boroughs"):
        understand(taxi(tmp_path, path="zones.gpkg"))
    assert matched(understand(taxi(tmp_path, path="zones.gpkg", layer="zones", geometry="geom")), "mobility")[1] == 500


def test_flows_between_cells_need_no_places_and_it_is_said(tmp_path: Path) -> None:
    cells = list(h3.grid_disk(h3.latlng_to_cell(40.7, -74, 9), 2))
    pd.DataFrame({"o": cells, "d": cells[::-1], "n": 1}).to_csv(tmp_path / "flows.csv", index=False)
    mobility = {"kind": "od", "path": "flows.csv", "columns": {"origin": "o", "destination": "d", "flow": "n"}}
    content = {"region": "cells", "resolution": 8, "mobility": mobility}
    (tmp_path / "region.yaml").write_text(yaml.safe_dump(content))
    config = RegionConfig.load(tmp_path)
    found = understand(config)
    assert any("read as H3 cells" in remark for remark in found.remarks["mobility.path"])
    assert found.cells == len({h3.cell_to_parent(cell, 8) for cell in cells})
    assert found.box is not None
    assert mobility_job(config)["places"] is None
    pd.DataFrame({"o": ["a"], "d": ["b"], "n": 1}).to_csv(tmp_path / "flows.csv", index=False)
    with pytest.raises(UserError, match=r"mobility\.columns\.origin is 'o', and flows\.csv has 'a' there.*Add places"):
        understand(RegionConfig.load(tmp_path))


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"geometry": "g", "cell": "c"}, r"places must say where its rows are: .*\(it has geometry, cell\)"),
        ({}, r"places must say where its rows are: latitude and longitude, or geometry or cell \(it has none\)"),
        ({"latitude": "a"}, r"\(it has latitude\)"),
    ],
)
def test_places_say_once_where_they_are(tmp_path: Path, where: dict[str, str], message: str) -> None:
    places = {"path": "places.csv", "id": "id", **where}
    content = {"region": "x", "resolution": 8, "places": places, "embeddings": {"encoder": "other"}}
    (tmp_path / "region.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(UserError, match=message):
        RegionConfig.load(tmp_path)


def test_texts_tables_and_labels_name_shapes_and_cells(tmp_path: Path) -> None:
    """Points as WKB in Parquet, polygons as WKT, cells as text: all of them are found where they are."""
    zones(tmp_path)
    points = [shapely.Point(-73.99 + n / 1000, 40.7).wkb for n in range(10)]
    pd.DataFrame({"geometry": points, "category": "cafe"}).to_parquet(tmp_path / "poi.parquet")
    cells = [h3.latlng_to_cell(40.7, -73.99 + n / 100, 10) for n in range(4)]
    pd.DataFrame({"h3": cells, "population": [1, 2, 3, 4], "young": 1, "old": 2}).to_csv(tmp_path / "kontur.csv")
    config = taxi(tmp_path)
    content = yaml.safe_load((tmp_path / "region.yaml").read_text())
    table = {"kind": "table", "path": "kontur.csv", "columns": {"cell": "h3"}, "weight": "population"}
    text = {"kind": "text", "path": "poi.parquet", "columns": {"geometry": "geometry", "category": "category"}}
    content["modalities"] = {"poi": text, "kontur": {**table, "groups": {"age": "young|old"}}}
    content["tasks"] = {"people": {"level": "cell", "path": "kontur.csv", "cell": "h3", "column": "population"}}
    (tmp_path / "region.yaml").write_text(yaml.safe_dump(content))
    found = understand(RegionConfig.load(tmp_path))
    sizes = {sample.table.key: (sample.good, len(sample.points[0]), len(sample.cells)) for sample in found.samples}
    assert sizes["modalities.poi"][:2] == (10, 10)
    assert sizes["modalities.kontur"] == (4, 4, 4)
    assert matched(found, "tasks.people") == (4, 4)
    assert places_source(config)["columns"] == {"id": "LocationID", "geometry": "geometry"}


def test_polygons_of_an_extent_without_a_crs_are_refused_until_it_is_declared(tmp_path: Path) -> None:
    """Feet read as degrees are nowhere on the globe."""
    zones(tmp_path, "feet.shp", FEET)
    zones(tmp_path, "unknown.shp", None)
    columns = {"geometry": "geometry"}
    known = cells_of_polygons(Source((str(tmp_path / "feet.shp"),), "vector", columns), 9)
    unknown = (str(tmp_path / "unknown.shp"),)
    with pytest.raises(UserError, match=r"unknown\.shp has no \.prj file.*crs: EPSG:4326"):
        cells_of_polygons(Source(unknown, "vector", columns), 9)
    declared = cells_of_polygons(Source(unknown, "vector", columns, crs=FEET), 9)
    assert len(known)
    np.testing.assert_array_equal(np.unique(declared), np.unique(known))
