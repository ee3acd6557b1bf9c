"""The table of scores: a row a method, task and trial, and how its rows belong together."""

import json
import logging
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from statistics import fmean
from typing import Any

import pandas as pd
import pyarrow as pa

from mora_pipeline.contract import schemas
from mora_pipeline.evaluation.protocol.metrics import METRICS, R2, Metric
from mora_pipeline.evaluation.protocol.models import CLIPPED_RIDGE, LIGHTGBM, LIGHTGBM_FAST, LINEAR_PROBE, POOLED_RIDGE
from mora_pipeline.evaluation.protocol.run import Record
from mora_pipeline.evaluation.protocol.trials import FROM

logger = logging.getLogger(__name__)


def scores_table(records: Sequence[Record], metrics: Sequence[Metric] = METRICS) -> pa.Table:
    """`schemas.BENCHMARK`, a row a record; metrics that it has no column for follow.

    ``n`` is the number of rows that were predicted. A trial that could not be done has null scores and ``n`` = its
    labelled rows; the schema's metadata holds the reasons (see `skipped_trials`).
    """
    schema = schemas.BENCHMARK
    for metric in metrics:
        if metric.name not in schema.names:
            schema = schema.append(pa.field(metric.name, pa.float64()))
    table = pa.Table.from_pylist([score_row(record, metrics) for record in records], schema=schema)
    reasons = {
        (trial.task.name, trial.split, trial.model, trial.skipped): None
        for trial in (record.trial for record in records)
        if trial.skipped
    }
    skipped = [dict(zip(("task", "split", "model", "reason"), item, strict=True)) for item in reasons]
    for item in skipped:
        logger.warning("Task %(task)s, %(split)s split, %(model)s: skipped, %(reason)s", item)
    return table.replace_schema_metadata({"skipped": json.dumps(skipped)})


def score_row(record: Record, metrics: Sequence[Metric] = METRICS) -> dict[str, Any]:
    """The row of a record, its scores by the name of the metric."""
    trial = record.trial
    row = {"method": record.method, "task": trial.task.name, "split": trial.split, "seed": trial.seed}
    row["model"] = trial.model
    if trial.skipped:
        return {**row, "n": len(trial.task.target), **{metric.name: None for metric in metrics}}
    truth = trial.truth
    scores = {metric.name: metric.score(truth, record.predicted) for metric in metrics}
    return {**row, "n": len(truth), **scores}


def skipped_trials(benchmark: pa.Table) -> list[dict[str, str]]:
    """Trials of a benchmark that could not be done: task, split, model, reason."""
    metadata = benchmark.schema.metadata or {}
    return list(json.loads(metadata.get(b"skipped", b"[]")))


def mean_scores(benchmark: pa.Table, method: str, leaks: Collection[str] = (), metric: Metric = R2) -> dict[str, float]:
    """A method's scores, averaged over seeds.

    Args:
        benchmark: `schemas.BENCHMARK`; rows without a score are left out.
        leaks: tasks to leave out, since their label may leak from the inputs.

    Returns:
        Scores by ``task|split|model``.
    """
    scores: dict[str, list[float]] = defaultdict(list)
    for row in benchmark.to_pylist():
        if row["method"] == method and row[metric.name] is not None and row["task"] not in leaks:
            scores[f"{row['task']}|{row['split']}|{row['model']}"].append(row[metric.name])
    return {name: fmean(values) for name, values in sorted(scores.items())}


def metrics_by_name(benchmark: pa.Table, metric: Metric = R2) -> dict[str, float]:
    """The scores of every method as MLflow's metrics: by metric, method, task, split and model; means over seeds."""
    return {
        f"{metric.name}/{method.replace(':', '_')}/{what.replace('|', '/')}": score
        for method in dict.fromkeys(benchmark["method"].to_pylist())
        for what, score in mean_scores(benchmark, method, metric=metric).items()
    }


def scored_trials(table: pa.Table, column: str, metric: Metric = R2) -> dict[str, set[tuple[Any, ...]]]:
    """Task, split, seed and model of the rows with a score within the region, by the value of a column.

    Args:
        table: `schemas.BENCHMARK` or `schemas.ABLATIONS`.
        column: ``method`` or ``variant``.
        metric: whose scores count.
    """
    scored: dict[str, set[tuple[Any, ...]]] = {}
    for row in table.to_pylist():
        trials = scored.setdefault(row[column], set())
        if row[metric.name] is not None and not row["split"].startswith(FROM):  # not every method can be transferred
            trials.add((row["task"], row["split"], row["seed"], row["model"]))
    return scored


def sections(frame: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Rows that belong into one table: a split and a model, with the ridge that few groups get in its place."""
    splits, shown = list(dict.fromkeys(frame["split"])), set()
    ordered = (LIGHTGBM, LIGHTGBM_FAST, POOLED_RIDGE, CLIPPED_RIDGE, LINEAR_PROBE)
    for model in dict.fromkeys([*ordered, *frame["model"]]):
        for split in splits:
            own = frame[(frame["split"] == split) & (frame["model"] == model)]
            if not len(own) or (model == POOLED_RIDGE and split in shown):
                continue
            if model in (LIGHTGBM, LIGHTGBM_FAST):
                few = frame[(frame["split"] == split) & (frame["model"] == POOLED_RIDGE)]
                own = pd.concat([own, few[few["seed"].isin(own["seed"])]]).sort_index()
                shown.add(split)
            yield split, model, own
