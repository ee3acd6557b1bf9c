"""Rasters over cells: against polygons cut by shapely, points of a fine grid, and totals that must be kept."""

import sys
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import h3.api.basic_int as h3
import numpy as np
import pytest
import rasterio
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer
from rasterio.transform import from_bounds
from rasterio.warp import transform_bounds

from mora_pipeline.contract.errors import UserError
from mora_pipeline.modalities.raster import KIND
from mora_pipeline.modalities.raster.config import RasterModality
from mora_pipeline.modalities.raster.grids import sentinel
from mora_pipeline.modalities.raster.zonal import CellNumbers, cell_numbers
from mora_pipeline.region.columns import Checker

BOUNDS = (11.0, 48.0, 11.3, 48.2)
MIDDLE = (48.1, 11.15)
CRSS = ["EPSG:4326", "EPSG:3857", "EPSG:32632", "ESRI:54009"]
SIZE = 40


def config(statistic: str = "sum", **keys) -> RasterModality:
    return RasterModality.model_validate({"kind": "raster", "path": "a.tif", "statistic": statistic, **keys})


def write(file: Path, values: np.ndarray, crs: str = "EPSG:4326", bounds=BOUNDS, **profile) -> Path:
    """Values [height, width] or [bands, height, width] over geographic bounds, or those of `crs` if `box` is given."""
    values = values if values.ndim == 3 else values[None]
    box = profile.pop("box", None) or transform_bounds("EPSG:4326", crs, *bounds)
    scales = profile.pop("scales", None)
    settings = {"count": len(values), "height": values.shape[1], "width": values.shape[2], "dtype": values.dtype}
    transform = from_bounds(*box, values.shape[2], values.shape[1])
    with rasterio.open(file, "w", driver="GTiff", crs=crs, transform=transform, **settings, **profile) as target:
        target.write(values)
        if scales:
            target.scales = scales
    return file


def people(low: float = 0.0, seed: int = 0, size: int = SIZE) -> np.ndarray:
    return np.random.default_rng(seed).gamma(1.0, 3.0, (size, size)).astype(np.float32) + np.float32(low)


def around(resolution: int, rings: int) -> np.ndarray:
    return np.array(sorted(h3.grid_disk(h3.latlng_to_cell(*MIDDLE, resolution), rings)), dtype=np.int64)


def numbers(cells: np.ndarray, *files: Path, band: int = 1, **keys) -> CellNumbers:
    return cell_numbers(cells, list(files), band, config(**keys))


def by_shapely(cells: np.ndarray, file: Path, missing: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sum, mean and covered share of each cell: every pixel's square cut by the cell's polygon, one by one."""
    with rasterio.open(file) as source:
        values, grid, crs = source.read(1).astype(np.float64), source.transform, source.crs
    to_raster = Transformer.from_crs("EPSG:4326", crs.to_wkt(), always_xy=True)
    x, y = grid.c + grid.a * np.arange(SIZE + 1), grid.f + grid.e * np.arange(SIZE + 1)
    pixels = [
        shapely.box(x[column], y[row + 1], x[column + 1], y[row]) for row, column in product(range(SIZE), range(SIZE))
    ]
    result = []
    for cell in cells.tolist():
        polygon = shapely.Polygon([to_raster.transform(lng, lat) for lat, lng in h3.cell_to_boundary(cell)])
        share = shapely.area(shapely.intersection(polygon, pixels)).reshape(SIZE, SIZE) * ~missing
        taken = share.sum()
        total = (share * np.where(missing, 0, values)).sum()
        result.append((total / pixels[0].area, total / taken if taken else np.nan, taken / polygon.area))
    return tuple(np.array(result).T)


@pytest.mark.parametrize("crs", CRSS)
@pytest.mark.parametrize("resolution", [6, 8, 9])
def test_sums_and_means_are_exact_at_the_borders(tmp_path: Path, crs: str, resolution: int) -> None:
    """Cells of many pixels, of few, and smaller than one; a third of the pixels has no data."""
    values = people()
    missing = np.random.default_rng(1).random(values.shape) < 0.3
    values[missing] = -99999
    file = write(tmp_path / "a.tif", values, crs, nodata=-99999)
    cells = around(resolution, 2)
    total, mean, covered = by_shapely(cells, file, missing)
    found = numbers(cells, file)
    # exactextract keeps the share of a pixel in 32 bits.
    assert found.covered == pytest.approx(covered, rel=1e-5, abs=1e-6)
    assert found.values[covered > 0] == pytest.approx(total[covered > 0], rel=1e-5, abs=1e-5)
    assert np.isnan(found.values[covered == 0]).all()
    means = numbers(cells, file, statistic="mean")
    assert means.values[covered > 0] == pytest.approx(mean[covered > 0], rel=1e-5)


@pytest.mark.parametrize("crs", CRSS)
def test_cells_that_tile_the_area_keep_the_total(tmp_path: Path, crs: str) -> None:
    values = people()
    file = write(tmp_path / "a.tif", values, crs)
    found = numbers(around(7, 30), file)
    assert np.nansum(found.values) == pytest.approx(values.sum(dtype=np.float64), rel=1e-6)


@pytest.mark.parametrize("crs", ["EPSG:4326", "ESRI:54009"])
def test_a_fine_grid_of_points_finds_the_same(tmp_path: Path, crs: str) -> None:
    """Each pixel as 20 × 20 points, given to cells by h3: no polygon is involved."""
    values = people()
    file, fine = write(tmp_path / "a.tif", values, crs), 20
    with rasterio.open(file) as source:
        row, column = (np.mgrid[0 : SIZE * fine, 0 : SIZE * fine] + 0.5) / fine
        x, y = source.transform * (column.ravel(), row.ravel())
        longitude, latitude = Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(x, y)
    own = np.array([h3.latlng_to_cell(*point, 7) for point in zip(latitude, longitude, strict=True)])
    cells, which = np.unique(own, return_inverse=True)
    part = np.repeat(np.repeat(values, fine, axis=0), fine, axis=1).ravel() / fine**2
    expected = np.bincount(which, part)
    assert numbers(cells, file).values == pytest.approx(expected, rel=0.01, abs=0.6)


@pytest.mark.parametrize("statistic", ["sum", "mean"])
def test_tiles_are_one_raster(tmp_path: Path, statistic: str) -> None:
    """Four tiles of one grid; a cell at their corner has a part of each."""
    values, half = people(), SIZE // 2
    whole = write(tmp_path / "whole.tif", values)
    west, south, east, north = BOUNDS
    middle_x, middle_y = (west + east) / 2, (south + north) / 2
    tiles = [
        write(tmp_path / f"{name}.tif", values[rows, columns], bounds=bounds)
        for name, rows, columns, bounds in (
            ("nw", slice(half), slice(half), (west, middle_y, middle_x, north)),
            ("ne", slice(half), slice(half, None), (middle_x, middle_y, east, north)),
            ("sw", slice(half, None), slice(half), (west, south, middle_x, middle_y)),
            ("se", slice(half, None), slice(half, None), (middle_x, south, east, middle_y)),
        )
    ]
    cells = around(7, 12)
    expected, found = numbers(cells, whole, statistic=statistic), numbers(cells, *tiles, statistic=statistic)
    assert found.values == pytest.approx(expected.values, rel=1e-6, nan_ok=True)
    assert found.covered == pytest.approx(expected.covered, abs=1e-6)


def test_a_mean_over_files_of_several_kinds_weights_by_area(tmp_path: Path) -> None:
    """West is 1 in pixels of degrees, east is 3 in ten times as many of a metre grid: not their number counts."""
    west, south, east, north = BOUNDS
    files = [
        write(tmp_path / "w.tif", np.full((40, 20), 1.0), bounds=(west - 1, south - 1, MIDDLE[1], north + 1)),
        write(tmp_path / "e.tif", np.full((300, 300), 3.0), "EPSG:3857", (MIDDLE[1], south - 1, east + 1, north + 1)),
    ]
    cell = h3.latlng_to_cell(*MIDDLE, 6)
    ring = shapely.Polygon([(lng, lat) for lat, lng in h3.cell_to_boundary(cell)])
    share = ring.intersection(shapely.box(0, 0, MIDDLE[1], 90)).area / ring.area
    found = numbers(np.array([cell]), *files, statistic="mean")
    assert 0.2 < share < 0.8
    assert found.values[0] == pytest.approx(share + 3 * (1 - share), abs=1e-3)
    assert found.covered[0] == pytest.approx(1.0, abs=1e-3)


def test_files_that_overlap_are_no_sum(tmp_path: Path) -> None:
    files = [write(tmp_path / name, people()) for name in ("a.tif", "a (1).tif")]
    cells = around(7, 1)
    with pytest.raises(UserError, match=r"a \(1\)\.tif overlaps others of its 2 files \(in cell 87"):
        numbers(cells, *files)
    one, both = (numbers(cells, *chosen, statistic="mean").values for chosen in (files[:1], files))
    assert both == pytest.approx(one)


def test_what_is_below_zero_is_no_amount_but_may_be_a_height(tmp_path: Path) -> None:
    """A file that does not declare its -200, as some of GHSL's copies do not."""
    values = people()
    values[:, ::2] = -200
    file = write(tmp_path / "a.tif", values)
    cells = around(7, 30)
    assert np.nansum(numbers(cells, file).values) == pytest.approx(values[:, 1::2].sum(dtype=float), rel=1e-6)
    declared = numbers(cells, file, statistic="mean", nodata=[-200])
    assert np.nanmin(declared.values) > 0
    assert np.nanmin(numbers(cells, file, statistic="mean", nodata=[]).values) < 0


@pytest.mark.parametrize("kind", ["int16", "uint8", "float64"])
def test_declared_values_are_left_out_in_any_type(tmp_path: Path, kind: str) -> None:
    values = np.random.default_rng(0).integers(0, 5, (SIZE, SIZE)).astype(kind)
    file = write(tmp_path / "a.tif", values)
    found = numbers(around(7, 30), file, nodata=[3, 0.5, -1])
    assert np.nansum(found.values) == pytest.approx(values[values != 3].sum(), rel=1e-6)


def test_packed_numbers_are_unpacked(tmp_path: Path) -> None:
    file = write(tmp_path / "a.tif", np.full((SIZE, SIZE), 250, dtype=np.int16), scales=[0.02])
    assert numbers(around(7, 1), file, statistic="mean").values == pytest.approx(5.0)


FIJI = h3.latlng_to_cell(-16.0, 180.0, 5)


@pytest.mark.parametrize(
    ("crs", "box"),
    [
        ("EPSG:4326", (-180.0, -90.0, 180.0, 90.0)),
        ("EPSG:4326", (0.0, -90.0, 360.0, 90.0)),
        ("EPSG:4326", (170.0, -30.0, 190.0, 0.0)),
        ("EPSG:4326", (-190.0, -30.0, -170.0, 0.0)),
        ("ESRI:54009", (-18041000.0, -9000000.0, 18041000.0, 9000000.0)),
        ("EPSG:32760", (500000.0, 7800000.0, 1200000.0, 8600000.0)),
    ],
)
def test_a_cell_across_the_antimeridian_is_whole(tmp_path: Path, crs: str, box: tuple) -> None:
    """Longitudes from -180, from 0, past 180 either way, and two grids of metres: one is cut there, one is not."""
    assert {lng > 0 for _, lng in h3.cell_to_boundary(FIJI)} == {True, False}
    file = write(tmp_path / "a.tif", np.full((800, 1600), 4.0), crs, box=box)
    cells = np.array(sorted(h3.grid_disk(FIJI, 1)))
    mean = numbers(cells, file, statistic="mean")
    assert mean.values == pytest.approx(4.0)
    assert mean.covered == pytest.approx(1.0, abs=1e-3)
    total = numbers(cells, file)
    with rasterio.open(file) as source:
        pixel = abs(source.transform.a * source.transform.e)
    if crs == "EPSG:4326":
        rings = [[(lng % 360, lat) for lat, lng in h3.cell_to_boundary(cell)] for cell in cells.tolist()]
        assert total.values == pytest.approx([4 * shapely.Polygon(ring).area / pixel for ring in rings], rel=1e-5)
    else:  # Mollweide keeps areas; UTM stretches them by a few thousandths at its edge
        metres = [h3.cell_area(cell, "m^2") for cell in cells.tolist()]
        assert total.values * pixel / 4 == pytest.approx(metres, rel=0.02)


def test_a_cell_at_a_pole_and_cells_elsewhere_have_no_data(tmp_path: Path) -> None:
    file = write(tmp_path / "a.tif", people(), box=(-180, -90, 180, 90))
    small = write(tmp_path / "b.tif", people())
    cells = np.array([h3.latlng_to_cell(90.0, 0.0, 5), h3.latlng_to_cell(*MIDDLE, 5)])
    assert np.isnan(numbers(cells, file).values).tolist() == [True, False]
    assert np.isnan(numbers(np.array([FIJI]), small).values).all()
    assert numbers(np.array([], dtype=np.int64), small).values.shape == (0,)


@settings(max_examples=15, deadline=None)
@given(
    st.integers(1, 60), st.integers(2, 90), st.sampled_from([{}, {"tiled": True, "blockxsize": 16, "blockysize": 16}])
)
def test_pieces_of_cells_and_of_the_file_change_nothing(
    tmp_path_factory: pytest.TempPathFactory, at_once: int, block: int, profile: dict
) -> None:
    file = write(tmp_path_factory.mktemp("pieces") / "a.tif", people(size=100), **profile)
    cells = around(8, 6)
    expected = numbers(cells, file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mora_pipeline.modalities.raster.zonal.CELLS_AT_ONCE", at_once)
        patch.setattr("mora_pipeline.modalities.raster.zonal.PIXELS_AT_ONCE", 10 * block)
        patch.setattr("mora_pipeline.modalities.raster.grids.BLOCK", block)
        patch.setattr("mora_pipeline.modalities.raster.grids.KEPT_PIXELS", 1)
        found = numbers(cells, file)
    assert found.values == pytest.approx(expected.values, rel=1e-12, nan_ok=True)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([-9999.0, -9999.0, -4.0, 120.0, 3000.0], -9999.0),  # heights
        ([-200.0, 0.0, 12.0, 4000.0], -200.0),  # people: known, though no farther away than the others
        ([3.4e38, 1.0, 2.0], 3.4e38),
        ([-3.4e38, 1.0, 2.0], -3.4e38),
        ([-12.5, -12.5, -8.0, 3.0, 21.0], None),  # temperatures
        ([-0.2, 0.1, 0.9], None),
        ([-1.0, 0.0, 1.0], None),
        ([7.0, 7.0], None),
        ([], None),
    ],
)
def test_a_number_that_looks_like_no_data(values: list[float], expected: float | None) -> None:
    assert sentinel(np.array(values)) == expected


def reader_of(folder: Path, cells: np.ndarray) -> SimpleNamespace:
    """What a kind reads of a region: its cells, and, once they are made, its own."""
    made: dict[str, object] = {}
    return SimpleNamespace(
        cells=lambda: cells,
        config=SimpleNamespace(base_of=lambda *named: folder, file=Path("region.yaml")),
        made=made,
        read=lambda dataset: SimpleNamespace(table=lambda: made[dataset], schema=made[dataset].schema),
    )


def test_a_raster_becomes_cells_and_vectors(tmp_path: Path) -> None:
    """Two columns of one file; a cell that lacks either is left out."""
    values = np.stack([people(), people(2.0, seed=3)])
    values[1, :, :10] = np.nan
    write(tmp_path / "a.tif", values)
    cells, declared = around(8, 20), config(bands={"people": 1, "jobs": 2})
    reader = reader_of(tmp_path, cells)
    table = KIND.grid(reader, "town", declared)
    first, second = (numbers(cells, tmp_path / "a.tif", band=band) for band in (1, 2))
    there = np.isfinite(first.values) & np.isfinite(second.values)
    assert 0 < there.sum() < np.isfinite(first.values).sum()
    assert table.column_names == ["cell", "people", "jobs", "coverage"]
    assert table["cell"].to_pylist() == cells[there].tolist()
    assert table["jobs"].to_numpy() == pytest.approx(second.values[there])
    assert table["coverage"].to_numpy() == pytest.approx(np.minimum(first.covered, second.covered)[there])
    reader.made["raster_cells/town"] = table
    vectors = KIND.encode(reader, "town", declared, lambda done, total: None)
    assert np.array_equal(vectors.cells, cells[there])
    assert vectors.vectors[:, 1] == pytest.approx(np.log1p(second.values[there]), rel=1e-6)
    assert KIND.input_columns(reader, "town") == ["people", "jobs"]
    figures = KIND.figures(table, declared)
    assert figures["sum"]["jobs"] == pytest.approx(second.values[there].sum())
    block = KIND.fit_block(vectors.vectors, 64).apply(vectors.vectors, np.ones(len(vectors.cells), dtype=bool))
    assert block.mean(axis=0) == pytest.approx(0.0, abs=0.05)


def test_a_mean_below_zero_keeps_its_sign(tmp_path: Path) -> None:
    write(tmp_path / "a.tif", np.full((SIZE, SIZE), -7.5))
    cells, declared = around(8, 1), config("mean")
    reader = reader_of(tmp_path, cells)
    reader.made["raster_cells/height"] = KIND.grid(reader, "height", declared)
    assert KIND.encode(reader, "height", declared, print).vectors == pytest.approx(-np.log(8.5), rel=1e-6)
    assert KIND.input_columns(reader, "height") == ["mean"]


def test_a_raster_of_elsewhere_is_an_error_before_and_at_the_cells(tmp_path: Path) -> None:
    write(tmp_path / "a.tif", people())
    cells = np.array([FIJI])
    with pytest.raises(UserError, match=r"region\.yaml: modalities\.x has data in none of the region's 1 cells"):
        KIND.grid(reader_of(tmp_path, cells), "x", config())
    found, remarks = KIND.covers(config(), tmp_path, np.array([-16.0]), np.array([180.0]))
    assert not found.any()
    assert remarks == ("The raster lies elsewhere: the middle of its first file is at 48.10° N, 11.15° E.",)


@pytest.mark.parametrize("crs", CRSS)
def test_a_point_is_covered_where_its_pixel_has_data(tmp_path: Path, crs: str) -> None:
    values = people()
    values[:, : SIZE // 2] = -1
    write(tmp_path / "a.tif", values, crs)
    latitude = np.array([48.1, 48.1, 48.1, -48.1])
    longitude = np.array([11.05, 11.25, 12.5, 11.25])
    found, remarks = KIND.covers(config(), tmp_path, latitude, longitude)
    assert found.tolist() == [False, True, False, False]
    assert remarks == ()


def checked(folder: Path, **keys) -> list[str]:
    checker = Checker(folder, "region.yaml")
    KIND.check_files(checker, "modalities.town", config(**keys))
    return [item.path.name for item in checker.others]


def test_the_check_lists_files_once_and_suggests_what_then_passes(tmp_path: Path) -> None:
    values = people()
    values[3, 3:9] = -9999
    write(tmp_path / "a.tif", np.stack([values, values]))
    assert checked(tmp_path, bands={"x": 1, "y": 2}) == ["a.tif"]
    with pytest.raises(UserError) as caught:
        checked(tmp_path, statistic="mean")
    assert str(caught.value) == (
        "region.yaml: modalities.town.path names a.tif, which holds -9999 in 0.4% of a sample, which looks like no "
        "data, but the file does not declare it. Write nodata: [-9999], or nodata: [] if it is a value."
    )
    assert checked(tmp_path, statistic="mean", nodata=[-9999]) == ["a.tif"]
    assert checked(tmp_path, statistic="mean", nodata=[]) == ["a.tif"]


def test_files_of_bands_lie_below_the_folder(tmp_path: Path) -> None:
    (tmp_path / "ghs").mkdir()
    write(tmp_path / "ghs/POP_1.tif", people())
    write(tmp_path / "ghs/BUILT_1.tif", people(seed=4))
    bands = {"people": "POP_*.tif", "built": "BUILT_*.tif"}
    assert checked(tmp_path, path="ghs", bands=bands) == ["POP_1.tif", "BUILT_1.tif"]
    cells = around(8, 1)
    table = KIND.grid(reader_of(tmp_path, cells), "ghs", config(path="ghs", bands=bands))
    assert table["built"].to_numpy() == pytest.approx(numbers(cells, tmp_path / "ghs/BUILT_1.tif").values)
    with pytest.raises(UserError, match=r"town\.bands\.people is 'POB_\*\.tif', which matches no file"):
        checked(tmp_path, path="ghs", bands={"people": "POB_*.tif"})
    with pytest.raises(UserError, match=r"path is 'ghs/POP_1\.tif', but it must be the folder"):
        checked(tmp_path, path="ghs/POP_1.tif", bands=bands)


def test_what_cannot_be_added_up_is_refused_by_its_name(tmp_path: Path) -> None:
    def refusal(**keys) -> str:
        with pytest.raises(UserError) as caught:
            checked(tmp_path, **keys)
        assert str(caught.value).startswith("region.yaml: modalities.town")
        return str(caught.value)

    write(tmp_path / "a.tif", people())
    assert "a.tif, which has 1 band, but band 2 is asked for." in refusal(band=2)
    write(tmp_path / "a.tif", people().astype(np.complex64))
    assert "a.tif, which holds complex numbers." in refusal()
    write(tmp_path / "a.tif", people(), box=(11.0, 48.2, 11.3, 48.0))  # rows from the south
    assert "a.tif, which does not have north on top." in refusal()
    classes = write(tmp_path / "a.tif", np.ones((SIZE, SIZE), dtype=np.uint8))
    with rasterio.open(classes, "r+") as target:
        target.write_colormap(1, {1: (0, 255, 0, 255)})
    assert "a.tif, which has a colour table: its numbers are classes, which have no mean." in refusal(statistic="mean")
    with rasterio.open(tmp_path / "a.tif", "w", driver="GTiff", height=4, width=4, count=1, dtype="uint8") as target:
        target.write(np.ones((1, 4, 4), dtype=np.uint8))
    assert "a.tif, which has no CRS" in refusal()
    (tmp_path / "a.tif").write_bytes(b"no raster")
    assert "a.tif, which cannot be read as a GeoTIFF" in refusal()


def test_a_file_cut_short_is_named(tmp_path: Path) -> None:
    file = write(tmp_path / "a.tif", people(size=400))
    file.write_bytes(file.read_bytes()[:200_000])
    with pytest.raises(UserError, match=r"a\.tif cannot be read as a GeoTIFF"):
        numbers(around(7, 12), file)


def test_without_exactextract_the_check_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "a.tif", people())
    monkeypatch.setitem(sys.modules, "exactextract", None)
    for step in (lambda: checked(tmp_path), lambda: numbers(around(8, 1), tmp_path / "a.tif")):
        with pytest.raises(UserError, match=r"needs the package exactextract\. .* 'mora-pipeline\[geo\]'"):
            step()
