"""What keeps the home small: one job that deletes what is beyond the limits, every night."""

import os

import dagster as dg

from mora_pipeline.defs.history import night_times
from mora_pipeline.defs.resources import LakeResource, Tracking


@dg.op(description="Deletes old runs, events, logs, models and caches beyond the limits (MORA_KEEP_*).")
def prune(context: dg.OpExecutionContext, lake: LakeResource, tracking: Tracking) -> None:
    """The run that prunes is the newest, and so it stays."""
    from mora_pipeline.upkeep.limits import Limits
    from mora_pipeline.upkeep.prune import prune as pruned

    home = lake.path()
    parts = pruned(home, context.instance, tracking.settings(home), Limits.from_environment())
    for part in parts:
        context.log.info(f"Deleted {part.words}.")
    context.add_output_metadata({"freed (MB)": round(sum(part.bytes for part in parts) / 1e6, 1)})


@dg.job(executor_def=dg.in_process_executor, description="Keeps the home small; `mora prune` does the same at once.")
def prune_home() -> None:
    prune()


nightly_prune = dg.ScheduleDefinition(
    name="nightly_prune",
    job=prune_home,
    cron_schedule=os.environ.get("MORA_PRUNE_CRON", "30 5 * * *"),
    execution_timezone=night_times()[1],
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Prunes the home every night, within the limits that the variables MORA_KEEP_* set.",
)
