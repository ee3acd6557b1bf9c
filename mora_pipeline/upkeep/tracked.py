"""MLflow's runs, models and artifacts of a home: old ones are deleted for good, and all of an erased region."""

import contextlib
import io
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from mora_pipeline.tracking import TrackingSettings, connect
from mora_pipeline.upkeep.limits import Limits
from mora_pipeline.upkeep.space import Freed, removed, size_of

if TYPE_CHECKING:
    from mlflow import MlflowClient

PAGE = 1000


def prune_tracked(home: Path, settings: TrackingSettings, limits: Limits, dry: bool) -> list[Freed]:
    """Delete versions of models, runs and their artifacts beyond the limits.

    A version with an alias (champion) stays, and so do its run and its files.
    """
    if settings.artifacts is not None and not (home / "mlflow.db").exists():
        return []
    client, before = connect(settings), size_of(home / "mlartifacts")
    needed_runs, needed_models, versions = _prune_versions(client, limits, dry)
    runs, models = set[str](), set[str]()
    for experiment in client.search_experiments(filter_string="name LIKE 'mora/%'"):
        old = _old_runs(client, experiment.experiment_id, limits) - needed_runs
        for model in client.search_logged_models([experiment.experiment_id]):
            if model.source_run_id in old and model.model_id not in needed_models:
                models.add(model.model_id)
                if not dry:
                    client.delete_logged_model(model.model_id)
        for run_id in [] if dry else sorted(old):
            client.delete_run(run_id)
        runs |= old
    if not dry and runs | models:
        collect_garbage(settings)
        emptied = (*home.glob("mlartifacts/*/*"), *home.glob("mlartifacts/*/models/*"))
        removed("emptied folders", [path for path in emptied if path.name in runs | models], dry)
    freed = before - size_of(home / "mlartifacts")
    return [Freed("versions of models", versions), Freed("runs and models in MLflow", len(runs | models), freed)]


def _prune_versions(client: "MlflowClient", limits: Limits, dry: bool) -> tuple[set[str], set[str], int]:
    """Delete old versions; returns the runs and models that the kept ones need, and the number deleted."""
    runs, models, deleted = set[str](), set[str](), 0
    for model in client.search_registered_models(filter_string="name LIKE 'mora_%'", max_results=PAGE):
        aliased = {str(number) for number in client.get_registered_model(model.name).aliases.values()}
        versions = client.search_model_versions(f"name = '{model.name}'", max_results=PAGE)
        versions = sorted(versions, key=lambda one: int(one.version), reverse=True)
        for number, version in enumerate(versions):
            if number < limits.models or str(version.version) in aliased:
                runs.add(str(version.run_id))
                models.add(str(version.source).removeprefix("models:/"))
            else:
                deleted += 1
                if not dry:
                    client.delete_model_version(model.name, version.version)
    return runs, models, deleted


def _old_runs(client: "MlflowClient", experiment: str, limits: Limits) -> set[str]:
    """The ended runs of an experiment beyond the newest of each step."""
    by_step, token = defaultdict[str, list[str]](list), None
    while True:
        page = client.search_runs(
            [experiment], order_by=["attributes.start_time DESC"], max_results=PAGE, page_token=token
        )
        for run in page:
            by_step[run.data.tags.get("step", "")].append(run.info.run_id if run.info.status != "RUNNING" else "")
        token = page.token
        if not token:
            return {run for runs in by_step.values() for run in runs[limits.tracked_runs :] if run}


def forget_tracked(home: Path, settings: TrackingSettings, region: str) -> list[Freed]:
    """Delete a region's experiment, registered model and artifacts."""
    if settings.artifacts is not None and not (home / "mlflow.db").exists():
        return []
    import mlflow

    client, deleted = connect(settings), 0
    with contextlib.suppress(mlflow.MlflowException):  # there is none
        client.delete_registered_model(f"mora_{region}")
        deleted += 1
    experiment = client.get_experiment_by_name(f"mora/{region}")
    if experiment is not None:
        deleted += 1
        if experiment.lifecycle_stage == "active":
            client.delete_experiment(experiment.experiment_id)
        collect_garbage(settings)
    return [
        Freed("experiments and registered models", deleted),
        removed("folders of artifacts", [path for path in [home / "mlartifacts" / region] if path.exists()], dry=False),
    ]


def collect_garbage(settings: TrackingSettings) -> None:
    """Remove for good what was deleted in MLflow; a server does so by itself (`mlflow gc` where it runs)."""
    if settings.artifacts is None:
        return
    from mlflow.cli import cli

    arguments = ["gc", "--backend-store-uri", settings.uri, "--tracking-uri", settings.uri]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        cli.main(arguments, standalone_mode=False)
