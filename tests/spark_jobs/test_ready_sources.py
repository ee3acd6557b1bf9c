"""Examples of real sources gridded by the real jobs, against flows and texts counted by hand."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h3.api.basic_int as h3
import h3.api.basic_str as h3_text
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from mora_pipeline.modalities import kind_of
from mora_pipeline.region import RegionConfig
from mora_pipeline.region.jobs import mobility_job
from spark_jobs import grid_mobility, grid_table, grid_text
from tests.examples.commuting import COMMUNES, LODES_BLOCKS, insee, lodes8
from tests.examples.loading import load_example
from tests.examples.pois import overture
from tests.examples.trips import LOOP, PARK, STATIONS, divvy, divvy_stations
from tests.examples.zones import (
    GEMEINDEN,
    MITMA_ZONES,
    TAXI_ZONES,
    kontur,
    kontur_people,
    mitma,
    nyc_tlc,
    pendleratlas,
    quackosm,
)

Point = tuple[float, float]
Flows = list[tuple[Point, Point, float]]
BLOCKS = list(LODES_BLOCKS.values())
AIN, BUGEY, LYON, PARIS, AJACCIO = COMMUNES.values()
TRIPS: dict[str, tuple[Callable[[Path], None], Flows]] = {
    "lodes8": (
        lodes8,
        [
            (BLOCKS[1], BLOCKS[0], 12),  # from the home to the workplace
            (BLOCKS[2], BLOCKS[0], 3),
            (BLOCKS[0], BLOCKS[1], 5),
            (BLOCKS[2], BLOCKS[2], 7),
        ],
    ),
    "insee": (
        insee,
        [
            (AIN, AIN, 88.0632146),
            (AIN, LYON, 10.125),
            (BUGEY, LYON, 225.5),
            (PARIS, PARIS, 1204.25),
            (AJACCIO, PARIS, 31.0625),
        ],
    ),
    "divvy": (divvy, [(LOOP, PARK, 4), (PARK, LOOP, 1), (LOOP, LOOP, 1)]),
    "divvy_stations": (divvy_stations, [(STATIONS[85], STATIONS[289], 2), (STATIONS[289], STATIONS[85], 1)]),
}


def gridded(spark: SparkSession, config: RegionConfig, folder: Path) -> dict[tuple[int, int], float]:
    """The edges and, as an edge to itself, the flow inside each cell."""
    output = {name: str(folder / name) for name in ("edges", "self_flow", "rhythm", "quarantine")}
    job: dict[str, Any] = {**json.loads(json.dumps(mobility_job(config), default=str)), "output": output}
    if "weeks" in job:
        job["kept"] = str(folder / "kept")
    grid_mobility.run(spark, job)
    edges, inside = (pq.read_table(folder / name).to_pylist() for name in ("edges", "self_flow"))
    return {
        **{(row["origin"], row["destination"]): row["flow"] for row in edges},
        **{(row["cell"], row["cell"]): row["internal_flow"] for row in inside if row["internal_flow"]},
    }


def by_cells(flows: Flows, resolution: int) -> dict[tuple[int, int], float]:
    sums: Counter[tuple[int, int]] = Counter()
    for start, end, flow in flows:
        sums[h3.latlng_to_cell(*start, resolution), h3.latlng_to_cell(*end, resolution)] += flow  # type: ignore[assignment]
    return dict(sums)


@pytest.mark.parametrize("name", TRIPS)
def test_flows_are_those_of_the_files(spark: SparkSession, tmp_path: Path, name: str) -> None:
    download, flows = TRIPS[name]
    config = load_example(name, tmp_path, download)
    found = gridded(spark, config, tmp_path)
    assert found == pytest.approx(by_cells(flows, config.resolution))


ZONES: dict[str, tuple[Callable[[Path], None], Flows]] = {
    "nyc_tlc": (
        nyc_tlc,
        [
            (TAXI_ZONES[230], TAXI_ZONES[1], 3),
            (TAXI_ZONES[57], TAXI_ZONES[230], 1),
            (TAXI_ZONES[230], TAXI_ZONES[230], 1),
        ],
    ),
    "pendleratlas": (pendleratlas, [(*list(GEMEINDEN.values())[:2], 2345), (*list(GEMEINDEN.values())[1::-1], 9123)]),
}


@pytest.mark.parametrize("name", ZONES)
def test_flows_between_small_zones_are_those_of_their_cells(spark: SparkSession, tmp_path: Path, name: str) -> None:
    download, flows = ZONES[name]
    config = load_example(name, tmp_path, download)
    assert gridded(spark, config, tmp_path) == pytest.approx(by_cells(flows, config.resolution))


def test_flows_of_a_district_are_spread_on_its_cells(spark: SparkSession, tmp_path: Path) -> None:
    """Madrid's district has the outline of two cells; both days and all hours are added up."""
    config = load_example("mitma", tmp_path, mitma)
    found = gridded(spark, config, tmp_path)
    alava, group, madrid = (h3.latlng_to_cell(*point, config.resolution) for point in MITMA_ZONES.values())
    other = h3.str_to_int(min(set(h3_text.grid_disk(h3.int_to_str(madrid), 1)) - {h3.int_to_str(madrid)}))
    to_madrid, from_madrid = 4.332 + 1.25 + 1.418, 2.5
    areas = {cell: h3.cell_area(cell) for cell in (madrid, other)}
    expected = {(alava, alava): 11.001}
    for cell, area in areas.items():
        share = area / sum(areas.values())
        expected |= {(alava, cell): to_madrid * share, (cell, group): from_madrid * share}
    assert found == pytest.approx(expected, rel=0.01)
    assert sum(found.values()) == pytest.approx(11.001 + to_madrid + from_madrid)


def texts_in(spark: SparkSession, config: RegionConfig, tmp_path: Path) -> dict[tuple[int, str], float]:
    """How often a cell has each text."""
    kind, poi = kind_of("text"), config.modalities["poi"]
    output = {key: str(tmp_path / key) for key in (*kind.job_outputs, "quarantine")}
    grid_text.run(spark, {**kind.job_parameters(config, "poi", poi), "output": output})
    texts = {row["text_id"]: row["text"] for row in pq.read_table(output["texts"]).to_pylist()}
    rows = pq.read_table(output["text_cells"]).to_pylist()
    return {(row["cell"], texts[row["text_id"]]): row["count"] for row in rows}


def test_texts_of_overture_are_counted_in_their_cells(spark: SparkSession, tmp_path: Path) -> None:
    config = load_example("overture", tmp_path, lodes8, overture)
    places = [
        ((41.7640, -72.6743), "Bushnell Park, park", 2),
        ((41.7700, -72.6841), "Café Rêve, cafe", 1),
        ((41.7700, -72.6842), "Lot 7", 1),
        ((48.8584, 2.2945), "Tour Eiffel, historic_site", 1),
    ]
    expected = {(h3.latlng_to_cell(*point, config.resolution), text): count for point, text, count in places}
    assert texts_in(spark, config, tmp_path) == expected


def test_things_of_openstreetmap_are_counted_in_their_cell(spark: SparkSession, tmp_path: Path) -> None:
    config = load_example("quackosm", tmp_path, pendleratlas, quackosm)
    munich = h3.latlng_to_cell(*GEMEINDEN["091620000000"], config.resolution)
    assert texts_in(spark, config, tmp_path) == {(munich, "Café Luitpold, cafe"): 1, (munich, "Glyptothek, museum"): 1}


def test_people_of_kontur_are_added_up_in_the_parents_of_their_cells(spark: SparkSession, tmp_path: Path) -> None:
    config = load_example("kontur", tmp_path, mitma, kontur)
    kind, people = kind_of("table"), config.modalities["people"]
    output = {key: str(tmp_path / key) for key in (*kind.job_outputs, "quarantine")}
    grid_table.run(spark, {**kind.job_parameters(config, "people", people), "output": output})
    expected: dict[int, float] = {}
    for cell, number in kontur_people().items():
        parent = h3.str_to_int(h3_text.cell_to_parent(cell, config.resolution))
        expected[parent] = expected.get(parent, 0) + number
    sums = pq.read_table(output["sums"]).to_pydict()
    cells = sums.pop("cell")
    assert sums
    assert len(expected) > 1
    for name, values in sums.items():
        assert dict(zip(cells, values, strict=True)) == pytest.approx(expected), name
