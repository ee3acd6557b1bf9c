"""Top share: the vectorised kernel against naive pandas, and its own proof against wrong masks."""

from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from spark_jobs import sample_graph
from spark_jobs.clustering import whole_origins
from spark_jobs.errors import InputError, as_input_error
from spark_jobs.sampling import broken_top_share, checked_share, kept_by_degree, top_share


def naive_top_share(edges: pd.DataFrame, share: str) -> pd.DataFrame:
    """The definition, one origin at a time."""
    kept = []
    for _, own in edges.groupby("origin"):
        count = max(1, ceil(Fraction(share) * len(own)))
        kept.append(own.sort_values(["flow", "destination"], ascending=[False, True]).head(count))
    return pd.concat(kept).sort_values(["origin", "destination"]).reset_index(drop=True)


@st.composite
def edge_tables(draw: st.DrawFn) -> pd.DataFrame:
    """Few flows, so that ties abound; degrees from one to hot."""
    degrees = draw(st.lists(st.integers(1, 30), min_size=1, max_size=8))
    rows = [
        (origin, destination, draw(st.integers(1, 4)) / 2)
        for origin, degree in enumerate(degrees)
        for destination in draw(st.permutations(range(100, 130)))[:degree]
    ]
    frame = pd.DataFrame(rows, columns=["origin", "destination", "flow"])
    return frame.sort_values("origin", kind="stable").reset_index(drop=True)


def arrays(edges: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return edges["origin"].to_numpy(), edges["destination"].to_numpy(), edges["flow"].to_numpy()


@given(edge_tables(), st.sampled_from(["0.1", "0.3", "0.5", "0.07", "1", "1e-9"]))
def test_the_kernel_keeps_what_the_definition_keeps(edges: pd.DataFrame, share: str) -> None:
    mask = top_share(*arrays(edges), Fraction(share))
    kept = edges[mask].sort_values(["origin", "destination"]).reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, naive_top_share(edges, share))
    assert broken_top_share(*arrays(edges), mask, Fraction(share)) == 0


@given(edge_tables(), st.data())
def test_the_proof_finds_a_wrong_edge(edges: pd.DataFrame, data: st.DataObject) -> None:
    mask = top_share(*arrays(edges), Fraction("0.3"))
    wrong = data.draw(st.integers(0, len(edges) - 1))
    mask[wrong] = not mask[wrong]
    assert broken_top_share(*arrays(edges), mask, Fraction("0.3")) == 1


def test_the_proof_finds_a_weaker_edge_in_the_place_of_a_stronger_one() -> None:
    edges = pd.DataFrame({"origin": [1, 1, 1], "destination": [5, 6, 7], "flow": [3.0, 2.0, 2.0]})
    assert broken_top_share(*arrays(edges), np.array([False, True, False]), Fraction("0.1")) == 1
    assert broken_top_share(*arrays(edges), np.array([True, False, True]), Fraction("0.5")) == 1  # the tie's other edge
    assert broken_top_share(*arrays(edges), np.array([True, True, False]), Fraction("0.5")) == 0


def test_a_tenth_of_ten_edges_is_one_edge() -> None:
    """In binary, 0.1 · 10 · 3 is above 3, and ceil would keep one edge too many."""
    degrees = np.array([1, 9, 10, 11, 30, 70, 1_000_000])
    assert kept_by_degree(degrees, checked_share(0.1)).tolist() == [1, 1, 1, 2, 3, 7, 100_000]
    assert kept_by_degree(np.array([100]), checked_share(0.07)).tolist() == [7]


@pytest.mark.parametrize("share", [0, -0.1, 1.1, "much", None, True, float("nan"), float("inf")])
def test_a_share_outside_its_range_is_refused(share: object) -> None:
    with pytest.raises(InputError, match="above 0 and up to 1"):
        checked_share(share)


def write_edges(folder: Path, edges: pd.DataFrame, files: int = 3) -> str:
    folder.mkdir(exist_ok=True)
    for number in range(files):
        edges[edges["origin"] % files == number].to_parquet(folder / f"part-{number:05d}.parquet", index=False)
    return str(folder)


def city(hot_degree: int = 3000) -> pd.DataFrame:
    """Origins of all sizes: a hot one, some with a single edge, flows that often tie."""
    random = np.random.default_rng(0)
    degrees = [hot_degree, *random.integers(1, 40, 200).tolist(), *[1] * 20]
    rows = [(o, d) for o, degree in enumerate(degrees) for d in np.sort(random.permutation(5000)[:degree])]
    edges = pd.DataFrame(rows, columns=["origin", "destination"])
    return edges.assign(flow=random.integers(1, 6, len(edges)).astype(float))


def test_the_job_keeps_what_the_definition_keeps(spark: SparkSession, tmp_path: Path, output: Any, read: Any) -> None:
    edges, target = city(), output("graph")
    params = {"edges": write_edges(tmp_path / "edges", edges), "strategy": "top_share", "share": 0.1, "output": target}
    outcome = sample_graph.run(spark, params)
    graph = read(target["graph"])
    expected = naive_top_share(edges, "0.1")
    pd.testing.assert_frame_equal(graph.sort_values(["origin", "destination"], ignore_index=True), expected)
    assert outcome.checks["keeps_strongest_share"].passed
    assert outcome.rows == {"graph": len(expected)}
    assert outcome.read == len(edges)


def test_pieces_never_part_an_origin(tmp_path: Path) -> None:
    edges = city()
    folder = Path(write_edges(tmp_path / "edges", edges, files=1))
    seen: list[int] = []
    for piece in whole_origins(str(folder / "part-00000.parquet"), rows_per_piece=500):
        seen += sorted(set(piece["origin"].to_pylist()))
    assert seen == list(range(len(set(edges["origin"]))))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"share": 0}, "share is 0"),
        ({"strategy": "strongest"}, "strategy is 'strongest'"),
        ({"edges": "/nowhere"}, "/nowhere holds no Parquet file"),
        ({"output": {}}, "lack 'output.graph'"),
    ],
)
def test_wrong_parameters_of_the_job_are_told(
    spark: SparkSession, tmp_path: Path, output: Any, change: dict[str, Any], message: str
) -> None:
    edges = write_edges(tmp_path / "edges", city(10))
    with pytest.raises(InputError, match=message):
        sample_graph.run(spark, {"edges": edges, "share": 0.1, "output": output("graph"), **change})


def test_edges_that_are_not_sorted_are_refused(spark: SparkSession, tmp_path: Path, output: Any) -> None:
    edges = write_edges(tmp_path / "edges", city(10).sample(frac=1, random_state=0), files=1)
    with pytest.raises(Exception, match="not sorted by origin") as raised:
        sample_graph.run(spark, {"edges": edges, "share": 0.1, "output": output("graph")})
    assert "part-00000.parquet is not sorted by origin" in str(as_input_error(raised.value))
