"""The fence of a step in Dagster: its run must hold its region, and must not have ended in Dagster either."""

import os
from collections.abc import Callable

import dagster as dg

from mora_pipeline.lake import mora_home
from mora_pipeline.runs import TOKEN
from mora_pipeline.runs.fence import RunEndedError, fence_of
from mora_pipeline.runs.orphans import end_with_parent

_ACTIVE = (dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING)


def fence_of_step(context: dg.AssetExecutionContext | dg.OpExecutionContext) -> Callable[[], None]:
    """What raises `RunEndedError` if the step's run has ended; the process of the step ends with its run from now on.

    A run without a token (a test that carries steps out in its own process) holds no region.
    """
    token, instance, run_id = os.environ.get(TOKEN), context.instance, context.run_id
    held = fence_of(mora_home(), context.partition_key, token) if token else None
    if token:
        end_with_parent()

    def check() -> None:
        if held:
            held()
        run = instance.get_run_by_id(run_id)
        if run is None or run.status not in _ACTIVE:
            state = "was deleted" if run is None else f"is recorded as {run.status.value.lower()}"
            raise RunEndedError(f"This step's run {state}, so nothing of it was published; the versions before stay.")

    return check
