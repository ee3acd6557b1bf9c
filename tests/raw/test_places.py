"""Places in one or several cells, and the locations of rows, against the h3 library."""

from collections.abc import Sequence

import h3
import numpy as np
import pyarrow as pa
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from mora_pipeline.raw.places import Places, ambiguous_ids, brought_up, spread_of

CENTRE = (40.75, -73.98)
POINTS = st.tuples(st.floats(40, 41), st.floats(-74, -73))


def cell(latitude: float, longitude: float, resolution: int = 8) -> int:
    return h3.str_to_int(h3.latlng_to_cell(latitude, longitude, resolution))


def cells_of(places: Places) -> dict[str, dict[int, float]]:
    """The shares of each place by cell."""
    rows, cells, shares = places.spread(np.arange(len(places.ids)))
    found: dict[str, dict[int, float]] = {name: {} for name in places.ids.to_pylist()}
    for row, number, share in zip(rows, cells.tolist(), shares.tolist(), strict=True):
        found[places.ids[int(row)].as_py()][number] = share
    return found


def at_points(ids: Sequence[str], points: Sequence[tuple[float, float]]) -> pa.Table:
    columns = {"id": ids, "latitude": [p[0] for p in points], "longitude": [p[1] for p in points]}
    kinds = {"id": pa.string(), "latitude": pa.float64(), "longitude": pa.float64()}
    return pa.table({name: pa.array(values, kinds[name]) for name, values in columns.items()})


@given(st.dictionaries(st.text(max_size=4), POINTS, max_size=12))
def test_places_at_points_have_one_cell_each(points: dict) -> None:
    places = Places.of(at_points(list(points), list(points.values())), 8)
    assert cells_of(places) == {name: {cell(*point): 1.0} for name, point in points.items()}
    assert places.single
    assert places.ids.to_pylist() == sorted(points, key=lambda name: name.encode())
    ids = pa.array([*points, "no such place", None], pa.string())
    looked_up = places.look_up(pa.record_batch({"origin": ids}), {"origin": "cell"})
    assert looked_up["cell"].to_pylist() == [*(cell(*point) for point in points.values()), None, None]


def test_whole_numbers_and_texts_are_the_same_ids() -> None:
    places = Places.of(at_points(["7", "12"], [CENTRE, CENTRE]), 8)
    rows = places.look_up(pa.record_batch({"place": pa.array([12, 7, 8])}), {"place": "cell"})
    assert rows["cell"].is_valid().to_pylist() == [True, True, False]


def test_the_rows_of_one_id_with_cells_are_its_cells() -> None:
    """A list of zones and their cells, at any resolution: evenly, and children into their parents."""
    own = h3.grid_disk(h3.latlng_to_cell(*CENTRE, 8), 1)
    coarse = h3.cell_to_parent(h3.latlng_to_cell(41.5, -73.0, 8), 7)
    fine = h3.cell_to_children(h3.latlng_to_cell(42, -73, 8), 9)
    named = [("a", each) for each in own] + [("b", coarse)] + [("c", each) for each in fine] + [("a", own[0])]
    table = pa.table({"id": [name for name, _ in named], "cell": [h3.str_to_int(each) for _, each in named]})
    found = cells_of(Places.of(table, 8))
    assert found["a"] == pytest.approx({h3.str_to_int(each): 1 / 7 for each in own})
    assert found["b"] == pytest.approx({h3.str_to_int(each): 1 / 7 for each in h3.cell_to_children(coarse, 8)})
    assert found["c"] == pytest.approx({cell(42, -73): 1.0})


def zones(*rows: tuple[str, shapely.Geometry]) -> pa.Table:
    points = [shape.point_on_surface() for _, shape in rows]
    table = at_points([name for name, _ in rows], [(point.y, point.x) for point in points])
    areas = [None if shape.area == 0 else shape.wkb for _, shape in rows]
    return table.append_column("geometry", pa.array(areas, pa.large_binary()))


def test_places_with_polygons_are_spread_and_several_of_an_id_are_joined() -> None:
    """NYC's taxi zones list some ids several times, an island a row."""
    here, there = shapely.box(-74, 40.7, -73.98, 40.72), shapely.box(-73.9, 40.7, -73.88, 40.72)
    point = shapely.Point(-73.5, 40.7)
    places = Places.of(zones(("two", here), ("point", point), ("two", there), ("one", here)), 8)
    found = cells_of(places)
    assert not places.single
    assert found["point"] == {cell(40.7, -73.5): 1.0}
    assert len(found["one"]) > 3
    half = {number: share for number, share in found["two"].items() if number in found["one"]}
    assert sum(half.values()) == pytest.approx(0.5, abs=1e-3)
    assert {number: 2 * share for number, share in half.items()} == pytest.approx(found["one"], abs=1e-3)
    assert places.largest_distance_from_one() < 1e-12


def test_places_in_several_cells_are_looked_up_by_number() -> None:
    places = Places.of(zones(("b", shapely.box(-74, 40.7, -73.98, 40.72)), ("a", shapely.Point(-73.5, 40.7))), 8)
    rows = places.look_up(pa.record_batch({"place": ["b", "x", "a"]}), {"place": "number"})
    assert rows["number"].to_pylist() == [1, None, 0]
    own, cells, shares = places.spread(np.array([1, 0, 1]))
    assert np.bincount(own, shares).tolist() == pytest.approx([1, 1, 1])
    assert cells[own == 0].tolist() == cells[own == 2].tolist()
    assert cells[own == 1].tolist() == [cell(40.7, -73.5)]


def test_without_spreading_a_polygon_lies_where_its_point_does() -> None:
    table = zones(("zone", shapely.box(-74, 40.7, -73.9, 40.8)))
    assert Places.of(table, 8, spread=False).single


def test_only_points_of_one_id_can_contradict_each_other() -> None:
    points = at_points(["a", "b", "a", "b"], [CENTRE, CENTRE, CENTRE, (41.0, -73.0)])
    assert ambiguous_ids(points).to_pylist() == ["b"]
    box = shapely.box(-74, 40.7, -73.98, 40.72)
    assert ambiguous_ids(zones(("a", box), ("a", shapely.Point(1, 1)), ("b", box), ("b", box))).to_pylist() == []
    assert ambiguous_ids(pa.table({"id": ["a", "a"], "cell": [1, 2]})).to_pylist() == []


def test_no_places_are_places() -> None:
    places = Places.of(at_points([], []), 8)
    assert len(places.ids) == len(places.cells) == 0
    assert places.largest_distance_from_one() == 0
    rows = places.look_up(pa.record_batch({"place": pa.array(["a"])}), {"place": "cell"})
    assert rows["cell"].to_pylist() == [None]


def test_rows_keep_their_order_where_some_are_points_and_some_polygons() -> None:
    table = zones(
        ("", shapely.box(-74, 40.7, -73.98, 40.72)),
        ("", shapely.Point(-73.5, 40.7)),
        ("", shapely.box(-74, 40.7, -73.98, 40.72)),
    )
    rows, cells, shares = spread_of(table.combine_chunks().to_batches()[0], 8)
    assert (np.diff(rows) >= 0).all()
    assert cells[rows == 1].tolist() == [cell(40.7, -73.5)]
    assert cells[rows == 0].tolist() == cells[rows == 2].tolist()
    assert np.bincount(rows, shares) == pytest.approx(np.ones(3))


@given(st.lists(st.tuples(POINTS, st.integers(6, 10)), max_size=8))
def test_cells_are_brought_up_and_coarser_ones_are_none(points: list) -> None:
    cells = [cell(*point, resolution) for point, resolution in points]
    want = [
        h3.str_to_int(h3.cell_to_parent(h3.int_to_str(each), 8)) if res >= 8 else None
        for each, (_, res) in zip(cells, points, strict=True)
    ]
    assert brought_up(pa.array([*cells, None], pa.int64()), 8).to_pylist() == [*want, None]
