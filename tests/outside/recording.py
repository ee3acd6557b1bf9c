"""Runs that Dagster itself recorded, of an asset that takes no time."""

import dagster as dg


def record_run(seconds: float = 1.0, success: bool = True, region: str = "town") -> str:
    """A run that ended, recorded by Dagster itself, in the home's instance; returns its id."""
    from mora_pipeline.commands.instance import REGIONS, dagster_instance

    regions = dg.DynamicPartitionsDefinition(name=REGIONS)

    @dg.asset(partitions_def=regions)
    def edges() -> dg.MaterializeResult:
        if not success:
            raise dg.Failure("3% of the rows are bad", allow_retries=False)
        return dg.MaterializeResult(metadata={"seconds": seconds, "peak_memory_gib": 0.5})

    with dagster_instance() as instance:
        instance.add_dynamic_partitions(REGIONS, [region])
        ended = dg.materialize([edges], partition_key=region, instance=instance, raise_on_error=False)
    return ended.run_id
