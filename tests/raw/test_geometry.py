"""Points from geometries: every encoding means the same, and every CRS comes to degrees."""

import json
import struct
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.crs import parquet_crs, parquet_geometry, stated_crs
from mora_pipeline.raw.geometry import points_of

LONGITUDES, LATITUDES = st.floats(-180, 180), st.floats(-90, 90)
POINTS = st.lists(st.tuples(LONGITUDES, LATITUDES) | st.none(), max_size=20)
NEW_YORK = (-73.9857, 40.7484)  # the Empire State Building, and in EPSG:2263 (feet), by epsg.io:
NEW_YORK_FEET = (988_214.0, 211_948.0)


def read(values: pa.Array, crs: str | None = None) -> list[tuple[float, float] | None]:
    """(longitude, latitude) a row, None for null."""
    latitude, longitude = points_of(values, crs)
    pairs = zip(longitude.to_pylist(), latitude.to_pylist(), strict=True)
    return [None if x is None or y is None else (x, y) for x, y in pairs]


@given(POINTS, st.sampled_from(["<", ">"]))
def test_wkb_points_are_read_in_both_byte_orders(points: list, order: str) -> None:
    """The fast layout of numpy, against struct."""
    mark = 1 if order == "<" else 0
    rows = [None if point is None else struct.pack(f"{order}BIdd", mark, 1, *point) for point in points]
    assert read(pa.array(rows, pa.binary())) == points


@given(st.lists(st.tuples(LONGITUDES, LATITUDES, st.sampled_from(["wkb", "ewkb", "z", "iso z", "big", "line"]))))
def test_a_column_may_mix_layouts(rows: list) -> None:
    """Whatever the layout of a value, it is the value's own point; oracle: shapely's writers."""
    values = []
    for x, y, kind in rows:
        point = shapely.Point(x, y, 7) if "z" in kind else shapely.Point(x, y)
        if kind == "line":
            point = shapely.LineString([(x, y), (x, y)])
        values.append(
            shapely.to_wkb(
                shapely.set_srid(point, 4326) if kind == "ewkb" else point,
                include_srid=kind == "ewkb",
                byte_order=0 if kind == "big" else 1,
                flavor="iso" if kind == "iso z" else "extended",
            )
        )
    got = read(pa.array(values, pa.large_binary()))
    assert got == [pytest.approx((x, y), abs=1e-9) for x, y, _ in rows]


@given(POINTS)
def test_all_encodings_of_a_point_mean_the_same(points: list) -> None:
    shapes = [None if point is None else shapely.Point(*point) for point in points]
    texts = {
        "WKT": [None if shape is None else f" point({shape.x!r} {shape.y!r})" for shape in shapes],
        "EWKT": [None if shape is None else f"SRID=4326; POINT ({shape.x!r} {shape.y!r})" for shape in shapes],
        "hex": [None if shape is None else shape.wkb_hex for shape in shapes],
        "lower hex": [None if shape is None else shape.wkb_hex.lower() for shape in shapes],
        "GeoJSON": [
            None if shape is None else json.dumps({"type": "Point", "coordinates": [shape.x, shape.y]})
            for shape in shapes
        ],
    }
    for encoding, values in texts.items():
        assert read(pa.array(values, pa.string())) == points, encoding
        assert read(pa.array(values, pa.string()).dictionary_encode()) == points, encoding
    structs = [None if shape is None else {"x": shape.x, "y": shape.y} for shape in shapes]
    assert read(pa.array(structs, pa.struct({"x": pa.float64(), "y": pa.float64()}))) == points
    pairs = [None if shape is None else [shape.x, shape.y] for shape in shapes]
    assert read(pa.array(pairs, pa.list_(pa.float64(), 2))) == points


def test_encodings_may_alternate_in_one_text_column() -> None:
    values = ["POINT (1 2)", shapely.Point(3, 4).wkb_hex, '{"type": "Point", "coordinates": [5, 6]}', "nowhere", ""]
    assert read(pa.array(values)) == [(1, 2), (3, 4), (5, 6), None, None]


def test_a_slice_of_a_column_is_its_own_rows() -> None:
    """Arrow arrays may start anywhere in their buffers."""
    values = pa.array([shapely.Point(i, -i).wkb for i in range(10)])
    assert read(values.slice(3, 4)) == [(3, -3), (4, -4), (5, -5), (6, -6)]
    chunked = pa.chunked_array([values.slice(2, 1), values.slice(7, 1)])
    assert read(chunked) == [(2, -2), (7, -7)]
    texts = pa.array([shapely.Point(i, -i).wkb_hex for i in range(10)])
    assert read(texts.slice(3, 2)) == [(3, -3), (4, -4)]


@pytest.mark.parametrize(
    "wkt",
    ["POINT EMPTY", "POLYGON EMPTY", "MULTIPOINT EMPTY", "GEOMETRYCOLLECTION EMPTY", "POINT (1", "LINESTRING (1 2)"],
)
def test_no_geometry_is_null(wkt: str) -> None:
    """Empty and unreadable ones have no point, and take none from their neighbours."""
    assert read(pa.array(["POINT (1 2)", wkt, "POINT (3 4)"])) == [(1, 2), None, (3, 4)]
    shape = shapely.from_wkt(wkt, on_invalid="ignore")
    broken = b"\x01\x01\0\0\0" if shape is None else shape.wkb
    assert read(pa.array([shapely.Point(1, 2).wkb, broken, b""])) == [(1, 2), None, None]


@pytest.mark.parametrize("point", [(181, 0), (-181, 0), (0, 91), (0, -91), (float("inf"), 0), (0, float("nan"))])
def test_points_beyond_the_globe_are_null(point: tuple) -> None:
    assert read(pa.array([struct.pack("<BIdd", 1, 1, *point)])) == [None]


def test_the_point_of_a_polygon_lies_inside_it_and_that_of_a_line_on_it() -> None:
    """A centroid would lie in the hole, outside the horseshoe, and between the islands."""
    ring = shapely.Point(0, 0).buffer(2).difference(shapely.Point(0, 0).buffer(1))
    horseshoe = shapely.Polygon([(0, 0), (10, 0), (10, 1), (1, 1), (1, 9), (10, 9), (10, 10), (0, 10)])
    islands = shapely.MultiPolygon([shapely.box(0, 0, 1, 1), shapely.box(5, 5, 7, 7)])
    bow_tie = shapely.Polygon([(0, 0), (2, 2), (2, 0), (0, 2)])
    shapes = [ring, horseshoe, islands, bow_tie]
    for shape, point in zip(shapes, read(pa.array([shape.wkb for shape in shapes])), strict=True):
        assert point is not None
        assert shapely.make_valid(shape).covers(shapely.Point(point))
    line = shapely.LineString([(0, 0), (3, 0), (3, 1)])
    assert read(pa.array([line.wkb])) == [(2, 0)]


def test_a_declared_crs_is_transformed() -> None:
    """New York's state plane in feet, easting first; and degrees whose authority says latitude first."""
    (point,) = read(pa.array([shapely.Point(*NEW_YORK_FEET).wkb]), "EPSG:2263")
    assert point == pytest.approx(NEW_YORK, abs=2e-4)
    (same,) = read(pa.array([shapely.Point(*NEW_YORK).wkb]), "EPSG:4326")
    assert same == NEW_YORK


def test_web_mercator_is_its_formula() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.uniform(-2e7, 2e7, 100), rng.uniform(-2e7, 2e7, 100)
    latitude, longitude = points_of(pa.array(shapely.to_wkb(shapely.points(x, y))), "EPSG:3857")
    radius = 6378137.0
    np.testing.assert_allclose(longitude.to_numpy(), np.degrees(x / radius), atol=1e-9)
    np.testing.assert_allclose(latitude.to_numpy(), np.degrees(np.arctan(np.sinh(y / radius))), atol=1e-9)


def test_the_srid_of_a_value_counts_where_no_crs_is_stated() -> None:
    feet = shapely.set_srid(shapely.Point(*NEW_YORK_FEET), 2263)
    degrees = shapely.Point(*NEW_YORK)
    values = [shapely.to_wkb(feet, include_srid=True), degrees.wkb]
    for column in (pa.array(values), pa.array([f"SRID=2263;{feet.wkt}", degrees.wkt])):
        first, second = read(column)
        assert first == pytest.approx(second, abs=2e-4)
    assert read(pa.array(values[:1]), "EPSG:4326") == [None]  # the stated one is the one that counts


def test_an_unknown_crs_is_refused() -> None:
    with pytest.raises(UserError, match=r"EPSG:999999.*no coordinate reference system"):
        points_of(pa.array([shapely.Point(0, 0).wkb]), "EPSG:999999")


def test_a_lacking_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """And points in degrees need none of them."""
    for package in ("shapely", "pyproj", "pyogrio"):
        monkeypatch.setitem(sys.modules, package, None)
    assert read(pa.array([struct.pack("<BIdd", 1, 1, 3, 4)])) == [(3, 4)]
    for package, values, crs in (("shapely", ["POINT (1 2)"], None), ("pyproj", [{"x": 1.0, "y": 2.0}], "EPSG:2264")):
        with pytest.raises(UserError, match=rf"need the package {package}: pip install 'mora-pipeline\[geo\]'"):
            points_of(pa.array(values), crs)


def test_a_column_that_holds_no_geometry_is_refused() -> None:
    with pytest.raises(UserError, match="of type int64, which is no geometry"):
        points_of(pa.array([1, 2]))


def test_geoarrow_polygons_are_those_of_shapely() -> None:
    shapes = np.array([shapely.box(0, 0, 2, 2), shapely.box(5, 5, 6, 6).union(shapely.box(8, 8, 9, 9))])
    parts = [[[[{"x": x, "y": y} for x, y in part.exterior.coords]] for part in shapely.get_parts(s)] for s in shapes]
    kind = pa.list_(pa.list_(pa.list_(pa.struct({"x": pa.float64(), "y": pa.float64()}))))
    got = read(pa.array([parts[0], None, parts[1]], kind))
    want = read(pa.array([shapes[0].wkb, None, shapes[1].wkb]))
    assert got == want


def geo(tmp_path: Path, **column: object) -> str:
    """A GeoParquet file with a column of these metadata."""
    metadata = {"version": "1.1.0", "primary_column": "geom", "columns": {"geom": {"encoding": "WKB", **column}}}
    table = pa.table({"id": [1], "geom": [shapely.Point(*NEW_YORK_FEET).wkb]})
    file = str(tmp_path / "points.parquet")
    pq.write_table(table.replace_schema_metadata({"geo": json.dumps(metadata)}), file)
    return file


def test_geoparquet_states_its_crs(tmp_path: Path) -> None:
    pyproj = pytest.importorskip("pyproj")
    file = geo(tmp_path, crs=pyproj.CRS.from_epsg(2263).to_json_dict())
    assert parquet_geometry(file) == "geom"
    (point,) = read(pq.read_table(file)["geom"], parquet_crs(file, "geom"))
    assert point == pytest.approx(NEW_YORK, abs=2e-4)
    assert parquet_crs(f"file://{file}", "geom") == parquet_crs(file, "geom")  # an address


def test_geoparquet_without_a_crs_is_in_degrees_and_with_null_unknown(tmp_path: Path) -> None:
    """The default of the specification is OGC:CRS84; null says that nobody knows."""
    assert parquet_crs(geo(tmp_path), "geom") == "OGC:CRS84"
    file = geo(tmp_path, crs=None)
    assert parquet_crs(file, "geom") is None
    with pytest.raises(UserError, match=r"no coordinate reference system.*crs: EPSG:4326"):
        stated_crs(parquet_crs(file, "geom"), None, file)
    assert stated_crs(None, "EPSG:2263", file) == "EPSG:2263"


def test_parquets_own_geometry_type_states_its_crs(tmp_path: Path) -> None:
    """GEOMETRY(crs), which pyarrow writes for a column of GeoArrow's extension type."""

    class Geometry(pa.ExtensionType):
        def __init__(self, metadata: bytes = b"{}") -> None:
            self.metadata = metadata
            super().__init__(pa.binary(), "geoarrow.wkb")

        def __arrow_ext_serialize__(self) -> bytes:
            return self.metadata

        @classmethod
        def __arrow_ext_deserialize__(cls, _: pa.DataType, metadata: bytes) -> "Geometry":
            return cls(metadata)

    pa.register_extension_type(Geometry())
    try:
        for metadata, crs in ((b"{}", "OGC:CRS84"), (b'{"crs": "EPSG:2263"}', "EPSG:2263")):
            storage = pa.array([shapely.Point(*NEW_YORK_FEET).wkb])
            file = str(tmp_path / "native.parquet")
            pq.write_table(pa.table({"geom": pa.ExtensionArray.from_storage(Geometry(metadata), storage)}), file)
            assert parquet_crs(file, "geom") == crs
        (point,) = read(pq.read_table(file)["geom"], "EPSG:2263")  # and the type itself is no obstacle
        assert point == pytest.approx(NEW_YORK, abs=2e-4)
    finally:
        pa.unregister_extension_type("geoarrow.wkb")


def test_parquet_without_metadata_is_in_degrees(tmp_path: Path) -> None:
    file = str(tmp_path / "plain.parquet")
    pq.write_table(pa.table({"geom": [shapely.Point(1, 2).wkb]}), file)
    assert parquet_crs(file, "geom") == "OGC:CRS84"
    assert parquet_geometry(file) is None
