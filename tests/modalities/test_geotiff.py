"""GeoTIFFs: a picture whose colour is its position, in several CRSs, one file or many, with holes and damage."""

from pathlib import Path

import h3.api.basic_int as h3
import numpy as np
import pytest
import rasterio
from rasterio.transform import from_bounds
from rasterio.warp import transform as reproject
from rasterio.warp import transform_bounds

from mora_pipeline.contract.errors import UserError
from mora_pipeline.modalities.image.geotiff import GeoTiffMosaic
from mora_pipeline.modalities.image.windows import cell_windows, encode_windows

WEST, SOUTH, EAST, NORTH = 11.0, 48.0, 12.0, 49.0


class MeanColour:
    """An image's vector is its mean colour, 0 to 255."""

    name, dimension = "mean colour", 3

    def encode(self, images, progress=None) -> np.ndarray:
        return np.array([image.mean(axis=(0, 1)) for image in images], dtype=np.float32).reshape(-1, 3)


def colour_of(longitude: np.ndarray, latitude: np.ndarray) -> np.ndarray:
    """Red runs from 10 in the west to 250 in the east, green from south to north, blue is constant."""
    red, green = 10 + 240 * (longitude - WEST), 10 + 240 * (latitude - SOUTH)
    return np.stack([red, green, np.full_like(red, 99.0)])


def write(
    file: Path, bounds=(WEST, SOUTH, EAST, NORTH), crs: str = "EPSG:4326", size: int = 500, bands=(0, 1, 2), **profile
) -> Path:
    """The part of the coloured world within geographic bounds, on a grid of `crs`."""
    box = transform_bounds("EPSG:4326", crs, *bounds)
    transform = from_bounds(*box, size, size)
    row, column = np.mgrid[0:size, 0:size] + 0.5
    x, y = transform * (column, row)
    longitude, latitude = (
        np.array(axis).reshape(size, size) for axis in reproject(crs, "EPSG:4326", x.ravel(), y.ravel())
    )
    values = np.clip(colour_of(longitude, latitude), 1, 255).round().astype(np.uint8)[list(bands)]
    settings = {"driver": "GTiff", "height": size, "width": size, "count": len(bands), "dtype": "uint8"}
    with rasterio.open(file, "w", **settings, crs=crs, transform=transform, **profile) as target:
        target.write(values)
    return file


def cells(resolution: int = 6, margin: float = 0.1) -> np.ndarray:
    west, south, east, north = WEST + margin, SOUTH + margin, EAST - margin, NORTH - margin
    inside = h3.LatLngPoly([(south, west), (south, east), (north, east), (north, west)])
    return np.array(sorted(h3.polygon_to_cells(inside, resolution)), dtype=np.int64)


def expected_colours(cells_of: np.ndarray) -> np.ndarray:
    """Colour in the middle of a cell's box of longitudes and latitudes."""
    boundaries = [np.array(h3.cell_to_boundary(int(cell))) for cell in cells_of]
    middle = np.array([(ring.min(axis=0) + ring.max(axis=0)) / 2 for ring in boundaries])
    return colour_of(middle[:, 1], middle[:, 0]).T


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857", "EPSG:32632", "EPSG:3035"])
def test_a_crop_shows_what_lies_there_in_any_crs(tmp_path: Path, crs: str) -> None:
    mosaic = GeoTiffMosaic([write(tmp_path / "world.tif", crs=crs)])
    windows = cell_windows(cells(), mosaic)
    encoded = encode_windows(windows, mosaic, MeanColour())
    assert np.array_equal(encoded.cells, cells())
    assert (windows["coverage"].to_numpy() == 1.0).all()
    assert np.abs(encoded.vectors - expected_colours(cells())).max() < 2.0


def test_many_files_are_one_mosaic(tmp_path: Path) -> None:
    """Two halves of one grid, and a third quarter in another CRS and pixel size."""
    half = (WEST + EAST) / 2
    files = [
        write(tmp_path / "a.tif", (WEST, SOUTH, half, NORTH), size=400),
        write(tmp_path / "b.tif", (half, SOUTH, EAST, NORTH), size=400),
    ]
    aligned = GeoTiffMosaic(files)
    assert [part.layers[0].aligned for part in aligned.pictures] == [True, True]
    files.append(write(tmp_path / "c.tif", (WEST, SOUTH, EAST, NORTH), "EPSG:32632", size=300))
    mixed = GeoTiffMosaic(files)
    assert [part.layers[0].aligned for part in mixed.pictures] == [True, True, False]
    for mosaic in (aligned, mixed):
        windows = cell_windows(cells(), mosaic)
        assert np.array_equal(windows["cell"].to_numpy(), cells())
        encoded = encode_windows(windows, mosaic, MeanColour())
        assert np.abs(encoded.vectors - expected_colours(cells())).max() < 3.0


def test_pixels_of_no_data_are_no_imagery(tmp_path: Path) -> None:
    file = write(tmp_path / "world.tif", nodata=0)
    with rasterio.open(file, "r+") as raster:
        values = raster.read()
        values[:, :, :250] = 0
        raster.write(values)
    mosaic = GeoTiffMosaic([file])
    kept = cell_windows(cells(), mosaic).to_pylist()
    centre = {row["cell"]: h3.cell_to_latlng(row["cell"])[1] for row in kept}
    assert 0 < len(kept) < len(cells())
    assert min(centre.values()) > (WEST + EAST) / 2 - 0.01
    for row in kept:
        assert row["coverage"] == pytest.approx(min(1.0, (row["right"] - 250) / (row["right"] - row["left"])))
    encoded = encode_windows(cell_windows(cells(), mosaic), mosaic, MeanColour())
    assert np.abs(encoded.vectors[:, 2] - 99).max() < 1.0, "pixels without imagery take the colour of the others"


def test_cells_beyond_the_files_are_left_out(tmp_path: Path) -> None:
    mosaic = GeoTiffMosaic([write(tmp_path / "world.tif")])
    elsewhere = np.array([h3.latlng_to_cell(*point, 6) for point in [(48.5, 20.0), (-33.0, 151.0), (90.0, 0.0)]])
    assert cell_windows(elsewhere, mosaic).num_rows == 0


def test_grey_imagery_is_read_as_rgb(tmp_path: Path) -> None:
    mosaic = GeoTiffMosaic([write(tmp_path / "grey.tif", bands=(0,))])
    encoded = encode_windows(cell_windows(cells(), mosaic), mosaic, MeanColour())
    assert np.abs(encoded.vectors - expected_colours(cells())[:, :1]).max() < 2.0


@pytest.mark.parametrize("bounds", [(179.0, -17.0, 181.0, -15.0), (-181.0, -17.0, -179.0, -15.0)])
def test_a_cell_across_the_antimeridian_is_whole(tmp_path: Path, bounds: tuple) -> None:
    """Longitudes of a raster may run past 180 either way."""
    settings = {"driver": "GTiff", "height": 200, "width": 200, "count": 3, "dtype": "uint8", "crs": "EPSG:4326"}
    with rasterio.open(tmp_path / "fiji.tif", "w", **settings, transform=from_bounds(*bounds, 200, 200)) as target:
        target.write(np.broadcast_to(np.arange(200, dtype=np.uint8), (3, 200, 200)))
    mosaic = GeoTiffMosaic([tmp_path / "fiji.tif"])
    crossing = h3.latlng_to_cell(-16.0, 180.0, 5)
    assert {lng > 0 for _, lng in h3.cell_to_boundary(crossing)} == {True, False}
    [window] = cell_windows(np.array([crossing]), mosaic).to_pylist()
    assert window["left"] < 100 < window["right"]
    assert window["right"] - window["left"] < 40


def test_a_crs_that_tears_a_cell_apart_has_no_window_for_it(tmp_path: Path) -> None:
    settings = {"driver": "GTiff", "height": 64, "width": 64, "count": 3, "dtype": "uint8", "crs": "EPSG:3857"}
    world = from_bounds(-20037508.34, -20037508.34, 20037508.34, 20037508.34, 64, 64)
    with rasterio.open(tmp_path / "world.tif", "w", **settings, transform=world) as target:
        target.write(np.ones((3, 64, 64), dtype=np.uint8))
    crossing, near = h3.latlng_to_cell(-16.0, 180.0, 5), h3.latlng_to_cell(-16.0, 179.0, 5)
    windows = cell_windows(np.array([crossing, near]), GeoTiffMosaic([tmp_path / "world.tif"]))
    assert windows["cell"].to_pylist() == [near]


def test_a_file_without_a_crs_is_reported(tmp_path: Path) -> None:
    with rasterio.open(
        tmp_path / "plain.tif", "w", driver="GTiff", height=4, width=4, count=3, dtype="uint8"
    ) as target:
        target.write(np.ones((3, 4, 4), dtype=np.uint8))
    with pytest.raises(UserError, match=r"plain\.tif has no CRS"):
        GeoTiffMosaic([tmp_path / "plain.tif"])


def test_a_file_cut_short_is_named(tmp_path: Path) -> None:
    file = write(tmp_path / "world.tif")
    mosaic = GeoTiffMosaic([file])
    windows = cell_windows(cells(), mosaic)
    file.write_bytes(file.read_bytes()[:50_000])
    with pytest.raises(UserError, match=r"world\.tif cannot be read as a GeoTIFF"):
        encode_windows(windows, GeoTiffMosaic([file]), MeanColour())


def test_a_file_that_is_no_image_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.tif").write_text("no image")
    with pytest.raises(UserError, match=r"text\.tif cannot be read as a GeoTIFF"):
        GeoTiffMosaic([tmp_path / "text.tif"])
