"""Sampled mobility graph: of every origin, the strongest share of its flows, or what another strategy keeps.

Source: `edges`. Written by the Spark job `sample_graph`; every file holds whole origins.
"""

from enum import Enum

import dagster as dg
from pydantic import Field

from mora_pipeline.contract import schemas
from mora_pipeline.defs.metadata import column_schema
from mora_pipeline.defs.partitions import regions
from mora_pipeline.defs.resources import LakeResource
from mora_pipeline.defs.spark import SparkSubmit
from mora_pipeline.defs.step import blocking, step


class SamplingStrategy(Enum):
    """Which edges of an origin stay; the names are those of the job `sample_graph`."""

    top_share = "top_share"
    random_share = "random_share"
    fixed_k = "fixed_k"
    threshold = "threshold"
    none = "none"


class SamplingConfig(dg.Config):
    """How much of the mobility graph training sees."""

    strategy: SamplingStrategy = Field(
        default=SamplingStrategy.top_share,
        description="Which edges of an origin stay: top_share (MoRA: the strongest share), random_share (as many, "
        "chosen by chance), fixed_k (the strongest k), threshold (flows of minimum_flow and more) or none (all).",
    )
    share: float = Field(
        default=0.1,
        gt=0,
        le=1,
        description="Share of each origin's edges to keep, for top_share (MoRA: 0.1) and random_share.",
    )
    k: int = Field(default=100, ge=1, description="Edges of each origin to keep, for fixed_k.")
    minimum_flow: float = Field(default=1.0, gt=0, description="The least flow that stays, for threshold.")
    seed: int = Field(default=0, ge=0, description="Another number makes another choice, for random_share.")

    def settings(self) -> dict[str, str | float]:
        """The strategy and the parameters that it reads."""
        read = {
            SamplingStrategy.top_share: ("share",),
            SamplingStrategy.random_share: ("share", "seed"),
            SamplingStrategy.fixed_k: ("k",),
            SamplingStrategy.threshold: ("minimum_flow",),
            SamplingStrategy.none: (),
        }[self.strategy]
        return {"strategy": self.strategy.value, **{name: getattr(self, name) for name in read}}


@dg.asset(
    partitions_def=regions,
    deps=["edges"],
    group_name="graph",
    kinds={"spark", "parquet"},
    pool="spark",
    description=__doc__,
    metadata=column_schema(schemas.GRAPH),
    check_specs=blocking("graph", "follows_strategy"),
)
def graph(
    context: dg.AssetExecutionContext, config: SamplingConfig, lake: LakeResource, spark: SparkSubmit
) -> dg.MaterializeResult:
    with step(context, lake) as work:
        edges = work.read("edges")
        target = work.begin("graph")
        parameters = {"edges": edges.path, "output": {"graph": target.path}, **config.settings()}
        report = spark.run(context, "sample_graph", parameters)
        metadata = {**config.settings(), "edges": edges.rows, **report.metadata}
        return work.finish(report.results(), metadata, config.settings())
