"""A benchmark as tables of texts, methods × tasks: what the Markdown and the page both show."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa

from mora_pipeline.evaluation.protocol.regressors import BOOSTING, LIGHTGBM, POOLED_RIDGE, PROBE, PUBLISHED_RIDGE
from mora_pipeline.evaluation.protocol.trials import BLOCKED, BY, FEW_SHOT, FROM, PUBLISHED, RANDOM
from mora_pipeline.region import ReportedScores

MISSING = "–"
MODELS = {
    LIGHTGBM: "LightGBM as published",
    BOOSTING: "short boosting",
    PROBE: "linear probe",
    PUBLISHED_RIDGE: "ridge, clipped at 0",
    POOLED_RIDGE: "ridge",
}
R2, RMSE = "r2", "rmse"  # columns of `schemas.BENCHMARK`
LEAKING = "‡ the label may leak from the inputs (leaks: allowed in region.yaml): in no mean and no comparison."
_POOLED = "* few groups: ridge in pooled folds in place of LightGBM, as published for cities."


@dataclass(frozen=True)
class ScoreTable:
    """One table of the report: methods × tasks, R² with the mean last.

    Attributes:
        head: column names; the first is the method's.
        body: texts, a list a method.
        best: for each row, the columns (less the method's) that hold the column's best score.
        note: what marks in it mean; empty if there are none.
    """

    title: str
    head: list[str]
    body: list[list[str]]
    best: list[set[int]]
    note: str = ""


def split_title(split: str) -> str:
    """A split in words."""
    named = {
        RANDOM: "random split",
        BLOCKED: "blocked folds (H3 parents)",
        PUBLISHED: "protocol of the published table",
    }
    if split.startswith(FEW_SHOT):
        return f"{split.removeprefix(FEW_SHOT)} labels"
    if split.startswith(FROM):
        return f"fitted in {split.removeprefix(FROM)}"
    return f"folds of whole {split.removeprefix(BY)}" if split.startswith(BY) else named[split]


def score_tables(
    benchmark: pa.Table, published: ReportedScores | None = None, leaks: Collection[str] = (), measure: str = R2
) -> list[ScoreTable]:
    """The tables of a benchmark, the published protocol first; none of a trial that no task has a score of.

    Several seeds: mean ± deviation.

    Args:
        benchmark: `schemas.BENCHMARK`.
        published: scores of others (R²), which stand below ours in the table of their protocol.
        leaks: tasks whose label may leak; no mean holds them.
        measure: `R2`, or `RMSE`, which has no mean: tasks differ in unit.
    """
    frame = benchmark.select(["method", "task", "split", "model", "seed", measure]).to_pandas()
    frame = frame.rename(columns={measure: "score"}).astype({"score": "float64"})
    tables = []
    for split, model, rows in sections(frame):
        if rows["score"].isna().all():
            continue
        others = published if split == PUBLISHED and measure == R2 else None
        title = f"{'R²' if measure == R2 else 'RMSE'}, {split_title(split)}, {MODELS[model]}"
        tables.append(_score_table(title, rows, others, leaks, measure))
    return tables


def leak_marked(task: str, leaks: Collection[str]) -> str:
    """A task's name, with a mark if its label may leak."""
    return f"{task} ‡" if task in leaks else task


def compact(value: float) -> str:
    """A number in few characters: 1,420 or 0.318."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def sections(frame: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Rows that belong into one table: a split and a model, with the ridge that few groups get in its place."""
    splits = list(dict.fromkeys(frame["split"]))
    shown = set()
    for model in (LIGHTGBM, BOOSTING, POOLED_RIDGE, PUBLISHED_RIDGE, PROBE):
        for split in splits:
            own = frame[(frame["split"] == split) & (frame["model"] == model)]
            if not len(own) or (model == POOLED_RIDGE and split in shown):
                continue
            if model in (LIGHTGBM, BOOSTING):
                few = frame[(frame["split"] == split) & (frame["model"] == POOLED_RIDGE)]
                own = pd.concat([own, few[few["seed"].isin(own["seed"])]]).sort_index()
                shown.add(split)
            yield split, model, own


def _score_table(
    title: str, rows: pd.DataFrame, published: ReportedScores | None, leaks: Collection[str], measure: str
) -> ScoreTable:
    methods, tasks = list(dict.fromkeys(rows["method"])), list(dict.fromkeys(rows["task"]))
    cells = rows.groupby(["method", "task"])["score"]
    mean = cells.mean().unstack().reindex(index=methods, columns=tasks)
    spread = cells.std().unstack().reindex(index=methods, columns=tasks)
    if published:
        others = pd.DataFrame.from_dict(published.scores, orient="index").reindex(columns=tasks).astype("float64")
        mean = pd.concat([mean, others.set_axis([f"{name} †" for name in others.index])])
        spread = spread.reindex(mean.index)
        methods = list(mean.index)
    write = "{:.3f}".format if measure == R2 else compact
    if measure == R2:  # NaN if no task has a score of every method
        mean["mean"] = mean[[task for task in tasks if task not in leaks]].dropna(axis=1).mean(axis=1)
    shown = mean.map(lambda score: MISSING if pd.isna(score) else write(score))
    for task in tasks:
        varied = spread[task].notna()
        shown.loc[varied, task] += spread.loc[varied, task].map(lambda value: f" ± {write(value)}")
    merit = mean.round(3) if measure == R2 else -mean
    best = [
        {at for at, column in enumerate(mean) if len(methods) > 1 and merit[column][method] == merit[column].max()}
        for method in methods
    ]
    ridge = set(rows.loc[rows["model"] == POOLED_RIDGE, "task"])
    names = [leak_marked(task, leaks) + "*" * (task in ridge) for task in tasks]
    notes = {_POOLED: bool(ridge), LEAKING: not set(tasks).isdisjoint(leaks)}
    told = [text for text, applies in notes.items() if applies] + ([f"† {published.source}"] if published else [])
    body = [[method, *shown.loc[method]] for method in methods]
    return ScoreTable(title, ["method", *names, *mean.columns[len(tasks) :]], body, best, " ".join(told))
