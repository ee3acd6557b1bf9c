"""Examples of flows between polygons, and of what lies in them, are understood as their comments say."""

from pathlib import Path

import pytest

from mora_pipeline.raw.rules import UNKNOWN_PLACE
from mora_pipeline.raw.tallies import GOOD
from mora_pipeline.region.jobs import mobility_job
from mora_pipeline.region.understanding import understand
from tests.examples.loading import counts, load_example, sample_of
from tests.examples.zones import GEMEINDEN, MITMA_ZONES, TAXI_ZONES, kontur, mitma, nyc_tlc, pendleratlas, quackosm


def test_mitma_reads_days_by_their_names_and_districts_by_their_outlines(tmp_path: Path) -> None:
    """4.332 is a decimal number; abroad is an unknown place; an id may hold letters."""
    config = load_example("mitma", tmp_path, mitma)
    understood = understand(config)
    assert counts(sample_of(understood, "places")) == {GOOD: len(MITMA_ZONES)}
    mobility = sample_of(understood, "mobility")
    assert counts(mobility) == {GOOD: 5, UNKNOWN_PLACE: 2}
    assert mobility.counts[GOOD].amount == pytest.approx(4.332 + 1.25 + 2.5 + 11.001 + 1.418)
    assert sorted(mobility_job(config)["dates"].values()) == ["2024-03-01", "2024-03-02"]
    assert understood.box is not None
    assert 40 < understood.box.south < understood.box.north < 43.1
    assert understood.warnings == ()


def test_the_pendleratlas_counts_each_flow_once(tmp_path: Path) -> None:
    """Origins stand beside destinations; held back and absent ones are left out; waters are no second place."""
    understood = understand(load_example("pendleratlas", tmp_path, pendleratlas))
    assert counts(sample_of(understood, "places")) == {GOOD: len(GEMEINDEN)}
    mobility = sample_of(understood, "mobility")
    assert counts(mobility) == {GOOD: 2, UNKNOWN_PLACE: 1}
    assert mobility.counts[GOOD].amount == 2345 + 9123
    assert understood.warnings == ()


def test_taxi_trips_count_one_each_between_zones(tmp_path: Path) -> None:
    """264 and 265 are unknown places, and zones that share a LocationID stay apart."""
    understood = understand(load_example("nyc_tlc", tmp_path, nyc_tlc))
    assert counts(sample_of(understood, "places")) == {GOOD: len(TAXI_ZONES)}
    mobility = sample_of(understood, "mobility")
    assert counts(mobility) == {GOOD: 5, UNKNOWN_PLACE: 2}
    assert mobility.counts[GOOD].amount == 5
    assert understood.box is not None
    assert 40.6 < understood.box.south < understood.box.north < 40.8  # feet of the state have become degrees


def test_people_of_kontur_are_read_by_cell(tmp_path: Path) -> None:
    people = sample_of(understand(load_example("kontur", tmp_path, mitma, kontur)), "modalities.people")
    assert counts(people) == {GOOD: 19}


def test_things_of_openstreetmap_have_a_category_by_their_tags(tmp_path: Path) -> None:
    """A road has none and is left out; a building's outline is one thing."""
    poi = sample_of(understand(load_example("quackosm", tmp_path, pendleratlas, quackosm)), "modalities.poi")
    assert counts(poi) == {GOOD: 2}
