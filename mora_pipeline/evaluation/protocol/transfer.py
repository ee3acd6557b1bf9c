"""Fitted in one region, tested in another: what vectors are worth where nobody has labels."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import sparse

from mora_pipeline.evaluation.labels.files import Rows
from mora_pipeline.evaluation.labels.tasks import Task
from mora_pipeline.evaluation.protocol.parameters import BenchmarkParameters
from mora_pipeline.evaluation.protocol.regressors import BOOSTING, PROBE, Floats
from mora_pipeline.evaluation.protocol.trials import FROM, Trial, no_tree


def transfer_trials(
    pairs: Sequence[tuple[Task, Task]], ground: tuple[Rows, Rows], region: str, parameters: BenchmarkParameters
) -> list[list[Trial]]:
    """For each pair of one task in two regions: fit on the labels there, test on all here.

    Labels there that lie in a block with a tested label are not fitted: where regions overlap, a model would only
    look up what it is asked. The trials' tasks hold the labels of both regions, here first, over the cells of both,
    as `stacked` has them.

    Args:
        pairs: the task here, and there.
        ground: the block of each cell, int64 [N] here and [M] there, of one size in both regions.
        region: name of the region that is fitted.
    """
    return [
        [_trial(here, there, ground, f"{FROM}{region}", model, parameters) for model in (BOOSTING, PROBE)]
        for here, there in pairs
    ]


def stacked(here: Floats, there: Floats) -> Floats:
    """Vectors of the cells of both regions, [N + M, d]: those tested first."""
    return np.concatenate([here, there.astype(here.dtype)])


def _trial(
    here: Task, there: Task, ground: tuple[Rows, Rows], split: str, model: str, parameters: BenchmarkParameters
) -> Trial:
    apart = ~np.isin(ground[1][there.middle], ground[0][here.middle])
    tested, fitted = np.arange(len(here.target)), len(here.target) + np.flatnonzero(apart)
    reason = here.refused or (there.refused and f"in {split.removeprefix(FROM)}, {there.refused}")
    if not reason and min(len(tested), len(fitted)) < parameters.minimum_rows:
        reason = f"{len(fitted)} labels to fit and {len(tested)} to test, at least {parameters.minimum_rows} needed"
        if lost := len(there.target) - len(fitted):
            reason += f" ({lost} more lie where labels are tested)"
    if not reason and (np.ptp(here.target) == 0 or np.ptp(there.target[apart]) == 0):
        reason = "every label is the same"
    reason = reason or no_tree(here.level, model, len(fitted), parameters)
    both = replace(
        here,
        target=np.concatenate([here.target, there.target]),
        membership=sparse.block_diag([here.membership, there.membership], format="csr"),
        middle=np.concatenate([here.middle, there.middle + here.membership.shape[1]]),
        blocks=np.concatenate([here.blocks, there.blocks]),
        order=np.arange(len(here.target) + len(there.target)),
        groupings={},
    )
    return Trial(both, split, parameters.seeds[0], model, [] if reason else [(fitted, tested)], reason)
