"""The steps of a region, from raw files to the champion, and the chain that runs them without a scheduler."""

import os
from collections.abc import Iterator, Mapping
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.json_logs import log_fields
from mora_pipeline.lake import mora_home, opened
from mora_pipeline.steps.ablation import ablations_step
from mora_pipeline.steps.benchmark import benchmark_step
from mora_pipeline.steps.champion import CHAMPION_STEP
from mora_pipeline.steps.distil import DISTILLED_ENCODER
from mora_pipeline.steps.embeddings import embeddings_step
from mora_pipeline.steps.features import features_steps
from mora_pipeline.steps.graph import GRAPH
from mora_pipeline.steps.grid import grid_steps
from mora_pipeline.steps.interface import Session, Step, Tracker, region_run
from mora_pipeline.steps.line import LINE_VECTORS
from mora_pipeline.steps.memoised import run_memoised
from mora_pipeline.steps.progress import LogProgress
from mora_pipeline.steps.raw import RAW_FILES
from mora_pipeline.steps.results import StepResult
from mora_pipeline.steps.spark import LocalSpark
from mora_pipeline.tracking import TrackingSettings

__all__ = ["FORCE_TAG", "Session", "Step", "StepResult", "all_steps", "local_session", "run_region", "run_step"]

FORCE_TAG = "mora/force"  # of a scheduler's run: "true" makes all of it anew


def all_steps() -> list[Step]:
    """Every step, each after those whose outputs it reads."""
    steps = {
        step.name: step
        for step in (
            *(RAW_FILES, *grid_steps(), GRAPH, *features_steps(), LINE_VECTORS),
            *(embeddings_step(), DISTILLED_ENCODER, benchmark_step(), CHAMPION_STEP, ablations_step()),
        )
    }
    order = TopologicalSorter({name: step.inputs for name, step in steps.items()}).static_order()
    return [steps[name] for name in order]


def local_session(home: Path | None = None) -> Session:
    """A session on this machine: Spark in child processes, MLflow by $MLFLOW_TRACKING_URI or in the home.

    Args:
        home: default: $MORA_HOME, or ``.mora`` in the working directory.
    """
    folder = opened(Path(home).expanduser().resolve() if home else mora_home(), create=True)
    link = os.environ.get("MORA_MLFLOW_URL")
    return Session(folder, LocalSpark(), TrackingSettings.of(folder, os.environ.get("MLFLOW_TRACKING_URI"), link))


def run_step(step: Step, region: str, session: Session, settings: BaseModel | None = None) -> StepResult:
    """Run one step of a region; one that has made the same already keeps its versions, and says since when.

    Args:
        settings: of the type that the step declares; default: its defaults.

    Raises:
        UserError: for a mistake in the user's data, files or settings.
        StepError: if a Spark job broke down.
    """
    about = log_fields(region=region, step=step.name, run=session.tags.get("dagster.run_id"))
    with about, region_run(step, region, session) as running:
        chosen, progress, tracker = settings or step.settings(), LogProgress(session.log), Tracker(running)
        if step.code_version is None:
            return step.run(running, chosen, progress, tracker)
        return run_memoised(running, chosen, progress, tracker)


def run_region(
    region: str, session: Session | None = None, settings: Mapping[str, Mapping[str, Any]] | None = None
) -> Iterator[tuple[str, StepResult]]:
    """Run the main chain of a region, step by step, in this process and without a scheduler.

    Args:
        region: a region that the home knows (`lake.registry.Registry.add`).
        session: default: `local_session()`.
        settings: those of steps that differ from the defaults, by name of the step.

    Yields:
        The name and the result of each step, as it ends.

    Raises:
        UserError: for a mistake in the user's data, files or settings, or if a check fails.
        StepError: if a Spark job broke down.
    """
    session, chosen = session or local_session(), dict(settings or {})
    steps = [step for step in all_steps() if step.in_chain]
    if unknown := sorted(chosen.keys() - {step.name for step in steps}):
        raise UserError(f"There is no step '{unknown[0]}'; there are {', '.join(step.name for step in steps)}.")
    parsed = {}
    for step in steps:
        try:
            parsed[step.name] = step.settings(**chosen.get(step.name, {}))
        except ValidationError as error:
            problems = [f"{step.name}.{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()]
            raise UserError("\n".join(problems)) from None
    for step in steps:
        result = run_step(step, region, session, parsed[step.name])
        if not result.committed:
            failed = ", ".join(f"{check.name} ({check.figures})" for check in result.checks if not check.passed)
            raise UserError(f"{step.name} of '{region}' failed its checks, so nothing of it was committed: {failed}")
        yield step.name, result
