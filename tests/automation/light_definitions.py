"""The project's own job, schedule and sensor over assets that take no time: a daemon that needs no Spark."""

import dagster as dg

from mora_pipeline.defs.automation import new_regions, nightly
from mora_pipeline.defs.jobs import materialize_region
from mora_pipeline.defs.partitions import regions


@dg.asset(partitions_def=regions)
def embeddings(context: dg.AssetExecutionContext) -> None:
    context.log.info(f"embeddings of {context.partition_key}")


@dg.asset(partitions_def=regions)
def ablations() -> None:
    """What the main job leaves out, by this name."""
    raise AssertionError("no nightly run makes ablations")


defs = dg.Definitions(
    assets=[embeddings, ablations],
    jobs=[materialize_region],
    schedules=[nightly],
    sensors=[new_regions],
    executor=dg.in_process_executor,
)
