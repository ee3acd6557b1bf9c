"""Moves added up piece by piece against one pandas groupby, and their way through the shuffle."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as draw

from spark_jobs.mobility import move_tables as module
from spark_jobs.mobility.arrow_shuffle import (
    bucket_of,
    by_bucket,
    packed,
    payload_row,
    unpacked,
)
from spark_jobs.mobility.fixed_point import to_float
from spark_jobs.mobility.move_tables import Adder, Cells, added_up, joined, make_moves

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
    flow = to_float({name: frame[name].to_numpy() for name in parts})
    return frame.drop(columns=parts).assign(flow=flow)


def series(kind: str, whole: bool) -> tuple[pd.DataFrame, list[pa.Table]]:
    """Twelve tables of moves, some of them of whole numbers, as files differ; and what they hold in all, added up."""
    pairs = [random_moves(70, seed, whole or seed % 3 == 0, kind) for seed in range(12)]
    keys = ["origin", "destination", *(["user"] if kind == "user" else [])]
    return pd.concat(frame for frame, _ in pairs).groupby(keys, as_index=False).sum(), [table for _, table in pairs]


def assert_sums(found: pa.Table, truth: pd.DataFrame) -> None:
    frame = as_frame(found)
    pairs = frame[["origin", "destination"]]
    assert pairs.equals(pairs.sort_values(["origin", "destination"]))
    keys = [name for name in ("origin", "destination", "user") if name in frame]
    pd.testing.assert_frame_equal(frame.sort_values(keys, ignore_index=True)[list(truth.columns)], truth, rtol=1e-14)


@pytest.mark.parametrize("kind", ["", "users", "user"])
@pytest.mark.parametrize("whole", [True, False])
def test_an_adder_gives_what_groupby_gives(kind: str, whole: bool) -> None:
    truth, tables = series(kind, whole)
    adder = Adder(rows_at_once=100)
    for table in tables:
        adder.add(table)
    (found,) = adder.rest()
    assert_sums(found, truth)


@pytest.mark.parametrize("kind", ["", "users", "user"])
@pytest.mark.parametrize("worth", [0.8, 0.01])
def test_moves_are_condensed_where_that_is_worth_it(kind: str, worth: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once it was not, the moves pass as they came; what they add up to is the same."""
    monkeypatch.setattr(module, "WORTH_ADDING", worth)
    truth, tables = series(kind, whole=False)
    out = list(module.condensed(iter(tables), 140, 140))
    assert sum(table.num_rows for table in out) < 840
    if worth > 0.5:
        assert sum(table.num_rows for table in out) < 420
    else:
        assert [table.num_rows for table in out[1:]] == [140] * 5
    assert_sums(added_up(joined(out)), truth)


@given(draw.lists(draw.integers(0, 2**62), max_size=50), draw.integers(0, 60))
def test_codes_are_sorted_with_their_places(codes: list[int], bits: int) -> None:
    code = np.array(codes, dtype=np.int64) >> bits
    order, ordered = module.sorted_with_order(code)
    assert order.tolist() == np.argsort(code, kind="stable").tolist()
    assert ordered.tolist() == sorted(code.tolist())


def test_users_beyond_the_bits_of_a_code_stay_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells² · users above 2⁶³ would wrap; ranks of the pairs then stand for them."""
    frame, moves = random_moves(500, 1, kind="user")
    plain = added_up(moves)
    joint = module._joint

    def of_ranks(major: Cells, majors: int, minor: Cells, minors: int) -> tuple[Cells, int]:
        code, _ = joint(major, 2**62, minor, minors)
        return code, len(np.unique(major)) * minors

    monkeypatch.setattr(module, "_joint", of_ranks)
    assert added_up(moves).equals(plain)
    assert len(plain) == len(frame.drop_duplicates(["origin", "destination", "user"]))


def test_moves_of_different_slots_stay_apart() -> None:
    tables = [random_moves(50, seed)[1] for seed in range(3)]
    slots = [7 << 32, 3, 7 << 32]
    given = joined([t.append_column("slot", pa.array([s] * 50)) for t, s in zip(tables, slots, strict=True)])
    found = added_up(given)
    assert found["slot"].to_pylist() == sorted(found["slot"].to_pylist())
    for slot in set(slots):
        alone = added_up(joined([table for table, own in zip(tables, slots, strict=True) if own == slot]))
        assert found.filter(pc.equal(found["slot"], slot)).drop_columns(["slot"]).equals(alone)


def through_the_shuffle(table: pa.Table, key: str, buckets: int) -> Iterator[tuple[int, pa.Table]]:
    for batch in packed(table, key, buckets):
        for piece in unpacked(iter([batch])):
            yield batch["bucket"][0].as_py(), piece


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


@given(draw.lists(draw.lists(draw.integers(0, 3), max_size=6), max_size=6))
def test_partitions_that_share_a_task_come_one_after_the_other(sizes: list[list[int]]) -> None:
    """Batches hold rows of several buckets, and a bucket's rows lie in several batches."""
    numbered = [[number // 2 for number in range(len(batch))] for batch in sizes]
    first, batches, expected = 0, [], []
    for own in numbered:
        buckets = [first + number for number in own]
        first = buckets[-1] if buckets else first
        expected += buckets
        rows = [payload_row(bucket, str(place).encode()) for place, bucket in enumerate(buckets)]
        if rows:
            batches.append(pa.Table.from_batches(rows).combine_chunks().to_batches()[0])
    found = [[row for run in own for row in run["bucket"].to_pylist()] for own in by_bucket(iter(batches))]
    assert all(len(set(own)) == 1 for own in found)
    assert [bucket for own in found for bucket in own] == expected
    assert len(found) == len(set(expected))
