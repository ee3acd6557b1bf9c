"""Runs Spark jobs as child processes through Dagster Pipes, and believes nothing that a child did not report."""

import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import dagster as dg
from dagster import PipesMessageHandler
from dagster_pipes import PipesParams
from pydantic import Field

from mora_pipeline.steps.spark import SparkReport, job_command, job_environment, parameter_file, run_child
from mora_pipeline.steps.spark_conf import checked_conf, checked_master, checked_memory
from mora_pipeline.steps.spark_server import SparkServer


class SparkSubmit(dg.ConfigurableResource):
    """Starts Spark jobs: in this machine's processes by default, on a cluster by one setting."""

    master: str | None = Field(
        default=None,
        description="Spark master: local[N], or what $MORA_SPARK_MASTER says, which is the default; else local[*].",
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
    conf: dict[str, str] = Field(
        default={},
        description="Further spark.* settings: sizes, numbers and waits; they win over all others. What names "
        "programs, servers or secrets stands in $MORA_SPARK_CONF alone.",
    )

    def command(self, job: str, parameters: Path) -> list[str]:
        """What starts a job."""
        return job_command(job, parameters)

    def environment(self) -> dict[str, str]:
        """What the child needs to find Java, Spark's settings and our code; see `job_environment`.

        Raises:
            UserError: if a setting is not one that a run may choose.
        """
        fields = {
            "spark.master": checked_master(self.master),
            "spark.driver.memory": checked_memory("driver_memory", self.driver_memory),
            "spark.executor.memory": checked_memory("executor_memory", self.executor_memory),
            "spark.executor.cores": self.executor_cores,
        }
        return job_environment({name: str(value) for name, value in fields.items() if value} | checked_conf(self.conf))

    @contextmanager
    def served(self, context: dg.AssetExecutionContext | dg.OpExecutionContext) -> Iterator[SparkServer]:
        """Runs the jobs of one step of a run in one Spark application, through one session of Pipes.

        Neither begins before the first job.
        """
        with ExitStack() as stack:

            def environment() -> dict[str, str]:
                own = self.environment()
                session = stack.enter_context(_pipes_session(context, dg.PipesTempFileMessageReader()))
                return {**own, **session.get_bootstrap_env_vars()}

            with SparkServer(environment, PipesSpark(context, self)) as server:
                yield server


@contextmanager
def _pipes_session(
    context: dg.AssetExecutionContext | dg.OpExecutionContext, reader: dg.PipesMessageReader
) -> Iterator[dg.PipesSession]:
    with warnings.catch_warnings():
        # Dagster warns of a preview feature of its own that we do not use.
        warnings.filterwarnings("ignore", message=".*expected_writer_count", category=dg.PreviewWarning)
        with dg.open_pipes_session(context, dg.PipesTempFileContextInjector(), reader) as session:
            yield session


@dataclass(frozen=True)
class PipesSpark:
    """A `SparkRunner` for one step's run."""

    context: dg.AssetExecutionContext | dg.OpExecutionContext
    submit: SparkSubmit

    def run(self, job: str, parameters: Mapping[str, Any]) -> SparkReport:
        """See `SparkRunner.run`."""
        reader = _KeepingReader()
        with parameter_file(parameters) as file, _pipes_session(self.context, reader) as session:
            environment = {**os.environ, **self.submit.environment(), **session.get_bootstrap_env_vars()}
            code = run_child(self.submit.command(job, file), environment)
        listener = reader.listener
        failure = (listener.exception if listener else None) or (f"code {code}" if code else None)
        return SparkReport.of(job, listener.messages if listener else [], failure)


class _Listener:
    """Passes a child's messages on to Dagster, and keeps what Dagster's client drops when the child fails."""

    def __init__(self, handler: PipesMessageHandler) -> None:
        self._handler = handler
        self.messages: list[dict[str, Any]] = []
        self.exception: str | None = None

    def handle_message(self, message: Any) -> None:
        content = message.get("params") or {}
        if message.get("method") == "report_custom_message" and isinstance(content.get("payload"), dict):
            self.messages.append(content["payload"])
        if message.get("method") == "closed" and content.get("exception"):
            self.exception = f"{content['exception'].get('name')}: {content['exception'].get('message')}"
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
