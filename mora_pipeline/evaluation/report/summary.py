"""What a benchmark says, in sentences: how sure, compared with which baseline, and where it does not hold."""

from collections.abc import Collection
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa

from mora_pipeline.evaluation.protocol.intervals import FEWEST_BLOCKS, LEVEL
from mora_pipeline.evaluation.protocol.regressors import BOOSTING, LIGHTGBM, POOLED_RIDGE, PROBE, PUBLISHED_RIDGE
from mora_pipeline.evaluation.protocol.trials import BLOCKED, BY, FEW_SHOT, FROM, PUBLISHED, RANDOM
from mora_pipeline.evaluation.report.tables import MODELS, split_title
from mora_pipeline.region import MEAN

# Measured on us_east, seed 42, three tasks: docs/benchmark.md has the table.
SHORT_BOOSTING = (
    "Short boosting stands in for the published LightGBM and favours narrow vectors a little: on blocked folds of "
    "us_east it took .007 to .015 of R² from the raw features and at most .001 from the embeddings. A lead of that "
    "size over raw features says nothing."
)
TOO_NARROW = "cells drawn singly: too narrow"
SINGLY = f"§ {TOO_NARROW}. The labels are tested in fewer than {FEWEST_BLOCKS} blocks, too few to draw whole ones."
AHEAD, BEHIND, UNDECIDED = "ahead", "behind", "undecided"
# Which split and model stand for the benchmark where one must: the first of these.
SPLITS = (BLOCKED, BY, RANDOM, FEW_SHOT, PUBLISHED, FROM)
JUDGES = (BOOSTING, LIGHTGBM, POOLED_RIDGE, PUBLISHED_RIDGE, PROBE)


@dataclass(frozen=True)
class Comparison:
    """One of our methods against the best baseline, in one split and model.

    Attributes:
        split, model: what was judged how.
        mean: the row of `schemas.INTERVALS` over the tasks.
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
    def by_cells(self) -> bool:
        """Whether single cells were drawn for one of its intervals."""
        return bool(self.tasks["by_cells"].any())

    @property
    def title(self) -> str:
        """Split and model in words."""
        words = split_title(self.split)
        return f"{words[0].upper()}{words[1:]}, {MODELS[self.model]}"

    def sentence(self) -> str:
        """The comparison in words."""
        tasks = (
            f"is ahead of the best baseline in {self.count(AHEAD)} of {len(self.tasks)} tasks, behind it in "
            f"{self.count(BEHIND)}, undecided in {self.count(UNDECIDED)}"
        )
        if self.mean is None:
            return f"{self.title}: {self.method} {tasks}{f' ({TOO_NARROW})' if self.by_cells else ''}."
        row = self.mean
        verdict = {AHEAD: "better", BEHIND: "worse", UNDECIDED: "the two cannot be told apart"}[verdict_of(row)]
        return (
            f"{self.title}: {self.method} has a mean R² of {row['r2']:.3f} ({row['low']:.3f} to {row['high']:.3f}) "
            f"over the tasks of this model, the best baseline, {row['baseline']}, "
            f"{row['r2'] - row['difference']:.3f}. The difference is {signed(row['difference'])} "
            f"({signed(row['difference_low'])} to {signed(row['difference_high'])}"
            f"{f'; {TOO_NARROW}' if row['by_cells'] else ''}): {verdict}. It {tasks}."
        )


def interval_rows(intervals: pa.Table, leaks: Collection[str] = ()) -> pd.DataFrame:
    """`schemas.INTERVALS` less the tasks whose label may leak; ``by_cells`` is false where it is not known."""
    frame = intervals.to_pandas()
    frame["by_cells"] = frame["by_cells"].eq(True)
    return frame[~frame["task"].isin(leaks)]


def rank(split: str, model: str) -> tuple[int, int]:
    """Where a split and model stand: blocked folds first, then boosting before pooled ridge before the probe."""
    return next(at for at, start in enumerate(SPLITS) if split.startswith(start)), JUDGES.index(model)


def comparisons(intervals: pa.Table, leaks: Collection[str] = ()) -> list[Comparison]:
    """Each of our methods against the best baseline, in the order of `rank`.

    A difference without an interval (no resample's labels varied) is left out.

    Args:
        intervals: `schemas.INTERVALS`.
        leaks: tasks whose label may leak; they are left out.
    """
    frame = interval_rows(intervals, leaks)
    frame = frame[frame["baseline"].notna() & frame["difference_low"].notna()]
    found = []
    for (method, split, model), rows in frame.groupby(["method", "split", "model"], sort=False):
        tasks = rows[rows["task"] != MEAN].copy()
        tasks["verdict"] = [verdict_of(row) for _, row in tasks.iterrows()]
        means = rows[rows["task"] == MEAN]
        mean = means.iloc[0] if len(means) and len(tasks) > 1 else None
        found.append(Comparison(str(split), str(model), str(method), mean, tasks))
    return sorted(found, key=lambda item: rank(item.split, item.model))


def summary_table(found: list[Comparison]) -> tuple[list[str], list[list[str]]]:
    """All comparisons at a glance: head and rows of texts."""
    sure = f"({LEVEL:g} %)"
    head = ["method", "judged on", f"R² {sure}", "best baseline", f"difference {sure}", AHEAD, BEHIND, UNDECIDED]
    rows = []
    for item in found:
        row = item.tasks.iloc[0] if item.mean is None else item.mean
        score = marked(f"{row['r2']:.3f} ({row['low']:.3f} to {row['high']:.3f})", row)
        ends = f"{signed(row['difference_low'])} to {signed(row['difference_high'])}"
        counts = [str(item.count(verdict)) for verdict in (AHEAD, BEHIND, UNDECIDED)]
        difference = marked(f"{signed(row['difference'])} ({ends})", row)
        rows.append([item.method, item.title, score, str(row["baseline"]), difference, *counts])
    return head, rows


def caveats(found: list[Comparison]) -> list[str]:
    """What a reader of comparisons must be told."""
    count = sum(len(item.tasks) + (item.mean is not None) for item in found)
    many = (
        f"Each interval holds {LEVEL:g} % by itself: were no method better than another, about {100 - LEVEL:g} % of "
        f"the {count} differences compared here would still look decided."
    )
    told = {
        SHORT_BOOSTING: any(item.model == BOOSTING for item in found),
        many: count > 1,
        SINGLY: any(item.by_cells for item in found),
    }
    return [text for text, applies in told.items() if applies]


def marked(text: str, row: pd.Series) -> str:
    """A text, with a mark where single cells were drawn for its interval."""
    return f"{text} §" if row["by_cells"] else text


def verdict_of(row: pd.Series) -> str:
    """Whether an interval of differences lies above 0, below 0, or holds 0."""
    if row["difference_low"] > 0:
        return AHEAD
    return BEHIND if row["difference_high"] < 0 else UNDECIDED


def signed(value: float) -> str:
    """A number with its sign, a true minus."""
    return f"{value:+.3f}".replace("-", "−")
