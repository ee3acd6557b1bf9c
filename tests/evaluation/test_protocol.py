"""The benchmark's scores are those of plain scikit-learn, and trials that cannot be done say why."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy import sparse
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_squared_error, r2_score
from sklearn.model_selection import KFold, cross_val_predict

from mora_pipeline.contract import schemas
from mora_pipeline.evaluation.labels.tasks import Task
from mora_pipeline.evaluation.protocol.metrics import R2, RMSE
from mora_pipeline.evaluation.protocol.parameters import BenchmarkParameters
from mora_pipeline.evaluation.protocol.run import run_benchmark
from mora_pipeline.evaluation.protocol.scores import scores_table, skipped_trials

Make = Callable[..., Task]
QUICK = BenchmarkParameters(trees=40, fast_trees=40, threads=2, seeds=[42], protocols=["paper", "blocked", "linear"])


def scored(*arguments: Any, **named: Any) -> pa.Table:
    return scores_table(run_benchmark(*arguments, **named))


def scores(benchmark: pa.Table, **where: str) -> dict[str, float]:
    rows = [row for row in benchmark.to_pylist() if all(row[key] == value for key, value in where.items())]
    return {row["method"]: row["r2"] for row in rows}


def test_r_squared_and_rmse_are_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    truth, predicted = rng.normal(size=50), rng.normal(size=50)
    assert R2.score(truth, predicted) == pytest.approx(r2_score(truth, predicted))
    assert RMSE.score(truth, predicted) == pytest.approx(np.sqrt(mean_squared_error(truth, predicted)))
    assert R2.score(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 5.0])) == pytest.approx(1 - 4 / 2)
    assert R2.score(np.ones(3), truth[:3]) is None


def test_the_vectors_that_hold_the_truth_win_on_every_split_and_model(make_task: Make) -> None:
    rng = np.random.default_rng(0)
    movement, other = rng.normal(size=(600, 8)), rng.normal(size=(600, 8))
    task = make_task(movement @ rng.normal(size=8) + 0.1 * rng.normal(size=600))
    benchmark = scored({"other": other, "movement": movement}, [task], QUICK)
    assert benchmark.schema.equals(schemas.BENCHMARK)
    assert benchmark.num_rows == 2 * 2 * 2
    for split in ("random", "blocked"):
        for model in ("lightgbm" if split == "random" else "lightgbm_fast", "linear_probe"):
            found = scores(benchmark, split=split, model=model)
            assert found["movement"] > 0.7
            assert found["other"] < 0.2


def test_small_groups_get_ridge_on_pooled_folds(make_task: Make) -> None:
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(300, 5))
    membership = sparse.csr_matrix(np.kron(np.eye(60), np.full(5, 0.2)))
    features = membership @ vectors
    target = features[:, 0] + 0.2 * rng.normal(size=60)
    benchmark = scored({"m": vectors}, [make_task(target, "group", membership)], QUICK)
    predicted = cross_val_predict(Ridge(alpha=1), features, target, cv=KFold(5, shuffle=True, random_state=42))
    assert scores(benchmark, split="random", model="pooled_ridge")["m"] == pytest.approx(r2_score(target, predicted))
    assert set(benchmark["model"].to_pylist()) == {"pooled_ridge", "linear_probe"}
    assert {row["n"] for row in benchmark.to_pylist() if row["model"] == "pooled_ridge"} == {60}


def test_blocked_folds_reveal_what_only_interpolates(make_task: Make) -> None:
    """Blocks with levels of their own: a block's number predicts within blocks and fails between them."""
    rng = np.random.default_rng(2)
    level = rng.normal(size=12)[np.arange(600) // 50]
    task = make_task(level + 0.1 * rng.normal(size=600))
    benchmark = scored({"position": np.arange(600.0)[:, None]}, [task], QUICK)
    assert scores(benchmark, split="random", model="lightgbm")["position"] > 0.7
    assert scores(benchmark, split="blocked", model="lightgbm_fast")["position"] < 0.3


def test_points_in_one_cell_share_its_vector(make_task: Make) -> None:
    rng = np.random.default_rng(3)
    vectors, rows = rng.normal(size=(40, 3)), rng.integers(0, 40, 500)
    membership = sparse.csr_matrix((np.ones(500), rows, np.arange(501)), shape=(500, 40))
    task = make_task(vectors[rows, 0], "point", membership)
    benchmark = scored({"m": vectors}, [task], QUICK)
    assert scores(benchmark, split="random", model="linear_probe")["m"] == pytest.approx(1, abs=1e-3)
    assert {row["n"] for row in benchmark.to_pylist() if row["split"] == "random"} == {100}


def test_two_runs_are_equal_whatever_the_threads(make_task: Make) -> None:
    rng = np.random.default_rng(4)
    vectors = rng.normal(size=(200, 6)).astype(np.float32)
    task = make_task(vectors[:, 0] + rng.normal(size=200))
    runs = [scored({"m": vectors}, [task], QUICK.model_copy(update={"threads": t})) for t in (1, 3)]
    assert runs[0].equals(runs[1])


def test_progress_counts_every_fit(make_task: Make) -> None:
    rng = np.random.default_rng(5)
    calls: list[tuple[int, int, str]] = []
    parameters = QUICK.model_copy(update={"seeds": [0, 1], "paper_seeds": [0, 1]})
    vectors = rng.normal(size=(150, 2))
    run_benchmark({"m": vectors}, [make_task(vectors[:, 0])], parameters, lambda *call: calls.append(call))
    assert [call[0] for call in calls] == list(range(1, 2 * 2 * (1 + 5) + 1))
    assert {call[1] for call in calls} == {24}
    assert calls[0][2] == "m: planted"


@pytest.mark.parametrize(
    ("target", "more", "reason", "models"),
    [
        (np.arange(7.0), {}, "7 labelled rows, at least 20", {"lightgbm", "lightgbm_fast", "linear_probe"}),
        (
            np.empty(0),
            {"membership": sparse.csr_matrix((0, 9))},
            "0 labelled",
            {"lightgbm", "lightgbm_fast", "linear_probe"},
        ),
        (np.full(300, 3.0), {}, "every label is 3", {"lightgbm", "lightgbm_fast", "linear_probe"}),
        (np.arange(60.0), {}, "48 rows to fit, a tree with 30 rows a leaf needs 60", {"lightgbm", "lightgbm_fast"}),
        (np.arange(300.0), {"num_blocks": 1}, "all rows are in one block", {"lightgbm_fast", "linear_probe"}),
        (
            np.arange(300.0),
            {"refused": "the label leaks"},
            "the label leaks",
            {"lightgbm", "lightgbm_fast", "linear_probe"},
        ),
    ],
)
def test_what_cannot_be_tested_is_skipped_with_a_reason(
    make_task: Make, target: np.ndarray, more: dict[str, Any], reason: str, models: set[str]
) -> None:
    task = make_task(target, **more)
    vectors = np.random.default_rng(0).normal(size=(task.membership.shape[1], 3))
    benchmark = scored({"m": vectors}, [task], QUICK)
    assert benchmark.num_rows == 4
    skipped = skipped_trials(benchmark)
    assert {item["model"] for item in skipped} == models
    assert any(reason in item["reason"] for item in skipped)
    for row in benchmark.to_pylist():
        listed = any(item["split"] == row["split"] and item["model"] == row["model"] for item in skipped)
        assert (row["r2"] is None) == listed


def test_vectors_that_do_not_fit_are_refused(make_task: Make) -> None:
    task = make_task(np.arange(50.0))
    with pytest.raises(ValueError, match="the tasks know 50 cells"):
        run_benchmark({"m": np.zeros((49, 2))}, [task], QUICK)
    with pytest.raises(ValueError, match="NaN"):
        run_benchmark({"m": np.full((50, 2), np.nan)}, [task], QUICK)
    with pytest.raises(ValueError, match="no protocol"):
        BenchmarkParameters(protocols=["spatial"])
