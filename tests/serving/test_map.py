"""Maps show cells where h3 says they are, similar vectors in similar colours, and the same picture every time."""

from io import BytesIO

import h3
import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from mora_pipeline.plots import component_colours, curve_png, hexagons, region_map_png


def cells_around(latitude: float, longitude: float, resolution: int, rings: int) -> np.ndarray:
    names = h3.grid_disk(h3.latlng_to_cell(latitude, longitude, resolution), rings)
    return np.sort([h3.str_to_int(name) for name in names])


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(png)).convert("RGB"))


@pytest.mark.parametrize("resolution", [0, 3, 6, 9])
def test_hexagons_have_the_corners_that_h3_gives(resolution: int) -> None:
    cells = cells_around(64.7, 10.5, resolution, 2)  # a pentagon of resolution 0 is near
    seen = 0
    for rows, polygons in hexagons(cells):
        for row, polygon in zip(rows, polygons, strict=True):
            expected = np.array(h3.cell_to_boundary(h3.int_to_str(int(cells[row]))))[:, ::-1]
            assert np.allclose(polygon[:, 1], expected[:, 1], atol=1e-9)
            assert np.allclose((polygon[:, 0] - expected[:, 0] + 180) % 360, 180, atol=1e-9)
            seen += 1
    assert seen == len(cells)


def test_a_region_on_the_antimeridian_is_in_one_piece() -> None:
    for _, polygons in hexagons(cells_around(-17.0, 179.9, 5, 12)):
        assert np.ptp(polygons[:, :, 0], axis=1).max() < 0.5
        assert np.ptp(polygons[:, :, 0]) < 6


def test_similar_vectors_have_similar_colours() -> None:
    rng = np.random.default_rng(0)
    vectors = (np.repeat([0.0, 5.0], 50)[:, None] + 0.01 * rng.normal(size=(100, 8))).astype(np.float32)
    red = component_colours(vectors)[:, 0]
    assert np.ptp(red[:50]) < 0.1
    assert np.ptp(red[50:]) < 0.1
    assert abs(red[0] - red[-1]) > 0.7


@pytest.mark.parametrize("vectors", [np.zeros((19, 5)), np.arange(19.0)[:, None], np.ones((19, 2))])
def test_collapsed_and_narrow_vectors_have_colours_too(vectors: np.ndarray) -> None:
    colours = component_colours(vectors.astype(np.float32))
    assert colours.shape == (19, 3)
    assert np.isfinite(colours).all()


def test_the_map_is_a_picture_and_the_same_each_time() -> None:
    cells = cells_around(52.5, 13.4, 8, 8)
    table = pa.table({"cell": cells})
    vectors = np.random.default_rng(0).normal(size=(len(cells), 16)).astype(np.float32)
    picture = region_map_png(table, vectors, "Berlin")
    assert picture == region_map_png(table, vectors, "Berlin")
    assert len(np.unique(pixels(picture).reshape(-1, 3), axis=0)) > len(cells) / 2
    with pytest.raises(ValueError, match="a vector for each"):
        region_map_png(table, vectors[:-1])


def test_one_cell_makes_a_map() -> None:
    assert pixels(region_map_png(pa.table({"cell": cells_around(0, 0, 9, 0)}), np.ones((1, 4), np.float32))).size


def test_curves_show_losses_and_bear_none() -> None:
    history = [{"epoch": float(epoch), "train_loss": 9 - epoch, "validation_loss": 9 - epoch / 2} for epoch in range(5)]
    assert len(np.unique(pixels(curve_png(history)).reshape(-1, 3), axis=0)) > 50
    assert pixels(curve_png([])).size
    assert pixels(curve_png([{"epoch": 1.0, "validation_loss": float("nan")}])).size
