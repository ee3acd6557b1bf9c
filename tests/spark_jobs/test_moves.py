"""Moves added up piece by piece against one pandas groupby, and their way through the shuffle."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as draw

from spark_jobs.exact import rounded
from spark_jobs.exchange import Tally, bucket_of, packed, packed_tally, unpacked
from spark_jobs.moves import Adder, added_up, joined, make_moves

CELLS = np.array([-5, 3, 600000000000000000, 617700169957507071, 617700169958293503])


def random_moves(rows: int, seed: int, whole: bool = False, kind: str = "") -> tuple[pd.DataFrame, pa.Table]:
    random = np.random.default_rng(seed)
    flow = random.integers(1, 9, rows).astype(float) if whole else random.lognormal(size=rows)
    frame = pd.DataFrame(
        {"origin": random.choice(CELLS, rows), "destination": random.choice(CELLS, rows), "flow": flow}
    )
    users: dict[str, pa.Array] = {}
    if kind == "users":
        frame["users"] = random.integers(1, 5, rows)
        users["users"] = pa.array(frame["users"])
    if kind == "user":
        frame["user"] = random.choice(["ann", "bob", "eve"], rows)
        users["user"] = pa.array(frame["user"], pa.string())
    moves = make_moves(pa.array(frame["origin"]), pa.array(frame["destination"]), pa.array(flow), **users)
    return frame, moves


def as_frame(moves: pa.Table) -> pd.DataFrame:
    frame = moves.to_pandas()
    parts = [name for name in ("whole", "upper", "lower") if name in frame]
    flow = rounded({name: frame[name].to_numpy() for name in parts})
    return frame.drop(columns=parts).assign(flow=flow)


@pytest.mark.parametrize("kind", ["", "users", "user"])
@pytest.mark.parametrize("held", [None, 10, 10_000])
@pytest.mark.parametrize("whole", [True, False])
def test_an_adder_gives_what_groupby_gives(kind: str, held: int | None, whole: bool) -> None:
    adder, frames, given_out = Adder(held, rows_at_once=100), [], []
    for seed in range(12):  # some of them whole numbers, as files differ
        frame, moves = random_moves(70, seed, whole or seed % 3 == 0, kind)
        frames.append(frame)
        given_out += list(adder.add(moves))
    given_out += list(adder.rest())
    assert (len(given_out) > 1) == (held == 10)
    found = as_frame(added_up(joined(given_out)))
    keys = ["origin", "destination", *(["user"] if kind == "user" else [])]
    assert found[["origin", "destination"]].equals(
        found[["origin", "destination"]].sort_values(["origin", "destination"])
    )
    truth = pd.concat(frames).groupby(keys, as_index=False).sum()
    ordered = found.sort_values(keys, ignore_index=True)[list(truth.columns)]
    pd.testing.assert_frame_equal(ordered, truth, rtol=1e-14)


def test_users_beyond_the_bits_of_a_code_stay_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells² · users above 2⁶³ would wrap; ranks of the pairs then stand for them."""
    frame, moves = random_moves(500, 1, kind="user")
    from spark_jobs import moves as module

    plain = added_up(moves)
    ranks = module._ranks_if_large
    monkeypatch.setattr(module, "_ranks_if_large", lambda code, codes, others: ranks(code, 2**62, others))
    assert added_up(moves).equals(plain)
    assert len(plain) == len(frame.drop_duplicates(["origin", "destination", "user"]))


def through_the_shuffle(table: pa.Table, key: str, buckets: int) -> Iterator[tuple[int, pa.Table]]:
    for batch in packed(table, key, buckets):
        tally = Tally()
        for piece in unpacked(iter([batch]), tally):
            yield batch["bucket"][0].as_py(), piece
        assert (tally.read, tally.good) == (0, 0)


@settings(max_examples=50)
@given(draw.integers(0, 300), draw.integers(1, 40), draw.sampled_from(["origin", "user"]), draw.integers(0, 99))
def test_the_shuffle_parts_no_key_and_loses_no_row(rows: int, buckets: int, key: str, seed: int) -> None:
    _, moves = random_moves(rows, seed, kind="user")
    where: dict[object, int] = {}
    came = []
    for bucket, piece in through_the_shuffle(moves, key, buckets):
        assert 0 <= bucket < buckets
        for value in piece[key].unique().to_pylist():
            assert where.setdefault(value, bucket) == bucket
        came.append(piece.to_pandas())
    columns = list(moves.column_names)
    expected = moves.to_pandas().sort_values(columns, ignore_index=True)
    found = pd.concat([moves.to_pandas()[:0], *came]).sort_values(columns, ignore_index=True)
    pd.testing.assert_frame_equal(found, expected, check_dtype=False)


def test_cells_spread_evenly_over_buckets() -> None:
    """Neighbouring cells differ in the same few bits, and all end in ones."""
    import h3

    disk = h3.grid_disk(h3.latlng_to_cell(40, -74, 6), 60)
    cells = pa.chunked_array([pa.array([h3.str_to_int(cell) for cell in disk])])
    for buckets in (8, 64, 200):
        counts = np.bincount(bucket_of(cells, buckets), minlength=buckets)
        assert counts.max() < 2.5 * len(disk) / buckets


def test_counts_travel_with_the_payloads() -> None:
    tally = Tally()
    batches = [packed_tally(Tally(7, 5), 0), packed_tally(Tally(2, 2), 0)]
    assert list(unpacked(iter(batches), tally)) == []
    assert tally == Tally(9, 7)
