"""The interval of an ablation is the benchmark's own, of the variant less the base."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest

from mora_pipeline.contract import schemas
from mora_pipeline.evaluation.ablation.families import BASE
from mora_pipeline.evaluation.ablation.run import replicates, with_differences
from mora_pipeline.evaluation.labels.tasks import Task
from mora_pipeline.evaluation.protocol.intervals import Resamples, interval_table
from mora_pipeline.evaluation.protocol.run import Record
from mora_pipeline.evaluation.protocol.scores import score_row
from mora_pipeline.evaluation.protocol.trials import Trial
from mora_pipeline.evaluation.report.ablations import effects

Make = Callable[..., Task]
RESAMPLES = 200
BETTER = "layers: 1"


def trials_of(make_task: Make, models: dict[str, str], seeds: tuple[int, ...] = (0, 1)) -> list[Trial]:
    """Two blocked folds of each task, by name with the model that is fitted."""
    random, found = np.random.default_rng(0), []
    for name, model in models.items():
        task = make_task(random.normal(size=300), name=name, num_blocks=30)
        rows = np.arange(300)
        found += [Trial(task, "blocked", seed, model, [(rows, rows[::2]), (rows, rows[1::2])]) for seed in seeds]
    return found


def predicted(trials: list[Trial], noise: float, seed: int) -> list[Record]:
    random = np.random.default_rng(seed)
    return [
        Record("mora", trial, (trial.truth + noise * random.normal(size=300)).astype(np.float32)) for trial in trials
    ]


def scored(by_variant: dict[str, list[Record]]) -> pa.Table:
    """`schemas.ABLATIONS` of the records of each variant, with differences."""
    rows = [
        {"family": "x", "variant": name, **score_row(record)}
        for name, records in by_variant.items()
        for record in records
    ]
    for row in rows:
        del row["method"]
    drawn = Resamples([record.trial for record in by_variant[BASE]], RESAMPLES)
    resampled = {name: replicates(records, drawn) for name, records in by_variant.items()}
    return with_differences(pa.Table.from_pylist(rows, schema=schemas.ABLATIONS), resampled)


def test_it_is_the_interval_that_the_benchmark_gives_a_method_against_a_baseline(make_task: Make) -> None:
    trials = trials_of(make_task, {"a": "lightgbm_fast", "b": "lightgbm_fast"})
    base, better = predicted(trials, 0.6, 1), predicted(trials, 0.5, 2)
    benchmark = [Record("raw", one.trial, one.predicted) for one in base] + better
    (expected,) = [
        row
        for row in interval_table(benchmark, RESAMPLES).to_pylist()
        if (row["method"], row["task"]) == ("mora", "mean")
    ]
    table = scored({BASE: base, BETTER: better})
    assert table.schema.equals(schemas.ABLATIONS)
    rows = table.to_pylist()
    for name in ("difference", "difference_low", "difference_high"):
        assert [row[name] for row in rows if row["variant"] == BETTER] == pytest.approx([expected[name]] * 4)
        assert [row[name] for row in rows if row["variant"] == BASE] == [None] * 4
    assert expected["difference_low"] < expected["difference"] < expected["difference_high"]


def test_the_same_vectors_differ_by_nothing_on_any_resample(make_task: Make) -> None:
    """Not so if the base and the variant were resampled each for itself."""
    base = predicted(trials_of(make_task, {"a": "lightgbm_fast"}), 0.6, 1)
    (found,) = {
        (row["difference"], row["difference_low"], row["difference_high"])
        for row in scored({BASE: base, "same": base}).to_pylist()
        if row["variant"] == "same"
    }
    assert found == (0, 0, 0)


def test_it_is_of_the_very_change_that_stands_beside_it(make_task: Make) -> None:
    """Few groups' ridge is part of the mean, and so are only the tasks that all variants have a score for."""
    trials = trials_of(make_task, {"a": "lightgbm_fast", "few": "pooled_ridge", "lost": "lightgbm_fast"})
    base, better = predicted(trials, 0.6, 1), predicted(trials, 0.3, 2)
    lost = [
        Record("mora", Trial(one.trial.task, "blocked", one.trial.seed, one.trial.model, [], "a reason"), one.predicted)
        if one.trial.task.name == "lost"
        else one
        for one in better
    ]
    table = scored({BASE: base, BETTER: lost})
    shown = effects(table, {}).set_index("variant")
    (difference,) = {row["difference"] for row in table.to_pylist() if row["difference"] is not None}
    r2 = {
        name: [score_row(one)["r2"] for one in records if one.trial.task.name != "lost"]
        for name, records in ((BASE, base), (BETTER, better))
    }
    assert difference == pytest.approx(np.mean(r2[BETTER]) - np.mean(r2[BASE]))
    assert shown.loc[BETTER, "effect"] == pytest.approx(100 * difference / np.mean(r2[BASE]))
    assert shown.loc[BETTER, "low"] < shown.loc[BETTER, "effect"] < shown.loc[BETTER, "high"]
    assert shown.loc[[BASE], ["low", "high"]].isna().all(axis=None)
