"""Map tiles in every store: what is read is what was painted, and a store that is counted otherwise is told."""

import gzip
import io
import shutil
import sqlite3
import sys
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace

import h3.api.basic_int as h3
import mercantile
import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mora_pipeline.contract.errors import UserError
from mora_pipeline.modalities.image import KIND
from mora_pipeline.modalities.image.config import ImageModality
from mora_pipeline.modalities.image.folder import FolderTiles
from mora_pipeline.modalities.image.stores import open_tiles
from mora_pipeline.modalities.image.xyz import XyzMosaic
from mora_pipeline.region.columns import Checker

ZOOM = 9
TILES = [(150, 192), (151, 192), (150, 193), (151, 193)]
FORMS = ["xyz", "tms", "quadkey", "mbtiles", "mbtiles from the north", "pmtiles"]


def paint(column: np.ndarray, row: np.ndarray) -> np.ndarray:
    """A colour for a global pixel."""
    return np.stack([column // 16 % 256, row // 16 % 256, (column + row) % 256], axis=-1).astype(np.uint8)


def painted(x: int, y: int, side: int, form: str = "PNG") -> bytes:
    row, column = np.mgrid[y * side : (y + 1) * side, x * side : (x + 1) * side]
    return encoded(paint(column, row), form)


def encoded(pixels: np.ndarray, form: str = "PNG") -> bytes:
    stream = io.BytesIO()
    PIL.Image.fromarray(pixels).save(stream, form, **({"lossless": True} if form == "WEBP" else {}))
    return stream.getvalue()


def mbtiles(path: Path, tiles: Iterable[tuple[int, int, bytes]], said: dict[str, str], zoom: int = ZOOM) -> Path:
    """A file by the specification, of tiles with rows from the south."""
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE metadata (name TEXT, value TEXT)")
        database.execute(
            "CREATE TABLE tiles (zoom_level INTEGER, tile_column INTEGER, tile_row INTEGER, tile_data BLOB)"
        )
        database.executemany("INSERT INTO metadata VALUES (?, ?)", said.items())
        database.executemany("INSERT INTO tiles VALUES (?, ?, ?, ?)", [(zoom, *tile) for tile in tiles])
    database.close()
    return path


def pmtiles(path: Path, tiles: Iterable[tuple[int, int, bytes]], kind: str = "PNG", zoom: int = ZOOM) -> Path:
    from pmtiles.tile import Compression, TileType, zxy_to_tileid
    from pmtiles.writer import write

    with write(str(path)) as writer:
        for number, data in sorted((zxy_to_tileid(zoom, x, y), data) for x, y, data in tiles):
            writer.write_tile(number, data)
        writer.finalize({"tile_type": TileType[kind], "tile_compression": Compression.NONE}, {})
    return path


def stored(folder: Path, form: str, side: int = 256) -> str:
    """TILES in one of the forms; its path as region.yaml names it."""
    tiles = [(x, y, painted(x, y, side)) for x, y in TILES]
    highest = 2**ZOOM - 1
    if form == "pmtiles":
        return str(pmtiles(folder / "sky.pmtiles", tiles))
    if form.startswith("mbtiles"):
        north = form.endswith("north")
        rows = [(x, y if north else highest - y, data) for x, y, data in tiles]
        return str(mbtiles(folder / "sky.mbtiles", rows, {"scheme": "xyz"} if north else {"format": "png"}))
    template = {"xyz": "{z}/{x}/{y}.png", "tms": "{z}/{x}/{-y}.png", "quadkey": "a{q}.png"}[form]
    for x, y, data in tiles:
        name = {"xyz": f"{ZOOM}/{x}/{y}", "tms": f"{ZOOM}/{x}/{highest - y}"}.get(form)
        file = folder / f"{name or 'a' + mercantile.quadkey(x, y, ZOOM)}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    return f"{folder}/{template}"


@pytest.mark.parametrize("side", [256, 512])
@pytest.mark.parametrize("form", FORMS)
def test_any_store_shows_what_was_painted(tmp_path: Path, form: str, side: int) -> None:
    mosaic = XyzMosaic(stored(tmp_path, form, side), ZOOM)
    assert (mosaic.side, mosaic.block, mosaic.width) == (side, (side, side), side * 2**ZOOM)
    assert mosaic.tiles.first() in TILES
    left, top = 151 * side - 20, 193 * side - 30
    crop = mosaic.read((left, top, left + 50, top + 60))
    row, column = np.mgrid[top : top + 60, left : left + 50]
    assert crop.covered.all()
    assert np.array_equal(crop.pixels, paint(column, row))
    outside = np.array([[left, top, left + 50, top + 60], [152 * side - 10, top, 152 * side + 30, top + 10]])
    assert mosaic.coverage(outside).tolist() == [1.0, 0.25]


@pytest.mark.parametrize("form", FORMS)
def test_a_point_is_covered_where_a_tile_is(tmp_path: Path, form: str) -> None:
    mosaic = XyzMosaic(stored(tmp_path, form), ZOOM)
    rng = np.random.default_rng(0)
    west, _, _, north = mercantile.bounds(149, 191, ZOOM)
    _, south, east, _ = mercantile.bounds(152, 194, ZOOM)
    longitude, latitude = rng.uniform(west, east, 200), rng.uniform(south, north, 200)
    expected = [mercantile.tile(*point, ZOOM)[:2] in TILES for point in zip(longitude, latitude, strict=True)]
    assert 20 < sum(expected) < 180
    assert mosaic.has_points(latitude, longitude).tolist() == expected
    assert not mosaic.has_points(np.array([90.0, -90.0, 0.0]), np.array([0.0, 0.0, 180.0])).any()
    assert mosaic.decoded == 0
    assert mercantile.tile(*reversed(mosaic.somewhere()), ZOOM)[:2] in TILES


@settings(deadline=None)
@given(st.integers(1, 20), st.data())
def test_a_quadkey_is_mercantile_s_and_is_read_back(tmp_path_factory: pytest.TempPathFactory, zoom: int, data) -> None:
    x, y = (data.draw(st.integers(0, 2**zoom - 1)) for _ in "xy")
    folder = tmp_path_factory.mktemp("quad")
    (folder / f"{mercantile.quadkey(x, y, zoom)}.png").touch()
    (folder / f"{'0' * (zoom + 1)}.png").touch()  # of another zoom
    tiles = FolderTiles(f"{folder}/{{q}}.png", zoom)
    assert tiles.first() == (x, y)
    assert tiles.has(x, y)


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "PNG"])
def test_a_tile_is_known_by_its_content_not_its_name(tmp_path: Path, form: str) -> None:
    """Oracle: the picture as PIL opens it. A half transparent one that is named as a JPEG is half covered."""
    file = tmp_path / "9" / "150" / "192.jpg"
    file.parent.mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 256, (256, 256, 3 if form == "JPEG" else 4), dtype=np.uint8)
    if form != "JPEG":
        pixels[:, :64, 3], pixels[:, 64:, 3] = 0, 255
    file.write_bytes(encoded(pixels, form))
    mosaic = XyzMosaic(f"{tmp_path}/{{z}}/{{x}}/{{y}}.jpg", ZOOM)
    left, top = 150 * 256, 192 * 256
    whole = (left, top, left + 256, top + 256)
    assert mosaic.coverage(np.array([whole])).tolist() == [1.0 if form == "JPEG" else 0.75]
    crop = mosaic.read(whole)
    with PIL.Image.open(file) as picture:
        expected = np.asarray(picture.convert("RGB"))
    assert np.array_equal(crop.pixels[:, 64:], expected[:, 64:])


def test_a_large_pmtiles_file_is_read_as_its_own_reader_reads_it(tmp_path: Path) -> None:
    """Its directories have a second level, and every other tile is missing."""
    from pmtiles.reader import MemorySource, Reader

    rng = np.random.default_rng(1)
    tiles = [(x, y, rng.bytes(int(rng.integers(1, 60)))) for x in range(256) for y in range(256) if (x + y) % 2]
    path = pmtiles(tmp_path / "sky.pmtiles", tiles, zoom=8)
    reader, ours = Reader(MemorySource(path.read_bytes())), open_tiles(str(path), 8)
    assert reader.header()["leaf_directory_length"] > 0
    for x, y in rng.integers(0, 256, (100, 2)).tolist():
        expected = reader.get(8, x, y)
        assert ours.data(x, y) == expected
        assert ours.has(x, y) == (expected is not None)
    assert ours.first() is not None
    assert open_tiles(str(path), 9).first() is None


def config(path: str, zoom: int = ZOOM) -> ImageModality:
    return ImageModality.model_validate({"kind": "image", "source": "xyz", "path": path, "zoom": zoom})


def centres() -> tuple[np.ndarray, np.ndarray]:
    """Points on TILES."""
    bounds = [mercantile.bounds(x, y, ZOOM) for x, y in TILES]
    return (
        np.array([(box.south + box.north) / 2 for box in bounds]),
        np.array([(box.west + box.east) / 2 for box in bounds]),
    )


@pytest.mark.parametrize(
    ("form", "written", "message"),
    [
        ("tms", "{z}/{x}/{y}.png", "The tiles are counted from the south: write {-y} in place of {y}."),
        ("xyz", "{z}/{x}/{-y}.png", "The tiles are counted from the north: write {y} in place of {-y}."),
        ("xyz", "{z}/{y}/{x}.png", "Columns and rows are the other way round: swap {x} and {y}."),
    ],
)
def test_tiles_that_are_counted_otherwise_are_told(tmp_path: Path, form: str, written: str, message: str) -> None:
    right = stored(tmp_path, form)
    found, remarks = KIND.covers(config(written), tmp_path, *centres())
    assert not found.any()
    assert remarks == (message,)
    found, remarks = KIND.covers(config(right), tmp_path, *centres())
    assert found.all()
    assert remarks == ()


def test_the_advice_about_an_mbtiles_file_is_right(tmp_path: Path) -> None:
    """Rows from the north without a word in the metadata: after what the message says, the tiles are found."""
    path = Path(stored(tmp_path, "mbtiles from the north"))
    with sqlite3.connect(path) as database:
        database.execute("DELETE FROM metadata")
    database.close()
    found, (remark,) = KIND.covers(config(path.name), tmp_path, *centres())
    assert not found.any()
    statement = remark.split('"')[1]
    assert statement == "INSERT OR REPLACE INTO metadata VALUES ('scheme', 'xyz')"
    with sqlite3.connect(path) as database:
        database.execute(statement)
    database.close()
    assert KIND.covers(config(path.name), tmp_path, *centres())[0].all()


def test_tiles_of_elsewhere_and_their_size_are_said(tmp_path: Path) -> None:
    stored(tmp_path, "xyz", 512)
    found, remarks = KIND.covers(config("{z}/{x}/{y}.png"), tmp_path, np.array([-33.9]), np.array([151.2]))
    assert found.tolist() == [False]
    assert remarks[0] == "Tiles have 512 × 512 pixels."
    assert remarks[1].startswith("The imagery lies elsewhere: some of it at 40.")


def test_no_covered_cell_is_an_error_that_says_why(tmp_path: Path) -> None:
    stored(tmp_path, "tms")
    cells = np.unique([h3.latlng_to_cell(*point, 7) for point in zip(*centres(), strict=True)])
    message = (
        r"region\.yaml: modalities\.sky has imagery of none of the region's 4 cells\. The tiles are counted from the "
        r"south: write \{-y\} in place of \{y\}\. One of the cells is at 4\d\.\d\d° N, 7\d\.\d\d° W\."
    )
    region = SimpleNamespace(base_of=lambda *named: tmp_path, file=Path("region.yaml"))
    reader = SimpleNamespace(cells=lambda: cells, config=region)
    with pytest.raises(UserError, match=message):
        KIND.grid(reader, "sky", config("{z}/{x}/{y}.png"))
    assert KIND.grid(reader, "sky", config("{z}/{x}/{-y}.png"))["cell"].to_pylist() == cells.tolist()


def test_reading_an_mbtiles_file_leaves_nothing_behind(tmp_path: Path) -> None:
    """A program that left it in WAL mode would have SQLite write beside it."""
    path = Path(stored(tmp_path, "mbtiles"))
    database = sqlite3.connect(path)
    database.execute("PRAGMA journal_mode = WAL")
    database.close()
    before = path.read_bytes()
    assert XyzMosaic(str(path), ZOOM).tile(150, 192) is not None
    assert [file.name for file in tmp_path.iterdir()] == ["sky.mbtiles"]
    assert path.read_bytes() == before


def checked(folder: Path, path: str, zoom: int = ZOOM) -> list[str]:
    """Names of the files that the check keeps."""
    checker = Checker(folder, "region.yaml")
    KIND.check_files(checker, "modalities.sky", config(path, zoom))
    return [item.path.name for item in checker.others]


def test_the_check_keeps_one_file_of_each_store(tmp_path: Path) -> None:
    for form in FORMS:
        folder = tmp_path / form
        folder.mkdir()
        names = checked(folder, str(Path(stored(folder, form)).relative_to(folder)))
        assert names in ([f"sky.{form.split(' ')[0]}"], [file.name for file in folder.rglob("*.png")][:1])


@pytest.mark.parametrize(
    ("form", "zoom", "message"),
    [
        ("mbtiles", 11, r"path is 'sky\.mbtiles', but there is no tile of zoom 11 in it\. It has zooms 9\.$"),
        ("pmtiles", 8, r"path is 'sky\.pmtiles', but there is no tile of zoom 8 in it\. It has zooms 9\.$"),
        ("tms", 8, r"no tile of zoom 8 under .*\. There is .*/9/15\d/31\d\.png, of another zoom or name\."),
    ],
)
def test_a_zoom_without_tiles_is_told_with_those_that_are_there(
    tmp_path: Path, form: str, zoom: int, message: str
) -> None:
    path = Path(stored(tmp_path, form)).relative_to(tmp_path)
    with pytest.raises(UserError, match=message):
        checked(tmp_path, str(path), zoom)


def test_vector_tiles_are_refused_in_every_store(tmp_path: Path) -> None:
    tile = gzip.compress(b"\x1a\x05roads")
    mbtiles(tmp_path / "sky.mbtiles", [(150, 192, tile)], {"format": "pbf"})
    mbtiles(tmp_path / "unsaid.mbtiles", [(150, 192, tile)], {})
    pmtiles(tmp_path / "sky.pmtiles", [(150, 192, tile)], "MVT")
    (tmp_path / "9/150").mkdir(parents=True)
    (tmp_path / "9/150/192.png").write_bytes(tile)
    for path in ("sky.mbtiles", "unsaid.mbtiles", "sky.pmtiles", "{z}/{x}/{y}.png"):
        with pytest.raises(UserError, match=r"region\.yaml: modalities\.sky\.path is .* holds vector tiles"):
            checked(tmp_path, path)


@pytest.mark.parametrize("name", ["sky.mbtiles", "sky.pmtiles"])
@pytest.mark.parametrize("content", [b"", b"no tiles" * 100])
def test_a_file_that_is_no_archive_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    with pytest.raises(UserError, match=rf"path is '{name}', but there is no .*{name}"):
        checked(tmp_path, name)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=rf"{name} cannot be read as (MBTiles|PMTiles)"):
        checked(tmp_path, name)


def test_a_damaged_tile_of_an_archive_is_named(tmp_path: Path) -> None:
    tiles = [(x, 2**ZOOM - 1 - y, painted(x, y, 256)) for x, y in TILES]
    tiles[3] = (*tiles[3][:2], tiles[3][2][:300])
    mosaic = XyzMosaic(str(mbtiles(tmp_path / "sky.mbtiles", tiles, {})), ZOOM)
    with pytest.raises(
        UserError, match=r"sky\.mbtiles: the tile of zoom 9, column 151, row 318 cannot be read as an i"
    ):
        mosaic.tile(151, 193)


def test_a_tile_of_more_than_8_bits_is_refused(tmp_path: Path) -> None:
    """PIL would turn elevations into white."""
    file = tmp_path / "9" / "150" / "192.png"
    file.parent.mkdir(parents=True)
    file.write_bytes(encoded(np.full((256, 256), 3000, dtype=np.uint16)))
    with pytest.raises(UserError, match=r"192\.png cannot be read as an image \(it has more than 8 bits a colour\)"):
        XyzMosaic(f"{tmp_path}/{{z}}/{{x}}/{{y}}.png", ZOOM).tile(150, 192)


def test_pmtiles_without_its_package_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = stored(tmp_path, "pmtiles")
    monkeypatch.setitem(sys.modules, "pmtiles.tile", None)
    with pytest.raises(UserError, match=r"pip install 'mora-pipeline\[tiles\]'"):
        open_tiles(path, ZOOM)


def test_the_case_of_tiles_from_the_south(shared_data: Path, tmp_path: Path) -> None:
    """Tiles as gdal2tiles writes them: no place has imagery as declared, and all have it with {-y}."""
    import pandas as pd

    folder = tmp_path / "case"
    shutil.copytree(shared_data / "cases/i2-tms", folder)
    places = pd.read_csv(folder / "places.csv")
    points = places["lat"].to_numpy(), places["lon"].to_numpy()
    found, remarks = KIND.covers(config("tiles/{z}/{x}/{y}.png", 12), folder, *points)
    assert not found.any()
    assert remarks == ("The tiles are counted from the south: write {-y} in place of {y}.",)
    assert KIND.covers(config("tiles/{z}/{x}/{-y}.png", 12), folder, *points)[0].all()
