"""Examples of real sources gridded by the real jobs, against flows and texts counted by hand."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h3.api.basic_int as h3
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from mora_pipeline.modalities import kind_of
from mora_pipeline.region import RegionConfig
from mora_pipeline.region.jobs import mobility_job
from spark_jobs import grid_mobility, grid_text
from tests.examples.commuting import COMMUNES, LODES_BLOCKS, insee, lodes8
from tests.examples.loading import load_example
from tests.examples.pois import overture
from tests.examples.trips import LOOP, PARK, STATIONS, divvy, divvy_stations

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
    "divvy": (divvy, [(LOOP, PARK, 2), (PARK, LOOP, 1), (LOOP, LOOP, 1)]),
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


def test_texts_of_overture_are_counted_in_their_cells(spark: SparkSession, tmp_path: Path) -> None:
    config = load_example("overture", tmp_path, lodes8, overture)
    kind, poi = kind_of("text"), config.modalities["poi"]
    output = {key: str(tmp_path / key) for key in (*kind.job_outputs, "quarantine")}
    grid_text.run(spark, {**kind.job_parameters(config, "poi", poi), "output": output})
    texts = {row["text_id"]: row["text"] for row in pq.read_table(output["texts"]).to_pylist()}
    found = {
        (row["cell"], texts[row["text_id"]]): row["count"] for row in pq.read_table(output["text_cells"]).to_pylist()
    }
    places = [
        ((41.7640, -72.6743), "Bushnell Park, park", 2),
        ((41.7700, -72.6841), "Café Rêve, cafe", 1),
        ((41.7700, -72.6842), "Lot 7", 1),
        ((48.8584, 2.2945), "Tour Eiffel, historic_site", 1),
    ]
    assert found == {(h3.latlng_to_cell(*point, config.resolution), text): count for point, text, count in places}
