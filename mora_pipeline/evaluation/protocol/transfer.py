"""Fitted in one region, tested in another: what vectors are worth where nobody has labels."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from mora_pipeline.contract.errors import UserError
from mora_pipeline.evaluation.labels.blocks import parents
from mora_pipeline.evaluation.labels.files import Rows
from mora_pipeline.evaluation.labels.tasks import Task
from mora_pipeline.evaluation.protocol.models import LIGHTGBM_FAST, LINEAR_PROBE
from mora_pipeline.evaluation.protocol.parameters import BenchmarkParameters
from mora_pipeline.evaluation.protocol.trials import FROM, Trial, no_tree
from mora_pipeline.region import RegionConfig


@dataclass(frozen=True)
class LabelledRegion:
    """One side of a transfer: region.yaml, the cells (int64 [N], ascending) and the tasks."""

    config: RegionConfig
    cells: Rows
    tasks: Sequence[Task]


def transfer_trials(here: LabelledRegion, there: LabelledRegion, parameters: BenchmarkParameters) -> list[list[Trial]]:
    """For each task that both regions have: fit on the labels there, test on all here.

    Labels there that are in a block with a tested label are not fitted: where regions overlap, a model would only look
    up what it is asked. The trials' tasks hold the labels of both regions, here first, over the cells of both.

    Raises:
        UserError: if no task has the same name in both.
    """
    known = {task.name: task for task in there.tasks}
    pairs = [
        (task, replace(own, refused=_another_number(task.name, here.config, there.config) or own.refused))
        for task in here.tasks
        if (own := known.get(task.name))
    ]
    region = there.config.region
    if not pairs:
        raise UserError(
            f"benchmark: '{region}' and '{here.config.region}' share no task: they need one of the same name."
        )
    resolution = min(one.config.resolution for one in (here, there))  # blocks of one size in both regions
    ground = parents(here.cells, resolution), parents(there.cells, resolution)
    return [
        [transfer_trial(*pair, ground, f"{FROM}{region}", model, parameters) for model in (LIGHTGBM_FAST, LINEAR_PROBE)]
        for pair in pairs
    ]


def _another_number(name: str, here: RegionConfig, there: RegionConfig) -> str | None:
    """Why a label of this name is another number in the other region; None if it is the same."""
    aggregates = [getattr(config.tasks[name], "aggregate", "mean") for config in (here, there)]
    transforms = [config.tasks[name].transform for config in (here, there)]
    if transforms[0] != transforms[1]:
        return f"transform is {transforms[1]}, and {transforms[0]} here"
    if aggregates[0] != aggregates[1]:
        return f"aggregate is {aggregates[1]}, and {aggregates[0]} here"
    if aggregates[0] == "sum" and here.resolution != there.resolution:
        return f"it is a sum over cells of resolution {there.resolution}, and of {here.resolution} here"
    return None


def transfer_trial(
    here: Task, there: Task, ground: tuple[Rows, Rows], split: str, model: str, parameters: BenchmarkParameters
) -> Trial:
    """One task of two regions, fitted there and tested here.

    Args:
        ground: the block of each cell, int64 [N] here and [M] there.
        split: `from_<region>`.
        model: a name of `MODELS`.
    """
    apart = ~np.isin(ground[1][there.middle], ground[0][here.middle])
    tested, fitted = np.arange(len(here.target)), len(here.target) + np.flatnonzero(apart)
    reason = here.refused or (there.refused and f"in {split.removeprefix(FROM)}, {there.refused}")
    if not reason and min(len(tested), len(fitted)) < parameters.minimum_rows:
        reason = f"{len(fitted)} labels to fit and {len(tested)} to test, at least {parameters.minimum_rows} needed"
        if lost := len(there.target) - len(fitted):
            reason += f" ({lost} more are where labels are tested)"
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
