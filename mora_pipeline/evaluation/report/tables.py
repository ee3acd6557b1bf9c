"""A benchmark as tables of texts, of scores and of tasks: what the Markdown and the page both show."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from mora_pipeline.evaluation.labels.leaks import leaking
from mora_pipeline.evaluation.labels.tasks import Task
from mora_pipeline.evaluation.protocol.metrics import R2, Metric
from mora_pipeline.evaluation.protocol.models import POOLED_RIDGE
from mora_pipeline.evaluation.protocol.scores import sections
from mora_pipeline.evaluation.protocol.trials import REGION_PAPERS
from mora_pipeline.evaluation.report.others import EPOCH, OPTIMISTIC, Others
from mora_pipeline.evaluation.report.titles import FIRST, method_title, model_title, rank, split_title
from mora_pipeline.region import RegionConfig, ReportedScores

MISSING = "–"
LEAKING = "‡ the label may leak from the inputs (leaks: allowed in region.yaml): in no mean and no comparison."
_POOLED = "* few groups: ridge in pooled folds in place of LightGBM, as MoRA does for cities."

DECLARED = ("level", "path", "column", "transform", "aggregate", "weight")  # of a task in region.yaml
Facts = Mapping[str, Mapping[str, Any]]  # by task, then by label


@dataclass(frozen=True)
class ScoreTable:
    """One table of the report: methods × tasks, with the mean last if the metric has one.

    Attributes:
        head: column names; the first is the method's.
        body: texts, a list a method.
        best: for each row, the columns (less the method's) that hold the column's best score.
        note: what marks in it mean; empty if there are none.
        words: how many of the last columns hold words, not numbers.
    """

    title: str
    head: list[str]
    body: list[list[str]]
    best: list[set[int]]
    note: str = ""
    words: int = 0


def score_tables(
    benchmark: pa.Table,
    reported: ReportedScores | None = None,
    leaks: Collection[str] = (),
    metric: Metric = R2,
    best_of_seeds: Mapping[str, Any] | None = None,
) -> list[ScoreTable]:
    """The tables of a benchmark in the order of `rank`; none of a trial that no task has a score of.

    Several seeds: mean ± deviation.

    Args:
        benchmark: `schemas.BENCHMARK`.
        reported: scores of others (R²), which are below ours in the table of their protocol.
        leaks: tasks whose label may leak; no mean holds them.
        metric: whose scores are shown.
        best_of_seeds: `BestOfSeeds.facts`, the row below our embeddings in the table of that protocol.
    """
    frame = scores_frame(benchmark, metric)
    tables = []
    for split, model, rows in sorted(sections(frame), key=lambda each: rank(*each[:2])):
        if rows["score"].isna().all():
            continue
        ours = split == REGION_PAPERS and metric is R2
        others = Others(reported, best_of_seeds) if ours else Others()
        title = f"{metric.title}, {split_title(split)}, {model_title(model)}"
        tables.append(_score_table(title, rows, others, leaks, metric))
    return tables


def scores_frame(benchmark: pa.Table, metric: Metric = R2) -> pd.DataFrame:
    """Rows of `schemas.BENCHMARK` with the metric's scores in the column ``score``, float64."""
    frame = benchmark.select(["method", "task", "split", "model", "seed", metric.name]).to_pandas()
    return frame.rename(columns={metric.name: "score"}).astype({"score": "float64"})


def counted_scores(scores: pd.DataFrame, leaks: Collection[str] = ()) -> pd.DataFrame:
    """The columns that means are over: tasks that every method has a score for and whose label may not leak.

    Args:
        scores: methods × tasks.
    """
    return scores[[task for task in scores if task not in leaks]].dropna(axis=1)


def leak_marked(task: str, leaks: Collection[str]) -> str:
    """A task's name, with a mark if its label may leak."""
    return f"{task} ‡" if task in leaks else task


def _score_table(title: str, rows: pd.DataFrame, others: Others, leaks: Collection[str], metric: Metric) -> ScoreTable:
    tasks = list(dict.fromkeys(rows["task"]))
    methods = sorted(dict.fromkeys(rows["method"]), key=lambda name: (*FIRST, name).index(name))
    cells = rows.groupby(["method", "task"])["score"]
    mean = cells.mean().unstack().reindex(index=methods, columns=tasks)
    spread = cells.std().unstack()
    counted = list(counted_scores(mean, leaks))
    mean = others.beside(mean)
    spread = spread.reindex(index=mean.index, columns=tasks)
    if metric.comparable:  # NaN if no task has a score of every method, or papers lack one of those that have
        mean["mean"] = mean[counted].mean(axis=1, skipna=False) if counted else np.nan
    shown = mean.map(lambda score: MISSING if pd.isna(score) else metric.text(score))
    for task in tasks:
        varied = spread[task].notna()
        shown.loc[varied, task] += spread.loc[varied, task].map(lambda value: f" ± {metric.text(value)}")
    merit = metric.gain(mean.round(3) if metric.comparable else mean, 0)
    honest = merit.drop(index=OPTIMISTIC, errors="ignore")
    best = [
        {at for at, column in enumerate(mean) if len(honest) > 1 and merit[column][name] == honest[column].max()}
        if name in honest.index
        else set()
        for name in mean.index
    ]
    ridge = set(rows.loc[rows["model"] == POOLED_RIDGE, "task"])
    names = [leak_marked(task, leaks) + "*" * (task in ridge) for task in tasks]
    notes = {_POOLED: bool(ridge), LEAKING: not set(tasks).isdisjoint(leaks)}
    epochs = others.epochs(mean.index)
    body = [
        [others.titles().get(name, method_title(name)), *shown.loc[name], *([epochs[name]] if epochs else [])]
        for name in mean.index
    ]
    head = ["method", *names, *mean.columns[len(tasks) :], *([EPOCH] if epochs else [])]
    note = " ".join([*(text for text, applies in notes.items() if applies), *others.notes()])
    return ScoreTable(title, head, body, best, note, words=int(bool(epochs)))


def task_facts(config: RegionConfig, tasks: Sequence[Task] = ()) -> Facts:
    """What a reader should know of each task, ready for JSON.

    Args:
        tasks: as read; without them, only what region.yaml says is known.
    """
    facts = {
        name: {key: getattr(task, key, None) for key in DECLARED} | {"leaks_allowed": task.leaks == "allowed"}
        for name, task in config.tasks.items()
    }
    for task in tasks:
        counts = {"labels": len(task.target), "blocks": len(np.unique(task.blocks)), "dropped": dict(task.reasons)}
        facts[task.name].update(counts)
    return facts


def task_table(facts: Facts, scores: pa.Table) -> tuple[list[str], list[list[str]]]:
    """Head and rows of texts.

    Args:
        facts: from `task_facts`.
        scores: `schemas.BENCHMARK`, which counts labels where the facts do not.
    """
    head = ["task", "level", "label", "transform", "aggregate", "labels", "dropped", "blocks", "may leak"]
    tested = {row["task"]: row["n_max"] for row in scores.group_by(["task"]).aggregate([("n", "max")]).to_pylist()}
    return head, [[name, *_row(task, tested.get(name))] for name, task in facts.items()]


def task_notes(facts: Facts) -> list[str]:
    """What the marks in the table mean."""
    return [LEAKING] if leaking(facts) else []


def _row(task: Mapping[str, Any], tested: int | None) -> list[str]:
    labels, dropped = task.get("labels", tested), task.get("dropped")
    aggregate = task["aggregate"] or MISSING
    return [
        task["level"],
        f"{task['column']} of {PurePath(task['path']).name}",
        task["transform"],
        f"{aggregate}, weighted by {task['weight']}" if task["weight"] else aggregate,
        MISSING if labels is None else f"{labels:,}",
        MISSING if dropped is None else ", ".join(f"{count:,} {reason}" for reason, count in dropped.items()) or "none",
        f"{task['blocks']:,}" if "blocks" in task else MISSING,
        "yes ‡" if task["leaks_allowed"] else "no",
    ]
