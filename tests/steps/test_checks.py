"""The checks of vectors against cases whose answer is plain."""

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from mora_pipeline.contract import schemas
from mora_pipeline.contract.schemas import CellVectors
from mora_pipeline.evaluation.protocol.metrics import RMSE
from mora_pipeline.steps.benchmark import every_method_scored
from mora_pipeline.steps.checks import cells_known, no_nan, not_collapsed, one_row_per_cell, spread_and_directions

CELLS = np.array([3, 5, 8, 9], dtype=np.int64)


@pytest.mark.parametrize(
    ("found", "passes"), [([3, 9], True), ([], True), ([3, 4], False), ([5, 3], False), ([3, 3], False)]
)
def test_cells_of_a_modality_are_known_ascending_and_alone(found, passes) -> None:
    assert cells_known({"poi": np.array(found, dtype=np.int64)}, CELLS).passed is passes


def test_one_bad_modality_fails_the_check_of_all() -> None:
    assert not cells_known({"poi": CELLS, "ages": CELLS + 1}, CELLS).passed


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_not_finite_is_found(bad) -> None:
    vectors = np.ones((3, 2), np.float32)
    assert no_nan({"poi": vectors}).passed
    vectors[2, 1] = bad
    assert not no_nan({"ages": np.ones((1, 1), np.float32), "poi": vectors}).passed


@pytest.mark.parametrize("cells", [[3, 5, 8], [5, 3, 8, 9], [3, 5, 8, 10]])
def test_rows_that_are_not_the_regions_cells_are_found(cells) -> None:
    vectors = CellVectors(np.array(cells, dtype=np.int64), np.zeros((len(cells), 2), np.float32))
    assert not one_row_per_cell(vectors, CELLS).passed
    assert one_row_per_cell(CellVectors(CELLS, np.zeros((4, 2), np.float32)), CELLS).passed


def test_effective_rank_counts_directions_of_equal_variance() -> None:
    for directions in (1, 3, 8):
        basis = np.vstack([np.eye(directions, 10), -np.eye(directions, 10)]).astype(np.float32)
        spread, found = spread_and_directions(basis)
        assert found == pytest.approx(directions)
        assert spread == pytest.approx(1)


def test_spread_is_the_variances_share_of_the_mean_square() -> None:
    generator = np.random.default_rng(0)
    vectors = (generator.normal(size=(500, 6)) + 3).astype(np.float32)
    expected = vectors.var(axis=0, dtype=np.float64).sum() / np.square(vectors, dtype=np.float64).sum(axis=1).mean()
    assert spread_and_directions(vectors)[0] == pytest.approx(expected)


def test_collapsed_vectors_are_found() -> None:
    generator = np.random.default_rng(0)
    healthy = generator.normal(size=(200, 16)).astype(np.float32)
    assert not_collapsed(healthy).passed
    assert not not_collapsed(np.ones((200, 16), np.float32)).passed, "all equal"
    assert not not_collapsed(np.zeros((200, 16), np.float32)).passed, "all zero"
    assert not not_collapsed(healthy[:, :1] * np.ones((1, 16), np.float32)).passed, "all on one line"
    assert not not_collapsed(100 + 1e-3 * healthy).passed, "nearly equal"
    assert not not_collapsed(np.full((200, 16), np.nan, np.float32)).passed
    assert not_collapsed(np.ones((2, 16), np.float32)).passed, "two cells cannot show a collapse"


@pytest.mark.parametrize(
    ("of_raw", "passes"),
    [({"r2": 0.3}, True), ({"r2": float("nan")}, False), ({"r2": None}, False), ({"task": "rent"}, False),
     ({"split": "from_other", "r2": 0.3}, False)],
)  # fmt: skip
def test_methods_of_a_benchmark_are_asked_the_same(of_raw: dict[str, Any], passes: bool) -> None:
    trial = {"task": "income", "split": "blocked", "seed": 42, "model": "linear_probe", "n": 9, "r2": 0.4, "rmse": 1.0}
    rows = [{**trial, "method": "mora"}, {**trial, "r2": 0.3, "method": "raw", **of_raw}]
    assert every_method_scored(pa.Table.from_pylist(rows, schema=schemas.BENCHMARK)).passed is passes


def test_a_method_that_cannot_be_transferred_is_no_failure() -> None:
    trial = {
        "task": "income",
        "split": "from_other",
        "seed": 42,
        "model": "linear_probe",
        "n": 9,
        "r2": 0.4,
        "rmse": 1.0,
    }
    here = {**trial, "split": "blocked"}
    rows = [{**here, "method": "mora"}, {**here, "method": "raw"}, {**trial, "method": "raw"}]
    assert every_method_scored(pa.Table.from_pylist(rows, schema=schemas.BENCHMARK)).passed


TRIAL = {"task": "income", "split": "blocked", "seed": 42, "model": "linear_probe", "n": 9, "r2": None, "rmse": None}


@pytest.mark.parametrize(("of_raw", "passes"), [(1.2, True), (float("nan"), False), (None, False)])
def test_the_check_is_of_the_metric_that_decides(of_raw: float | None, passes: bool) -> None:
    rows = [{**TRIAL, "method": "mora", "rmse": 1.0}, {**TRIAL, "method": "raw", "rmse": of_raw}]
    table = pa.Table.from_pylist(rows, schema=schemas.BENCHMARK)
    check = every_method_scored(table, RMSE)
    assert check.passed is passes
    assert check.figures["mora_scores"] == 1


def test_trials_without_any_score_pass_only_if_all_were_skipped_for_a_reason() -> None:
    rows = [{**TRIAL, "method": name, "split": split} for name in ("mora", "raw") for split in ("random", "blocked")]
    table = pa.Table.from_pylist(rows, schema=schemas.BENCHMARK)
    assert not every_method_scored(table).passed
    reasons = [{"task": "income", "split": split, "model": "linear_probe", "reason": "it leaks"}
               for split in ("random", "blocked")]  # fmt: skip
    for known, passes in ((reasons[:1], False), (reasons, True)):
        assert every_method_scored(table.replace_schema_metadata({"skipped": json.dumps(known)})).passed is passes
    elsewhere = pa.Table.from_pylist([{**row, "split": "from_other", "r2": 0.2} for row in rows], schema=table.schema)
    assert every_method_scored(elsewhere).passed, "nothing was tried within the region"
    assert every_method_scored(schemas.BENCHMARK.empty_table()).passed, "a region without tasks"
