"""What a benchmark says, in sentences: how sure, compared with which baseline, and where it does not hold."""

from dataclasses import dataclass

import pandas as pd
import pyarrow as pa

from mora_pipeline.evaluation.intervals import LEVEL
from mora_pipeline.evaluation.regressors import BOOSTING, PROBE
from mora_pipeline.evaluation.report.tables import MODELS, split_title
from mora_pipeline.evaluation.trials import BLOCKED
from mora_pipeline.region import MEAN

# Measured on us_east, seed 42, three tasks: docs/benchmark.md has the table.
SHORT_BOOSTING = (
    "Short boosting stands in for the published LightGBM and favours narrow vectors a little: on blocked folds of "
    "us_east it took .007 to .015 of R² from the raw features and at most .001 from the embeddings. A lead of that "
    "size over raw features says nothing."
)
AHEAD, BEHIND, UNDECIDED = "ahead", "behind", "undecided"


@dataclass(frozen=True)
class Comparison:
    """One of our methods against the best baseline, in one split and model.

    Attributes:
        split, model: what was judged how.
        mean: the row of `schemas.INTERVALS` over all tasks.
        tasks: its rows by task, with a column ``verdict``.
    """

    split: str
    model: str
    method: str
    mean: pd.Series | None
    tasks: pd.DataFrame

    def count(self, verdict: str) -> int:
        """In how many tasks the comparison ended so."""
        return int((self.tasks["verdict"] == verdict).sum())

    @property
    def title(self) -> str:
        """Split and model in words."""
        words = split_title(self.split)
        return f"{words[0].upper()}{words[1:]}, {MODELS[self.model]}"

    def sentence(self) -> str:
        """The comparison in words."""
        tasks = (
            f"is ahead of the best baseline in {self.count(AHEAD)} of {len(self.tasks)} tasks, behind it in "
            f"{self.count(BEHIND)}, undecided in {self.count(UNDECIDED)}."
        )
        if self.mean is None:
            return f"{self.title}: {self.method} {tasks}"
        row = self.mean
        verdict = {AHEAD: "better", BEHIND: "worse", UNDECIDED: "the two cannot be told apart"}[verdict_of(row)]
        return (
            f"{self.title}: {self.method} has a mean R² of {row['r2']:.3f} ({row['low']:.3f} to {row['high']:.3f}) "
            f"over the tasks of this model, the best baseline, {row['baseline']}, "
            f"{row['r2'] - row['difference']:.3f}. The difference is {signed(row['difference'])} "
            f"({signed(row['difference_low'])} to {signed(row['difference_high'])}): "
            f"{verdict}. It {tasks}"
        )


def comparisons(intervals: pa.Table) -> list[Comparison]:
    """Each of our methods against the best baseline: blocked folds first, the linear probe last.

    A difference without an interval (no resample's labels varied) is left out.
    """
    frame = intervals.to_pandas()
    frame = frame[frame["baseline"].notna() & frame["difference_low"].notna()]
    found = []
    for (method, split, model), rows in frame.groupby(["method", "split", "model"], sort=False):
        tasks = rows[rows["task"] != MEAN].copy()
        tasks["verdict"] = [verdict_of(row) for _, row in tasks.iterrows()]
        means = rows[rows["task"] == MEAN]
        mean = means.iloc[0] if len(means) and len(tasks) > 1 else None
        found.append(Comparison(split, model, method, mean, tasks))
    return sorted(found, key=lambda item: (item.model == PROBE, item.split != BLOCKED))


def summary_table(found: list[Comparison]) -> tuple[list[str], list[list[str]]]:
    """All comparisons at a glance: head and rows of texts."""
    sure = f"({LEVEL:g} %)"
    head = ["method", "judged on", f"R² {sure}", "best baseline", f"difference {sure}", AHEAD, BEHIND, UNDECIDED]
    rows = []
    for item in found:
        row = item.tasks.iloc[0] if item.mean is None else item.mean
        score = f"{row['r2']:.3f} ({row['low']:.3f} to {row['high']:.3f})"
        ends = f"{signed(row['difference_low'])} to {signed(row['difference_high'])}"
        counts = [str(item.count(verdict)) for verdict in (AHEAD, BEHIND, UNDECIDED)]
        difference = f"{signed(row['difference'])} ({ends})"
        rows.append([item.method, item.title, score, str(row["baseline"]), difference, *counts])
    return head, rows


def caveats(found: list[Comparison]) -> list[str]:
    """What a reader of comparisons must be told."""
    return [SHORT_BOOSTING] if any(item.model == BOOSTING for item in found) else []


def verdict_of(row: pd.Series) -> str:
    """Whether an interval of differences lies above 0, below 0, or holds 0."""
    if row["difference_low"] > 0:
        return AHEAD
    return BEHIND if row["difference_high"] < 0 else UNDECIDED


def signed(value: float) -> str:
    """A number with its sign, a true minus."""
    return f"{value:+.3f}".replace("-", "−")
