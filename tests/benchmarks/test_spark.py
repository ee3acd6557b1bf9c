"""The Spark benchmarks: their data are what they say, and the command runs from generation to the saved table."""

import json
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from benchmarks.spark_data import Edges, Events, Trips, make_once
from benchmarks.spark_ways import rows_of

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "wanted",
    [Edges(40_000, files=3), Trips(3_000, files=2), Events(3_000, 50, files=2)],
    ids=["edges", "trips", "events"],
)
def test_the_same_data_come_out_every_time(tmp_path: Path, wanted: Edges | Events | Trips) -> None:
    folders = [make_once(tmp_path / name, wanted) for name in ("first", "second")]
    contents = [[file.read_bytes() for file in sorted(folder.glob("*.parquet"))] for folder in folders]
    assert contents[0] == contents[1]
    assert len(contents[0]) == wanted.files


def test_edges_are_distinct_whole_and_about_as_many_as_wanted(tmp_path: Path) -> None:
    folder = make_once(tmp_path / "edges", Edges(100_000, files=3))
    edges = pq.read_table(folder).to_pandas()
    assert not edges.duplicated(["origin", "destination"]).any()
    assert 60_000 < len(edges) < 170_000  # 20 origins of very unequal degrees
    assert edges["origin"].nunique() == 20
    for file in folder.glob("*.parquet"):
        own = pq.read_table(file).to_pandas()
        assert own.equals(own.sort_values(["origin", "destination"]))


def test_a_hot_place_has_its_share_of_the_trips(tmp_path: Path) -> None:
    trips = pq.read_table(make_once(tmp_path / "trips", Trips(20_000, hot_share=0.3, files=1))).to_pandas()
    hottest = trips[["origin_latitude", "origin_longitude"]].round(0).value_counts(normalize=True).iloc[0]
    assert 0.28 < hottest < 0.34


def test_a_hot_user_has_as_many_events_as_told(tmp_path: Path) -> None:
    events = pq.read_table(make_once(tmp_path / "events", Events(20_000, 200, hot_rows=4_000, files=1))).to_pandas()
    assert 3_800 < (events["user"] == 200).sum() < 4_200
    assert events["user"].nunique() == 201


@pytest.mark.parametrize(("size", "rows"), [("10M", 10_000_000), ("1.5B", 1_500_000_000), ("20000", 20_000)])
def test_a_size_may_have_a_unit(size: str, rows: int) -> None:
    assert rows_of(size) == rows


WAYS = {
    "sampling": ["job sample_graph", "DuckDB, 12GB", "Spark row_number"],
    "events": ["job grid_mobility", "Polars, polars-h3", "DuckDB, 12GB, cells by h3ronpy in a process a core"],
    "hours": ["trips", "trips, hours of UTC", "trips, hours of New York"],
    "skew": ["trips", "trips, hot place", "events", "events, hot user"],
    "incremental": ["54 weeks, nothing kept", "one day more, the first one less"],
    "gridding": ["job grid_mobility", "Polars, polars-h3", "DuckDB, 12GB, cells by h3ronpy in a process a core"],
}


@pytest.mark.parametrize("part", [*WAYS])
def test_the_command_compares_all_ways_and_ends_with_its_figures(tmp_path: Path, part: str) -> None:
    command = [sys.executable, "-m", "benchmarks.spark", "--part", part, "--size", "50K", "--repeats", "1"]
    command += ["--data", str(tmp_path / "data"), "--reports", str(tmp_path / "reports")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    assert all(value > 0 for value in figures.values())
    assert 0 < figures.get(f"{part}_peak_gib", 1) < 8
    (report,) = (tmp_path / "reports").glob(f"{part}-50K*.json")
    saved = json.loads(report.read_text())
    assert [row["way"] for row in saved["rows"]][: len(WAYS[part])] == WAYS[part]
