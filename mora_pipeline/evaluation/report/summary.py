"""What a benchmark says, in sentences: how sure, compared with which baseline, and where it does not hold."""

from dataclasses import dataclass

import pandas as pd
import pyarrow as pa

from mora_pipeline.evaluation.regressors import PROBE
from mora_pipeline.evaluation.report.tables import MODELS, split_title
from mora_pipeline.evaluation.trials import BLOCKED
from mora_pipeline.region import MEAN

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
        return int((self.tasks["verdict"] == verdict).sum())

    @property
    def title(self) -> str:
        """Split and model in words."""
        words = split_title(self.split)
        return f"{words[0].upper()}{words[1:]}, {MODELS[self.model]}"

    def sentence(self) -> str:
        """The comparison in words."""
        tasks = (
            f"It is ahead of every baseline in {self.count(AHEAD)} of {len(self.tasks)} tasks, behind the best in "
            f"{self.count(BEHIND)}, undecided in {self.count(UNDECIDED)}."
        )
        if self.mean is None:
            return f"{self.title}: {tasks}"
        row = self.mean
        verdict = {AHEAD: "better", BEHIND: "worse", UNDECIDED: "the two cannot be told apart"}[verdict_of(row)]
        return (
            f"{self.title}: {self.method} has a mean R² of {row['r2']:.3f} ({row['low']:.3f} to {row['high']:.3f}), "
            f"the best baseline, {row['baseline']}, {row['r2'] - row['difference']:.3f}. The difference is "
            f"{signed(row['difference'])} ({signed(row['difference_low'])} to {signed(row['difference_high'])}): "
            f"{verdict}. {tasks}"
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
    head = ["method", "judged on", "R² (95 %)", "best baseline", "difference (95 %)", "ahead", "behind", "undecided"]
    rows = []
    for item in found:
        row = item.tasks.iloc[0] if item.mean is None else item.mean
        score = f"{row['r2']:.3f} ({row['low']:.3f} to {row['high']:.3f})"
        ends = f"{signed(row['difference_low'])} to {signed(row['difference_high'])}"
        counts = [str(item.count(verdict)) for verdict in (AHEAD, BEHIND, UNDECIDED)]
        difference = f"{signed(row['difference'])} ({ends})"
        rows.append([item.method, item.title, score, str(row["baseline"]), difference, *counts])
    return head, rows


def verdict_of(row: pd.Series) -> str:
    """Whether an interval of differences lies above 0, below 0, or holds 0."""
    if row["difference_low"] > 0:
        return AHEAD
    return BEHIND if row["difference_high"] < 0 else UNDECIDED


def signed(value: float) -> str:
    """A number with its sign, a true minus."""
    return f"{value:+.3f}".replace("-", "−")
