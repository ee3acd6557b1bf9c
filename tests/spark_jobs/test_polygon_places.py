"""Places as polygons and cells, and rows with geometries and cells, gridded by the jobs; against naive spreading."""

import itertools
from collections import defaultdict
from pathlib import Path
from typing import Any

import h3
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import shapely
from pyspark.sql import SparkSession

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.polygons import spread_polygons
from spark_jobs import grid_mobility, grid_table, grid_text
from spark_jobs.output import part_files

OUTPUTS = ("edges", "self_flow", "rhythm", "quarantine")
ZONES = {name: shapely.box(-74 + 0.04 * n, 40.7, -73.965 + 0.04 * n, 40.73) for n, name in enumerate("abcd")}
RESOLUTION = 7


def shares_of(shape: shapely.Geometry) -> dict[int, float]:
    _, cells, shares = spread_polygons(pa.array([shape.wkb]), None, RESOLUTION)
    return dict(zip(cells.tolist(), shares.tolist(), strict=True))


SHARES = {name: shares_of(shape) for name, shape in ZONES.items()}


def places() -> pd.DataFrame:
    return pd.DataFrame({"id": list(ZONES), "geometry": [shape.wkt for shape in ZONES.values()]})


def flows(number: int = 400) -> pd.DataFrame:
    random = np.random.default_rng(0)
    ends = {end: random.choice([*ZONES, "externo"], number) for end in ("origin", "destination")}
    return pd.DataFrame({**ends, "flow": random.lognormal(size=number)})


def params(source: dict[str, Any], target: dict[str, str], **change: Any) -> dict[str, Any]:
    return {"kind": "od", "source": source, "resolution": RESOLUTION, "output": target, **change}


def moved(read: Any, target: dict[str, str]) -> dict[tuple[int, int], float]:
    edges, inside = read(target["edges"]), read(target["self_flow"])
    found = {(row.origin, row.destination): row.flow for row in edges.itertuples()}
    return found | {(row.cell, row.cell): row.internal_flow for row in inside.itertuples()}


def divided(rows: pd.DataFrame, shares: dict[str, dict[int, float]]) -> dict[tuple[int, int], float]:
    wanted: dict[tuple[int, int], float] = defaultdict(float)
    for row in rows.itertuples():
        if row.origin in shares and row.destination in shares:
            for (a, share_a), (b, share_b) in itertools.product(
                shares[row.origin].items(), shares[row.destination].items()
            ):
                wanted[a, b] += row.flow * share_a * share_b
    return wanted


def assert_near(found: dict, wanted: dict, total: float) -> None:
    assert found.keys() <= wanted.keys()
    for pair, flow in wanted.items():
        assert found.get(pair, 0) == pytest.approx(flow, abs=1e-6 * total)


def test_flows_between_polygons_go_to_all_pairs_of_their_cells(
    spark: SparkSession, source: Any, output: Any, read: Any
) -> None:
    """And the whole flow arrives; places that nobody knows are apart."""
    target, rows = output(*OUTPUTS), flows()
    outcome = grid_mobility.run(
        spark, params(source(rows, "flows.csv"), target, places=source(places(), "places.csv"), maximum_bad_share=0)
    )
    found = moved(read, target)
    wanted = divided(rows, SHARES)
    total = sum(wanted.values())
    assert_near(found, wanted, total)
    assert sum(found.values()) == pytest.approx(total, rel=1e-9)
    assert all(check.passed for check in outcome.checks.values())
    assert outcome.checks["flow_conserved"].metadata["flow_of_rows"] == pytest.approx(total)
    assert outcome.checks["places_shares_sum_to_one"].metadata["cells_of_places"] == sum(map(len, SHARES.values()))
    assert outcome.metadata["rows_apart"] == {"unknown place": int((rows == "externo").any(axis=1).sum())}


def test_the_order_and_the_files_of_divided_flows_change_no_byte(
    spark: SparkSession, source: Any, output: Any, tmp_path: Path
) -> None:
    rows, written = flows(), []
    halves = source(rows.iloc[:150], "one.csv"), source(rows.iloc[150:], "two.csv")
    apart = {**halves[0], "files": [*halves[0]["files"], *halves[1]["files"]]}
    for each in (source(rows, "all.csv"), source(rows.sample(frac=1, random_state=1), "mixed.csv"), apart):
        target = output(*OUTPUTS)
        grid_mobility.run(spark, params(each, target, places=source(places(), "places.csv"), partitions=2))
        written.append([Path(file).read_bytes() for file in part_files(target["edges"])])
    assert written[0] == written[1] == written[2]


def test_a_window_of_divided_flows_is_that_of_a_rebuild(
    spark: SparkSession, source: Any, output: Any, tmp_path: Path
) -> None:
    """A nightly incremental run that adds a file to the sums in the cache, against all files at once."""
    halves = [source(part, f"2024-01-0{n}.csv") for n, part in enumerate((flows().iloc[:150], flows().iloc[150:]), 1)]
    files = [half["files"][0] for half in halves]
    dates = {file: f"2024-01-0{n}" for n, file in enumerate(files, 1)}
    common = {"places": source(places(), "places.csv"), "weeks": 4, "partitions": 2}
    nightly, rebuilt = output(*OUTPUTS), output(*OUTPUTS)
    for count in (1, 2):
        target = nightly if count == 2 else output(*OUTPUTS)
        own = {**halves[0], "files": files[:count]}
        given = {"kept": str(tmp_path / "kept"), "dates": {file: dates[file] for file in files[:count]}}
        grid_mobility.run(spark, params(own, target, **common, **given))
    fresh = {"kept": str(tmp_path / "fresh"), "dates": dates}
    grid_mobility.run(spark, params({**halves[0], "files": files}, rebuilt, **common, **fresh))
    one, other = ([Path(file).read_bytes() for file in part_files(each["edges"])] for each in (nightly, rebuilt))
    assert one == other


def test_users_cannot_be_divided(spark: SparkSession, source: Any, output: Any) -> None:
    rows = flows().assign(users=1)
    with pytest.raises(UserError, match=r"users is 'users', but 4 places lie in several cells"):
        grid_mobility.run(
            spark, params(source(rows, "flows.csv"), output(*OUTPUTS), places=source(places(), "places.csv"))
        )


def test_a_list_of_zones_and_their_cells_is_a_table_of_places(
    spark: SparkSession, source: Any, output: Any, read: Any
) -> None:
    target, rows = output(*OUTPUTS), flows()
    cells = {name: h3.grid_disk(h3.latlng_to_cell(40.7 + n / 50, -74, RESOLUTION), 1) for n, name in enumerate("abcd")}
    named = pd.DataFrame([(name, cell) for name, own in cells.items() for cell in own], columns=["id", "cell"])
    outcome = grid_mobility.run(
        spark, params(source(rows, "flows.csv"), target, places=source(named, "places.csv"), maximum_bad_share=0)
    )
    evenly = {name: {h3.str_to_int(cell): 1 / 7 for cell in own} for name, own in cells.items()}
    wanted = divided(rows, evenly)
    assert_near(moved(read, target), wanted, sum(wanted.values()))
    assert all(check.passed for check in outcome.checks.values())


def test_without_places_the_ends_are_cells_of_any_resolution(
    spark: SparkSession, source: Any, output: Any, read: Any
) -> None:
    """Finer ones go to their parents; of a coarser one, the children share the flow; others are bad."""
    target, here = output(*OUTPUTS), h3.latlng_to_cell(40.7, -74, RESOLUTION)
    there = h3.latlng_to_cell(41, -74, RESOLUTION)
    coarse = h3.cell_to_parent(there, RESOLUTION - 1)
    fine = h3.cell_to_children(here, RESOLUTION + 1)[3]
    rows = pd.DataFrame(
        [(here, there, 2.5), (f"0x{fine.upper()}", there, 1), (here, coarse, 14), ("here", there, 1)],
        columns=["origin", "destination", "flow"],
    )
    outcome = grid_mobility.run(spark, params(source(rows, "flows.csv"), target, maximum_bad_share=0.5))
    a, b = h3.str_to_int(here), h3.str_to_int(there)
    wanted = {(a, h3.str_to_int(child)): 2.0 for child in h3.cell_to_children(coarse, RESOLUTION)}
    wanted[a, b] += 3.5
    assert moved(read, target) == pytest.approx(wanted, abs=1e-5)
    assert outcome.quarantined == {"no H3 cell": 1}
    assert outcome.checks["flow_conserved"].passed


def test_trips_may_start_and_end_in_cells(spark: SparkSession, source: Any, output: Any, read: Any) -> None:
    """Each end by itself: cells are brought to the resolution, and coarser ones are bad."""
    target, start = output(*OUTPUTS), h3.latlng_to_cell(40.7, -74, 9)
    rows = pd.DataFrame({"cell": [start, start, h3.cell_to_parent(start, 5)], "lat": 41.0, "lon": -74.0})
    trips = source(rows, "trips.csv", origin_cell="cell", destination_latitude="lat", destination_longitude="lon")
    outcome = grid_mobility.run(spark, {**params(trips, target), "kind": "trips", "maximum_bad_share": 0.5})
    ends = h3.cell_to_parent(start, RESOLUTION), h3.latlng_to_cell(41.0, -74.0, RESOLUTION)
    assert moved(read, target) == {tuple(map(h3.str_to_int, ends)): 2.0}
    assert outcome.quarantined == {"H3 cell coarser than the region's resolution": 1}


def test_texts_with_polygons_are_counted_by_their_shares(
    spark: SparkSession, source: Any, output: Any, read: Any
) -> None:
    """A park is a polygon, a cafe a point; what has no geometry is bad."""
    target = output("texts", "text_cells", "quarantine")
    rows = pd.DataFrame(
        [("park", ZONES["a"].wkt, 3), ("cafe", "POINT (-74 40.7)", 2), ("cafe", "POINT (-74 40.7)", 1), ("bar", "", 1)],
        columns=["category", "geometry", "count"],
    )
    given = {"source": source(rows, "poi.csv"), "resolution": RESOLUTION, "output": target, "maximum_bad_share": 0.5}
    outcome = grid_text.run(spark, given)
    texts = read(target["texts"]).set_index("text_id")["text"]
    counts = read(target["text_cells"])
    found = {
        (texts[row.text_id], row.cell): row.count_ for row in counts.rename(columns={"count": "count_"}).itertuples()
    }
    cafe = h3.str_to_int(h3.latlng_to_cell(40.7, -74, RESOLUTION))
    wanted = {("park", cell): 3 * share for cell, share in SHARES["a"].items()} | {("cafe", cafe): 3.0}
    assert found == pytest.approx(wanted)
    assert outcome.quarantined == {"geometry missing, unreadable or beyond the globe": 1}


@pytest.mark.parametrize("located", ["place", "geometry"])
def test_tables_of_polygons_apportion_counts_and_average_shares(
    spark: SparkSession, source: Any, output: Any, read: Any, located: str
) -> None:
    """What is a count shows in the totals of whole places; counts are added up, shares averaged."""
    target = output("table_cells", "weights", "sums", "quarantine")
    table = pd.DataFrame(
        {
            "place": list("abcd"),
            "geometry": [shape.wkt for shape in ZONES.values()],
            "people": [100.0, 900.0, 50.0, 0.0],
            "young": [10.0, 600.0, 25.0, 0.0],
            "old": [90.0, 300.0, 25.0, 0.0],
            "car": [20.0, 30.0, 50.0, 70.0],
            "bus": [80.0, 70.0, 50.0, 30.0],
        }
    )
    columns = {located: located, "weight": "people"}
    outcome = grid_table.run(
        spark,
        {
            "source": source(table, "table.csv", **columns),
            "places": source(places(), "places.csv"),
            "groups": {"age": ["young", "old"], "way": ["car", "bus"]},
            "resolution": RESOLUTION,
            "output": target,
        },
    )
    assert outcome.metadata["groups_of_counts"] == ["age"]
    assert outcome.checks["shares_sum_to_one"].passed
    cells, sums, weights = (read(target[name]).set_index("cell") for name in ("table_cells", "sums", "weights"))
    assert sums["age: (total)"].sum() == pytest.approx(table[["young", "old"]].to_numpy().sum(), rel=1e-9)
    assert weights["weight"].sum() == pytest.approx(table["people"].sum(), rel=1e-9)
    for cell in cells.index:
        own = table.assign(share=[SHARES[name].get(cell, 0) for name in table["place"]])
        young = (own["young"] * own["share"]).sum()
        assert sums.loc[cell, "age: young"] == pytest.approx(young, abs=1e-9)
        weight = own["people"] * own["share"] if (own["people"] * own["share"]).sum() else own["share"]
        assert cells.loc[cell, "car"] == pytest.approx((own["car"] / 100 * weight).sum() / weight.sum(), abs=1e-9)
