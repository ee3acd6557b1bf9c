"""Flows divided among the cells of places: exactly, and as a naive sum over pairs says."""

from fractions import Fraction

import h3
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.places import Places
from spark_jobs.mobility.fixed_point import UNITS, divided, in_units, rounded, to_fixed_point, to_float
from spark_jobs.mobility.move_tables import added_up, joined, make_moves
from spark_jobs.mobility.spreading import OfCells, OfPlaces, spread_moves

FLOWS = st.floats(2.0**-40, 2.0**40)
SHARES = st.lists(st.floats(0.001, 1), min_size=1, max_size=6).map(lambda parts: [p / sum(parts) for p in parts])


def exact(amounts: dict) -> list[Fraction]:
    parts = [amounts.get(name, np.zeros_like(amounts["whole"])).tolist() for name in ("whole", "upper", "lower")]
    return [Fraction(w) + Fraction(u, 2**40) + Fraction(v, 2**80) for w, u, v in zip(*parts, strict=True)]


@given(st.lists(st.tuples(FLOWS, st.integers(0, UNITS), st.integers(0, UNITS)), min_size=1))
def test_a_part_of_an_amount_is_exact(rows: list) -> None:
    """Against fractions: not a bit is rounded once the amount itself was."""
    flows = rounded(np.array([flow for flow, _, _ in rows]))
    units = [np.array([row[place] for row in rows]) for place in (1, 2)]
    got = exact(divided(to_fixed_point(flows), *units))
    assert got == [Fraction(f) * a * b / UNITS**2 for f, (_, a, b) in zip(flows.tolist(), rows, strict=True)]


@given(st.lists(FLOWS, min_size=1))
def test_rounding_hardly_moves_an_amount(flows: list) -> None:
    """By 2⁻³⁷ at most, and none becomes nothing."""
    near = rounded(np.array(flows))
    assert (near > 0).all()
    assert (np.abs(near - flows) <= 2.0**-36).all()
    whole = np.round(np.array(flows)) + 1
    assert (rounded(whole) == whole).all()


@given(st.lists(SHARES, min_size=1))
def test_units_of_a_row_add_up_to_all_of_them(places: list) -> None:
    rows = np.repeat(np.arange(len(places)), [len(shares) for shares in places])
    shares = np.concatenate(places)
    units = in_units(rows, shares)
    assert np.bincount(rows, units).tolist() == [UNITS] * len(places)
    assert np.abs(units - shares * UNITS).max() < 1


def places_of(shares: list[list[float]]) -> Places:
    """Places with these shares in cells 0, 1, … of their own."""
    starts = np.cumsum([0, *(len(each) for each in shares)])
    ids = pa.array([str(number) for number in range(len(shares))])
    return Places(ids, starts, np.arange(starts[-1]) % 7, np.concatenate(shares))


MOVES = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), FLOWS), min_size=1, max_size=12)


def moves_of(rows: list) -> pa.Table:
    origin, destination, flow = zip(*rows, strict=True)
    return make_moves(pa.array(origin), pa.array(destination), pa.array(rounded(np.array(flow))))


@given(st.lists(SHARES, min_size=4, max_size=4), MOVES)
def test_a_flow_goes_to_all_pairs_of_cells(shares: list, rows: list) -> None:
    """Against two loops; the whole flow arrives."""
    places = places_of(shares)
    wanted: dict[tuple[int, int], float] = {}
    for origin, destination, flow in rows:
        for a, share_a in zip(range(places.starts[origin], places.starts[origin + 1]), shares[origin], strict=True):
            for b, share_b in zip(
                range(places.starts[destination], places.starts[destination + 1]), shares[destination], strict=True
            ):
                pair = int(places.cells[a]), int(places.cells[b])
                wanted[pair] = wanted.get(pair, 0) + flow * share_a * share_b
    got = added_up(joined(list(OfPlaces(places)(moves_of(rows)))))
    flows = to_float({name: got[name].to_numpy() for name in got.column_names if name not in ("origin", "destination")})
    found = dict(zip(zip(got["origin"].to_pylist(), got["destination"].to_pylist(), strict=True), flows, strict=True))
    total = sum(flow for _, _, flow in rows)
    for pair in found.keys() | wanted.keys():
        assert found.get(pair, 0) == pytest.approx(wanted.get(pair, 0), abs=1e-6 * total + 1e-9)
    assert flows.sum() == pytest.approx(moves_total(rows), rel=1e-12)


def moves_total(rows: list) -> float:
    return float(rounded(np.array([flow for _, _, flow in rows])).sum())


@given(st.lists(SHARES, min_size=4, max_size=4), MOVES, st.integers(0, 12))
def test_adding_up_before_or_after_gives_the_same_bits(shares: list, rows: list, cut: int) -> None:
    """Tasks and nightly runs cut the rows anywhere."""
    spreading = OfPlaces(places_of(shares))
    at_once = added_up(joined(list(spreading(added_up(moves_of(rows))))))
    parts = [moves_of(part) for part in (rows[:cut], rows[cut:]) if part]
    apart = added_up(joined([table for part in parts for table in spreading(part)]))
    assert at_once.equals(apart)


def test_slots_stay_apart() -> None:
    moves = moves_of([(0, 1, 8.0), (0, 1, 8.0)]).add_column(0, "slot", pa.array([3, 4]))
    (got,) = OfPlaces(places_of([[0.5, 0.5], [1.0]]))(moves)
    assert got.select(["slot", "origin", "destination", "whole"]).to_pylist() == [
        {"slot": slot, "origin": cell, "destination": 2, "whole": 4} for slot in (3, 4) for cell in (0, 1)
    ]


def test_only_coarser_cells_are_divided() -> None:
    own = h3.latlng_to_cell(40, -74, 8)
    parent = h3.cell_to_parent(own, 7)
    rows = [(own, own, 3.0), (parent, own, 7.0)]
    moves = make_moves(
        pa.array([h3.str_to_int(a) for a, _, _ in rows]),
        pa.array([h3.str_to_int(b) for _, b, _ in rows]),
        pa.array(rounded(np.array([flow for _, _, flow in rows]))),
    )
    same, children = OfCells(8)(moves)
    assert same["whole"].to_pylist() == [3]
    assert sorted(children["origin"].to_pylist()) == sorted(map(h3.str_to_int, h3.cell_to_children(parent, 8)))
    flows = to_float({name: children[name].to_numpy() for name in ("whole", "upper", "lower")})
    assert flows == pytest.approx(np.ones(7), abs=1e-5)
    assert flows.sum() == 7


def test_a_flow_that_would_become_too_many_edges_is_refused() -> None:
    many = places_of([[1 / 20_000] * 20_000, [1.0]])
    with pytest.raises(UserError, match="20,000 cells would become 400,000,000 edges"):
        list(OfPlaces(many)(moves_of([(0, 0, 1.0)])))


def test_many_pairs_come_in_several_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spark_jobs.mobility.spreading.PAIRS_AT_ONCE", 10)
    places = places_of([[0.25] * 4, [0.5] * 2, [1.0], [1 / 3] * 3])
    rows = [(a, b, float(a + b + 1)) for a in range(4) for b in range(4)]
    tables = list(spread_moves(moves_of(rows), places.spread))
    monkeypatch.undo()
    assert len(tables) > 5
    (whole,) = spread_moves(moves_of(rows), places.spread)
    assert added_up(joined(tables)).equals(added_up(whole))
