"""Intervals are paired, resample whole blocks, and say when two methods cannot be told apart."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import r2_score

from mora_pipeline.contract import schemas
from mora_pipeline.evaluation.labels.tasks import Task
from mora_pipeline.evaluation.protocol.intervals import FEWEST_BLOCKS, Resamples, interval_table
from mora_pipeline.evaluation.protocol.metrics import R2
from mora_pipeline.evaluation.protocol.parameters import BenchmarkParameters
from mora_pipeline.evaluation.protocol.run import Record
from mora_pipeline.evaluation.protocol.trials import Trial

Make = Callable[..., Task]
RANDOM = np.random.default_rng(0)


def trial_of(task: Task, seed: int = 0, split: str = "blocked") -> Trial:
    rows = np.arange(len(task.target))
    return Trial(task, split, seed, "lightgbm_fast", [(rows, rows[::2]), (rows, rows[1::2])])


def record(method: str, trial: Trial, noise: float, seed: int) -> Record:
    error = np.random.default_rng(seed).normal(size=len(trial.tested))
    return Record(method, trial, (trial.truth + noise * error).astype(np.float32))


def test_a_resample_scores_as_scikit_learn_scores_the_repeated_rows() -> None:
    truth, predicted = RANDOM.normal(5, 1, 60), RANDOM.normal(5, 1, 60)
    units = np.arange(60) // 5
    weights = np.stack([np.ones(12), RANDOM.integers(0, 3, 12)]).astype(float)
    found = R2.resampled(truth, predicted, units, weights)
    for row, value in zip(weights, found, strict=True):
        rows = np.repeat(np.arange(60), row[units].astype(int))
        assert value == pytest.approx(r2_score(truth[rows], predicted[rows]))


def test_blocks_are_resampled_whole_and_alike_for_all_tasks(make_task: Make) -> None:
    tasks = [make_task(RANDOM.normal(size=300), name=name, num_blocks=30) for name in ("a", "b")]
    trials = [trial_of(task) for task in tasks]
    drawn = Resamples(trials, 50)
    (units, weights), (_, others) = (drawn.of(trial) for trial in trials)
    assert weights.shape == (51, 30)
    assert np.array_equal(weights, others)
    assert np.array_equal(units, tasks[0].blocks[trials[0].tested])
    assert (weights[0] == 1).all()
    assert (weights.sum(axis=1) == 30).all()


def test_few_blocks_are_resampled_by_cell_alike_for_all_tasks(make_task: Make) -> None:
    tasks = [make_task(RANDOM.normal(size=80), name=name, num_blocks=FEWEST_BLOCKS - 1) for name in ("a", "b")]
    points = replace(tasks[1], middle=np.arange(80) // 2)  # two labels in each of 40 cells
    trials = [trial_of(task) for task in (*tasks, points)]
    drawn = Resamples(trials, 10)
    (units, weights), (_, others), (pairs, same) = (drawn.of(trial) for trial in trials)
    assert weights.shape == (11, 80)
    assert np.array_equal(units, trials[0].tested)
    assert np.array_equal(weights, others)
    assert np.array_equal(weights, same)
    assert np.array_equal(pairs, trials[2].tested // 2)


def test_the_interval_of_a_mean_of_like_tasks_in_few_blocks_is_as_wide_as_that_of_each(make_task: Make) -> None:
    target = RANDOM.normal(size=120)
    trials = [trial_of(make_task(target, name=name, num_blocks=5)) for name in ("a", "b", "c")]
    records = [record(method, trial, 0.5, seed) for seed, method in enumerate(("mora", "raw")) for trial in trials]
    rows = {row["task"]: row for row in interval_table(records, 200).to_pylist() if row["method"] == "mora"}
    for end in ("low", "high", "difference_low", "difference_high"):
        assert rows["mean"][end] == pytest.approx(rows["a"][end])


def test_only_blocks_that_are_tested_count(make_task: Make) -> None:
    """In a transfer, the blocks of the region that is fitted are never tested."""
    task = make_task(RANDOM.normal(size=400), num_blocks=40)
    tested, fitted = np.arange(100), np.arange(100, 400)  # tested in ten blocks
    units, weights = (
        drawn := Resamples([trial := Trial(task, "from_x", 0, "linear_probe", [(fitted, tested)])], 10)
    ).of(trial)
    assert list(drawn.ids) == ["cells"]
    assert weights.shape == (11, 100)
    assert np.array_equal(units, tested)


def test_what_has_no_score_has_no_interval_either(make_task: Make) -> None:
    flat = make_task(np.repeat([0.0, 1.0], 50), name="flat", num_blocks=25)
    rows = np.arange(100)
    constant = Trial(flat, "random", 0, "linear_probe", [(rows, rows[:20])])  # all that is tested is 0
    whole = Trial(
        make_task(RANDOM.normal(size=100), name="whole", num_blocks=25), "random", 0, "linear_probe", [(rows, rows)]
    )
    records = [record(method, trial, 0.5, 1) for method in ("mora", "raw") for trial in (constant, whole)]
    found = {(row["method"], row["task"]): row["r2"] for row in interval_table(records, 100).to_pylist()}
    assert ("mora", "flat") not in found
    assert found["mora", "mean"] == found["mora", "whole"]


def test_ours_is_compared_with_the_best_baseline_and_the_interval_covers_the_difference(make_task: Make) -> None:
    task = make_task(RANDOM.normal(size=600), num_blocks=60)
    trials = [trial_of(task, seed) for seed in (0, 1)]
    noises = {"mora": 0.3, "raw": 0.6, "coordinates": 1.0}
    records = [record(name, trial, noise, trial.seed) for name, noise in noises.items() for trial in trials]
    table = interval_table(records, 200)
    assert table.schema.equals(schemas.INTERVALS)
    rows = {(row["method"], row["task"]): row for row in table.to_pylist()}
    mora, raw = rows["mora", "planted"], rows["raw", "planted"]
    assert mora["baseline"] == "raw"
    expected = np.mean([R2.score(trial.truth, record("mora", trial, 0.3, trial.seed).predicted) for trial in trials])
    assert mora["r2"] == pytest.approx(expected)
    assert mora["difference"] == pytest.approx(mora["r2"] - raw["r2"])
    assert 0 < mora["difference_low"] < mora["difference"] < mora["difference_high"]
    assert mora["low"] < mora["r2"] < mora["high"]
    assert raw["baseline"] is None
    assert rows["mora", "mean"]["r2"] == pytest.approx(mora["r2"])


def test_every_method_has_the_paired_difference_to_mora(make_task: Make) -> None:
    trial = trial_of(make_task(RANDOM.normal(size=600), num_blocks=60))
    noises = {"mora": 0.5, "raw": 0.6, "line": 0.3, "distilled": 0.7}
    records = [record(name, trial, noise, 1) for name, noise in noises.items()]
    rows = {row["method"]: row for row in interval_table(records, 200).to_pylist() if row["task"] == "mean"}
    for name in ("raw", "line", "distilled"):
        assert rows[name]["mora_ahead"] == pytest.approx(rows["mora"]["r2"] - rows[name]["r2"])
        assert rows[name]["mora_ahead_low"] < rows[name]["mora_ahead"] < rows[name]["mora_ahead_high"]
    assert rows["line"]["mora_ahead_high"] < 0 < rows["raw"]["mora_ahead_low"]
    assert rows["line"]["mora_ahead_low"] == pytest.approx(rows["mora"]["difference_low"])  # LINE is the best baseline
    assert rows["mora"]["mora_ahead"] is None


def test_a_label_that_may_leak_has_intervals_and_is_in_no_mean(make_task: Make) -> None:
    tasks = [
        make_task(RANDOM.normal(size=300), name=name, num_blocks=30, leaks_allowed=name == "b") for name in ("a", "b")
    ]
    records = [record("mora", trial_of(task), noise, 1) for task, noise in zip(tasks, (0.3, 0.9), strict=True)]
    rows = {row["task"]: row["r2"] for row in interval_table(records, 100).to_pylist()}
    assert rows["mean"] == rows["a"] != rows["b"]
    assert {row["task"] for row in interval_table(records[1:], 100).to_pylist()} == {"b"}


def test_the_table_says_where_cells_were_drawn_in_place_of_blocks(make_task: Make) -> None:
    tasks = [make_task(RANDOM.normal(size=300), name=str(blocks), num_blocks=blocks) for blocks in (19, 20)]
    records = [record("mora", trial_of(task), 0.3, 1) for task in tasks]
    rows = {row["task"]: row["by_cells"] for row in interval_table(records, 100).to_pylist()}
    assert rows == {"19": True, "20": False, "mean": True}


def test_two_equally_good_methods_are_not_told_apart_and_pairing_narrows_the_interval(make_task: Make) -> None:
    trial = trial_of(make_task(RANDOM.normal(size=600), num_blocks=60))
    raw = record("raw", trial, 0.5, 1)
    apart = {row["method"]: row for row in interval_table([raw, record("mora", trial, 0.5, 2)], 300).to_pylist()}
    assert apart["mora"]["difference_low"] < 0 < apart["mora"]["difference_high"]
    nearly = Record("mora", trial, raw.predicted + np.float32(0.001))
    paired = {row["method"]: row for row in interval_table([raw, nearly], 300).to_pylist()}["mora"]
    assert paired["difference_high"] - paired["difference_low"] < 0.05 * (paired["high"] - paired["low"])


def test_the_mean_is_over_the_tasks_that_every_method_has_a_score_for(make_task: Make) -> None:
    trials = {name: trial_of(make_task(RANDOM.normal(size=300), name=name, num_blocks=30)) for name in ("a", "b")}
    skipped = Trial(trials["b"].task, "blocked", 0, "lightgbm_fast", [], "no reason")
    records = [record("mora", trials["a"], 0.3, 1), record("raw", trials["a"], 0.3, 2)]
    records += [record("mora", trials["b"], 0.9, 3), Record("raw", skipped, np.empty(0, np.float32))]
    rows = {(row["method"], row["task"]): row["r2"] for row in interval_table(records, 100).to_pylist()}
    assert rows["mora", "mean"] == rows["mora", "a"]
    assert ("raw", "b") not in rows


def test_the_same_seed_gives_the_same_table(make_task: Make) -> None:
    trial = trial_of(make_task(RANDOM.normal(size=300), num_blocks=30))
    records = [record("mora", trial, 0.3, 1), record("raw", trial, 0.3, 2)]
    parameters = BenchmarkParameters()
    first, again = (interval_table(records, parameters.resamples // 10) for _ in range(2))
    assert first.equals(again)
