"""Sampling: every strategy's vectorised kernel against naive pandas, and its own proof against wrong masks."""

from fractions import Fraction
from math import ceil
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.sampling import STRATEGIES, checked_share, hashes, kept_by_degree, make_strategy

SETTINGS: list[dict[str, Any]] = [
    *({"strategy": "top_share", "share": share} for share in ("0.1", "0.3", "0.5", "0.07", "1", "1e-9")),
    *({"strategy": "random_share", "share": share, "seed": seed} for share, seed in (("0.3", 0), ("0.5", 7))),
    *({"strategy": "fixed_k", "k": k} for k in (1, 3, 100)),
    *({"strategy": "threshold", "minimum_flow": minimum} for minimum in (0.1, 1, 1.2, 2.0, 50)),
    {"strategy": "none"},
]


def naive_hash(origin: int, destination: int, seed: int) -> int:
    """The hash in whole numbers of any length."""
    state = 0
    for number in (seed, origin, destination):
        state = ((state ^ number) + 0x9E3779B97F4A7C15) % 2**64
        state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        state = (state ^ (state >> 27)) * 0x94D049BB133111EB % 2**64
        state ^= state >> 31
    return state


def naive(edges: pd.DataFrame, settings: dict[str, Any]) -> pd.DataFrame:
    """The definition, one origin at a time."""
    kept = []
    for _, own in edges.groupby("origin"):
        if settings["strategy"] == "threshold":
            kept.append(own[own["flow"] >= settings["minimum_flow"]])
            continue
        rank = own["flow"]
        if settings["strategy"] == "random_share":
            numbers = [naive_hash(row.origin, row.destination, settings["seed"]) for row in own.itertuples()]
            rank = pd.Series(numbers, index=own.index, dtype="uint64")
        share = {"fixed_k": None, "none": 1}.get(settings["strategy"], settings.get("share"))
        count = settings["k"] if share is None else max(1, ceil(Fraction(str(share)) * len(own)))
        ordered = own.assign(rank=rank).sort_values(["rank", "destination"], ascending=[False, True])
        kept.append(ordered.drop(columns="rank").head(count))
    return pd.concat(kept).sort_values(["origin", "destination"]).reset_index(drop=True)


@st.composite
def edge_tables(draw: st.DrawFn) -> pd.DataFrame:
    """Few flows, so that ties abound; degrees from one to hot; destinations in order or not."""
    degrees = draw(st.lists(st.integers(1, 30), min_size=1, max_size=8))
    rows = [
        (origin, destination, draw(st.integers(1, 4)) / 2)
        for origin, degree in enumerate(degrees)
        for destination in draw(st.permutations(range(100, 130)))[:degree]
    ]
    frame = pd.DataFrame(rows, columns=["origin", "destination", "flow"])
    keys = ["origin", "destination"] if draw(st.booleans()) else ["origin"]
    return frame.sort_values(keys, kind="stable").reset_index(drop=True)


def arrays(edges: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return edges["origin"].to_numpy(), edges["destination"].to_numpy(), edges["flow"].to_numpy()


@given(edge_tables(), st.sampled_from(SETTINGS))
def test_the_kernel_keeps_what_the_definition_keeps(edges: pd.DataFrame, settings: dict[str, Any]) -> None:
    strategy = make_strategy(settings)
    mask = strategy.keep(*arrays(edges))
    kept = edges[mask].sort_values(["origin", "destination"]).reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, naive(edges, settings))
    assert strategy.broken(*arrays(edges), mask) == 0


@given(edge_tables(), st.sampled_from(SETTINGS), st.data())
def test_the_proof_finds_a_wrong_edge(edges: pd.DataFrame, settings: dict[str, Any], data: st.DataObject) -> None:
    strategy = make_strategy(settings)
    mask = strategy.keep(*arrays(edges))
    wrong = data.draw(st.integers(0, len(edges) - 1))
    mask[wrong] = not mask[wrong]
    assert strategy.broken(*arrays(edges), mask) == 1


@given(edge_tables(), st.sampled_from(SETTINGS), st.data())
def test_the_proof_finds_an_edge_in_the_place_of_another(
    edges: pd.DataFrame, settings: dict[str, Any], data: st.DataObject
) -> None:
    """The counts are right then: only the edges' ranks tell."""
    strategy = make_strategy(settings)
    mask = strategy.keep(*arrays(edges))
    mixed = edges.groupby("origin")["flow"].transform("size") > pd.Series(mask).groupby(edges["origin"]).transform(
        "sum"
    )
    mixed &= pd.Series(mask).groupby(edges["origin"]).transform("sum") > 0
    if mixed.any():
        origin = data.draw(st.sampled_from(sorted(set(edges["origin"][mixed]))))
        own = edges["origin"].to_numpy() == origin
        mask[data.draw(st.sampled_from(np.flatnonzero(own & mask).tolist()))] = False
        dropped = np.flatnonzero(own & ~naive_mask(edges, settings))
        mask[data.draw(st.sampled_from(dropped.tolist()))] = True
        assert strategy.broken(*arrays(edges), mask) == 1


def naive_mask(edges: pd.DataFrame, settings: dict[str, Any]) -> np.ndarray:
    kept = naive(edges, settings).set_index(["origin", "destination"]).index
    return edges.set_index(["origin", "destination"]).index.isin(kept)


def test_every_strategy_is_tested() -> None:
    assert {settings["strategy"] for settings in SETTINGS} == set(STRATEGIES)


def test_of_two_equal_flows_the_smaller_destination_stays() -> None:
    edges = pd.DataFrame({"origin": [1, 1, 1], "destination": [5, 7, 6], "flow": [3.0, 2.0, 2.0]})
    half = make_strategy({"strategy": "top_share", "share": 0.5})
    assert half.keep(*arrays(edges)).tolist() == [True, False, True]
    assert half.broken(*arrays(edges), np.array([True, True, False])) == 1


def test_a_random_share_follows_neither_flow_nor_place() -> None:
    """SumsCache edges of 2,000 origins: their mean flow is the mean flow, another seed keeps others."""
    random = np.random.default_rng(0)
    origin, destination = np.repeat(np.arange(2000), 50), np.tile(np.arange(50), 2000)
    flow = random.random(len(origin))
    masks = [
        make_strategy({"strategy": "random_share", "share": 0.2, "seed": seed}).keep(origin, destination, flow)
        for seed in (0, 1)
    ]
    for mask in masks:
        assert mask.sum() == 2000 * 10
        assert abs(flow[mask].mean() - 0.5) < 0.01  # five standard errors
        assert abs(destination[mask].mean() - 24.5) < 0.5
    assert abs((masks[0] & masks[1]).sum() / 20_000 - 0.2) < 0.02  # as many in common as by chance


def test_hashes_are_those_of_whole_numbers() -> None:
    origin, destination = np.array([2**62 + 3, 2**62 + 3, 2**62 + 9]), np.array([1, 2**61, 1])
    expected = [naive_hash(int(o), int(d), 11) for o, d in zip(origin, destination, strict=True)]
    assert hashes(origin, destination, 11).tolist() == expected


def test_a_tenth_of_ten_edges_is_one_edge() -> None:
    """In binary, 0.1 · 10 · 3 is above 3, and ceil would keep one edge too many."""
    degrees = np.array([1, 9, 10, 11, 30, 70, 1_000_000])
    assert kept_by_degree(degrees, checked_share(0.1)).tolist() == [1, 1, 1, 2, 3, 7, 100_000]
    assert kept_by_degree(np.array([100]), checked_share(0.07)).tolist() == [7]


@pytest.mark.parametrize("share", [0, -0.1, 1.1, "much", None, True, float("nan"), float("inf")])
def test_a_share_outside_its_range_is_refused(share: object) -> None:
    with pytest.raises(UserError, match="above 0 and up to 1"):
        checked_share(share)
