"""Examples of trip records and of movement between tiles are understood as their comments say."""

from pathlib import Path

import pytest

from mora_pipeline.raw.rules import NULL_ISLAND, UNKNOWN_PLACE
from mora_pipeline.raw.tallies import GOOD
from mora_pipeline.region.understanding import understand
from tests.examples.loading import counts, load_example, sample_of
from tests.examples.trips import LOOP, PARK, STATIONS, citi_bike, divvy, divvy_stations, meta_movement


def test_divvy_is_read_from_its_zip(tmp_path: Path) -> None:
    """What macOS left in the zip is no table; trips without an end are left out; an end at 0, 0 is counted apart."""
    understood = understand(load_example("divvy", tmp_path, divvy))
    mobility = sample_of(understood, "mobility")
    assert counts(mobility) == {GOOD: 6, NULL_ISLAND: 1}
    assert set(mobility.points[0]) == {LOOP[0], PARK[0]}
    assert [warning for warning in understood.warnings if "0, 0" not in warning] == []


def test_citi_bike_is_read_by_the_coordinates_of_its_stations(tmp_path: Path) -> None:
    understood = understand(load_example("citi_bike", tmp_path, citi_bike))
    mobility = sample_of(understood, "mobility")
    assert counts(mobility) == {GOOD: 3, NULL_ISLAND: 1}
    assert set(mobility.points[1]) == {-73.97448060, -73.96024116}


def test_trips_between_stations_count_one_each(tmp_path: Path) -> None:
    """There is no column of a flow; a station that the table does not list is an unknown place."""
    understood = understand(load_example("divvy_stations", tmp_path, divvy_stations))
    assert counts(sample_of(understood, "places")) == {GOOD: len(STATIONS)}
    mobility = sample_of(understood, "mobility")
    assert counts(mobility) == {GOOD: 3, UNKNOWN_PLACE: 1}
    assert mobility.counts[GOOD].amount == 3


def test_movement_that_meta_holds_back_is_no_movement(tmp_path: Path) -> None:
    r"""\N is neither a bad number nor a zero: such a row is left out, and no sign of an escape character."""
    understood = understand(load_example("meta_movement", tmp_path, meta_movement))
    mobility = sample_of(understood, "mobility")
    assert counts(mobility) == {GOOD: 3}
    assert mobility.counts[GOOD].amount == pytest.approx(21.0 + 30.5 + 812)
    assert understood.warnings == ()
