"""Examples of official statistics of commuting are understood as their comments say."""

from pathlib import Path

from mora_pipeline.raw.rules import UNKNOWN_PLACE
from mora_pipeline.raw.tallies import GOOD
from mora_pipeline.region.understanding import understand
from tests.examples.commuting import COMMUNES, LODES_BLOCKS, MSOAS, insee, lodes8, odwp01ew
from tests.examples.loading import counts, load_example, sample_of


def test_lodes_takes_one_year_of_main_and_aux(tmp_path: Path) -> None:
    """Blocks keep their leading zero; another year is left alone; a home in a state without a crosswalk is no fault."""
    understood = understand(load_example("lodes8", tmp_path, lodes8))
    assert counts(sample_of(understood, "places")) == {GOOD: len(LODES_BLOCKS)}
    mobility = sample_of(understood, "mobility")
    assert counts(mobility) == {GOOD: 4, UNKNOWN_PLACE: 1}
    assert mobility.counts[GOOD].amount == 12 + 3 + 5 + 7
    assert mobility.bad == {}
    assert understood.warnings == ()
    assert understood.box is not None
    assert 41.7 < understood.box.south < understood.box.north < 41.9


def test_odwp_counts_workplaces_alone(tmp_path: Path) -> None:
    """Home workers and those abroad are filtered out; a workplace in Scotland is counted apart."""
    understood = understand(load_example("odwp01ew", tmp_path, odwp01ew))
    assert counts(sample_of(understood, "places")) == {GOOD: len(MSOAS)}
    mobility = sample_of(understood, "mobility")
    assert counts(mobility) == {GOOD: 3, UNKNOWN_PLACE: 1}
    assert mobility.counts[GOOD].amount == 210 + 15 + 2
    assert understood.warnings == ()


def test_insee_finds_arrondissements_in_their_cities(tmp_path: Path) -> None:
    """Decimals stay decimals, codes keep their zero and letters, and work abroad is counted apart."""
    understood = understand(load_example("insee", tmp_path, insee))
    places = sample_of(understood, "places")
    assert counts(places) == {GOOD: len(COMMUNES)}
    assert 41 < places.points[0].min() < places.points[0].max() < 49  # 46.153, not 46153
    mobility = sample_of(understood, "mobility")
    assert counts(mobility) == {GOOD: 5, UNKNOWN_PLACE: 1}
    assert abs(mobility.counts[GOOD].amount - (88.0632146 + 10.125 + 225.5 + 1204.25 + 31.0625)) < 1e-9
    assert understood.warnings == ()
