"""The benchmarks of the inductive encoder run as commands on a small region, and end with their figures."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import h3
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import yaml

from benchmarks.encoder_halves import CutRegion, western_groups
from mora_pipeline.contract.schemas import Edges
from mora_pipeline.evaluation.labels.files import UNKNOWN
from mora_pipeline.presets.inductive.flows import flow_feature_names
from mora_pipeline.presets.inductive.schema import Schema
from tests.presets.inductive.conftest import make_town
from tests.presets.inductive.test_region import Home

CELLS = 300
LABELS = {"level": "cell", "path": "labels.csv", "latitude": "lat", "longitude": "lon"}

BLOCKS = {"side": {"path": "labels.csv", "group": "side", "latitude": "lat", "longitude": "lon"}}


class LabelledHome(Home):
    """A home with one region whose cells have labels."""

    def cells(self, count: int) -> np.ndarray:
        disk = h3.grid_disk(h3.latlng_to_cell(47.1, 8.2, 8), 12)
        return np.array(sorted(h3.str_to_int(cell) for cell in disk)[:count])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Region `west`, one of whose labels follows its flows and the other nothing."""
    path, town = tmp_path_factory.mktemp("home"), make_town(1, CELLS)
    made = LabelledHome(path)
    made.add("west", town)
    centres = np.array([h3.cell_to_latlng(h3.int_to_str(int(cell))) for cell in made.cells(CELLS)])
    frame = pd.DataFrame(centres, columns=["lat", "lon"])
    frame["trade"] = np.log(np.bincount(town.flows.destination, town.flows.flow, CELLS) + 1)
    frame["side"] = frame["lon"].round(2)
    frame["noise"] = np.random.default_rng(0).normal(size=CELLS)
    frame.to_csv(path / "west" / "labels.csv", index=False)
    file = path / "west" / "region.yaml"
    tasks = {name: {**LABELS, "column": name} for name in ("trade", "noise")}
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), "tasks": tasks, "blocks": BLOCKS}))
    return path


def figures(home: Path, *command: str) -> dict[str, dict[str, Any]]:
    ended = subprocess.run(
        [sys.executable, "-m", *command], env={**os.environ, "MORA_HOME": str(home)}, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    found: dict[str, dict[str, Any]] = json.loads(ended.stdout.splitlines()[-1])
    return found


def test_the_ladder_tells_what_each_part_is_worth(home: Path) -> None:
    found = figures(home, "benchmarks.encoder_ladder", "west", "--trees", "20", "--leaves", "7")
    assert {"raw features", "flows", "all: the preset `inductive`", "all, not turned"} <= found.keys()
    assert {"all, partners by the farther half of the flows"} <= found.keys()
    for columns in found.values():
        assert columns.keys() == {
            f"{model}, {split}" for model in ("LightGBM", "ridge") for split in ("random", "blocked")
        }
        assert np.isfinite(list(columns.values())).all()
    assert found["flows"]["ridge, random"] > found["raw features"]["ridge, random"] + 0.1


DIRECTIONS = {
    f"{cut}{one} to {cut}{other}"
    for cut, ends in (("", ("west", "east")), ("", ("south", "north")), ("side: ", ("west", "east")))
    for one, other in (ends, ends[::-1])
}


def assert_all_are_there(found: dict[str, dict[str, Any]], ways: set[str]) -> None:
    for by_way in found.values():
        assert by_way.keys() == ways
        for by_task in by_way.values():
            assert by_task.keys() == {"trade", "noise"}
            assert np.isfinite([score for scores in by_task.values() for score in scores.values()]).all()


def test_an_encoder_of_one_half_is_asked_on_the_other(home: Path) -> None:
    found = figures(home, "benchmarks.encoder_transfer", "west")
    encoders = {f"{preset}, encoder of the fitted half" for preset in ("mora", "inductive")}
    assert_all_are_there(found, {"raw features", "inputs", "inputs and their surroundings"} | encoders)
    assert found.keys() == DIRECTIONS


def test_a_student_is_asked_on_halves_without_flows(home: Path) -> None:
    found = figures(home, "benchmarks.encoder_without_mobility", "west")
    ways = {"raw features", "encoder with flows", "student without flows", "encoder fitted without flows"}
    assert_all_are_there(found, ways)
    assert found.keys() == DIRECTIONS


def test_no_group_is_cut_and_halves_are_of_one_size() -> None:
    random = np.random.default_rng(0)
    groups = random.integers(-1, 12, 400)
    longitude = 10.0 * groups + random.normal(size=400)
    longitude[groups == UNKNOWN] = random.uniform(0, 110, (groups == UNKNOWN).sum())
    west = western_groups(groups, longitude)
    last = max(groups[west & (groups != UNKNOWN)])
    assert np.array_equal(west[groups != UNKNOWN], groups[groups != UNKNOWN] <= last)
    assert np.array_equal(west[groups == UNKNOWN], longitude[groups == UNKNOWN] < 10 * last + 5)
    assert abs(west[groups != UNKNOWN].mean() - 0.5) < 0.06


def test_a_half_sees_nothing_of_the_other() -> None:
    town, rows = make_town(1), np.arange(0, 60, 2)
    schema = Schema("town", 8, 5, (), tuple(flow_feature_names()))
    names = ["latitude", "longitude", "internal_flow"]
    cells = pa.table([town.latitude, town.longitude, town.internal], names=names)
    dense = np.zeros((60, 60))
    dense[town.flows.origin, town.flows.destination] = town.flows.flow
    inside = np.isin(town.flows.origin, rows) & np.isin(town.flows.destination, rows)
    others = Edges(town.flows.origin, town.flows.destination, np.where(inside, town.flows.flow, 1e6))
    halves = [
        CutRegion(cells, flows, town.evidence(), schema, [], {}).half("even", rows) for flows in (town.flows, others)
    ]
    assert np.array_equal(halves[0].evidence.flows, halves[1].evidence.flows)
    assert np.allclose(np.expm1(halves[1].statistics[:, 0]), dense[np.ix_(rows, rows)].sum(axis=1))
    assert np.array_equal(halves[1].parts()["ages"].values, town.modalities[0].vectors[rows])
    assert list(halves[1].parts()) == ["ages", "ages amounts", "poi", "poi amounts", "sky", "flows"]
