"""A metric from outside is scored, has intervals and is shown, as R² is; so is a model for labels that are classes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, mean_squared_error, roc_auc_score

from mora_pipeline.contract import schemas
from mora_pipeline.evaluation.labels.tasks import Task
from mora_pipeline.evaluation.promotion import compare
from mora_pipeline.evaluation.protocol.intervals import interval_table
from mora_pipeline.evaluation.protocol.metrics import RMSE, Floats, Metric
from mora_pipeline.evaluation.protocol.models import LINEAR_PROBE, MODELS
from mora_pipeline.evaluation.protocol.parameters import BenchmarkParameters
from mora_pipeline.evaluation.protocol.run import run_benchmark
from mora_pipeline.evaluation.protocol.scores import mean_scores, scores_table
from mora_pipeline.evaluation.report.data import ReportData
from mora_pipeline.evaluation.report.markdown import markdown_report

LINEAR = BenchmarkParameters(protocols=["linear"], seeds=[1, 2], threads=1)


class AreaUnderCurve(Metric):
    name, title = "auc", "AUC"

    def score(self, truth: Floats, predicted: Floats, weight: Floats | None = None) -> float | None:
        counted = truth if weight is None else truth[weight > 0]
        if len(np.unique(counted)) != 2:
            return None
        return float(roc_auc_score(truth, predicted, sample_weight=weight))


class BalancedAccuracy(AreaUnderCurve):
    name, title = "balanced_accuracy", "balanced accuracy"

    def score(self, truth: Floats, predicted: Floats, weight: Floats | None = None) -> float | None:
        if super().score(truth, predicted, weight) is None:
            return None
        return float(balanced_accuracy_score(truth, predicted > 0.5, sample_weight=weight))


AUC, BALANCED = AreaUnderCurve(), BalancedAccuracy()


def logistic_probe(features: Floats, target: Floats, *_: Any) -> Callable[..., Any]:
    """The probability of the class 1."""

    def predict(train: np.ndarray, test: np.ndarray) -> np.ndarray:
        return LogisticRegression().fit(features[train], target[train]).predict_proba(features[test])[:, 1]

    return predict


def test_classes_are_scored_by_a_model_and_metrics_from_outside(
    make_task: Callable[..., Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MODELS, "logistic_probe", logistic_probe)
    random = np.random.default_rng(0)
    vectors = random.normal(size=(600, 4))
    classes = (vectors[:, 0] + random.normal(size=600) > 0).astype(float)
    task = make_task(classes, num_blocks=30, models={LINEAR_PROBE: "logistic_probe"})
    methods = {"mora": vectors, "raw": random.normal(size=(600, 4))}
    records = run_benchmark(methods, [task], LINEAR)
    scores = scores_table(records, [AUC, BALANCED])
    assert set(scores.column_names) == {*schemas.BENCHMARK.names, "auc", "balanced_accuracy"}
    assert set(scores["model"].to_pylist()) == {"logistic_probe"}
    for record, row in zip(records, scores.to_pylist(), strict=True):
        assert row["auc"] == pytest.approx(roc_auc_score(record.trial.truth, record.predicted))
        assert row["r2"] is None
    intervals = interval_table(records, 100, metric=AUC)
    rows = {row["method"]: row for row in intervals.to_pylist() if row["task"] == "planted"}
    means = mean_scores(scores, "mora", metric=AUC)
    assert rows["mora"]["auc"] == pytest.approx(means["planted|random|logistic_probe"])
    assert rows["mora"]["low"] < rows["mora"]["auc"] < rows["mora"]["high"]
    assert 0 < rows["mora"]["difference_low"] < rows["mora"]["difference"]
    text = markdown_report(ReportData("toy", scores, intervals, metrics=[AUC, BALANCED]))
    assert "mora is ahead of a task's best baseline in 1 of 1 tasks" in text
    assert "**AUC, random split, logistic_probe**" in text


def test_a_metric_whose_lowest_score_is_best_is_compared_the_other_way_round(make_task: Callable[..., Task]) -> None:
    random = np.random.default_rng(0)
    vectors = random.normal(size=(600, 4))
    task = make_task(vectors[:, 0] + random.normal(size=600), num_blocks=30)
    records = run_benchmark({"mora": vectors, "raw": random.normal(size=(600, 4))}, [task], LINEAR)
    rows = {row["method"]: row for row in interval_table(records, 100, metric=RMSE).to_pylist()}
    assert {row["task"] for row in rows.values()} == {"planted"}  # no mean: tasks differ in unit
    truth, predicted = records[0].trial.truth, records[0].predicted
    repeated, weight = np.repeat(np.arange(len(truth)), 2), np.full(len(truth), 2.0)
    expected = np.sqrt(mean_squared_error(truth[repeated], predicted[repeated]))
    assert RMSE.score(truth, predicted, weight) == pytest.approx(expected)
    assert rows["mora"]["rmse"] < rows["raw"]["rmse"]
    assert rows["mora"]["difference"] == pytest.approx(rows["raw"]["rmse"] - rows["mora"]["rmse"])
    assert compare({"a": 0.4}, {"a": 0.5}, metric=RMSE).promoted
    assert not compare({"a": 0.5}, {"a": 0.4}, metric=RMSE).promoted
