"""The champion: which version of `mora_<region>` serves.

Source: `benchmark` and the registered version of `distilled_encoder`. The alias `champion` moves to the new version
only if its mean R², over what both were scored on and may not leak, is not worse than the champion's.
"""

import dagster as dg
from pydantic import Field

from mora_pipeline.defs.partitions import regions
from mora_pipeline.defs.resources import LakeResource, Tracking
from mora_pipeline.defs.step import step


class ChampionConfig(dg.Config):
    """When a new model takes over."""

    method: str = Field(default="distilled", description="Method of the benchmark whose scores count.")
    tolerance: float = Field(default=0.0, ge=0, description="How much lower the candidate's mean R² may be.")


@dg.asset(
    partitions_def=regions,
    deps=["benchmark", "distilled_encoder"],
    group_name="evaluation",
    kinds={"mlflow"},
    description=__doc__,
)
def champion(
    context: dg.AssetExecutionContext, config: ChampionConfig, lake: LakeResource, tracking: Tracking
) -> dg.MaterializeResult:
    from mora_pipeline.evaluation.promotion import CHAMPION, not_scored, promote
    from mora_pipeline.evaluation.protocol.scores import mean_scores
    from mora_pipeline.evaluation.report.tables import leaking
    from mora_pipeline.tracking import connect

    with step(context, lake) as work:
        benchmark, encoder = work.read("benchmark"), work.read("distilled_encoder")
        model, version = f"mora_{work.region}", str(encoder.details["model_version"])
        client = connect(tracking.settings(work.home))
        decision = not_scored(benchmark, encoder, config.method)
        if decision is None:
            scores = mean_scores(benchmark.table(), config.method, leaking(benchmark.details["tasks"]))
            decision = promote(client, model, version, scores, config.tolerance)
        current = client.get_registered_model(model).aliases.get(CHAMPION)
        return dg.MaterializeResult(
            metadata={
                "promoted": decision.promoted,
                "reason": decision.reason,
                "candidate": f"models:/{model}/{version}",
                "champion": f"models:/{model}/{current}" if current else "none",
                "candidate_r2": "none" if decision.candidate_r2 is None else decision.candidate_r2,
                "champion_r2": "none" if decision.champion_r2 is None else decision.champion_r2,
                "scores_compared": decision.compared,
                **work.meter.metadata(),
            }
        )
