"""A folder of raw data as people have it, and the region.yaml that `mora region new` writes of it."""

import gzip
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import h3
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mora_pipeline.cli import main
from mora_pipeline.contract.errors import UserError
from mora_pipeline.region import RegionConfig
from mora_pipeline.region.checks import check_files
from mora_pipeline.region.draft.yaml_text import Entry, comment, scalar, written
from mora_pipeline.region.drafting import draft_region, write_draft
from tests.examples.commuting import insee, lodes8, odwp01ew
from tests.examples.loading import load_example
from tests.examples.pois import foursquare, overture
from tests.examples.trips import citi_bike, divvy, meta_movement

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
WHERE = {"latitude": 47.5, "longitude": 19.05}
Drafted = Callable[..., dict[str, Any]]
random = np.random.default_rng(0)


def csv(path: Path, columns: dict[str, Any], separator: str = ",") -> None:
    """Write columns as CSV, packed if the name ends so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = zip(*columns.values(), strict=True)
    lines = [separator.join(columns), *(separator.join(map(str, row)) for row in rows)]
    text = "\n".join(lines) + "\n"
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())


def parquet(path: Path, columns: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)


def places(number: int = 40, step: float = 0.02) -> dict[str, list[Any]]:
    side = int(number**0.5) + 1
    return {
        "place_id": [f"Z{place:03}" for place in range(number)],
        "lat": [round(47.4 + step * (place // side), 5) for place in range(number)],
        "lon": [round(19.0 + step * (place % side), 5) for place in range(number)],
    }


def flows(
    ids: list[str], rows: int = 300, names: tuple[str, str, str] = ("origin", "destination", "flow")
) -> dict[str, Any]:
    ends = random.integers(0, len(ids), (2, rows))
    amounts = random.integers(1, 90, rows).tolist()
    return dict(zip(names, ([ids[end] for end in ends[0]], [ids[end] for end in ends[1]], amounts), strict=True))


def near(rows: int) -> tuple[list[float], list[float]]:
    points = random.normal([47.5, 19.05], 0.05, (rows, 2)).round(6)
    return points[:, 0].tolist(), points[:, 1].tolist()


def drafted(folder: Path, **options: Any) -> dict[str, Any]:
    """What the draft says, once it has been loaded and each of its columns found."""
    _, file, problem = write_draft(folder, **options)
    assert problem is None, f"{problem}\n{file.read_text()}"
    content = yaml.safe_load(file.read_text())
    assert isinstance(content, dict)
    return content


def roles(section: dict[str, Any]) -> dict[str, str]:
    return {key: section[key] for key in ("path", "id", "latitude", "longitude")}


# --- Folders as users have them


def test_flows_places_pois_and_ages_find_their_sections(tmp_path: Path) -> None:
    """The common case is complete: everything a run needs is there, under the right keys."""
    zones = places()
    csv(tmp_path / "zones.csv", {**zones, "population": random.integers(50, 900, 40).tolist()})
    csv(tmp_path / "commuting.csv", flows(zones["place_id"]))
    latitude, longitude = near(200)
    shop = ["café", "bar", "school", "park"] * 50
    csv(
        tmp_path / "shops.csv",
        {"name": [f"Shop {n}" for n in range(200)], "category": shop, "lat": latitude, "lng": longitude},
    )
    ages = {f"age_{low}_{low + 9}": random.integers(0, 60, 40).tolist() for low in range(0, 60, 10)}
    parquet(tmp_path / "ages.parquet", {"place_id": zones["place_id"], "population": [100] * 39 + [90], **ages})
    csv(
        tmp_path / "income.csv",
        {"place_id": zones["place_id"], "median_income": random.normal(3e4, 9, 40).round(1).tolist()},
    )
    said = drafted(tmp_path, name="town")
    assert said["region"] == "town"
    assert said["places"] == {"path": "zones.csv", "id": "place_id", "latitude": "lat", "longitude": "lon"}
    assert said["mobility"]["kind"] == "od"
    assert said["mobility"]["columns"] == {"origin": "origin", "destination": "destination", "flow": "flow"}
    assert said["modalities"]["shops"]["kind"] == "text"
    assert said["modalities"]["shops"]["columns"] == {
        "latitude": "lat", "longitude": "lng", "name": "name", "category": "category",
    }  # fmt: skip
    assert said["modalities"]["ages"]["groups"] == {"age": "age_*"}
    assert said["modalities"]["ages"]["weight"] == "population"
    assert said["tasks"]["median_income"] == {
        "level": "cell", "path": "income.csv", "place": "place_id", "column": "median_income", "weight": "population",
    }  # fmt: skip


def test_trips_find_both_ends_and_their_start(tmp_path: Path) -> None:
    """Bike shares: the start's time is taken, not the end's, and stations' names are no ends."""
    a, b = near(400), near(400)
    start = [f"2024-05-{1 + n % 28:02} 08:{n % 60:02}:00" for n in range(400)]
    end = [f"2024-05-{1 + n % 28:02} 09:{n % 60:02}:00" for n in range(400)]
    for month in ("202404", "202405"):
        csv(
            tmp_path / f"{month}-divvy-tripdata.csv",
            {
                "ride_id": [f"{month}{n:06}" for n in range(400)], "rideable_type": ["classic", "electric"] * 200,
                "started_at": start, "ended_at": end, "start_station_name": ["Clark St"] * 400,
                "start_station_id": [f"TA{n % 9}" for n in range(400)], "end_station_name": ["State St"] * 400,
                "end_station_id": [f"KA{n % 9}" for n in range(400)], "start_lat": a[0], "start_lng": a[1],
                "end_lat": b[0], "end_lng": b[1], "member_casual": ["member", "casual"] * 200,
            },
        )  # fmt: skip
    said = drafted(tmp_path)
    assert said["mobility"]["kind"] == "trips"
    assert said["mobility"]["path"] == "*-divvy-tripdata.csv"
    assert said["mobility"]["columns"] == {
        "origin_latitude": "start_lat", "origin_longitude": "start_lng",
        "destination_latitude": "end_lat", "destination_longitude": "end_lng", "time": "started_at",
    }  # fmt: skip
    assert "modalities" not in said
    assert "tasks" not in said


def test_events_find_user_time_and_the_format_of_times(tmp_path: Path) -> None:
    latitude, longitude = near(300)
    times = [f"{1 + n % 30}/11/2023 {n % 24:02}:30 +01:00" for n in range(300)]
    csv(tmp_path / "pings.csv", {"device_id": [f"d{n % 20}" for n in range(300)], "when": times,
                                 "latitude": latitude, "longitude": longitude})  # fmt: skip
    said = drafted(tmp_path)["mobility"]
    assert said["kind"] == "events"
    assert said["columns"] == {"user": "device_id", "time": "when", "latitude": "latitude", "longitude": "longitude"}
    assert said["time_format"].startswith("%d/%m/%Y %H:%M")


def test_times_without_a_zone_are_asked_for_and_the_nearest_zone_is_offered(tmp_path: Path) -> None:
    """A zone is never made up: the draft loads, and says what to fill in."""
    latitude, longitude = near(300)
    csv(tmp_path / "pings.csv", {"user": [f"u{n % 20}" for n in range(300)], "time": ["2024-03-04 08:00:00"] * 300,
                                 "lat": latitude, "lon": longitude})  # fmt: skip
    draft, file, problem = write_draft(tmp_path)
    assert "time_zone" not in yaml.safe_load(draft.text)["mobility"]
    assert "# time_zone: Europe/Budapest" in draft.text
    assert problem is not None
    assert "time_zone" in problem
    file.write_text(draft.text.replace("# time_zone:", "time_zone:"))
    check_files(RegionConfig.load(file))


def test_overture_places_are_read_by_their_nested_columns(tmp_path: Path) -> None:
    zones = places()
    csv(tmp_path / "zones.csv", zones)
    csv(tmp_path / "od.csv", flows(zones["place_id"]))
    latitude, longitude = near(100)
    folder = tmp_path / "theme=places" / "type=place"
    for part in range(2):
        parquet(
            folder / f"part-0000{part}-4f1a2b3c.zstd.parquet",
            {
                "id": [f"08f{n:029x}" for n in range(part * 100, part * 100 + 100)],
                "bbox": [
                    {"xmin": x, "xmax": x, "ymin": y, "ymax": y} for y, x in zip(latitude, longitude, strict=True)
                ],
                "names": [{"primary": f"Place {n}", "common": None} for n in range(100)],
                "basic_category": ["cafe", "bar"] * 50,
                "taxonomy": [{"primary": "coffee_shop", "hierarchy": ["food", "coffee_shop"]}] * 100,
                "confidence": random.random(100).tolist(),
            },
        )
    said = drafted(tmp_path)["modalities"]
    (pois,) = said.values()
    assert pois["kind"] == "text"
    assert pois["columns"] == {
        "latitude": "bbox.ymin", "longitude": "bbox.xmin", "name": "names.primary", "category": "basic_category",
    }  # fmt: skip
    assert len(RegionConfig.load(tmp_path).files(pois["path"])) == 2


def test_lodes_is_read_as_it_is_downloaded(tmp_path: Path) -> None:
    """Homes and workplaces by geocode, the crosswalk as the table of places, all states by one glob."""
    blocks = {state: [f"{state}001{n:010}" for n in range(60)] for state in ("10", "24")}
    for state, name in (("10", "de"), ("24", "md")):
        ends = flows(blocks[state], 400, ("w_geocode", "h_geocode", "S000"))
        more = {key: random.integers(0, 5, 400).tolist() for key in ("SA01", "SA02", "SA03", "SE01", "SE02", "SE03")}
        csv(tmp_path / f"{name}_od_main_JT00_2021.csv.gz", {**ends, **more, "createdate": [20230321] * 400})
        latitude, longitude = near(60)
        csv(
            tmp_path / f"{name}_xwalk.csv.gz",
            {
                "tabblk2020": [f'"{block}"' for block in blocks[state]], "st": [f'"{state}"'] * 60,
                "trct": [f'"{block[:11]}"' for block in blocks[state]], "stname": ['"State"'] * 60,
                "blklatdd": [f'"{value}"' for value in latitude], "blklondd": [f'"{value}"' for value in longitude],
                "createdate": ['"20230321"'] * 60,
            },
        )  # fmt: skip
    said = drafted(tmp_path)
    assert said["mobility"]["path"] == "*_od_main_JT00_2021.csv.gz"
    assert said["mobility"]["columns"] == {"origin": "h_geocode", "destination": "w_geocode", "flow": "S000"}
    assert said["places"] == {
        "path": "*_xwalk.csv.gz", "id": "tabblk2020", "latitude": "blklatdd", "longitude": "blklondd",
    }  # fmt: skip


def test_spanish_and_french_columns_and_other_separators_are_understood(tmp_path: Path) -> None:
    """MITMA by `|` with an end outside, INSEE by `;` with labels beside codes: no dialect need be declared."""
    zones = places()
    for folder in ("mitma", "insee"):
        csv(tmp_path / folder / "zonas.csv", zones, ";")
    ends = flows([*zones["place_id"][:-1], "externo"], 400, ("origen", "destino", "viajes"))
    csv(
        tmp_path / "mitma" / "20240101_Viajes_distritos.csv.gz",
        {
            "fecha": [20240101] * 400, "periodo": [n % 24 for n in range(400)], "origen": ends["origen"],
            "destino": ends["destino"], "distancia": ["2-10"] * 400, "actividad_origen": ["casa", "frecuente"] * 200,
            "actividad_destino": ["frecuente", "casa"] * 200, "residencia": ["01", "28"] * 200, "renta": ["<10"] * 400,
            "viajes": [value + 0.25 for value in ends["viajes"]],
            "viajes_km": [value * 3.5 for value in ends["viajes"]],
        },
        "|",
    )  # fmt: skip
    said = drafted(tmp_path / "mitma")["mobility"]
    assert said["columns"] == {"origin": "origen", "destination": "destino", "flow": "viajes"}
    assert "csv" not in said
    ends = flows(zones["place_id"], 400, ("CODGEO", "DCLT", "NBFLUX_C22_ACTOCC15P"))
    flow = [f"{value}.5" for value in ends.pop("NBFLUX_C22_ACTOCC15P")]
    csv(tmp_path / "insee" / "flux.csv", {"CODGEO": ends["CODGEO"], "LIBGEO": ["Ville"] * 400, "DCLT": ends["DCLT"],
                                          "L_DCLT": ["Bourg"] * 400, "NBFLUX_C22_ACTOCC15P": flow}, ";")  # fmt: skip
    said = drafted(tmp_path / "insee")["mobility"]
    assert said["columns"] == {"origin": "CODGEO", "destination": "DCLT", "flow": "NBFLUX_C22_ACTOCC15P"}


def test_uk_flows_find_codes_beside_labels_and_name_their_indicator(tmp_path: Path) -> None:
    zones = places()
    csv(tmp_path / "msoa.csv", zones)
    ends = flows(zones["place_id"], 400)
    origin, work, kind = (
        "Middle layer Super Output Areas code", "MSOA of workplace code", "Place of work indicator (4 categories) code",
    )  # fmt: skip
    csv(
        tmp_path / "ODWP01EW_MSOA.csv",
        {
            origin: ends["origin"], origin.replace("code", "label"): ends["origin"], work: ends["destination"],
            work.replace("code", "label"): ends["destination"], kind: [1, 2, 3, 3] * 100,
            kind.replace("code", "label"): ["at home", "none", "elsewhere", "elsewhere"] * 100, "Count": ends["flow"],
        },
    )  # fmt: skip
    draft, _, problem = write_draft(tmp_path)
    assert problem is None
    said = yaml.safe_load(draft.text)["mobility"]["columns"]
    assert said == {"origin": origin, "destination": work, "flow": "Count"}
    assert kind in draft.text
    assert "where" in draft.text


def test_taxi_zones_without_a_count_count_each_row(tmp_path: Path) -> None:
    """Small whole numbers, such as a rate's code, are no places, although they are among the ids."""
    zones = places(200)
    ids = list(range(1, 201))
    csv(tmp_path / "zones.csv", {"LocationID": ids, "latitude": zones["lat"], "longitude": zones["lon"]})
    ends = random.integers(1, 201, (2, 500))
    parquet(
        tmp_path / "yellow_tripdata_2024-01.parquet",
        {
            "VendorID": [1, 2] * 250, "tpep_pickup_datetime": pa.array([1704100000000000] * 500, pa.timestamp("us")),
            "passenger_count": [1.0, 2.0] * 250, "RatecodeID": [1.0, 5.0] * 250, "PULocationID": ends[0].tolist(),
            "DOLocationID": ends[1].tolist(), "payment_type": [1, 2] * 250, "fare_amount": random.random(500).tolist(),
        },
    )  # fmt: skip
    said = drafted(tmp_path)
    columns = said["mobility"]["columns"]
    assert (columns["origin"], columns["destination"]) == ("PULocationID", "DOLocationID")
    assert "flow" not in columns
    assert said["places"]["id"] == "LocationID"


def test_cells_need_no_places(tmp_path: Path) -> None:
    """Flows between H3 cells, and a population by H3 cell."""
    cells = h3.grid_disk(h3.latlng_to_cell(47.5, 19.05, 8), 6)
    csv(tmp_path / "people.csv", {"h3": cells, "population": random.integers(1, 99, len(cells)).tolist()})
    csv(tmp_path / "flows.csv", flows(list(cells), 500, ("from_h3", "to_h3", "trips")))
    said = drafted(tmp_path)
    assert "places" not in said
    assert said["resolution"] == 8
    assert said["mobility"]["columns"] == {"origin": "from_h3", "destination": "to_h3", "flow": "trips"}
    assert said["tasks"]["population"] == {
        "level": "cell", "path": "people.csv", "cell": "h3", "column": "population", "aggregate": "sum",
    }  # fmt: skip


def test_zones_as_polygons_are_places(tmp_path: Path) -> None:
    zones = places()
    squares = [
        f"POLYGON(({x} {y}, {x + 0.01} {y}, {x + 0.01} {y + 0.01}, {x} {y}))"
        for y, x in zip(zones["lat"], zones["lon"], strict=True)
    ]
    csv(tmp_path / "zones.csv", {"code": zones["place_id"], "name": ["Zone"] * 40, "shape": squares}, ";")
    csv(tmp_path / "od.csv", flows(zones["place_id"]))
    said = drafted(tmp_path)
    assert said["places"]["id"] == "code"
    assert said["places"]["geometry"] == "shape"
    assert said["resolution"] == 7


def test_flows_without_places_say_what_to_add(tmp_path: Path) -> None:
    csv(tmp_path / "od.csv", flows([f"{n:05}" for n in range(1000, 1040)]))
    draft, file, problem = write_draft(tmp_path)
    assert "TODO" in draft.text
    assert problem is not None
    csv(tmp_path / "places.csv", {"id": [f"{n:05}" for n in range(1000, 1040)], "lat": [47.5] * 40, "lon": [19.0] * 40})
    file.write_text(draft.text.replace("# places:", "places:"))
    check_files(RegionConfig.load(file))


def test_a_region_without_mobility_loads_and_asks_for_an_encoder(tmp_path: Path) -> None:
    latitude, longitude = near(100)
    csv(tmp_path / "pois.csv", {"lat": latitude, "lon": longitude, "type": ["a", "b"] * 50})
    draft, _, problem = write_draft(tmp_path)
    assert problem is None
    assert "TODO" in draft.text
    assert list(yaml.safe_load(draft.text)["modalities"]) == ["pois"]


def test_hive_folders_and_months_are_one_table(tmp_path: Path) -> None:
    a, b = near(50), near(50)
    points = {"from_lat": a[0], "from_lon": a[1], "to_lat": b[0], "to_lon": b[1]}
    for day in range(1, 6):
        parquet(tmp_path / "trips" / f"date=2024-01-0{day}" / "part-0.parquet", points)
    said = drafted(tmp_path)["mobility"]
    assert said["path"] == "trips"
    assert said["columns"]["time"] == "date"


def test_years_of_one_table_are_not_added_up(tmp_path: Path) -> None:
    """The last year is taken, the others are named."""
    zones = places()
    csv(tmp_path / "zones.csv", zones)
    csv(tmp_path / "od.csv", flows(zones["place_id"]))
    for year in (2019, 2020, 2021):
        counts = {f"age_{n}": random.integers(0, 9, 40).tolist() for n in range(5)}
        csv(tmp_path / f"ages_{year}.csv", {"place_id": zones["place_id"], **counts})
    draft, _, _ = write_draft(tmp_path)
    said = yaml.safe_load(draft.text)["modalities"]
    assert [each["path"] for each in said.values()] == ["ages_2021.csv"]
    assert "ages_2019.csv" in draft.text


def test_two_years_in_one_table_take_the_last(tmp_path: Path) -> None:
    """A place with two rows would be a mixture of both."""
    zones = places()
    csv(tmp_path / "zones.csv", zones)
    csv(tmp_path / "od.csv", flows(zones["place_id"]))
    ages = {f"age_{n}": random.integers(0, 9, 80).tolist() for n in range(5)}
    csv(tmp_path / "ages.csv", {"place_id": zones["place_id"] * 2, "year": [2018] * 40 + [2019] * 40, **ages})
    assert drafted(tmp_path)["modalities"]["ages"]["where"] == "year = '2019'"


def test_what_cannot_be_read_is_said_and_the_rest_is_drafted(tmp_path: Path) -> None:
    zones = places()
    csv(tmp_path / "zones.csv", zones)
    csv(tmp_path / "od.csv", flows(zones["place_id"]))
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 no PAR1")
    (tmp_path / "twins.csv").write_text("a,a\n1,2\n3,4\n")
    said = draft_region(tmp_path)
    assert "broken.parquet" in said.text
    assert "twins.csv" in said.text
    assert yaml.safe_load(said.text)["mobility"]["path"] == "od.csv"


# --- The file that is written


def test_a_file_that_exists_is_never_touched(tmp_path: Path) -> None:
    a, b = near(20), near(20)
    csv(tmp_path / "t.csv", {"from_lat": a[0], "from_lon": a[1], "to_lat": b[0], "to_lon": b[1]})
    (tmp_path / "region.yaml").write_text("mine: 1\n")
    with pytest.raises(UserError, match="exists already"):
        write_draft(tmp_path)
    assert (tmp_path / "region.yaml").read_text() == "mine: 1\n"
    (tmp_path / "elsewhere").mkdir()
    _, file, problem = write_draft(tmp_path, output=tmp_path / "elsewhere")
    assert problem is None
    assert yaml.safe_load(file.read_text())["root"] == ".."


NAMES = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=20)


@given(NAMES, NAMES)
def test_any_name_is_read_back_as_it_is(key: str, value: str) -> None:
    """Colons, quotes, numbers, unicode: a column's name never becomes something else in YAML."""
    lines = written([Entry("top", {"key": value, key: "x"}), Entry("list", [Entry(value, value)])])
    said = yaml.safe_load("\n".join(lines))
    assert said == {"top": {"key": value, key: "x"}, "list": {value: value}}
    assert yaml.safe_load(scalar(value)) == value


@given(st.text(max_size=300))
def test_no_text_breaks_out_of_a_comment(text: str) -> None:
    """Names of files come from others: a line break in one must not add a key."""
    assert yaml.safe_load("\n".join(["a: 1", *comment(text), "b: 2"])) == {"a": 1, "b": 2}


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.permutations(["from: zone", 'to "zone"', "número de viajes", "día", "#note"]), st.sampled_from(",;|\t"))
def test_odd_names_in_any_order_and_dialect_are_found(
    tmp_path_factory: pytest.TempPathFactory, order: list[str], separator: str
) -> None:
    folder = tmp_path_factory.mktemp("odd")
    zones = places()
    csv(folder / "zones: all.csv", zones, separator)
    ends = flows(zones["place_id"], 200)
    columns = {
        "from: zone": ends["origin"], 'to "zone"': ends["destination"], "número de viajes": ends["flow"],
        "día": [f"2024-01-{1 + n % 28:02}" for n in range(200)], "#note": ["x"] * 200,
    }  # fmt: skip
    parquet(folder / "od.parquet", {name: columns[name] for name in order})
    said = drafted(folder)
    assert said["mobility"]["columns"] == {
        "origin": "from: zone", "destination": 'to "zone"', "flow": "número de viajes",
    }  # fmt: skip
    assert said["places"]["path"] == "zones: all.csv"


def test_the_name_is_made_from_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "2024 Île-de-France (v2)"
    a, b = near(20), near(20)
    csv(folder / "t.csv", {"from_lat": a[0], "from_lon": a[1], "to_lat": b[0], "to_lon": b[1]})
    assert drafted(folder)["region"] == "region_2024_ile_de_france_v2"


@pytest.mark.parametrize(("step", "expected"), [(0.3, 5), (0.02, 7), (0.002, 9)])
def test_the_resolution_follows_the_distance_between_places(tmp_path: Path, step: float, expected: int) -> None:
    """Places 30 km, 2 km and 200 m apart: cells that hold one or a few, never finer than 9 or coarser than 5."""
    zones = places(100, step)
    csv(tmp_path / "zones.csv", zones)
    csv(tmp_path / "od.csv", flows(zones["place_id"]))
    draft = draft_region(tmp_path)
    assert yaml.safe_load(draft.text)["resolution"] == expected
    assert "apart" in draft.text.partition("resolution:")[0]
    assert yaml.safe_load(draft_region(tmp_path, resolution=4).text)["resolution"] == 4


def test_a_hundred_files_take_seconds(tmp_path: Path) -> None:
    zones = places(400)
    csv(tmp_path / "zones.csv", zones)
    for month in range(60):
        csv(tmp_path / "od" / f"od_{month:03}.csv", flows(zones["place_id"], 2000))
    for number in range(39):
        labels = {"place_id": zones["place_id"], f"label_{number}": random.random(400).tolist()}
        csv(tmp_path / f"label {chr(97 + number % 26)}{'x' * (number // 26)}.csv", labels)
    start = time.process_time()  # the machine may be busy with other tests
    said = drafted(tmp_path)
    assert time.process_time() - start < 10
    assert said["mobility"]["path"] == "od"
    assert len(said["tasks"]) == 39


# --- Imagery


def test_tiles_and_colour_images_become_imagery(tmp_path: Path) -> None:
    import rasterio
    from rasterio.transform import from_origin

    a, b = near(50), near(50)
    csv(tmp_path / "t.csv", {"from_lat": a[0], "from_lon": a[1], "to_lat": b[0], "to_lon": b[1]})
    for zoom, x, y in ((9, 283, 179), (12, 2264, 1432)):
        (tmp_path / f"tiles/{zoom}/{x}").mkdir(parents=True)
        (tmp_path / f"tiles/{zoom}/{x}/{y}.png").touch()
    for name, bands in (("aerial.tif", 3), ("pop_2020.tif", 1)):
        form = {"driver": "GTiff", "width": 4, "height": 4, "count": bands, "dtype": "uint8", "crs": "EPSG:4326"}
        with rasterio.open(tmp_path / name, "w", transform=from_origin(19, 48, 0.1, 0.1), **form) as raster:
            raster.write(np.ones((bands, 4, 4), dtype=np.uint8))
    draft = draft_region(tmp_path)
    said = yaml.safe_load(draft.text)["modalities"]
    images = [each for each in said.values() if each["kind"] == "image"]
    assert {each["source"]: each["path"] for each in images} == {
        "xyz": "tiles/{z}/{x}/{y}.png", "geotiff": "aerial.tif",
    }  # fmt: skip
    assert "kind: raster, path: pop_2020.tif, statistic: sum" in draft.text


def test_bands_of_sentinel_and_an_archive_of_tiles_become_imagery(tmp_path: Path) -> None:
    import rasterio
    from rasterio.transform import from_origin

    a, b = near(50), near(50)
    csv(tmp_path / "t.csv", {"from_lat": a[0], "from_lon": a[1], "to_lat": b[0], "to_lon": b[1]})
    (tmp_path / "s2").mkdir()
    form = {"driver": "GTiff", "width": 4, "height": 4, "count": 1, "dtype": "uint16", "crs": "EPSG:32634"}
    for band in ("B02", "B03", "B04", "B08"):
        place = from_origin(300000, 5300000, 10, 10)
        with rasterio.open(tmp_path / "s2" / f"T34TCT_20240101_{band}_10m.tif", "w", transform=place, **form) as raster:
            raster.write(np.ones((1, 4, 4), dtype=np.uint16))
    with closing(sqlite3.connect(tmp_path / "base.mbtiles")) as tiles, tiles:
        tiles.execute("create table tiles (zoom_level integer, tile_column integer, tile_row integer, tile_data blob)")
        tiles.executemany("insert into tiles values (?, 0, 0, x'00')", [(zoom,) for zoom in range(5, 15)])
    said = list(yaml.safe_load(draft_region(tmp_path).text)["modalities"].values())
    assert {each["path"]: each.get("bands") for each in said} == {
        "base.mbtiles": None, "s2": ["*B04_10m.tif", "*B03_10m.tif", "*B02_10m.tif"],
    }  # fmt: skip


def test_tiles_that_lie_over_the_region_from_the_south_are_read_so(shared_data: Path) -> None:
    case = shared_data / "cases" / "i2-tms"
    if not case.is_dir():
        pytest.skip("the cases are not here")
    (imagery,) = yaml.safe_load(draft_region(case).text)["modalities"].values()
    assert imagery["path"] == "tiles/{z}/{x}/{-y}.png"


def test_numbers_that_may_be_read_in_two_ways_are_asked_for(tmp_path: Path) -> None:
    """Nobody but their owner knows whether 1,234 is a thousand: the draft names the column, and declares nothing."""
    zones = places()
    csv(tmp_path / "zones.csv", zones, ";")
    ends = flows(zones["place_id"])
    csv(tmp_path / "od.csv", {**ends, "flow": [f"1,{100 + n}" for n in range(300)]}, ";")
    draft, file, problem = write_draft(tmp_path)
    assert problem is None or "flow" in problem
    assert "csv" not in yaml.safe_load(draft.text)["mobility"]
    assert "TODO: say how numbers are written" in draft.text
    file.write_text(draft.text.replace("# csv:", "csv:"))
    check_files(RegionConfig.load(file))


# --- The command


def test_the_command_writes_says_what_it_found_and_what_is_next(tmp_path: Path) -> None:
    zones = places()
    csv(tmp_path / "town" / "zones.csv", zones)
    csv(tmp_path / "town" / "od.csv", flows(zones["place_id"]))
    run = CliRunner().invoke(main, ["region", "new", str(tmp_path / "town"), "--resolution", "8"])
    assert run.exit_code == 0, run.output
    assert "od.csv" in run.output
    assert "mora region add" in run.output
    config = RegionConfig.load(tmp_path / "town")
    assert (config.region, config.resolution) == ("town", 8)
    again = CliRunner().invoke(main, ["region", "new", str(tmp_path / "town")])
    assert again.exit_code == 2
    assert "exists already" in again.output


@pytest.mark.parametrize(("make", "message"), [("", "is no folder"), ("empty", "no data that can be read")])
def test_a_folder_without_data_is_one_message(tmp_path: Path, make: str, message: str) -> None:
    if make:
        (tmp_path / "none").mkdir()
        (tmp_path / "none" / "report.pdf").touch()
    run = CliRunner().invoke(main, ["region", "new", str(tmp_path / "none")])
    assert run.exit_code == 2
    assert message in run.output
    assert "Traceback" not in run.output
    assert not (tmp_path / "none" / "region.yaml").exists()


# --- Real data


SOURCES = {
    "lodes8": [lodes8], "odwp01ew": [odwp01ew], "insee": [insee], "divvy": [divvy], "citi_bike": [citi_bike],
    "meta_movement": [meta_movement], "overture": [lodes8, overture], "foursquare": [divvy, foursquare],
}  # fmt: skip


@pytest.mark.parametrize("name", SOURCES)
def test_downloads_are_described_as_the_example_of_their_source_does(tmp_path: Path, name: str) -> None:
    """The same files play the same roles, wherever the example names a column and no expression."""
    example = load_example(name, tmp_path, *SOURCES[name])
    assert example.mobility is not None
    _, file, problem = write_draft(tmp_path / "data")
    draft = RegionConfig.load(file)
    assert problem is None
    assert draft.mobility is not None
    assert draft.mobility.kind == example.mobility.kind
    assert draft.files(draft.mobility.path) == example.files(example.mobility.path)
    ours = draft.mobility.columns.roles()
    for role, column in example.mobility.columns.roles().items():
        assert ours[role] == column or "(" in column
    if example.places is not None:
        assert draft.places is not None
        assert draft.places.roles("id", "latitude", "longitude") == example.places.roles("id", "latitude", "longitude")
    kinds = sorted(modality.kind for modality in example.modalities.values())
    assert sorted(modality.kind for modality in draft.modalities.values()) == kinds


@pytest.mark.parametrize("name", ["nyc_regions", "santiago_taxi", "us_counties", "us_east"])
def test_real_regions_are_described_as_their_owners_did(shared_data: Path, tmp_path: Path, name: str) -> None:
    said = drafted(shared_data / name, output=tmp_path / "region.yaml")
    real = yaml.safe_load((EXAMPLES / name / "region.yaml").read_text())
    assert said["mobility"] == real["mobility"]
    assert said.get("places") == real.get("places")
    kinds = {(each["kind"], each["path"]) for each in real.get("modalities", {}).values()}
    assert kinds <= {(each["kind"], each["path"]) for each in said.get("modalities", {}).values()}


def test_every_case_gives_a_draft_that_loads(shared_data: Path, tmp_path: Path) -> None:
    cases = sorted(path for path in (shared_data / "cases").glob("*") if path.is_dir())
    if not cases:
        pytest.skip("the cases are not here")
    for case in cases:
        real = yaml.safe_load((case / "region.yaml").read_text())
        _, file, _ = write_draft(case, output=tmp_path / f"{case.name}.yaml")
        said = yaml.safe_load(file.read_text())
        RegionConfig.load(file)
        if "mobility" in said:  # where its file cannot be read, the draft says so
            assert said["mobility"]["kind"] == real["mobility"]["kind"], case.name
            for role, column in real["mobility"]["columns"].items():
                assert said["mobility"]["columns"][role] == column, case.name
