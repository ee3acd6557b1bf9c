"""A benchmark as tables of texts, methods × tasks: what the Markdown and the page both show."""

from dataclasses import dataclass

import pandas as pd
import pyarrow as pa

from mora_pipeline.evaluation.regressors import LIGHTGBM, POOLED_RIDGE, PROBE

MISSING = "–"
_PUBLISHED = (LIGHTGBM, POOLED_RIDGE)
# Title, split and models of each table, the published protocol first.
SECTIONS = (
    ("R², random split (published protocol)", "random", _PUBLISHED),
    ("R², blocked folds", "blocked", _PUBLISHED),
    ("R², linear probe, random split", "random", (PROBE,)),
    ("R², linear probe, blocked folds", "blocked", (PROBE,)),
)
_NOTE = "* few groups: ridge (alpha 1) in pooled folds in place of LightGBM, as published for cities."


@dataclass(frozen=True)
class ScoreTable:
    """One table of the report: methods × tasks, with the mean last.

    Attributes:
        head: column names; the first is the method's.
        body: texts, a list a method.
        best: for each row, the columns (less the method's) that hold the column's best score.
        note: what an asterisk at a task means; empty if there is none.
    """

    title: str
    head: list[str]
    body: list[list[str]]
    best: list[set[int]]
    note: str = ""


def score_tables(benchmark: pa.Table) -> list[ScoreTable]:
    """The tables of a benchmark that have any row, the published protocol first. Several seeds: mean ± deviation."""
    frame = benchmark.select(["method", "task", "split", "model", "seed", "r2"]).to_pandas()
    frame["r2"] = frame["r2"].astype("float64")
    tables = []
    for title, split, models in SECTIONS:
        rows = frame[(frame["split"] == split) & frame["model"].isin(models)]
        if len(rows):
            tables.append(_score_table(title, rows))
    return tables


def _score_table(title: str, rows: pd.DataFrame) -> ScoreTable:
    methods, tasks = list(dict.fromkeys(rows["method"])), list(dict.fromkeys(rows["task"]))
    cells = rows.groupby(["method", "task"])["r2"]
    mean = cells.mean().unstack().reindex(index=methods, columns=tasks)
    spread = cells.std().unstack().reindex(index=methods, columns=tasks)
    mean["mean"] = mean.dropna(axis=1).mean(axis=1)  # NaN if no task has a score of every method
    shown = mean.map(lambda score: MISSING if pd.isna(score) else f"{score:.3f}")
    for task in tasks:
        varied = spread[task].notna()
        shown.loc[varied, task] += spread.loc[varied, task].map(lambda value: f" ± {value:.3f}")
    rounded = mean.round(3)
    best = [
        {at for at, column in enumerate(mean) if len(methods) > 1 and rounded[column][method] == rounded[column].max()}
        for method in methods
    ]
    ridge = set(rows.loc[rows["model"] == POOLED_RIDGE, "task"])
    head = ["method", *(f"{task}*" if task in ridge else task for task in tasks), "mean"]
    return ScoreTable(title, head, [[method, *shown.loc[method]] for method in methods], best, _NOTE if ridge else "")
