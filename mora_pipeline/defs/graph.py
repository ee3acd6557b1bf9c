"""Sampled mobility graph: of every origin, the strongest share of its flows.

Source: `edges`. Written by the Spark job `sample_graph`; every file holds whole origins.
"""

import dagster as dg
from pydantic import Field

from mora_pipeline import schemas
from mora_pipeline.defs.metadata import column_schema
from mora_pipeline.defs.partitions import regions
from mora_pipeline.defs.resources import LakeResource
from mora_pipeline.defs.spark import SparkSubmit
from mora_pipeline.defs.step import blocking, step


class SamplingConfig(dg.Config):
    """How much of the mobility graph training sees."""

    share: float = Field(default=0.1, gt=0, le=1, description="Share of each origin's edges to keep (MoRA: 0.1).")


@dg.asset(
    partitions_def=regions,
    deps=["edges"],
    group_name="graph",
    kinds={"spark", "parquet"},
    pool="spark",
    description=__doc__,
    metadata=column_schema(schemas.GRAPH),
    check_specs=blocking("graph", "keeps_strongest_share"),
)
def graph(
    context: dg.AssetExecutionContext, config: SamplingConfig, lake: LakeResource, spark: SparkSubmit
) -> dg.MaterializeResult:
    with step(context, lake) as work:
        edges = work.read("edges")
        target = work.begin("graph")
        parameters = {
            "edges": edges.path,
            "strategy": "top_share",
            "share": config.share,
            "output": {"graph": target.path},
        }
        report = spark.run(context, "sample_graph", parameters)
        metadata = {"share": config.share, "edges": edges.rows, **report.metadata}
        return work.finish(report.results(), metadata, {"share": config.share})
