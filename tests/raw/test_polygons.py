"""Polygons spread on cells, against overlays of other projections, fine cells, and fractions known beforehand."""

from itertools import pairwise

import h3
import numpy as np
import pyarrow as pa
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.equal_area import project
from mora_pipeline.raw.polygons import spread_polygons

pyproj = pytest.importorskip("pyproj")
NEW_YORK = (-73.98, 40.75)
FIJI = (179.98, -16.8)


def spread(shape: object, resolution: int = 8, crs: str | None = None) -> dict[int, float]:
    """The share of each cell of one geometry."""
    rows, cells, shares = spread_polygons(pa.array([shape.wkb]), crs, resolution)
    assert not rows.any()
    assert len(np.unique(cells)) == len(cells)
    assert shares.sum() == pytest.approx(1, abs=1e-12)
    assert (shares > 0).all()
    return dict(zip(cells.tolist(), shares.tolist(), strict=True))


def boundary(cell: str) -> list[tuple[float, float]]:
    return [(longitude, latitude) for latitude, longitude in h3.cell_to_boundary(cell)]


def star(centre: tuple, radii: list[float], kilometres: float) -> shapely.Polygon:
    """A simple polygon around a point of the globe, in degrees, which may go on beyond 180."""
    angles = np.linspace(0, 2 * np.pi, len(radii), endpoint=False)
    size = np.array(radii) * kilometres / 111
    longitudes = centre[0] + size * np.cos(angles) / np.cos(np.radians(centre[1]))
    return shapely.Polygon(np.stack([longitudes, centre[1] + size * np.sin(angles)], axis=1))


CENTRES = st.tuples(st.floats(-180, 180), st.floats(-75, 75)) | st.sampled_from([NEW_YORK, FIJI, (-180.0, 65.0)])
STARS = st.tuples(CENTRES, st.lists(st.floats(0.2, 1), min_size=3, max_size=12), st.floats(0.05, 3))


def by_azimuthal_overlay(shape: shapely.Polygon, centre: tuple, resolution: int) -> dict[int, float]:
    """Lambert's azimuthal projection around the polygon, where no antimeridian is, one cell after the other."""
    local = pyproj.Proj(proj="laea", lon_0=centre[0], lat_0=centre[1], ellps="WGS84")
    flat = shapely.transform(shape, lambda points: np.column_stack(local(points[:, 0], points[:, 1])))
    reach = 2 + int(6 / h3.average_hexagon_edge_length(resolution))
    areas = {}
    for cell in h3.grid_disk(h3.latlng_to_cell(centre[1], centre[0], resolution), reach):
        hexagon = shapely.Polygon(np.column_stack(local(*np.array(boundary(cell)).T)))
        areas[h3.str_to_int(cell)] = hexagon.intersection(flat).area
    total = sum(areas.values())
    return {cell: area / total for cell, area in areas.items() if area > 1e-7 * total}


def straightness(shape: shapely.Polygon, centre: tuple, longest: float) -> float:
    """How much of a polygon lies between lines that are straight in one projection and in another.

    Args:
        longest: edge, kilometres.
    """
    between = (1000 * longest) ** 2 * (np.tan(np.radians(abs(centre[1]))) + 0.1) / (8 * 6.37e6)
    return float(4 * between / np.sqrt(shapely.area(shapely.transform(shape, project))) + 1e-6)


@given(STARS, st.sampled_from([7, 8]))
@settings(max_examples=40, deadline=None)
def test_shares_are_those_of_an_overlay_in_another_projection(case: tuple, resolution: int) -> None:
    centre, radii, kilometres = case
    shape = star(centre, radii, kilometres)
    got, want = spread(shape, resolution), by_azimuthal_overlay(shape, centre, resolution)
    near = straightness(shape, centre, 2 * kilometres + h3.average_hexagon_edge_length(resolution, "km"))
    for cell in got.keys() | want.keys():
        assert got.get(cell, 0) == pytest.approx(want.get(cell, 0), abs=near)


@given(STARS)
@settings(max_examples=10, deadline=None)
def test_shares_are_those_of_fine_cells_inside(case: tuple) -> None:
    """No overlay at all: centres of cells four resolutions finer, counted by the cell that h3 says they lie in."""
    _, radii, _ = case
    shape = star(NEW_YORK, radii, 3).difference(star(NEW_YORK, radii, 1))  # with a hole
    fine = h3.geo_to_cells(shape, 12)
    counts: dict[int, int] = {}
    for cell in fine:
        own = h3.str_to_int(h3.latlng_to_cell(*h3.cell_to_latlng(cell), 8))
        counts[own] = counts.get(own, 0) + 1
    got = spread(shape)
    for cell in got.keys() | counts.keys():
        assert got.get(cell, 0) == pytest.approx(counts.get(cell, 0) / len(fine), abs=0.01)


def test_equal_squares_make_known_fractions() -> None:
    """Three squares in one cell and one in another, all at one latitude: three quarters and a quarter."""
    latitude, longitude = h3.cell_to_latlng(h3.latlng_to_cell(40.75, -73.98, 8))
    size = 1e-4
    squares = [shapely.box(x, latitude, x + size, latitude + size) for x in longitude + np.array([0, 2, 4]) * size]
    east = shapely.box(longitude + 0.02, latitude, longitude + 0.02 + size, latitude + size)
    got = spread(shapely.MultiPolygon([*squares, east]))
    here, there = (h3.str_to_int(h3.latlng_to_cell(latitude, x, 8)) for x in (longitude, longitude + 0.02))
    assert got == {here: pytest.approx(0.75), there: pytest.approx(0.25)}


def test_the_outline_of_a_cell_is_that_cell() -> None:
    """Its neighbours touch it, and have no share."""
    for resolution in (5, 8, 11):
        cell = h3.latlng_to_cell(40.75, -73.98, resolution)
        got = spread(shapely.Polygon(boundary(cell)), resolution)
        assert max(got, key=got.__getitem__) == h3.str_to_int(cell)
        assert got[h3.str_to_int(cell)] == pytest.approx(1, abs=1e-4 if resolution == 5 else 1e-9)


def test_a_polygon_smaller_than_a_cell_lies_in_several_by_area() -> None:
    """A small square on the corner of three cells."""
    x, y = boundary(h3.latlng_to_cell(40.75, -73.98, 8))[0]
    got = spread(shapely.box(x - 1e-4, y - 1e-4, x + 1e-4, y + 1e-4))
    assert len(got) == 3
    assert all(share > 0.2 for share in got.values())


@given(STARS, st.floats(-0.8, 0.8))
@settings(max_examples=30, deadline=None)
def test_the_halves_of_a_polygon_conserve_it(case: tuple, cut: float) -> None:
    """What two zones carry, in proportion to their areas, is what their union carries."""
    (longitude, latitude), radii, kilometres = case
    shape = star((longitude, latitude), radii, kilometres)
    x = longitude + cut * kilometres / 111
    halves = [shape.intersection(shapely.box(x - 20, -90, x, 90)), shape.intersection(shapely.box(x, -90, x + 20, 90))]
    halves = [half for half in halves if half.area > 1e-9 * shape.area]
    areas = [shapely.area(shapely.transform(half, project)) for half in halves]
    joined: dict[int, float] = {}
    for half, area in zip(halves, areas, strict=True):
        for cell, share in spread(half).items():
            joined[cell] = joined.get(cell, 0) + share * area / sum(areas)
    whole, near = spread(shape), straightness(shape, (longitude, latitude), 2 * kilometres)
    for cell in whole.keys() | joined.keys():
        assert joined.get(cell, 0) == pytest.approx(whole.get(cell, 0), abs=near)


def test_polygons_over_the_antimeridian_mean_the_same_however_they_are_written() -> None:
    """Going on beyond 180, jumping to -180, and cut in two, as GeoJSON wants it."""
    beyond = shapely.box(179.9, -17, 180.2, -16.8)
    jump = shapely.Polygon([(x - 360 if x > 180 else x, y) for x, y in beyond.exterior.coords])
    west = shapely.box(179.9 - 360, -17, 180.2 - 360, -16.8)
    cut = shapely.MultiPolygon([shapely.box(179.9, -17, 180, -16.8), shapely.box(-180, -17, -179.8, -16.8)])
    want = spread(beyond)
    assert any(h3.cell_to_latlng(h3.int_to_str(cell))[1] < 0 for cell in want)
    for shape in (jump, west, cut):
        assert spread(shape) == pytest.approx(want, abs=1e-9)


def test_a_country_with_islands_beyond_the_antimeridian_keeps_both() -> None:
    parts = [shapely.box(175, -41, 175.1, -40.9), shapely.box(-176.6, -44, -176.5, -43.9)]
    got = spread(shapely.MultiPolygon(parts), 7)
    longitudes = np.array([h3.cell_to_latlng(h3.int_to_str(cell))[1] for cell in got])
    assert ((np.abs(longitudes - 175.05) < 0.2) | (np.abs(longitudes + 176.55) < 0.2)).all()
    assert (longitudes > 0).any()
    assert (longitudes < 0).any()


def test_a_polygon_of_many_vertices_is_cut_and_stays_the_same() -> None:
    rng = np.random.default_rng(0)
    angles = np.linspace(0, 2 * np.pi, 3000, endpoint=False)
    radius = 0.05 * (1 + 0.3 * np.sin(5 * angles) + 0.01 * rng.random(3000))
    ring = np.stack([-74 + radius * np.cos(angles), 40 + radius * np.sin(angles)], axis=1)
    shape = shapely.Polygon(ring)
    want = by_azimuthal_overlay(shape, (-74, 40), 7)
    got = spread(shape, 7)
    assert got == pytest.approx({cell: share for cell, share in want.items() if cell in got}, abs=1e-4)


def test_a_projected_polygon_lies_where_its_degrees_do() -> None:
    """UTM 30N, as Spain's zones are; the long edge is straight there."""
    box = shapely.box(430_000, 4_470_000, 450_000, 4_480_000)
    to_globe = pyproj.Transformer.from_crs(25830, 4326, always_xy=True)
    degrees = shapely.transform(
        shapely.segmentize(box, 100), lambda points: np.column_stack(to_globe.transform(*points.T))
    )
    assert spread(box, crs="EPSG:25830") == pytest.approx(spread(degrees), abs=2e-5)
    tagged = shapely.to_wkb(shapely.set_srid(box, 25830), include_srid=True)
    rows, cells, shares = spread_polygons(pa.array([tagged, shapely.box(0, 0, 0.01, 0.01).wkb]), None, 8)
    assert dict(zip(cells[rows == 0].tolist(), shares[rows == 0], strict=True)) == spread(box, crs="EPSG:25830")
    assert spread(shapely.box(0, 0, 0.01, 0.01)).keys() == set(cells[rows == 1].tolist())


def test_rings_that_cross_themselves_are_mended() -> None:
    bow_tie = shapely.Polygon([(0, 0), (0.1, 0.1), (0.1, 0), (0, 0.1)])
    wings = shapely.make_valid(bow_tie)
    assert wings.area == pytest.approx(0.005)
    assert spread(bow_tie) == pytest.approx(spread(wings), abs=1e-9)


def test_geometries_without_an_area_have_one_cell_and_none_has_no_rows() -> None:
    """Rows keep their numbers; the types may mix."""
    shapes = [
        shapely.Point(*NEW_YORK),
        None,
        shapely.Polygon(),
        shapely.box(-74, 40, -73.9, 40.1),
        shapely.LineString([NEW_YORK, NEW_YORK]),
        shapely.Polygon([(0, 0), (1, 1), (2, 2)]),
        shapely.box(0, 85, 1, 95),
        shapely.GeometryCollection([shapely.Point(1, 1), shapely.box(-74, 40, -73.9, 40.1)]),
    ]
    rows, cells, shares = spread_polygons(pa.array([None if s is None else s.wkb for s in shapes]), None, 8)
    assert set(rows.tolist()) == {0, 3, 4, 5, 7}
    assert (
        cells[rows == 0].tolist() == cells[rows == 4].tolist() == [h3.str_to_int(h3.latlng_to_cell(40.75, -73.98, 8))]
    )
    assert cells[rows == 3].tolist() == cells[rows == 7].tolist()
    assert np.bincount(rows, shares)[[0, 3, 4, 5, 7]] == pytest.approx(np.ones(5), abs=1e-12)
    assert all(a < b for a, b in pairwise(zip(rows.tolist(), cells.tolist(), strict=True)))


def test_nothing_makes_no_rows() -> None:
    for values in (pa.array([], pa.binary()), pa.array([None, None], pa.binary()), pa.array(["", "x"])):
        assert [len(column) for column in spread_polygons(values, None, 8)] == [0, 0, 0]


def test_a_polygon_of_too_many_cells_is_refused() -> None:
    with pytest.raises(UserError, match=r"row 2 covers about [\d,]+ cells of resolution 12"):
        spread_polygons(pa.array([shapely.box(0, 0, 0.01, 0.01).wkb, shapely.box(0, 0, 5, 5).wkb]), None, 12)


def test_the_projection_is_that_of_epsg_6933() -> None:
    rng = np.random.default_rng(0)
    degrees = np.stack([rng.uniform(-180, 180, 1000), rng.uniform(-85, 85, 1000)], axis=1)
    want = pyproj.Transformer.from_crs(4326, 6933, always_xy=True).transform(*degrees.T)
    np.testing.assert_allclose(project(degrees), np.column_stack(want), atol=1e-3)
