"""The champion: which version of `mora_<region>` serves.

Source: `benchmark` and the registered version of `distilled_encoder`. The alias `champion` moves to the new version
only if its mean R², over what both were scored on and may not leak, is not worse than the champion's.
"""

import dagster as dg
from pydantic import Field

from mora_pipeline.contract.errors import UserError
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
    from mora_pipeline.evaluation.promotion import CHAMPION, mean_scores, promote
    from mora_pipeline.evaluation.report.task_part import leaking, task_facts
    from mora_pipeline.tracking import connect

    with step(context, lake) as work:
        benchmark, encoder = work.read("benchmark"), work.read("distilled_encoder")
        if benchmark.inputs.get("distilled_encoder") != encoder.version:
            raise UserError(
                f"The benchmark of '{work.region}' was made from another distilled encoder than the published one. "
                f"Materialise `benchmark` again: mora materialize {work.region} --select benchmark,champion"
            )
        model, version = f"mora_{work.region}", str(encoder.details["model_version"])
        client = connect(tracking.settings(work.home))
        tasks = benchmark.details.get("tasks") or task_facts(work.config)  # a benchmark of before told none
        scores = mean_scores(benchmark.table(), config.method, leaking(tasks))
        verdict = promote(client, model, version, scores, config.tolerance)
        current = client.get_registered_model(model).aliases.get(CHAMPION)
        return dg.MaterializeResult(
            metadata={
                "promoted": verdict.promoted,
                "reason": verdict.reason,
                "candidate": f"models:/{model}/{version}",
                "champion": f"models:/{model}/{current}" if current else "none",
                "candidate_r2": "none" if verdict.candidate_r2 is None else verdict.candidate_r2,
                "champion_r2": "none" if verdict.champion_r2 is None else verdict.champion_r2,
                "scores_compared": verdict.compared,
                **work.meter.metadata(),
            }
        )
