"""Sampled mobility graph: of every origin, the strongest share of its flows, or what another strategy keeps.

Source: `edges`. Written by the Spark job `sample_graph`; every file holds whole origins. Skipped without mobility.
The preset `paper` is trained on it; the preset `mora` samples `edges` by itself.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from mora_pipeline.contract import schemas
from mora_pipeline.contract.constants import TOP_SHARE
from mora_pipeline.region import NO_MOBILITY
from mora_pipeline.steps.interface import Progress, RegionRun, Step, Tracker
from mora_pipeline.steps.results import StepResult
from mora_pipeline.steps.spark import merged_checks


class SamplingSettings(BaseModel):
    """How much of the mobility graph training sees."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    strategy: Literal["top_share", "random_share", "fixed_k", "threshold", "none"] = Field(
        default="top_share",
        description="Which edges of an origin stay: top_share (MoRA: the strongest share), random_share (as many, "
        "chosen by chance), fixed_k (the strongest k), threshold (flows of minimum_flow and more) or none (all).",
    )
    share: float = Field(
        default=TOP_SHARE,
        gt=0,
        le=1,
        description="Share of each origin's edges to keep, for top_share (MoRA: 0.1) and random_share.",
    )
    k: int = Field(default=100, ge=1, description="Edges of each origin to keep, for fixed_k.")
    minimum_flow: float = Field(default=1.0, gt=0, description="The least flow that stays, for threshold.")
    seed: int = Field(default=0, ge=0, description="Another number makes another choice, for random_share.")

    def in_use(self) -> dict[str, str | float]:
        """The strategy and the parameters that it reads."""
        names = {"top_share": ("share",), "random_share": ("share", "seed"), "fixed_k": ("k",)}
        read = {**names, "threshold": ("minimum_flow",)}.get(self.strategy, ())
        return {"strategy": self.strategy, **{name: getattr(self, name) for name in read}}


def run(region: RegionRun, settings: SamplingSettings, progress: Progress, tracker: Tracker) -> StepResult:
    """Sample the region's edges; skipped where it has no mobility."""
    if region.config.mobility is None:
        return region.skip(NO_MOBILITY)
    edges = region.read("edges")
    target = region.begin("graph")
    chosen = settings.in_use()
    parameters = {"edges": edges.path, "output": {"graph": target.path}, **chosen}
    report = region.spark.run("sample_graph", parameters)
    metadata = {**chosen, "edges": edges.rows, **report.metadata}
    return region.finish(merged_checks({"": report}), metadata, chosen)


GRAPH = Step(
    "graph",
    run,
    __doc__,
    inputs=("edges",),
    group="graph",
    kinds=frozenset({"spark", "parquet"}),
    settings=SamplingSettings,
    columns=schemas.GRAPH,
    checks=("follows_strategy",),
    pool="spark",
    code_version="1",
)
