"""The champion: which version of `mora_<region>` serves.

Source: `benchmark` and the registered version of `distilled_encoder`. The alias `champion` moves to the new version
only if its mean R², over what both were scored on and may not leak, is not worse than the champion's.
"""

from pydantic import BaseModel, ConfigDict, Field

from mora_pipeline.contract.errors import UserError
from mora_pipeline.steps.interface import Progress, RegionRun, Step, Tracker
from mora_pipeline.steps.results import StepResult


class ChampionSettings(BaseModel):
    """When a new model takes over."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: str = Field(default="distilled", description="Method of the benchmark whose scores count.")
    tolerance: float = Field(default=0.0, ge=0, description="How much lower the candidate's mean R² may be.")


def run(region: RegionRun, settings: ChampionSettings, progress: Progress, tracker: Tracker) -> StepResult:
    """Compare the registered model with the champion, and promote it if it is not worse."""
    from mora_pipeline.evaluation.promotion import CHAMPION, mean_scores, promote
    from mora_pipeline.evaluation.report.task_part import leaking, task_facts
    from mora_pipeline.tracking import connect

    benchmark, encoder = region.read("benchmark"), region.read("distilled_encoder")
    if benchmark.inputs.get("distilled_encoder") != encoder.version:
        raise UserError(
            f"The benchmark of '{region.region}' was made from another distilled encoder than the current one. "
            f"Materialise `benchmark` again: mora materialize {region.region} --select benchmark,champion"
        )
    model, version = f"mora_{region.region}", str(encoder.details["model_version"])
    client = connect(tracker.settings)
    tasks = benchmark.details.get("tasks") or task_facts(region.config)  # a benchmark of before told none
    scores = mean_scores(benchmark.table(), settings.method, leaking(tasks))
    verdict = promote(client, model, version, scores, settings.tolerance)
    current = client.get_registered_model(model).aliases.get(CHAMPION)
    return region.finish(
        metadata={
            "promoted": verdict.promoted,
            "reason": verdict.reason,
            "candidate": f"models:/{model}/{version}",
            "champion": f"models:/{model}/{current}" if current else "none",
            "candidate_r2": "none" if verdict.candidate_r2 is None else verdict.candidate_r2,
            "champion_r2": "none" if verdict.champion_r2 is None else verdict.champion_r2,
            "scores_compared": verdict.compared,
        }
    )


CHAMPION_STEP = Step(
    "champion",
    run,
    __doc__,
    inputs=("benchmark", "distilled_encoder"),
    group="evaluation",
    kinds=frozenset({"mlflow"}),
    settings=ChampionSettings,
)
