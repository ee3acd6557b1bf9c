"""Examples of places of interest are understood as their comments say."""

from pathlib import Path

import pytest

from mora_pipeline.raw.reader import SourceReader
from mora_pipeline.raw.tallies import GOOD
from mora_pipeline.region.config import RegionConfig
from mora_pipeline.region.samples import TableSample
from mora_pipeline.region.understanding import understand
from tests.examples.commuting import lodes8
from tests.examples.loading import counts, load_example, sample_of
from tests.examples.pois import foursquare, overture
from tests.examples.trips import divvy


def texts(sample: TableSample) -> list[tuple[str, str | None]]:
    """Name and category of every row."""
    reader = SourceReader.of(sample.table.source, sample.table.kinds)
    rows = [row for typed, _ in reader.read_all() for row in typed.select(["name", "category"]).to_pylist()]
    return [(row["name"], row["category"]) for row in rows]


def poi_of(config: RegionConfig) -> TableSample:
    sample = sample_of(understand(config), "modalities.poi")
    assert counts(sample) == {GOOD: sample.good}
    return sample


def test_overture_keeps_places_that_are_likely_and_open(tmp_path: Path) -> None:
    """A place whose status nobody knows is kept; one without a category has its name alone."""
    sample = poi_of(load_example("overture", tmp_path, lodes8, overture))
    assert texts(sample) == [
        ("Bushnell Park", "park"),
        ("Bushnell Park", "park"),
        ("Café Rêve", "cafe"),
        ("Lot 7", None),
        ("Tour Eiffel", "historic_site"),
    ]
    latitudes, longitudes = sample.points
    assert latitudes[0] == pytest.approx(41.7640, abs=1e-5)
    assert longitudes[-1] == pytest.approx(2.2945, abs=1e-5)


def test_foursquare_takes_the_end_of_the_first_label(tmp_path: Path) -> None:
    """Places without coordinates and those that closed are left out, not bad."""
    sample = poi_of(load_example("foursquare", tmp_path, divvy, foursquare))
    assert texts(sample) == [("Lou's", "Pizzeria"), ("Lincoln Park", "Park"), ("Nameless Kind", None)]
