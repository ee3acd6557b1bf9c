"""What a benchmark says, in sentences: how sure, compared with which baseline, and where it does not hold."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa

from mora_pipeline.evaluation.protocol.intervals import FEWEST_BLOCKS, LEVEL
from mora_pipeline.evaluation.protocol.metrics import R2, Metric
from mora_pipeline.evaluation.protocol.models import LIGHTGBM_FAST, LINEAR_PROBE
from mora_pipeline.evaluation.protocol.parameters import OURS
from mora_pipeline.evaluation.protocol.trials import RANDOM
from mora_pipeline.evaluation.report.tables import MISSING
from mora_pipeline.evaluation.report.titles import method_title, model_title, rank, split_title
from mora_pipeline.region import MEAN

# Measured on us_east, seed 42, three tasks: docs/benchmark.md has the table.
FAVOURS_NARROW = (
    "Fast LightGBM replaces MoRA's LightGBM and favours narrow vectors a little: on blocked folds of us_east it took "
    ".007 to .015 of R² from the raw features and at most .001 from the embeddings. A lead of that size over raw "
    "features says nothing."
)
TOO_NARROW = "cells drawn singly: too narrow"
SINGLY = f"§ {TOO_NARROW}. The labels are tested in fewer than {FEWEST_BLOCKS} blocks, too few to draw whole ones."
AHEAD, BEHIND, UNDECIDED = "ahead", "behind", "undecided"


@dataclass(frozen=True)
class Comparison:
    """One of our methods against the best baseline, in one split and model.

    Attributes:
        split, model: how both were tested.
        mean: the row of `schemas.INTERVALS` over the tasks.
        tasks: its rows by task, with a column ``outcome``.
    """

    split: str
    model: str
    method: str
    mean: pd.Series | None
    tasks: pd.DataFrame
    metric: Metric = R2

    def count(self, outcome: str) -> int:
        """In how many tasks the comparison ended so."""
        return int((self.tasks["outcome"] == outcome).sum())

    @property
    def by_cells(self) -> bool:
        """Whether single cells were drawn for one of its intervals."""
        return bool(self.tasks["by_cells"].any())

    @property
    def title(self) -> str:
        """Split and model in words."""
        words = split_title(self.split)
        return f"{words[0].upper()}{words[1:]}, {model_title(self.model)}"

    def sentence(self) -> str:
        """The comparison in words."""
        tasks = (
            f"{self.title}: {method_title(self.method)} is ahead of a task's best baseline in {self.count(AHEAD)} of "
            f"{len(self.tasks)} tasks, behind in {self.count(BEHIND)}, undecided in {self.count(UNDECIDED)}"
        )
        if self.mean is None:
            return f"{tasks}{f' ({TOO_NARROW})' if self.by_cells else ''}."
        row = self.mean
        verdict = {AHEAD: "better", BEHIND: "worse", UNDECIDED: "the two cannot be told apart"}[outcome(row)]
        return (
            f"{tasks}. Against {method_title(row['baseline'])}, the best over these tasks, the mean difference is "
            f"{_with_ends(row)[:-1]}{f'; {TOO_NARROW}' if row['by_cells'] else ''}): {verdict}."
        )


def interval_rows(intervals: pa.Table, leaks: Collection[str] = ()) -> pd.DataFrame:
    """`schemas.INTERVALS` less the tasks whose label may leak; ``by_cells`` is false where it is not known."""
    frame = intervals.to_pandas()
    frame["by_cells"] = frame["by_cells"].eq(True)
    return frame[~frame["task"].isin(leaks)]


def comparisons(intervals: pa.Table, leaks: Collection[str] = (), metric: Metric = R2) -> list[Comparison]:
    """Each of our methods against the best baseline, in the order of `rank`.

    A difference without an interval (no resample's labels varied) is left out.

    Args:
        intervals: `schemas.INTERVALS`.
        leaks: tasks whose label may leak; they are left out.
        metric: of the intervals.
    """
    frame = interval_rows(intervals, leaks)
    frame = frame[frame["baseline"].notna() & frame["difference_low"].notna()]
    compared = []
    for (method, split, model), rows in frame.groupby(["method", "split", "model"], sort=False):
        tasks = rows[rows["task"] != MEAN].copy()
        tasks["outcome"] = [outcome(row) for _, row in tasks.iterrows()]
        means = rows[rows["task"] == MEAN]
        mean = means.iloc[0] if len(means) and len(tasks) > 1 else None
        compared.append(Comparison(str(split), str(model), str(method), mean, tasks, metric))
    return sorted(compared, key=lambda item: rank(item.split, item.model))


def headline(compared: Sequence[Comparison]) -> list[Comparison]:
    """The few comparisons that a summary tells in words, all of our first method.

    They are those on the first split, by its model and by the linear probe, and on the random split.

    Args:
        compared: from `comparisons`, in their order.
    """
    first = next((name for name in OURS if any(item.method == name for item in compared)), None)
    own = [item for item in compared if item.method == first]
    main = [(item.split, item.model) for item in own[:1]]
    told = {*main, *((split, LINEAR_PROBE) for split, _ in main), *((RANDOM, model) for _, model in main)}
    return [item for item in own if (item.split, item.model) in told]


def summary_table(compared: Sequence[Comparison]) -> tuple[list[str], list[list[str]]]:
    """All comparisons at a glance: head and rows of texts. Each task's difference stands beside the mean."""
    tasks = list(dict.fromkeys(task for item in compared for task in item.tasks["task"]))
    head = ["method", "tested on", "best baseline", f"mean difference ({LEVEL:g} %)", *tasks, AHEAD, BEHIND, UNDECIDED]
    rows = []
    for item in compared:
        row = item.tasks.iloc[0] if item.mean is None else item.mean
        of_task = {own["task"]: marked(signed(own["difference"]), own) for _, own in item.tasks.iterrows()}
        counts = [str(item.count(each)) for each in (AHEAD, BEHIND, UNDECIDED)]
        shown = [method_title(item.method), item.title, method_title(row["baseline"]), marked(_with_ends(row), row)]
        rows.append([*shown, *(of_task.get(task, MISSING) for task in tasks), *counts])
    return head, rows


def _with_ends(row: pd.Series) -> str:
    """A difference and the ends of its interval in brackets."""
    ends = f"{signed(row['difference_low'])} to {signed(row['difference_high'])}"
    return f"{signed(row['difference'])} ({ends})"


def caveats(compared: Sequence[Comparison]) -> list[str]:
    """What a reader of comparisons must know."""
    count = sum(len(item.tasks) + (item.mean is not None) for item in compared)
    many = (
        f"Each interval holds {LEVEL:g} % by itself: were no method better than another, about {100 - LEVEL:g} % of "
        f"the {count} differences compared here would still look decided."
    )
    notes = {
        FAVOURS_NARROW: any(item.model == LIGHTGBM_FAST for item in compared),
        many: count > 1,
        SINGLY: any(item.by_cells for item in compared),
    }
    return [text for text, applies in notes.items() if applies]


def marked(text: str, row: pd.Series) -> str:
    """A text, with a mark where single cells were drawn for its interval."""
    return f"{text} §" if row["by_cells"] else text


def outcome(row: pd.Series) -> str:
    """Whether an interval of differences is above 0, below 0, or holds 0."""
    if row["difference_low"] > 0:
        return AHEAD
    return BEHIND if row["difference_high"] < 0 else UNDECIDED


def signed(value: float) -> str:
    """A number with its sign, a true minus."""
    return f"{value:+.3f}".replace("-", "−")
