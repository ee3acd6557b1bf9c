"""XYZ tiles: windows against mercantile, pixels against what was painted, holes and damage."""

import math
from pathlib import Path

import h3.api.basic_int as h3
import mercantile
import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mora_pipeline.contract.errors import UserError
from mora_pipeline.modalities.image.boundaries import cell_boundaries
from mora_pipeline.modalities.image.windows import cell_windows, encode_windows
from mora_pipeline.modalities.image.xyz import XyzMosaic

TILE = 256
ZOOM = 9


class MeanColour:
    """An image's vector is its mean colour, 0 to 255."""

    name, dimension = "mean colour", 3

    def encode(self, images, progress=None) -> np.ndarray:
        return np.array([image.mean(axis=(0, 1)) for image in images], dtype=np.float32).reshape(-1, 3)


def paint(column: np.ndarray, row: np.ndarray) -> np.ndarray:
    """A colour for a global pixel: two smooth ramps and a constant."""
    blue = np.full_like(column, 77)
    return np.stack([column // 16 % 256, row // 16 % 256, blue], axis=-1).astype(np.uint8)


def write_tile(folder: Path, x: int, y: int, alpha: np.ndarray | None = None, zoom: int = ZOOM) -> Path:
    row, column = np.mgrid[y * TILE : (y + 1) * TILE, x * TILE : (x + 1) * TILE]
    pixels = paint(column, row)
    if alpha is not None:
        pixels = np.concatenate([pixels, alpha[..., None]], axis=-1)
    file = folder / str(zoom) / str(x) / f"{y}.png"
    file.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(pixels).save(file)
    return file


def mosaic_of(folder: Path, tiles: list[tuple[int, int]]) -> XyzMosaic:
    for x, y in tiles:
        write_tile(folder, x, y)
    return XyzMosaic(f"{folder}/{{z}}/{{x}}/{{y}}.png", ZOOM)


@pytest.fixture
def one_tile(tmp_path: Path) -> XyzMosaic:
    return mosaic_of(tmp_path, [(150, 192)])


def cells_in(tile: mercantile.Tile, resolution: int) -> np.ndarray:
    west, south, east, north = mercantile.bounds(tile)
    inside = h3.LatLngPoly([(south, west), (south, east), (north, east), (north, west)])
    return np.array(sorted(h3.polygon_to_cells(inside, resolution)), dtype=np.int64)


@settings(max_examples=200, deadline=None)
@given(
    latitude=st.floats(-80, 80), longitude=st.floats(-175, 175), resolution=st.integers(3, 12), zoom=st.integers(0, 18)
)
def test_a_window_is_the_boundary_s_box_by_mercantile(
    tmp_path_factory: pytest.TempPathFactory, latitude: float, longitude: float, resolution: int, zoom: int
) -> None:
    cell = h3.latlng_to_cell(latitude, longitude, resolution)
    corners = [mercantile.xy(lng, lat) for lat, lng in h3.cell_to_boundary(cell)]
    half = math.pi * 6378137.0
    columns = [(x + half) / (2 * half) * TILE * 2**zoom for x, _ in corners]
    rows = [(half - y) / (2 * half) * TILE * 2**zoom for _, y in corners]
    folder = tmp_path_factory.getbasetemp() / "windows"
    write_tile(folder, 0, 0, zoom=zoom)
    windows, there = XyzMosaic(f"{folder}/{{z}}/{{x}}/{{y}}.png", zoom).windows(cell_boundaries(np.array([cell])))
    expected = [math.floor(min(columns)), math.floor(min(rows)), math.ceil(max(columns)), math.ceil(max(rows))]
    assert there.tolist() == [True]
    # A box whose edge is a pixel's edge but for rounding may fall on either side.
    assert np.abs(windows[0] - expected).max() <= (1 if _on_an_edge(columns, rows) else 0)
    assert (windows[0, 2:] > windows[0, :2]).all()


def _on_an_edge(columns: list[float], rows: list[float]) -> bool:
    return any(abs(value - round(value)) < 1e-5 for value in [min(columns), min(rows), max(columns), max(rows)])


def test_a_crop_shows_what_lies_there(one_tile: XyzMosaic) -> None:
    cells = cells_in(mercantile.Tile(150, 192, ZOOM), 7)
    windows = cell_windows(cells, one_tile)
    assert 20 < windows.num_rows <= len(cells)
    encoded = encode_windows(windows, one_tile, MeanColour())
    for row, vector in zip(windows.to_pylist(), encoded.vectors, strict=True):
        if row["coverage"] == 1.0:
            y, x = np.mgrid[row["top"] : row["bottom"], row["left"] : row["right"]]
            assert np.allclose(vector, paint(x, y).mean(axis=(0, 1)), atol=0.01)


def test_windows_and_vectors_come_sorted_whatever_the_order_of_cells(tmp_path: Path) -> None:
    mosaic = mosaic_of(tmp_path, [(x, y) for x in (150, 151) for y in (192, 193)])
    cells = np.concatenate([cells_in(mercantile.Tile(x, 192, ZOOM), 7) for x in (150, 151)])
    windows = cell_windows(cells, mosaic)
    shuffled = np.random.default_rng(0).permutation(len(cells))
    assert windows.equals(cell_windows(cells[shuffled], mosaic))
    assert windows["cell"].to_pylist() == sorted(windows["cell"].to_pylist())
    encoded = encode_windows(windows, mosaic, MeanColour())
    again = encode_windows(windows.take(np.random.default_rng(1).permutation(windows.num_rows)), mosaic, MeanColour())
    assert np.array_equal(encoded.cells, again.cells)
    assert np.array_equal(encoded.vectors, again.vectors)


def test_cells_without_a_tile_are_masked_and_half_covered_ones_kept(one_tile: XyzMosaic) -> None:
    here, beyond = (cells_in(mercantile.Tile(x, 192, ZOOM), 6) for x in (150, 152))
    left, right = 150 * TILE, 151 * TILE
    windows = cell_windows(np.concatenate([here, beyond]), one_tile).to_pylist()
    assert not {row["cell"] for row in windows} & set(beyond.tolist())
    assert any(row["coverage"] < 1.0 for row in windows)
    for row in windows:
        width = min(row["right"], right) - max(row["left"], left)
        height = min(row["bottom"], 193 * TILE) - max(row["top"], 192 * TILE)
        area = (row["right"] - row["left"]) * (row["bottom"] - row["top"])
        assert row["coverage"] == pytest.approx(width * height / area)
        assert row["coverage"] >= 0.5


def test_transparent_pixels_are_no_imagery(tmp_path: Path) -> None:
    alpha = np.zeros((TILE, TILE), dtype=np.uint8)
    alpha[:, :100] = 255
    write_tile(tmp_path, 150, 192, alpha)
    mosaic = XyzMosaic(f"{tmp_path}/{{z}}/{{x}}/{{y}}.png", ZOOM)
    left, top = 150 * TILE, 192 * TILE
    windows = np.array([[left + 90, top, left + 110, top + 10], [left - 5, top + 1, left + 5, top + 3]])
    assert mosaic.coverage(windows).tolist() == [0.5, 0.5]
    filled = mosaic.read((left + 90, top, left + 110, top + 10)).filled()
    assert np.array_equal(filled[:, 10:], np.broadcast_to(filled[:, :10].mean(axis=(0, 1)).round(), (10, 10, 3)))


def test_a_cell_across_the_antimeridian_sees_both_sides(tmp_path: Path) -> None:
    last = 2**ZOOM - 1
    cell = h3.latlng_to_cell(10.0, 179.99, 7)
    assert {lng > 0 for _, lng in h3.cell_to_boundary(cell)} == {True, False}
    row = mercantile.tile(179.99, 10.0, ZOOM).y
    mosaic = mosaic_of(tmp_path, [(x, y) for x in (last, 0) for y in (row - 1, row, row + 1)])
    [window] = cell_windows(np.array([cell]), mosaic).to_pylist()
    world = TILE * 2**ZOOM
    assert 0 < world - window["left"] < 30
    assert 0 < window["right"] - world < 30
    assert window["coverage"] == 1.0
    y, x = np.mgrid[window["top"] : window["bottom"], window["left"] : window["right"]]
    encoded = encode_windows(cell_windows(np.array([cell]), mosaic), mosaic, MeanColour())
    assert np.allclose(encoded.vectors[0], paint(x % world, y).mean(axis=(0, 1)), atol=0.01)


@pytest.mark.parametrize("latitude", [-90.0, 90.0, 89.0])
def test_a_cell_at_a_pole_has_no_window(tmp_path: Path, latitude: float) -> None:
    mosaic = mosaic_of(tmp_path, [(x, y) for x in range(4) for y in (0, 2**ZOOM - 1)])
    assert cell_windows(np.array([h3.latlng_to_cell(latitude, 1.0, 5)]), mosaic).num_rows == 0


def test_a_cell_smaller_than_a_pixel_gets_its_pixel(one_tile: XyzMosaic) -> None:
    west, south, east, north = mercantile.bounds(150, 192, ZOOM)
    cell = h3.latlng_to_cell((south + north) / 2 + 1e-4, (west + east) / 2 + 1e-4, 13)
    [window] = cell_windows(np.array([cell]), one_tile).to_pylist()
    assert window["right"] - window["left"] == window["bottom"] - window["top"] == 1


def test_no_cells_give_no_windows(one_tile: XyzMosaic) -> None:
    windows = cell_windows(np.array([], dtype=np.int64), one_tile)
    assert windows.num_rows == 0
    assert encode_windows(windows, one_tile, MeanColour()).vectors.shape == (0, 3)


def test_pieces_of_windows_and_cells_give_the_same(one_tile: XyzMosaic, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = cells_in(mercantile.Tile(150, 192, ZOOM), 7)
    windows = cell_windows(cells, one_tile)
    encoded = encode_windows(windows, one_tile, MeanColour())
    monkeypatch.setattr("mora_pipeline.modalities.image.windows.CELLS_AT_ONCE", 7)
    monkeypatch.setattr("mora_pipeline.modalities.image.windows.CHUNK", 5)
    monkeypatch.setattr("mora_pipeline.modalities.image.xyz.PAIRS_AT_ONCE", 3)
    seen: list[int] = []
    again = encode_windows(windows, one_tile, MeanColour(), lambda done, total: seen.append(done))
    assert windows.equals(cell_windows(cells, one_tile))
    assert np.array_equal(encoded.vectors, again.vectors)
    assert seen[-1] == windows.num_rows


def test_each_tile_is_read_few_times_even_with_a_small_cache(tmp_path: Path) -> None:
    mosaic = mosaic_of(tmp_path, [(x, y) for x in range(150, 162) for y in range(190, 196)])
    mosaic.cached_tiles = 8
    cells = np.concatenate([cells_in(mercantile.Tile(x, y, ZOOM), 6) for x in range(150, 162) for y in range(190, 196)])
    windows = cell_windows(cells, mosaic)
    mosaic.decoded = 0
    encode_windows(windows, mosaic, MeanColour())
    assert mosaic.decoded <= 3 * 72


def test_a_damaged_tile_is_named(one_tile: XyzMosaic) -> None:
    windows = cell_windows(cells_in(mercantile.Tile(150, 192, ZOOM), 7), one_tile)
    file = Path(one_tile.tiles.name(150, 192))
    file.write_bytes(file.read_bytes()[:200])
    damaged = XyzMosaic(one_tile.path, ZOOM)
    with pytest.raises(UserError, match=rf"{file} cannot be read as an image .*Fetch the tile again"):
        encode_windows(windows, damaged, MeanColour())


def test_a_tile_of_another_size_is_named(tmp_path: Path) -> None:
    for y, side in ((2, 256), (3, 512)):
        file = tmp_path / "9" / "1" / f"{y}.jpeg"
        file.parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.new("RGB", (side, side)).save(file)
    mosaic = XyzMosaic(f"{tmp_path}/{{z}}/{{x}}/{{y}}.jpeg", 9)
    other = {256: 3, 512: 2}[mosaic.side]  # whichever was found first
    with pytest.raises(
        UserError, match=rf"{other}\.jpeg has (\d+) × \1 pixels, but other tiles .* have {mosaic.side} ×"
    ):
        mosaic.tile(1, other)


@pytest.mark.parametrize("template", ["{z}/{x}/{y}.jpeg", "{z}/{y}-{x}.png", "nowhere/{z}/{x}/{y}.png"])
def test_a_template_without_tiles_is_reported(tmp_path: Path, template: str) -> None:
    write_tile(tmp_path, 1, 2)
    with pytest.raises(UserError, match="no tile of zoom 9"):
        XyzMosaic(f"{tmp_path}/{template}", 9)


def test_real_tiles_cover_us_east(shared_data: Path) -> None:
    mosaic = XyzMosaic(f"{shared_data}/us_east/imagery/{{z}}/{{x}}/{{y}}.jpeg", 8)
    named = {"forest": (44.0, -74.5), "ocean": (39.0, -71.0), "new york": (40.75, -73.98)}
    cells = {name: h3.latlng_to_cell(*point, 6) for name, point in named.items()}
    encoded = encode_windows(cell_windows(np.array(sorted(cells.values())), mosaic), mosaic, MeanColour())
    colour = {
        name: encoded.vectors[encoded.cells.tolist().index(cell)]
        for name, cell in cells.items()
        if cell in encoded.cells
    }
    assert colour["forest"][1] > colour["forest"][2], "a forest is more green than blue"
    assert colour["new york"].mean() > colour["forest"].mean(), "a city is brighter than a forest"
