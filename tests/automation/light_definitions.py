"""The project's own job, schedule and sensor over assets that take no time: a daemon that needs no Spark."""

import dagster as dg

from mora_pipeline.defs.automation import new_regions, nightly
from mora_pipeline.defs.jobs import materialize_region
from mora_pipeline.defs.partitions import regions


@dg.asset(partitions_def=regions)
def embeddings(context: dg.AssetExecutionContext) -> None:
    context.log.info(f"embeddings of {context.partition_key}")


defs = dg.Definitions(
    assets=[embeddings],
    jobs=[materialize_region],
    schedules=[nightly],
    sensors=[new_regions],
    executor=dg.in_process_executor,
)
