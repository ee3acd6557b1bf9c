"""The champion: which version of `mora_<region>` serves.

Source: `benchmark` and the registered version of `distilled_encoder`. The alias `champion` moves to the new version
only if its mean R², over what both were scored on and may not leak, is not worse than the champion's. The first version
becomes champion whatever its scores, also in a region without tasks.
"""

from pydantic import BaseModel, ConfigDict, Field

from mora_pipeline.steps.interface import Progress, RegionRun, Step, Tracker
from mora_pipeline.steps.results import StepResult


class ChampionSettings(BaseModel):
    """When a new model takes over."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: str = Field(default="distilled", description="Method of the benchmark whose scores count.")
    tolerance: float = Field(default=0.0, ge=0, description="How much lower the candidate's mean R² may be.")


def run(region: RegionRun, settings: ChampionSettings, progress: Progress, tracker: Tracker) -> StepResult:
    """Compare the registered model with the champion, and promote it if it is not worse."""
    from mora_pipeline.evaluation.labels.leaks import leaking
    from mora_pipeline.evaluation.promotion import CHAMPION, not_scored, promote
    from mora_pipeline.evaluation.protocol.scores import mean_scores
    from mora_pipeline.tracking import connect

    benchmark, encoder = region.read("benchmark"), region.read("distilled_encoder")
    model, version = f"mora_{region.region}", str(encoder.details["model_version"])
    client = connect(tracker.settings)
    decision = not_scored(benchmark, encoder, settings.method)
    if decision is None:
        scores = mean_scores(benchmark.table(), settings.method, leaking(benchmark.details["tasks"]))
        decision = promote(client, model, version, scores, settings.tolerance)
    current = client.get_registered_model(model).aliases.get(CHAMPION)
    return region.finish(
        metadata={
            "promoted": decision.promoted,
            "reason": decision.reason,
            "candidate": f"models:/{model}/{version}",
            "champion": f"models:/{model}/{current}" if current else "none",
            "candidate_r2": "none" if decision.candidate_r2 is None else decision.candidate_r2,
            "champion_r2": "none" if decision.champion_r2 is None else decision.champion_r2,
            "scores_compared": decision.compared,
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
    code_version="1",
)
