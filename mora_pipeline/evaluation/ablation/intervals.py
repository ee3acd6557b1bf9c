"""How sure an ablation's effect is: the benchmark's bootstrap, paired, of each variant's mean R² less the base's.

Labelled places are resampled, the trained vectors stay: another seed of the training is no part of the interval.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa

from mora_pipeline.contract import schemas
from mora_pipeline.evaluation.ablation.families import BASE
from mora_pipeline.evaluation.protocol.intervals import Floats, Resamples, interval, scored
from mora_pipeline.evaluation.protocol.run import Record
from mora_pipeline.evaluation.protocol.scores import sections

Replicates = Mapping[tuple[str, str, str, int], Floats]  # by task, split, model, seed
GRAPH = b"base_graph"  # key of the table's metadata: how the base's graph was sampled
DIFFERENCE = ["difference", "difference_low", "difference_high"]


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
    found: Floats = np.mean(by_task, axis=0)
    return found
