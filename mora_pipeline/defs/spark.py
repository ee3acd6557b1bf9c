"""Runs Spark jobs as child processes through Dagster Pipes, and believes nothing that a child did not report."""

import json
import os
import sys
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import dagster as dg
from dagster import PipesMessageHandler
from dagster._core.errors import DagsterPipesExecutionError
from dagster_pipes import PipesParams
from pydantic import Field

PROJECT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class SparkReport:
    """What a Spark job said it did: rows by output, rows read, quarantined rows by reason, checks, further figures."""

    rows: Mapping[str, int] = field(default_factory=dict)
    read: int = 0
    quarantined: Mapping[str, int] = field(default_factory=dict)
    checks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def results(self) -> dict[str, dg.AssetCheckResult]:
        """The job's checks as Dagster wants them, by name."""
        return merged_checks({"": self})


class SparkSubmit(dg.ConfigurableResource):
    """Starts Spark jobs: in this machine's processes by default, on a cluster by one setting."""

    master: str | None = Field(
        default=None, description="Spark master; default $MORA_SPARK_MASTER, else local[*] (spark://host:7077)."
    )
    driver_memory: str | None = Field(
        default=None,
        description="Memory of the driver's JVM; default $MORA_SPARK_DRIVER_MEMORY, else the job's.",
    )
    executor_memory: str | None = Field(
        default=None,
        description="Memory of each executor on a cluster; default $MORA_SPARK_EXECUTOR_MEMORY, else Spark's 1g.",
    )
    executor_cores: int | None = Field(
        default=None,
        gt=0,
        description="Cores of each executor on a cluster; default $MORA_SPARK_EXECUTOR_CORES, else all of its worker.",
    )
    conf: dict[str, str] = Field(default={}, description="Further spark.* settings; they win over all others.")

    def run(self, context: dg.AssetExecutionContext, job: str, parameters: Mapping[str, Any]) -> SparkReport:
        """Run one job to its end.

        Args:
            job: module of `spark_jobs`, such as ``grid_mobility``.
            parameters: its JSON parameters; paths may be `Path`.

        Raises:
            dagster.Failure: if the job fails or ends without a report.
        """
        reader = _KeepingReader()
        with tempfile.TemporaryDirectory(prefix="mora-spark-") as folder:
            file = Path(folder) / "params.json"
            file.write_text(json.dumps(parameters, default=str))
            client = dg.PipesSubprocessClient(env=self.environment(), cwd=folder, message_reader=reader)
            failure = None
            try:
                with warnings.catch_warnings():
                    # Dagster warns of a preview feature of its own that we do not use.
                    warnings.filterwarnings("ignore", message=".*expected_writer_count", category=dg.PreviewWarning)
                    client.run(context=context, command=self.command(job, file))
            except DagsterPipesExecutionError as error:
                failure = str(error)
        return _report(job, reader.listener, failure)

    def command(self, job: str, parameters: Path) -> list[str]:
        """What starts a job."""
        return [sys.executable, "-m", f"spark_jobs.{job}", "--params", str(parameters)]

    def environment(self) -> dict[str, str]:
        """What the child needs to find Java, Spark's settings and our code."""
        from spark_jobs.java import java_environment

        settings = {"spark.master": self.master or os.environ.get("MORA_SPARK_MASTER", "local[*]")}
        told = {
            "driver.memory": self.driver_memory or os.environ.get("MORA_SPARK_DRIVER_MEMORY"),
            "executor.memory": self.executor_memory or os.environ.get("MORA_SPARK_EXECUTOR_MEMORY"),
            "executor.cores": self.executor_cores or os.environ.get("MORA_SPARK_EXECUTOR_CORES"),
        }
        settings |= {f"spark.{name}": str(value) for name, value in told.items() if value}
        path = os.pathsep.join(filter(None, [str(PROJECT), os.environ.get("PYTHONPATH")]))
        return {
            **java_environment(),
            "MORA_SPARK_CONF": json.dumps({**settings, **self.conf}),
            "PYSPARK_PYTHON": sys.executable,
            "PYSPARK_DRIVER_PYTHON": sys.executable,
            "PYTHONPATH": path,
        }


def merged_checks(reports: Mapping[str, SparkReport]) -> dict[str, dg.AssetCheckResult]:
    """One result a check over several runs of a job: passed only if it is reported and passed in every run.

    Args:
        reports: by modality; the figures of a check carry its name as prefix. Without any, no result.
    """
    found: dict[str, dict[str, Mapping[str, Any]]] = {}
    for name, report in reports.items():
        for check, result in report.checks.items():
            found.setdefault(check, {})[name] = result
    return {
        check: dg.AssetCheckResult(
            check_name=check,
            passed=len(results) == len(reports) and all(result["passed"] is True for result in results.values()),
            metadata={
                f"{name}_{key}".lstrip("_"): value
                for name, result in results.items()
                for key, value in result.get("metadata", {}).items()
            },
        )
        for check, results in found.items()
    }


def none_to_check(names: Iterable[str]) -> dict[str, dg.AssetCheckResult]:
    """Passed checks of a region that has no modality of this kind."""
    return {name: dg.AssetCheckResult(check_name=name, passed=True, metadata={"modalities": 0}) for name in names}


class _Listener:
    """Passes a child's messages on to Dagster, and keeps what Dagster's client drops when the child fails."""

    def __init__(self, handler: PipesMessageHandler) -> None:
        self._handler = handler
        self.said: list[dict[str, Any]] = []
        self.exception: str | None = None

    def handle_message(self, message: Any) -> None:
        told = message.get("params") or {}
        if message.get("method") == "report_custom_message" and isinstance(told.get("payload"), dict):
            self.said.append(told["payload"])
        if message.get("method") == "closed" and told.get("exception"):
            self.exception = f"{told['exception'].get('name')}: {told['exception'].get('message')}"
        self._handler.handle_message(message)

    def report_pipes_framework_exception(self, origin: str, exc_info: Any) -> None:
        self._handler.report_pipes_framework_exception(origin, exc_info)


class _KeepingReader(dg.PipesTempFileMessageReader):
    """Dagster's reader of messages in a file, with a listener in between."""

    def __init__(self) -> None:
        super().__init__()
        self.listener: _Listener | None = None

    @contextmanager
    def read_messages(self, handler: PipesMessageHandler) -> Iterator[PipesParams]:
        self.listener = _Listener(handler)
        with super().read_messages(cast(PipesMessageHandler, self.listener)) as params:
            yield params


def _report(job: str, listener: _Listener | None, failure: str | None) -> SparkReport:
    said = listener.said if listener else []
    errors = [message["error"] for message in said if "error" in message]
    if errors:
        raise dg.Failure(description=str(errors[-1]), allow_retries=False)
    cause = listener.exception if listener else None
    if failure or cause:
        raise dg.Failure(
            description=f"Spark job {job} broke down: {cause or failure}. Its output is in this step's stdout and "
            "stderr. A job that the machine killed for its memory ends with code -9: lower "
            "MORA_SPARK_DRIVER_MEMORY or use fewer cores (MORA_SPARK_MASTER=local[1])."
        )
    reports = [message for message in said if "checks" in message]
    if not reports:
        raise dg.Failure(description=f"Spark job {job} ended as if all were well, but never reported what it did.")
    return SparkReport(**{name: reports[-1][name] for name in SparkReport.__dataclass_fields__ if name in reports[-1]})
