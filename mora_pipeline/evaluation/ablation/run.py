"""Ablations of a region: each variant trained, scored as the benchmark scores, and how sure its effect is.

The interval is the benchmark's bootstrap, paired, of a variant's mean R² less the base's. Labelled places are
resampled, the trained vectors stay: another seed of the training is no part of it.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import chain

import numpy as np
import pandas as pd
import pyarrow as pa

from mora_pipeline.contract import schemas
from mora_pipeline.evaluation.ablation.families import BASE, base_graph
from mora_pipeline.evaluation.ablation.parameters import AblationParameters
from mora_pipeline.evaluation.benchmark import checked_tasks
from mora_pipeline.evaluation.cache import ArrayCache
from mora_pipeline.evaluation.methods.interface import MethodContext
from mora_pipeline.evaluation.methods.training import Variant, train_variant
from mora_pipeline.evaluation.protocol.intervals import Floats, Resamples, interval, scored
from mora_pipeline.evaluation.protocol.parameters import MORA
from mora_pipeline.evaluation.protocol.run import Record, run_trials
from mora_pipeline.evaluation.protocol.scores import scores_table, sections
from mora_pipeline.evaluation.protocol.trials import make_trials

Progress = Callable[..., None]  # what is counted, how many are done, how many there are, and a note
Replicates = Mapping[tuple[str, str, str, int], Floats]  # by task, split, model, seed
GRAPH = b"base_graph"  # key of the table's metadata: how the base's graph was sampled
DIFFERENCE = ["difference", "difference_low", "difference_high"]


class Ablation:
    """The variants of one region, scored one after another on the same trials and resamples."""

    def __init__(self, context: MethodContext, parameters: AblationParameters, cache: ArrayCache) -> None:
        self.context, self.parameters, self.cache = context, parameters, cache
        protocol = parameters.benchmark()
        tasks = [task for task in checked_tasks(context, protocol) if not task.leaks_allowed]
        self.trials = [make_trials(task, protocol) for task in tasks]
        self.drawn = Resamples(list(chain.from_iterable(self.trials)), protocol.resamples)
        self.tables: list[pa.Table] = []
        self.resampled: dict[str, Replicates] = {}  # small, unlike the predictions of all variants

    def score(self, variant: Variant, progress: Progress) -> tuple[pa.Table, float]:
        """Train and score a variant.

        Returns:
            `schemas.BENCHMARK`, and the seconds of its training.
        """

        def report(what: str, *numbers: float) -> None:
            progress(f"{variant.name}, {what}", *numbers)

        trained = train_variant(self.context, variant, self.parameters.alignment(), self.parameters.line(), report)
        methods = {MORA: trained.vectors}
        records = run_trials(methods, self.trials, self.parameters.benchmark(), partial(report, "fits"), self.cache)
        scores = scores_table(records)
        self.tables.append(_rows(variant, scores))
        self.resampled[variant.name] = replicates(records, self.drawn)
        return scores, trained.seconds

    def table(self) -> pa.Table:
        """`schemas.ABLATIONS` of the variants scored so far, with how sure each one's difference to the base is."""
        table = with_differences(pa.concat_tables(self.tables), self.resampled)
        return table.replace_schema_metadata({GRAPH: base_graph(self.context)})


def _rows(variant: Variant, scores: pa.Table) -> pa.Table:
    """`schemas.ABLATIONS` of one variant, less the differences."""
    columns = {"family": [variant.family] * len(scores), "variant": [variant.name] * len(scores)}
    rest = {
        field.name: scores[field.name] if field.name in scores.column_names else pa.nulls(len(scores), field.type)
        for field in schemas.ABLATIONS
        if field.name not in columns
    }
    return pa.table({**columns, **rest}, schema=schemas.ABLATIONS)


def replicates(records: Sequence[Record], drawn: Resamples) -> Replicates:
    """R² of one variant in each trial that has one: as measured (first) and resampled, float64 [1 + resamples]."""
    trials = [(record.trial, values) for record, values in scored(records, drawn)]
    return {(trial.task.name, trial.split, trial.model, trial.seed): values for trial, values in trials}


def task_means(rows: pd.DataFrame) -> pd.DataFrame:
    """R² over the seeds, variants × tasks: the variants that have a score, the tasks that all of those have one for."""
    means = rows.groupby(["variant", "task"], sort=False)["r2"].mean().unstack().dropna(how="all")
    return means.dropna(axis=1)


def with_differences(ablations: pa.Table, resampled: Mapping[str, Replicates]) -> pa.Table:
    """The table with the columns `DIFFERENCE` filled.

    Args:
        ablations: `schemas.ABLATIONS`.
        resampled: by variant, all of the same `Resamples`: a resample draws the same places for all of them.
    """
    frame = ablations.to_pandas()
    for _, model, rows in sections(frame):
        common = task_means(rows)
        known = rows[rows["task"].isin(common.columns) & rows["r2"].notna()]
        means = {str(name): _mean(own, resampled[str(name)]) for name, own in known.groupby("variant", sort=False)}
        for name, values in means.items():
            if name != BASE and BASE in means:
                difference = values - means[BASE]
                own = rows.index[(rows["variant"] == name) & (rows["model"] == model)]
                frame.loc[own, DIFFERENCE] = [difference[0], *interval(difference[1:])]
    return pa.Table.from_pandas(frame, schema=schemas.ABLATIONS, preserve_index=False)


def _mean(rows: pd.DataFrame, resampled: Replicates) -> Floats:
    """The mean over tasks of the means over seeds, as measured and of each resample."""
    by_task = [
        np.mean([resampled[str(task), row["split"], row["model"], row["seed"]] for _, row in own.iterrows()], axis=0)
        for task, own in rows.groupby("task", sort=False)
    ]
    mean: Floats = np.mean(by_task, axis=0)
    return mean
