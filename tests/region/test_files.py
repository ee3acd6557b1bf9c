"""From paths in region.yaml to files, headers and the parameters of Spark jobs."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import rasterio
from rasterio.transform import from_origin

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.folders import find_files
from mora_pipeline.region import RegionConfig
from mora_pipeline.region.checks import check_files
from mora_pipeline.region.jobs import mobility_job
from tests.region.conftest import job_of

Tiny = Callable[..., Path]


@pytest.fixture
def mobility(tiny: Tiny) -> Callable[[str], RegionConfig]:
    """The tiny region with mobility at another path."""
    return lambda path: RegionConfig.load(tiny(lambda content: content["mobility"].update(path=path)))


def flows(path: Path, columns: str = "origin_place,destination_place,workers") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = f"{columns}\na,b,3\n"
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


def test_the_tiny_region_is_right(tiny: Tiny) -> None:
    found = {file.path.name: file for file in check_files(RegionConfig.load(tiny()))}
    assert set(found) == {
        "places.parquet", "commuting_flows.parquet", "pois.csv", "ages.parquet", "labels.csv", "counties.csv",
        "flats.csv", "2.png",
    }  # fmt: skip
    assert found["places.parquet"].rows == 1
    assert found["pois.csv"].rows is None
    assert list(found["pois.csv"].columns) == ["lat", "lon", "name", "category"]


@pytest.mark.parametrize("path", ["flows/*.csv*", "flows", "flows/", "fl?ws/[ab].csv*", "**/flows/*"])
def test_globs_and_folders_stand_for_their_files_in_order(
    mobility: Callable[[str], RegionConfig], tmp_path: Path, path: str
) -> None:
    expected = [flows(tmp_path / "flows/a.csv"), flows(tmp_path / "flows/b.csv.gz")]
    flows(tmp_path / "flows/_temporary.csv")
    flows(tmp_path / "flows/.hidden.csv")
    config = mobility(path)
    assert config.files(path) == expected
    check_files(config)
    assert mobility_job(config)["source"]["files"] == [str(file) for file in expected]


def test_a_folder_is_searched_through_all_its_levels(mobility: Callable[[str], RegionConfig], tmp_path: Path) -> None:
    deep = flows(tmp_path / "flows/2024/01/a.csv")
    flows(tmp_path / "flows/_spark/b.csv")
    assert mobility("flows").files("flows") == [deep]


def test_an_absolute_glob_needs_no_root(mobility: Callable[[str], RegionConfig], tmp_path: Path) -> None:
    """A bracket in a folder's name above it is no glob: it stands for itself where the path is relative."""
    expected = [flows(tmp_path / "elsewhere/a.csv")]
    config = mobility(str(tmp_path / "elsewhere/*.csv"))
    assert config.files(config.mobility.path) == expected


def test_a_folder_with_a_bracket_in_its_name_holds_globs(tmp_path: Path) -> None:
    folder = tmp_path / "data [new]"
    expected = [flows(folder / "flows/a.csv")]
    (folder / "region.yaml").write_text(
        "region: r\nresolution: 8\nplaces: {path: p.csv, id: i, latitude: a, longitude: b}\n"
        "mobility: {kind: od, path: flows/*.csv, columns: {origin: a, destination: b, flow: c}}\n"
    )
    assert RegionConfig.load(folder).files("flows/*.csv") == expected


def test_the_root_is_relative_to_the_region_yaml(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not to the working directory, and it may lie above."""
    text = tiny().read_text()
    other = tmp_path / "regions/tiny"
    other.mkdir(parents=True)
    (other / "region.yaml").write_text(text + "root: ../..\n")
    monkeypatch.chdir("/")
    config = RegionConfig.load(other)
    assert config.base == tmp_path
    assert len(check_files(config)) == 8


def test_every_file_of_a_glob_is_checked(mobility: Callable[[str], RegionConfig], tmp_path: Path) -> None:
    flows(tmp_path / "flows/a.csv")
    flows(tmp_path / "flows/b.csv", columns="origin_place,destination_place,jobs")
    with pytest.raises(UserError, match=r"flow is 'workers', but b\.csv has .* Did you mean 'jobs'\?"):
        check_files(mobility("flows"))


def test_a_header_may_start_with_a_byte_order_mark(mobility: Callable[[str], RegionConfig], tmp_path: Path) -> None:
    (tmp_path / "flows.csv").write_bytes(b"\xef\xbb\xbforigin_place,destination_place,workers\na,b,3\n")
    check_files(mobility("flows.csv"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("cut.parquet", b"PAR1 and no more", "cannot be read as Parquet .* copy or write it again"),
        ("empty.parquet", b"", "cannot be read as Parquet"),
        ("text.parquet", b"origin_place,destination_place,workers\n", "cannot be read as Parquet"),
        ("empty.csv", b"", "is empty"),
        ("latin.csv", "origin_place,destination_place,wörkers\n".encode("latin-1"), "line 1: not in utf-8"),
        (
            "cut.csv.gz",
            gzip.compress(b"origin_place,destination_place,workers\n" * 99, mtime=0)[:20],
            "is truncated or damaged",
        ),
    ],
)
def test_a_damaged_file_is_named(
    mobility: Callable[[str], RegionConfig], tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=f"{tmp_path}/{name}.*{message}"):
        check_files(mobility(name))


def test_a_parquet_file_cut_short_is_named(mobility: Callable[[str], RegionConfig], tmp_path: Path) -> None:
    path = tmp_path / "commuting_flows.parquet"
    config = mobility(path.name)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(UserError, match=f"{path} cannot be read as Parquet .*mobility.path"):
        check_files(config)


TIMES: list[tuple[pa.Array, bool]] = [
    (pa.array([0], pa.timestamp("us", tz="UTC")), True),
    (pa.array([0], pa.timestamp("ns", tz="America/Santiago")), True),
    (pa.array([0], pa.timestamp("us")), False),
    (pa.array([0], pa.date32()), False),
    (pa.array([1709539200]), True),
    (pa.array(["2024-03-04T08:00:00Z"]), True),
    (pa.array(["2024-03-04 08:00:00+01:00"]), True),
    (pa.array(["2024-03-04 08:00:00 -0300"]), True),
    (pa.array(["2024-03-04 08:00:00 Europe/Berlin"]), True),
    (pa.array(["2024-03-04 08:00:00 utc"]), True),
    (pa.array(["1709539200.5"]), True),
    (pa.array(["20240304"]), False),
    (pa.array([None, "2024-03-04 08:00:00"]), False),
    (pa.array(["2024-03-04"]), False),
    (pa.array(["2024-03-04"]).dictionary_encode(), False),
]


@pytest.mark.parametrize(("times", "zoned"), TIMES, ids=lambda value: str(getattr(value, "type", value)))
def test_times_carry_a_zone_or_declare_one(tiny: Tiny, tmp_path: Path, times: pa.Array, zoned: bool) -> None:
    points = [1.0] * len(times)
    table = pa.table({"user": ["u"] * len(times), "time": times, "lat": points, "lon": points})
    pq.write_table(table, tmp_path / "events.parquet")
    columns = {"user": "user", "time": "time", "latitude": "lat", "longitude": "lon"}
    events: dict[str, Any] = {"kind": "events", "path": "events.parquet", "columns": columns}
    undeclared = RegionConfig.load(tiny(lambda content: content.update(mobility=events)))
    if zoned:
        check_files(undeclared)
    else:
        with pytest.raises(UserError, match=r"time stamps without a zone\. Add mobility\.time_zone"):
            check_files(undeclared)
    declared = RegionConfig.load(tiny(lambda content: content.update(mobility=events | {"time_zone": "Asia/Tokyo"})))
    check_files(declared)
    assert mobility_job(declared)["time_zone"] == "Asia/Tokyo"


def test_trips_may_declare_the_zone_of_their_hours(tiny: Tiny) -> None:
    ends = {
        f"{end}_{part}": f"{short}_{part[:3]}"
        for end, short in (("origin", "from"), ("destination", "to"))
        for part in ("latitude", "longitude")
    }
    trips = {"kind": "trips", "path": "trips.csv", "columns": {**ends, "time": "from_lat"}, "time_zone": "Asia/Tokyo"}
    config = RegionConfig.load(tiny(lambda content: content.update(mobility=trips)))
    assert mobility_job(config)["time_zone"] == "Asia/Tokyo"


def test_numbers_written_as_text_are_numbers(tiny: Tiny, tmp_path: Path) -> None:
    table = pa.table({"origin_place": ["a"], "destination_place": ["b"], "workers": ["3"]})
    pq.write_table(table, tmp_path / "commuting_flows.parquet")
    check_files(RegionConfig.load(tiny()))


def test_geotiffs_need_a_coordinate_system(tiny: Tiny, tmp_path: Path) -> None:
    image = {"kind": "image", "source": "geotiff", "path": "*.tif"}
    config = RegionConfig.load(tiny(lambda content: content["modalities"].update(imagery=image)))
    profile = {"driver": "GTiff", "count": 3, "height": 4, "width": 4, "dtype": "uint8"}
    for crs, name in (("EPSG:4326", "a.tif"), (None, "b.tif")):
        if crs is None:
            assert len([file for file in check_files(config) if file.format == "geotiff"]) == 1
        with rasterio.open(tmp_path / name, "w", crs=crs, transform=from_origin(0, 0, 1, 1), **profile) as raster:
            raster.write(np.zeros((3, 4, 4), dtype=np.uint8))
    with pytest.raises(UserError, match=r"b\.tif, which has no CRS"):
        check_files(config)
    (tmp_path / "b.tif").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"b\.tif, which cannot be read as a GeoTIFF"):
        check_files(config)


def test_jobs_carry_absolute_paths_roles_and_expanded_groups(tiny: Tiny, tmp_path: Path) -> None:
    config = RegionConfig.load(tiny())
    places = {
        "files": [str(tmp_path / "places.parquet")],
        "format": "parquet",
        "columns": {"id": "place_id", "latitude": "latitude", "longitude": "longitude"},
    }
    assert mobility_job(config) == {
        "kind": "od",
        "source": {
            "files": [str(tmp_path / "commuting_flows.parquet")],
            "format": "parquet",
            "columns": {"origin": "origin_place", "destination": "destination_place", "flow": "workers"},
        },
        "places": places,
        "resolution": 8,
        "maximum_gap_hours": 24.0,
        "time_zone": None,
        "maximum_bad_share": 0.01,
        "minimum_users": 0,
        "minimum_flow": 0.0,
        "partitions": None,
        "extent": None,
    }
    assert job_of(config, "poi")["places"] is None
    assert job_of(config, "poi")["source"]["format"] == "csv"
    table = job_of(config, "ages")
    assert table["groups"] == {"age": ["age_young", "age_old"]}
    assert table["source"]["columns"] == {"place": "place_id", "weight": "population"}
    assert table["places"] == places


def test_a_glob_never_takes_the_place_or_the_weight_into_a_group(tiny: Tiny) -> None:
    def edit(content: dict[str, Any]) -> None:
        content["modalities"]["ages"]["groups"] = {"all": "p*|age_*", "one": "age_old"}

    assert job_of(RegionConfig.load(tiny(edit)), "ages")["groups"] == {
        "all": ["age_young", "age_old"],
        "one": ["age_old"],
    }


def test_mobility_alone_is_a_region(tmp_path: Path) -> None:
    (tmp_path / "trips.csv").write_text("a,b,c,d\n1,2,3,4\n")
    (tmp_path / "region.yaml").write_text(
        "region: alone\nresolution: 7\nmobility:\n  kind: trips\n  path: trips.csv\n  columns:\n"
        "    {origin_latitude: a, origin_longitude: b, destination_latitude: c, destination_longitude: d}\n"
    )
    config = RegionConfig.load(tmp_path)
    assert [file.path.name for file in check_files(config)] == ["trips.csv"]
    assert config.places_or_none() is None
    assert config.modalities == config.tasks == {}
    assert mobility_job(config)["places"] is None


def test_places_may_stand_with_the_mobility(tiny: Tiny) -> None:
    def move(content: dict[str, Any]) -> None:
        content["mobility"]["places"] = content.pop("places")

    config = RegionConfig.load(tiny(move))
    check_files(config)
    assert config.places_or_none() is not None
    assert mobility_job(config)["places"] == mobility_job(RegionConfig.load(tiny()))["places"]


def test_files_are_named_without_dots(tmp_path: Path) -> None:
    """Spark names the source of a row without them; rows are told by it."""
    (tmp_path / "region").mkdir()
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "a.csv").touch()
    for pattern in ("../raw/*.csv", "../raw/a.csv", "../raw", f"{tmp_path}/region/../raw/*.csv"):
        assert find_files(tmp_path / "region", pattern, "w ").files == (tmp_path.resolve() / "raw" / "a.csv",)
