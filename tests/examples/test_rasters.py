"""Examples of gridded populations and of satellite imagery are understood as their comments say."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h3.api.basic_int as h3
import numpy as np
import numpy.typing as npt
import pytest

from mora_pipeline.modalities.image.windows import cell_windows, encode_windows, open_mosaic
from mora_pipeline.modalities.raster.grids import column_files
from mora_pipeline.modalities.raster.zonal import cell_numbers
from mora_pipeline.region.understanding import Match, understand
from tests.examples.commuting import insee, lodes8, odwp01ew
from tests.examples.loading import load_example
from tests.examples.rasters import HARTFORD, LONDON, LYON, ghsl, sentinel2, worldpop


def match_of(matches: tuple[Match, ...], key: str) -> Match:
    return next(match for match in matches if match.key == key)


@pytest.mark.parametrize(
    ("name", "files", "middle", "people"),
    [
        ("worldpop", (insee, worldpop), LYON, 20 * 20 * 10),
        ("ghsl", (odwp01ew, ghsl), LONDON, 30 * 30 * 25),
    ],
)
def test_cells_around_a_city_hold_its_people(
    tmp_path: Path, name: str, files: tuple[Callable[[Path], None], ...], middle: tuple[float, float], people: float
) -> None:
    """Nobody is lost at the borders of cells, and what means no data is nobody."""
    config = load_example(name, tmp_path, *files)
    assert match_of(understand(config).matches, "modalities.people").matched > 0
    raster = config.modalities["people"]
    found, band = column_files(config.base, raster, "")["sum"]
    cells = np.array(sorted(h3.grid_disk(h3.latlng_to_cell(*middle, config.resolution), 8)), dtype=np.int64)
    assert np.nansum(cell_numbers(cells, found, band, raster).values) == pytest.approx(people, rel=1e-6)


def test_sentinel_is_seen_in_true_colour_and_in_bands(tmp_path: Path) -> None:
    understood = understand(load_example("sentinel2", tmp_path, lodes8, sentinel2))
    for name in ("imagery", "vegetation"):
        assert match_of(understood.matches, f"modalities.{name}").matched > 0


class MeanColour:
    """An image's vector is its mean colour, 0 to 255."""

    name, dimension = "mean colour", 3

    def encode(self, images: Any, progress: object = None) -> npt.NDArray[np.float32]:
        return np.array([image.mean(axis=(0, 1)) for image in images], dtype=np.float32).reshape(-1, 3)


@pytest.mark.parametrize(("name", "colour"), [("imagery", (90, 60, 30)), ("vegetation", (255, 51, 25.5))])
def test_a_cell_under_sentinel_has_its_colours(tmp_path: Path, name: str, colour: tuple[float, ...]) -> None:
    """True colour is taken as it is; of the bands, a reflectance of 0.3 is full brightness."""
    config = load_example("sentinel2", tmp_path, lodes8, sentinel2)
    cells = np.array([h3.latlng_to_cell(*HARTFORD, config.resolution)], dtype=np.int64)
    mosaic = open_mosaic(config.modalities[name], config.base)
    encoded = encode_windows(cell_windows(cells, mosaic), mosaic, MeanColour())
    assert encoded.vectors[0] == pytest.approx(colour, abs=1)
