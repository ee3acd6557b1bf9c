"""GeoTIFFs that are no 8-bit RGB: colour tables, deep and decimal numbers, a file a band; against numpy."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from rasterio.enums import ColorInterp, Resampling
from rasterio.transform import from_bounds
from rasterio.warp import transform_bounds
from rasterio.windows import Window

from mora_pipeline.contract.errors import UserError
from mora_pipeline.modalities.image import KIND
from mora_pipeline.modalities.image.config import ImageModality
from mora_pipeline.modalities.image.geotiff import MOST, GeoTiffMosaic
from mora_pipeline.modalities.image.windows import open_mosaic
from mora_pipeline.region.columns import Checker

BOUNDS = (11.0, 48.0, 12.0, 49.0)
SIDE = 60
WINDOW = (7, 11, 41, 52)


def write(file: Path, values: np.ndarray, crs: str = "EPSG:4326", **profile) -> Path:
    """Values [bands, height, width] over BOUNDS, in `crs`; a colour table, colours and descriptions if given."""
    table, colours = profile.pop("table", None), profile.pop("colours", None)
    descriptions = profile.pop("descriptions", None)
    count, height, width = values.shape
    transform = from_bounds(*transform_bounds("EPSG:4326", crs, *BOUNDS), width, height)
    settings = {"count": count, "height": height, "width": width, "dtype": values.dtype, "crs": crs}
    file.parent.mkdir(exist_ok=True, parents=True)
    with rasterio.open(file, "w", driver="GTiff", transform=transform, **settings, **profile) as target:
        target.write(values)
        if table:
            target.write_colormap(1, table)
        if colours:
            target.colorinterp = colours
        if descriptions:
            target.descriptions = descriptions
    return file


def random(kind: str, bands: int, low: float, high: float, side: int = SIDE) -> np.ndarray:
    return np.random.default_rng(0).uniform(low, high, (bands, side, side)).astype(kind)


def config(path: str, **keys) -> ImageModality:
    return ImageModality.model_validate({"kind": "image", "source": "geotiff", "path": path, **keys})


def crop_of(folder: Path, path: str, window=WINDOW, **keys):
    return open_mosaic(config(path, **keys), folder).read(window)


def cut(values: np.ndarray) -> np.ndarray:
    left, top, right, bottom = WINDOW
    return values[..., top:bottom, left:right]


def refusal(folder: Path, path: str, **keys) -> str:
    with pytest.raises(UserError) as caught:
        KIND.check_files(Checker(folder, "region.yaml"), "modalities.sky", config(path, **keys))
    return str(caught.value)


@pytest.mark.parametrize("kind", ["uint8", "uint16"])
def test_a_colour_table_gives_its_colours(tmp_path: Path, kind: str) -> None:
    table = {index: (index * 25, 255 - index * 20, 7, 255) for index in range(10)}
    values = random(kind, 1, 0, 10)
    write(tmp_path / "map.tif", values, table=table)
    crop = crop_of(tmp_path, "map.tif")
    expected = np.array([table[index][:3] for index in cut(values)[0].ravel()]).reshape(*cut(values)[0].shape, 3)
    assert crop.covered.all()
    assert np.array_equal(crop.pixels, expected)


def test_a_colour_table_is_never_mixed_between_its_indices(tmp_path: Path) -> None:
    """A file that is resampled into the grid of another: the mean of two indices would be a third class."""
    table = {0: (200, 0, 0, 255), 1: (0, 200, 0, 255), 2: (0, 0, 200, 255)}
    write(tmp_path / "a.tif", random("uint8", 1, 0, 2) * 2, table=table)
    write(tmp_path / "b.tif", random("uint8", 1, 0, 2, 50) * 2, crs="EPSG:32632", table=table)
    mosaic = open_mosaic(config("*.tif"), tmp_path)
    assert [picture.layers[0].aligned for picture in mosaic.pictures] == [True, False]
    crop = mosaic.read((0, 0, SIDE, SIDE))
    assert {tuple(colour) for colour in crop.pixels.reshape(-1, 3).tolist()} == {(200, 0, 0), (0, 0, 200)}


def test_an_index_without_data_is_no_imagery(tmp_path: Path) -> None:
    values = np.zeros((1, SIDE, SIDE), dtype=np.uint8)
    values[0, :, 20:] = 1
    write(tmp_path / "map.tif", values, table={0: (9, 9, 9, 255), 1: (50, 60, 70, 255)}, nodata=0)
    mosaic = open_mosaic(config("map.tif"), tmp_path)
    assert mosaic.coverage(np.array([[10, 10, 30, 20], [30, 10, 40, 20]])).tolist() == [0.5, 1.0]


def test_deep_bands_are_chosen_and_scaled(tmp_path: Path) -> None:
    values = random("uint16", 5, 0, 5000)
    write(tmp_path / "deep.tif", values)
    crop = crop_of(tmp_path, "deep.tif", bands=[4, 3, 2], scale=[500, 3000])
    expected = np.interp(cut(values[[3, 2, 1]]), [500, 3000], [0, 255])
    assert np.abs(crop.pixels - np.moveaxis(expected, 0, 2)).max() <= 0.5
    assert crop.pixels.min() == 0
    assert crop.pixels.max() == 255
    grey = crop_of(tmp_path, "deep.tif", bands=[5], scale=[0, 5000]).pixels
    assert np.abs(grey - np.interp(cut(values[4]), [0, 5000], [0, 255])[..., None]).max() <= 0.5


def test_bands_of_8_bits_are_chosen_without_a_scale(tmp_path: Path) -> None:
    values = random("uint8", 4, 0, 256)
    write(tmp_path / "near.tif", values)
    assert np.array_equal(
        crop_of(tmp_path, "near.tif", bands=[4, 1, 2]).pixels.T, cut(values[[3, 0, 1]]).swapaxes(1, 2)
    )


@pytest.mark.parametrize("nodata", [None, -9999.0, float("nan")])
def test_decimal_numbers_without_a_value_are_no_imagery(tmp_path: Path, nodata: float | None) -> None:
    values = random("float32", 1, -0.2, 0.9)
    hole = np.random.default_rng(1).random((SIDE, SIDE)) < 0.3
    values[0][hole] = np.nan if nodata is None else nodata
    write(tmp_path / "ndvi.tif", values, nodata=nodata)
    crop = crop_of(tmp_path, "ndvi.tif", scale=[-0.2, 0.8])
    assert np.array_equal(crop.covered, ~cut(hole))
    mosaic = open_mosaic(config("ndvi.tif", scale=[-0.2, 0.8]), tmp_path)
    assert mosaic.coverage(np.array([WINDOW])) == pytest.approx(1 - cut(hole).mean())
    expected = np.clip((cut(values[0]) + 0.2) / 1.0, 0, 1) * 255
    assert np.abs(crop.pixels[crop.covered] - expected[crop.covered][:, None]).max() <= 0.51


def test_an_alpha_band_is_no_colour_but_says_where_there_is_imagery(tmp_path: Path) -> None:
    values = random("uint8", 4, 0, 256)
    values[3] = np.where(values[3] < 90, 0, 255)
    colours = [ColorInterp.blue, ColorInterp.green, ColorInterp.red, ColorInterp.alpha]
    write(tmp_path / "rgba.tif", values, colours=colours)
    crop = crop_of(tmp_path, "rgba.tif")
    assert np.array_equal(crop.covered, cut(values[3]) > 0)
    expected = np.moveaxis(cut(values[[2, 1, 0]]), 0, 2)
    assert np.array_equal(crop.pixels[crop.covered], expected[crop.covered])


def test_three_files_are_one_picture(tmp_path: Path) -> None:
    """As Sentinel-2 comes, two scenes of it; a pixel that one of the bands lacks is no imagery."""
    red, green, blue = random("uint16", 3, 1, 4000)
    green[:, :20] = 0
    for name, values in (("B04", red), ("B03", green), ("B02", blue), ("B08", blue)):
        write(tmp_path / "scenes" / f"T32_{name}.tif", values[None], nodata=0)
    names = ["T32_B04.tif", "*_B03.tif", "**/*_B02.tif"]
    crop = crop_of(tmp_path, "scenes", bands=names, scale=[0, 4000])
    expected = np.moveaxis(np.interp(cut(np.stack([red, green, blue])), [0, 4000], [0, 255]), 0, 2)
    assert np.array_equal(crop.covered, cut(green) > 0)
    assert np.abs(crop.pixels - expected)[crop.covered].max() <= 0.5
    checker = Checker(tmp_path, "region.yaml")
    KIND.check_files(checker, "modalities.sky", config("scenes", bands=names, scale=[0, 4000]))
    assert [item.path.name for item in checker.others] == ["T32_B04.tif", "T32_B03.tif", "T32_B02.tif"]


def test_a_band_of_another_resolution_is_resampled_to_the_first(tmp_path: Path) -> None:
    ramp = np.linspace(0, 200, SIDE, dtype=np.uint8)
    for name, side in (("r", SIDE), ("g", SIDE), ("b", SIDE // 2)):
        write(tmp_path / f"{name}.tif", np.broadcast_to(ramp[:: SIDE // side], (1, side, side)).copy())
    crop = crop_of(tmp_path, ".", bands=["r.tif", "g.tif", "b.tif"])
    assert crop.covered.all()
    assert np.abs(crop.pixels[..., 2].astype(int) - crop.pixels[..., 0]).max() <= 4


def test_files_of_one_picture_must_belong_together(tmp_path: Path) -> None:
    for name in ("a_r", "a_g", "a_b", "b_r"):
        write(tmp_path / f"{name}.tif", random("uint8", 1, 0, 256))
    message = refusal(tmp_path, ".", bands=["*_r.tif", "*_g.tif", "*_b.tif"])
    assert message == (
        "region.yaml: modalities.sky.bands must find as many files for each band, but finds '*_r.tif' 2, '*_g.tif' 1, "
        "'*_b.tif' 1. Complete them."
    )
    write(tmp_path / "a_b.tif", random("uint8", 1, 0, 256), crs="EPSG:32632")
    message = refusal(tmp_path, ".", bands=["a_r.tif", "a_g.tif", "a_b.tif"])
    assert "names a_b.tif, which does not lie where a_r.tif lies, but both are bands of one picture." in message


@pytest.mark.parametrize(
    ("kind", "bands", "low", "high", "said"),
    [
        ("uint16", 1, 100, 3100, "uint16 in 1 band"),
        ("int16", 13, -50, 9000, "int16 in 13 bands"),
        ("float32", 3, 0, 1, "float32 in 3 bands"),
    ],
)
def test_other_numbers_are_refused_with_a_scale_that_then_works(
    tmp_path: Path, kind: str, bands: int, low: float, high: float, said: str
) -> None:
    values = random(kind, bands, low, high)
    write(tmp_path / "deep.tif", values)
    message = refusal(tmp_path, "deep.tif")
    assert message.startswith(f"region.yaml: modalities.sky.path names deep.tif, which holds {said} (")
    scale = [float(number) for number in re.search(r"scale: \[(\S+), (\S+)\]", message).groups()]
    assert scale == pytest.approx(np.percentile(values[:3], [2, 98]), rel=0.02, abs=0.02)
    assert ("bands: [3, 2, 1]" in message) == (bands >= 3)
    crop = crop_of(tmp_path, "deep.tif", scale=scale)
    assert 90 < crop.pixels.mean() < 165
    with pytest.raises(UserError, match=rf"deep\.tif holds {said.split(' ')[0]}"):
        GeoTiffMosaic([tmp_path / "deep.tif"])


def test_bands_are_suggested_by_their_descriptions(tmp_path: Path) -> None:
    write(tmp_path / "s2.tif", random("uint16", 4, 0, 9), descriptions=("B02", "B03", "B04", "B08"))
    assert "bands: [3, 2, 1]" in refusal(tmp_path, "s2.tif")
    write(tmp_path / "s2.tif", random("uint16", 4, 0, 9), descriptions=("red", "green", "blue", "nir"))
    assert "bands: [1, 2, 3]" in refusal(tmp_path, "s2.tif")


def test_what_has_no_brightness_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "radar.tif", random("complex64", 1, 0, 9))
    assert "radar.tif, which holds complex numbers" in refusal(tmp_path, "radar.tif")
    write(tmp_path / "few.tif", random("uint8", 2, 0, 9))
    assert "few.tif, which has 2 bands, but bands names 4." in refusal(tmp_path, "few.tif", bands=[4, 3, 2])
    write(tmp_path / "bits.tif", random("uint8", 1, 0, 2), nbits=4)
    assert "bits.tif, which holds 4-bit in 1 band (0 to 1 in a sample)" in refusal(tmp_path, "bits.tif")
    write(tmp_path / "map.tif", random("uint8", 1, 0, 2), table={0: (1, 2, 3, 255), 1: (4, 5, 6, 255)})
    assert "map.tif, which has a colour table, so it has colours already." in refusal(tmp_path, "map.tif", scale=[0, 1])
    write(tmp_path / "bit.tif", random("uint8", 1, 0, 2), nbits=1)  # has a colour table of black and white
    assert set(crop_of(tmp_path, "bit.tif").pixels.ravel().tolist()) == {0, 255}
    write(tmp_path / "empty.tif", np.zeros((1, SIDE, SIDE), dtype=np.uint16), nodata=0)
    assert "no value in a sample" in refusal(tmp_path, "empty.tif")


def test_a_large_file_is_sampled_in_parts(tmp_path: Path) -> None:
    """Nine parts of 256 pixels: the range of a ramp comes out, though not every pixel is read."""
    ramp = np.broadcast_to(np.arange(2000, dtype=np.uint16), (1, 1500, 2000))
    write(tmp_path / "ramp.tif", ramp)
    assert "(0 to 2000 in a sample)" in refusal(tmp_path, "ramp.tif")


def test_a_wide_window_is_read_coarser_and_looks_the_same(tmp_path: Path) -> None:
    """Oracle: the whole file, averaged by rasterio. Most of a window of 5,000 pixels would be thrown away anyway."""
    side = 3 * MOST
    row, column = np.mgrid[0:side, 0:side]
    values = np.stack([column // 13 % 256, row // 13 % 256, np.full((side, side), 9)]).astype(np.uint8)
    file = write(tmp_path / "wide.tif", values, tiled=True, compress="deflate")
    with rasterio.open(file, "r+") as raster:
        raster.build_overviews([2, 4], Resampling.average)
    left, top = 5, 3
    crop = crop_of(tmp_path, "wide.tif", (left, top, side - 2, side - 1))
    assert crop.pixels.shape == (-(-(side - 1 - top) // 2), -(-(side - 2 - left) // 2), 3)
    assert crop.covered.all()
    with rasterio.open(file) as raster:
        window = Window(left, top, side - 2 - left, side - 1 - top)
        expected = raster.read(window=window, out_shape=(3, *crop.pixels.shape[:2]), resampling=Resampling.average)
    assert np.abs(crop.pixels.astype(int) - np.moveaxis(expected, 0, 2))[..., :2].mean() < 1.0


def test_a_point_is_covered_where_a_pixel_has_data(tmp_path: Path) -> None:
    values = np.ones((3, SIDE, SIDE), dtype=np.uint8)
    values[:, :, : SIDE // 2] = 0
    write(tmp_path / "half.tif", values, nodata=0)
    latitude, longitude = np.array([48.5, 48.5, 48.5, -10.0]), np.array([11.2, 11.8, 12.2, 11.8])
    found, remarks = KIND.covers(config("half.tif"), tmp_path, latitude, longitude)
    assert found.tolist() == [False, True, False, False]
    assert remarks == ()
    found, remarks = KIND.covers(config("half.tif"), tmp_path, latitude[3:], longitude[3:])
    assert not found.any()
    assert remarks == ("The imagery lies elsewhere: some of it at 48.50° N, 11.50° E.",)


def test_the_case_of_a_colour_table(shared_data: Path, tmp_path: Path) -> None:
    """Colours of the table, of which the index is none."""
    file = tmp_path / "img.tif"
    shutil.copy(shared_data / "cases/j2-tif-palette/img.tif", file)
    KIND.check_files(Checker(tmp_path, "region.yaml"), "modalities.img", config("img.tif"))
    crop = crop_of(tmp_path, "img.tif", (100, 100, 160, 150))
    with rasterio.open(file) as raster:
        indices, table = raster.read(1, window=Window(100, 100, 60, 50)), raster.colormap(1)
    assert np.array_equal(crop.pixels, [[table[index][:3] for index in line] for line in indices.tolist()])


def test_a_file_that_leads_to_others_is_no_geotiff(tmp_path: Path) -> None:
    """A virtual raster may name any file or address, whatever it is called itself."""
    elsewhere = write(tmp_path / "elsewhere.tif", random("uint8", 3, 0, 255))
    (tmp_path / "pictures").mkdir()
    rasterio.shutil.copy(elsewhere, tmp_path / "pictures" / "a.tif", driver="VRT")
    with rasterio.open(tmp_path / "pictures" / "a.tif") as source:
        assert source.driver == "VRT"
    assert "a.tif, which cannot be read as a GeoTIFF" in refusal(tmp_path, "pictures")
