"""Vector files: each format gives the rows that were written, and says what it lacks."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import shapely

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.geometry import points_of
from mora_pipeline.raw.vector_files import is_vector_file, vector_batches, vector_schema

pyogrio = pytest.importorskip("pyogrio")
FORMATS = {".gpkg": "GPKG", ".shp": "ESRI Shapefile", ".geojson": "GeoJSON", ".fgb": "FlatGeobuf"}
NAMES = ["Zürich", "Málaga, España", "x"]
SHAPES = np.array([shapely.box(i, 40, i + 1, 41) for i in range(3)])


def write(path: Path, shapes: Any = SHAPES, crs: str | None = "EPSG:4326", **options: Any) -> str:
    from pyogrio.raw import write as write_raw

    fields = [np.array(NAMES, object), np.arange(3)]
    kind = {"geometry_type": "Polygon", "crs": crs, "driver": FORMATS[path.suffix]}
    if shapes is None:
        kind["geometry_type"] = None
    write_raw(path, None if shapes is None else shapely.to_wkb(shapes), fields, ["name", "n"], **(kind | options))
    return str(path)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.filterwarnings("ignore:'crs' was not provided")
def test_every_format_gives_the_rows_that_were_written(tmp_path: Path, suffix: str) -> None:
    file = write(tmp_path / f"zones{suffix}")
    kinds, crs = vector_schema(file)
    assert is_vector_file(file)
    assert crs == "EPSG:4326"
    assert kinds["geometry"] == pa.binary()
    assert kinds["name"] == pa.string()
    assert pa.types.is_integer(kinds["n"])
    table = pa.Table.from_batches(vector_batches(file, ["n", "geometry", "name"]))
    assert table.column_names == ["n", "geometry", "name"]
    rows = sorted(table.to_pylist(), key=lambda row: row["n"])  # FlatGeobuf sorts by place
    assert [row["name"] for row in rows] == NAMES
    assert all(shapely.from_wkb(row["geometry"]).equals(shape) for row, shape in zip(rows, SHAPES, strict=True))


def test_rows_come_in_batches_and_only_the_columns_asked_for(tmp_path: Path) -> None:
    file = write(tmp_path / "zones.gpkg")
    batches = list(vector_batches(file, ["n"], rows=2))
    assert [batch.num_rows for batch in batches] == [2, 1]
    assert batches[0].schema.names == ["n"]


def test_a_geometry_is_also_called_as_the_file_calls_it(tmp_path: Path) -> None:
    file = write(tmp_path / "zones.gpkg")
    assert {"geom", "geometry"} <= vector_schema(file)[0].keys()
    (batch,) = vector_batches(file, ["geom", "geometry"])
    assert batch["geom"].equals(batch["geometry"])


def test_a_column_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    file = write(tmp_path / "zones.gpkg")
    with pytest.raises(UserError, match=r"no column 'zone'\. It has name, n, geometry, geom"):
        list(vector_batches(file, ["zone"]))


def test_a_projected_file_comes_to_degrees(tmp_path: Path) -> None:
    """The whole way: a shapefile in feet to points on the globe."""
    file = write(
        tmp_path / "zones.shp", np.array([shapely.Point(988_214, 211_948)] * 3), "EPSG:2263", geometry_type="Point"
    )
    _, crs = vector_schema(file)
    (batch,) = vector_batches(file, ["geometry"])
    latitude, longitude = points_of(batch["geometry"], crs)
    assert latitude.to_pylist() == pytest.approx([40.7484] * 3, abs=2e-4)
    assert longitude.to_pylist() == pytest.approx([-73.9857] * 3, abs=2e-4)


def test_several_layers_are_refused_until_one_is_picked(tmp_path: Path) -> None:
    file = write(tmp_path / "zones.gpkg", layer="tracts")
    write(tmp_path / "zones.gpkg", layer="counties", append=True, crs="EPSG:3857")
    with pytest.raises(UserError, match="several layers: tracts, counties"):
        vector_schema(file)
    with pytest.raises(UserError, match=r"no layer 'states'\. It has tracts, counties"):
        vector_schema(file, layer="states")
    assert vector_schema(file, layer="counties")[1] == "EPSG:3857"
    assert [batch.num_rows for batch in vector_batches(file, ["n"], layer="tracts")] == [3]


def test_the_styles_of_qgis_are_no_layer_to_pick(tmp_path: Path) -> None:
    file = write(tmp_path / "zones.gpkg", layer="tracts")
    write(tmp_path / "zones.gpkg", None, None, layer="layer_styles", append=True)
    assert vector_schema(file)[0]["name"] == pa.string()


def test_a_layer_without_geometry_is_a_table(tmp_path: Path) -> None:
    file = write(tmp_path / "table.gpkg", None, None)
    kinds, crs = vector_schema(file)
    assert list(kinds) == ["name", "n"]
    assert crs is None
    (batch,) = vector_batches(file, ["name"])
    assert batch["name"].to_pylist() == NAMES


@pytest.mark.parametrize("suffix", [".shx", ".dbf"])
def test_a_shapefile_without_a_part_names_it(tmp_path: Path, suffix: str) -> None:
    """GDAL reads one without .dbf as a file without columns."""
    file = write(tmp_path / "zones.shp")
    (tmp_path / f"zones{suffix}").unlink()
    with pytest.raises(UserError, match=f"zones.shp lacks zones{suffix}"):
        vector_schema(file)


def test_a_shapefile_without_prj_states_no_crs(tmp_path: Path) -> None:
    file = write(tmp_path / "zones.shp")
    (tmp_path / "zones.prj").unlink()
    assert vector_schema(file)[1] is None


def test_the_encoding_beside_a_dbf_counts_and_none_is_guessed(tmp_path: Path) -> None:
    file = write(tmp_path / "zones.shp", encoding="ISO-8859-1")
    assert (tmp_path / "zones.cpg").read_text() == "ISO-8859-1"
    (batch,) = vector_batches(file, ["name"])
    assert batch["name"].to_pylist() == NAMES
    (tmp_path / "zones.cpg").unlink()
    header = bytearray((tmp_path / "zones.dbf").read_bytes())
    header[29] = 0  # the language that a .dbf itself may state
    (tmp_path / "zones.dbf").write_bytes(header)
    with pytest.raises(UserError, match=r"column 'name' are not UTF-8.*zones\.cpg"):
        list(vector_batches(file, ["name"]))


def test_a_zip_of_a_shapefile_is_read_as_it_is(tmp_path: Path) -> None:
    """As the census and NYC's taxis hand them out, with what a Mac adds."""
    write(tmp_path / "zones.shp")
    archive = tmp_path / "zones.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        for suffix in (".shp", ".shx", ".dbf", ".prj", ".cpg"):
            opened.write(tmp_path / f"zones{suffix}", f"zones/zones{suffix}")
        opened.writestr("__MACOSX/zones/._zones.shp", b"junk")
    assert is_vector_file(str(archive))
    assert vector_schema(str(archive))[1] == "EPSG:4326"
    (batch,) = vector_batches(str(archive), ["name", "geometry"])
    assert batch["name"].to_pylist() == NAMES


def test_a_zip_of_shapefiles_has_a_layer_each_and_of_a_geopackage_its_own(tmp_path: Path) -> None:
    archive = tmp_path / "all.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        for name in ("a", "b"):
            write(tmp_path / f"{name}.shp")
            for suffix in (".shp", ".shx", ".dbf"):
                opened.write(tmp_path / f"{name}{suffix}", f"{name}{suffix}")
    with pytest.raises(UserError, match="several layers: a, b"):
        vector_schema(str(archive))
    assert vector_schema(str(archive), "b")[0]["name"] == pa.string()
    write(tmp_path / "zones.gpkg", layer="tracts")
    with zipfile.ZipFile(archive, "w") as opened:
        opened.write(tmp_path / "zones.gpkg", "zones.gpkg")
    assert vector_schema(str(archive), "tracts")[1] == "EPSG:4326"


def test_a_zip_of_other_files_is_none_of_ours(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "flows.zip", "w") as opened:
        opened.writestr("flows.csv", "a,b\n")
    (tmp_path / "broken.zip").write_bytes(b"PK no more")
    assert not is_vector_file(str(tmp_path / "flows.zip"))
    assert not is_vector_file(str(tmp_path / "broken.zip"))


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_file_that_is_another_is_never_opened(tmp_path: Path, suffix: str) -> None:
    """GDAL goes by the content: this one would read another file of the machine."""
    secret = write(tmp_path / "secret.gpkg")
    file = tmp_path / f"zones{suffix}"
    file.write_text(
        f"<OGRVRTDataSource><OGRVRTLayer name='secret'><SrcDataSource>{secret}</SrcDataSource></OGRVRTLayer>"
        "</OGRVRTDataSource>"
    )
    assert pyogrio.read_info(file)["features"] == 3  # so GDAL would
    with pytest.raises(UserError, match="it starts with b'<OGRVRTDataSourc'"):
        vector_schema(str(file))


def test_half_a_file_is_refused_by_name(tmp_path: Path) -> None:
    file = Path(write(tmp_path / "zones.gpkg"))
    file.write_bytes(file.read_bytes()[:2000])
    with pytest.raises(UserError, match=r"zones\.gpkg cannot be read"):
        vector_schema(str(file))


def test_a_vector_file_at_an_address_is_refused() -> None:
    with pytest.raises(UserError, match=r"s3://bucket/zones\.gpkg is at an address, but vector files are read from a"):
        vector_schema("s3://bucket/zones.gpkg")
