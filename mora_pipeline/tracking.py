"""What training and evaluation leave in MLflow: parameters, curves, weights, and the registered models."""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.files import locked
from mora_pipeline.contract.redaction import login_of, redacted, without_login

if TYPE_CHECKING:
    from mlflow import MlflowClient

FLUSH_SECONDS = 5.0
FLUSH_METRICS = 500  # MLflow takes at most 1,000 in one call
LONGEST_PARAMETER = 6000  # MLflow's own limit
_SERVER = ("http://", "https://")


@dataclass(frozen=True)
class TrackingSettings:
    """Where MLflow is.

    Attributes:
        uri: of tracking and registry: a server, or ``sqlite:///...``; it may hold a password, so show `shown_uri`.
        artifacts: folder of the artifacts, where no server decides it.
        link: address for people's browsers, where there is a server.
    """

    uri: str = field(repr=False)
    artifacts: Path | None
    link: str | None
    lock: Path

    @classmethod
    def of(cls, home: Path, uri: str | None = None, link: str | None = None) -> "TrackingSettings":
        """The settings of a home: SQLite and artifacts in it, unless `uri` names a server.

        Raises:
            UserError: if `link` is no address of a web page.
        """
        uri = uri or f"sqlite:///{home / 'mlflow.db'}"
        server = uri.startswith(_SERVER)
        link = without_login(link or (uri if server else "")).rstrip("/")
        if link and not link.startswith(_SERVER):
            raise UserError(
                f"MORA_MLFLOW_URL is {redacted(link)!a}: say an address that begins with http:// or https://."
            )
        return cls(uri, None if server else home / "mlartifacts", link or None, home / "mlflow.lock")

    @property
    def shown_uri(self) -> str:
        """`uri` for people and logs."""
        return redacted(self.uri)

    def log_in(self) -> str:
        """The address for MLflow's client, which takes a server's password from the environment of this process.

        MLflow quotes the addresses of servers in its errors; so none of them has the password any more.
        """
        login = login_of(self.uri)
        if login is None or not self.uri.startswith(_SERVER):
            return self.uri
        os.environ["MLFLOW_TRACKING_USERNAME"], os.environ["MLFLOW_TRACKING_PASSWORD"] = login
        return without_login(self.uri)


class TrackedRun:
    """An MLflow run that is open; `tracked_run` opens it."""

    def __init__(self, settings: TrackingSettings, client: "MlflowClient", experiment: str, run: str) -> None:
        self.settings, self.client = settings, client
        self.experiment_id, self.run_id = experiment, run
        self._waiting: list[Any] = []
        self._recorded: dict[str, set[int]] = {}
        self._flushed = time.monotonic()

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Record numbers at a step (an epoch); they are sent in batches.

        A resumed run skips what it holds already.
        """
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        new = {name: value for name, value in values.items() if step not in self._recorded.get(name, ())}
        self._waiting += [Metric(name, float(value), now, step) for name, value in new.items()]
        if len(self._waiting) >= FLUSH_METRICS or time.monotonic() - self._flushed >= FLUSH_SECONDS:
            self.flush()

    def epoch(self, values: Mapping[str, float]) -> None:
        """Record one epoch of a training history, numbered by its own ``epoch``."""
        self.metrics({name: value for name, value in values.items() if name != "epoch"}, int(values.get("epoch", 0)))

    def flush(self) -> None:
        """Send what waits."""
        while self._waiting:
            batch, self._waiting = self._waiting[:FLUSH_METRICS], self._waiting[FLUSH_METRICS:]
            self.client.log_batch(self.run_id, metrics=batch)
        self._flushed = time.monotonic()

    def weights(self, name: str, tensors: Mapping[str, Any]) -> None:
        """Keep torch tensors as the artifact ``<name>.safetensors``."""
        import tempfile

        from safetensors.torch import save_file

        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / f"{name}.safetensors"
            save_file({key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}, file)
            self.file(file)

    def file(self, path: Path) -> None:
        """Keep a file as an artifact."""
        self.client.log_artifact(self.run_id, str(path))

    def read_recorded(self) -> None:
        """Take note of what the run holds, from before it was resumed."""
        for name in self.client.get_run(self.run_id).data.metrics:
            self._recorded[name] = {one.step for one in self.client.get_metric_history(self.run_id, name)}

    def link(self) -> str:
        """Where people see the run: an address, or the command that opens it."""
        path = f"#/experiments/{self.experiment_id}/runs/{self.run_id}"
        if self.settings.link:
            return f"[{self.run_id}]({self.settings.link}/{path})"
        return f"run `{self.run_id}`: `mlflow ui --backend-store-uri {self.settings.shown_uri}`, then http://127.0.0.1:5000/{path}"


@contextmanager
def tracked_run(
    settings: TrackingSettings,
    region: str,
    step: str,
    parameters: Mapping[str, Any],
    inputs: Mapping[str, str],
    tags: Mapping[str, str] | None = None,
    resume: str | None = None,
) -> Iterator[TrackedRun]:
    """One MLflow run of one training step of a region; it ends as FAILED if the body raises.

    Args:
        resume: id of the run of a process that was killed: it goes on, if MLflow still has it, and is tagged `resumed`.
            Otherwise the new run's tag `resumes` names it.
        parameters: the step's settings.
        inputs: versions of the datasets it reads, by dataset.
        tags: further tags, such as Dagster's run id.
    """
    import mlflow

    client = connect(settings)
    experiment = _experiment(settings, client, region)
    labels = {"region": region, "step": step, **{f"input.{name}": version for name, version in inputs.items()}}
    goes_on = resume is not None and _has_run(client, experiment, resume)
    labels |= {"resumed": "true"} if goes_on else {"resumes": resume} if resume else {}
    with mlflow.start_run(
        run_id=resume if goes_on else None, experiment_id=experiment, run_name=step, tags={**labels, **(tags or {})}
    ) as active:
        run = TrackedRun(settings, client, experiment, active.info.run_id)
        if goes_on:
            run.read_recorded()
        for name, value in parameters.items():
            client.log_param(run.run_id, name, redacted(str(value))[:LONGEST_PARAMETER])
        try:
            yield run
        finally:
            run.flush()


def connect(settings: TrackingSettings) -> "MlflowClient":
    """A client of tracking and registry; the database is created on first use.

    Raises:
        UserError: if MLflow does not answer.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    import mlflow

    uri = settings.log_in()
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    try:
        with locked(settings.lock):  # the first client creates the tables, which two must not do at the same time
            client = mlflow.MlflowClient(uri, uri)
            client.search_experiments(max_results=1)
            client.search_registered_models(max_results=1)
    except mlflow.MlflowException as error:
        raise UserError(
            f"MLflow at {settings.shown_uri} does not answer ({redacted(str(error))}). Start it or fix "
            "MLFLOW_TRACKING_URI; without that variable, runs go to SQLite in $MORA_HOME."
        ) from None  # MLflow's own error may quote the address
    return client


def _has_run(client: "MlflowClient", experiment: str, run: str) -> bool:
    """Whether a run of the experiment is there and not deleted."""
    import mlflow

    try:
        info = client.get_run(run).info
    except mlflow.MlflowException:
        return False
    return bool(info.experiment_id == experiment and info.lifecycle_stage == "active")


def _experiment(settings: TrackingSettings, client: "MlflowClient", region: str) -> str:
    name = f"mora/{region}"
    with locked(settings.lock):
        known = client.get_experiment_by_name(name)
        if known is not None:
            return str(known.experiment_id)
        location = (settings.artifacts / region).as_uri() if settings.artifacts else None
        return str(client.create_experiment(name, artifact_location=location))
