"""The one sentence that a report opens with: how much the embeddings explain, and how much their inputs do."""

from collections.abc import Collection

import pandas as pd
import pyarrow as pa

from mora_pipeline.evaluation.protocol.metrics import R2, Metric
from mora_pipeline.evaluation.protocol.parameters import OURS
from mora_pipeline.evaluation.protocol.scores import sections
from mora_pipeline.evaluation.protocol.trials import BLOCKED, BY, FEW_SHOT, FROM, RANDOM, REGION_PAPERS
from mora_pipeline.evaluation.report.tables import counted_scores, scores_frame
from mora_pipeline.evaluation.report.titles import method_title, model_title, rank

SUBJECTS = {  # of a plural verb, but for the last
    "mora": "the embeddings",
    "paper": "the embeddings of the preset paper",
    "inductive": "the embeddings of the preset inductive",
    "distilled": "the distilled encoder",
}
RIVALS = {"inputs": "the inputs themselves", "inputs_surroundings": "the inputs with their surroundings"}
RAW = {"raw": "the features of the modalities alone"}  # where the inputs were not scored
WHERE = {BLOCKED: "On whole blocks", RANDOM: "On a random split", REGION_PAPERS: "By the protocol of region papers"}


def opening_sentence(benchmark: pa.Table, leaks: Collection[str] = (), metric: Metric = R2) -> str:
    """The share of the labels' variance that our embeddings explain, and their inputs; empty if nothing tells it.

    It is of the first split and model, in the order of `rank`, in which a method of ours was scored, and over the tasks
    that every method has a score for there: the figures are the means of that table.

    Args:
        benchmark: `schemas.BENCHMARK`.
        leaks: tasks whose label may leak; they count for nothing.
        metric: of the report; only R² is a share of variance.
    """
    if metric is not R2:
        return ""
    for split, model, rows in sorted(sections(scores_frame(benchmark)), key=lambda each: rank(*each[:2])):
        by_task = rows.groupby(["method", "task"], sort=False)["score"].mean().unstack()
        counted = counted_scores(by_task, leaks)
        own = next((name for name in OURS if name in counted.index), None)
        if own is not None and len(counted.columns):
            return f"{_where(split)} {_explained(counted, own)} ({_basis(counted, model)})."
    return ""


def _explained(scores: pd.DataFrame, own: str) -> str:
    """Who explains how much of what; scores are methods × tasks."""
    means = scores.mean(axis=1)
    tasks = list(scores)
    what = f"the variance of {tasks[0]}" if len(tasks) == 1 else f"the variance of the {len(tasks)} labels"
    rivals = {name: words for name, words in RIVALS.items() if name in means.index}
    rivals = rivals or {name: words for name, words in RAW.items() if name in means.index}
    others = "".join(f", {words} {_share(means[name])}" for name, words in rivals.items())
    others = others or "; their inputs were not scored beside them"
    verb = "explain" if own in SUBJECTS and own != "distilled" else "explains"
    return f"{SUBJECTS.get(own, method_title(own))} {verb} {_share(means[own], f' of {what}')}{others}"


def _share(r2: float, of: str = "") -> str:
    """A share of variance in per cent; what is worse than the labels' mean explains nothing."""
    if r2 <= 0:
        return f"nothing{of} (R² {r2:.2f})".replace("-", "−")
    return f"{100 * r2:.0f} %{of}" if r2 >= 0.01 else f"less than 1 %{of}"


def _where(split: str) -> str:
    if split.startswith(FEW_SHOT):
        return f"With {split.removeprefix(FEW_SHOT)} labels"
    if split.startswith(FROM):
        return f"Fitted in {split.removeprefix(FROM)},"
    return f"On whole groups ({split.removeprefix(BY)})" if split.startswith(BY) else WHERE[split]


def _basis(scores: pd.DataFrame, model: str) -> str:
    return model_title(model) if len(scores.columns) == 1 else f"{model_title(model)}, means of R²"
