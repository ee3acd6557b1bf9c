"""The training benchmarks: the command runs to its last line, and what it compares by is sound."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from benchmarks.link_prediction import hold_out
from benchmarks.regions import Flows, load_flows

ROOT = Path(__file__).resolve().parents[2]


def test_the_command_ends_with_its_figures_and_saves_its_tables(tmp_path: Path, shared_data: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.training", "--batch", "256", "--cells", "500", "--edges", "3000"]
    command += ["--region", "nyc_regions", "--reports", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    assert list(figures) == [
        "loss_speedup",
        "loss_peak_gib",
        "propagation_vs_coo",
        "propagation_vs_dgl",
        "line_msamples_per_s",
    ]
    assert all(value > 0 for value in figures.values())
    ways = {
        path.stem: [next(iter(row.values())) for row in json.loads(path.read_text())["rows"]]
        for path in tmp_path.glob("*.json")
    }
    assert ways == {
        "loss": ["tiled", "dense"],
        "propagation": ["torch", "coo", "dgl"],
        "line_speed": ["nyc_regions"] * 2,
    }
    losses = [row["loss"] for row in json.loads((tmp_path / "loss.json").read_text())["rows"]]
    assert losses[0] == pytest.approx(losses[1], abs=1e-3)


def test_edges_of_a_region_are_its_flows_between_cells(shared_data: Path) -> None:
    import pandas as pd

    flows = load_flows("nyc_regions")
    pairs = pd.read_parquet(shared_data / "nyc_regions" / "taxi_flows.parquet")
    between = pairs["origin_place"] != pairs["destination_place"]
    assert flows.flow.sum() == pairs.loc[between, "trips"].sum()
    assert len(flows.cells) == 180
    assert (flows.origin != flows.destination).all()


def invented() -> Flows:
    """Two counties of 60 cells each, without a flow between them."""
    random = np.random.default_rng(0)
    ends = random.integers(0, 60, (2, 900)) + np.repeat([0, 60], 450)
    ends = np.unique(ends[:, ends[0] != ends[1]], axis=1)
    cells = pa.table({"cell": np.arange(120)})
    return Flows(None, cells, *ends, random.exponential(1, ends.shape[1]))


def test_held_out_pairs_are_gone_in_both_directions_and_others_never_flow() -> None:
    flows = invented()
    held = hold_out(flows)
    pairs = {frozenset(pair) for pair in zip(flows.origin.tolist(), flows.destination.tolist(), strict=True)}
    kept = {
        frozenset(pair)
        for pair in zip(flows.origin[held.kept].tolist(), flows.destination[held.kept].tolist(), strict=True)
    }
    linked = {frozenset(pair) for pair in held.linked.tolist()}
    assert linked == pairs - kept
    assert 0.06 < len(linked) / len(pairs) < 0.14
    for others in (held.anywhere, held.nearby):
        assert len(others) > 0
        assert not {frozenset(pair) for pair in others.tolist()} & pairs
    assert (held.nearby // 60 == held.nearby[:, :1] // 60).all()


def test_the_area_is_one_for_vectors_that_know_and_a_half_for_those_that_do_not() -> None:
    held = hold_out(invented())
    county = np.eye(2, dtype=np.float32)[np.arange(120) // 60]
    scores = held.scores(county)
    assert scores["auc_nearby"] == 0.5
    assert scores["auc_anywhere"] > 0.7
