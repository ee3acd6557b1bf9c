"""Spark jobs as child processes: how one is started, and what it must report to be believed."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, Protocol

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.home import mora_home
from mora_pipeline.runs.orphans import interrupted_with_parent
from mora_pipeline.steps.results import Check

SECONDS_TO_END = 20.0  # of a child that was interrupted
PROJECT = Path(__file__).resolve().parents[2]


class StepError(Exception):
    """A step broke down for a reason that is no mistake of the user's; trying again may help.

    Attributes:
        costs: seconds and memory that the step took until then.
    """

    costs: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True)
class SparkReport:
    """What a Spark job said it did: rows by output, rows read, quarantined rows by reason, checks, further figures."""

    rows: Mapping[str, int] = field(default_factory=dict)
    read: int = 0
    quarantined: Mapping[str, int] = field(default_factory=dict)
    checks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, job: str, messages: Iterable[Mapping[str, Any]], failure: str | None) -> "SparkReport":
        """The report among the messages of a job that has ended.

        Args:
            messages: all that it reported, in order.
            failure: how its process broke down; None if it ended well.

        Raises:
            UserError: if the job found a mistake in the user's data or settings.
            StepError: if it broke down, or ended without a report.
        """
        reported = list(messages)
        errors = [message["error"] for message in reported if "error" in message]
        if errors:
            raise UserError(str(errors[-1]))
        if failure:
            raise StepError(
                f"Spark job {job} broke down: {failure}. Its output is in this step's stdout and stderr. A job that "
                "the machine killed for its memory ends with code -9: lower MORA_SPARK_DRIVER_MEMORY or use fewer "
                "cores (MORA_SPARK_MASTER=local[1])."
            )
        reports = [message for message in reported if "checks" in message]
        if not reports:
            raise StepError(f"Spark job {job} ended as if all were well, but never reported what it did.")
        return cls(**{name: reports[-1][name] for name in cls.__dataclass_fields__ if name in reports[-1]})


class SparkRunner(Protocol):
    """Runs a Spark job to its end."""

    def run(self, job: str, parameters: Mapping[str, Any]) -> SparkReport:
        """Run one job.

        Args:
            job: module of `spark_jobs`, such as ``grid_mobility``, or the full name of another package's.
            parameters: its JSON parameters; paths may be `Path`.

        Raises:
            UserError: if the job found a mistake in the user's data or settings.
            StepError: if it broke down, or ended without a report.
        """


@dataclass(frozen=True)
class LocalSpark:
    """Runs jobs as children of this process; `conf` holds ``spark.*`` settings, which win over the environment's."""

    conf: Mapping[str, str] = field(default_factory=dict)

    def run(self, job: str, parameters: Mapping[str, Any]) -> SparkReport:
        """See `SparkRunner.run`."""
        with parameter_file(parameters) as file:
            output = file.with_name("stdout")
            with output.open("wb") as stream:
                code = run_child(job_command(job, file), {**os.environ, **job_environment(self.conf)}, stream)
            lines = output.read_text(errors="replace").splitlines()
        messages = [message for message in map(_message, lines) if message]
        sys.stderr.writelines(f"{line}\n" for line in lines if not _message(line))
        return SparkReport.of(job, messages, f"code {code}" if code else None)


def run_child(command: list[str], environment: Mapping[str, str], stdout: IO[bytes] | None = None) -> int:
    """The exit code of a child that works in a folder of temporary files.

    Whatever ends this process's wait (an interrupt) ends the child first: gently, so that it clears up, else at once.
    What ends this process itself, ends the child as well.
    """
    child = start_child(command, environment, stdout=stdout)
    try:
        return child.wait()
    except BaseException:
        ended(child, gently=False)
        raise


def start_child(command: list[str], environment: Mapping[str, str], **options: Any) -> "subprocess.Popen[Any]":
    """A child that works in a folder of temporary files, and ends with this process, whatever ends that.

    Args:
        options: of `subprocess.Popen`.
    """
    return subprocess.Popen(
        command, env=environment, cwd=tempfile.gettempdir(), preexec_fn=interrupted_with_parent, **options
    )


def ended(child: "subprocess.Popen[Any]", gently: bool) -> int:
    """The exit code of a child that is to end: it has `SECONDS_TO_END`, then it is killed.

    Args:
        gently: it has been told, and ends by itself; else it is interrupted.
    """
    try:
        if not gently:
            child.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return child.wait(SECONDS_TO_END)
    finally:
        if child.poll() is None:
            child.kill()
    return child.wait()


def _message(line: str) -> dict[str, Any] | None:
    """A job's report or error, if a line of its output is one; the JVM prints to the same output."""
    with contextlib.suppress(ValueError):
        content = json.loads(line)
        if isinstance(content, dict) and {"checks", "error"} & content.keys():
            return content
    return None


@contextmanager
def parameter_file(parameters: Mapping[str, Any]) -> Iterator[Path]:
    """A job's parameters as a JSON file in a folder of its own, which goes with the block."""
    with tempfile.TemporaryDirectory(prefix="mora-spark-") as folder:
        file = Path(folder) / "params.json"
        file.write_text(json.dumps(parameters, default=str))
        yield file


def job_command(job: str, parameters: Path) -> list[str]:
    """What starts a job: a module of `spark_jobs`, or one of another package by its full name."""
    module = job if "." in job else f"spark_jobs.{job}"
    return [sys.executable, "-m", module, "--params", str(parameters)]


def job_environment(conf: Mapping[str, str]) -> dict[str, str]:
    """What a job needs to find Java, Spark's settings and our code.

    Settings of Spark, the later winning: the local master, the variables MORA_SPARK_MASTER, _DRIVER_MEMORY,
    _EXECUTOR_MEMORY and _EXECUTOR_CORES, MORA_SPARK_CONF, and `conf`.
    """
    from spark_jobs.java import java_environment
    from spark_jobs.user_settings import settings_of_user

    variables = {"master": "MASTER", "driver.memory": "DRIVER_MEMORY"}
    variables |= {"executor.memory": "EXECUTOR_MEMORY", "executor.cores": "EXECUTOR_CORES"}
    named = {f"spark.{key}": os.environ.get(f"MORA_SPARK_{name}") for key, name in variables.items()}
    chosen = {"spark.master": "local[*]", **{key: value for key, value in named.items() if value}}
    return {
        **java_environment(),
        "MORA_HOME": str(mora_home()),  # a job works in another folder
        "MORA_SPARK_CONF": json.dumps({**chosen, **settings_of_user(), **conf}),
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(PROJECT), os.environ.get("PYTHONPATH")])),
    }


def merged_checks(reports: Mapping[str, SparkReport]) -> list[Check]:
    """One check over several runs of a job: passed only if it is reported and passed in every run.

    Args:
        reports: by modality; the figures of a check carry its name as prefix. Without any, no result.
    """
    by_check: dict[str, dict[str, Mapping[str, Any]]] = {}
    for name, report in reports.items():
        for check, result in report.checks.items():
            by_check.setdefault(check, {})[name] = result
    return [
        Check(
            check,
            len(results) == len(reports) and all(result["passed"] is True for result in results.values()),
            {
                f"{name}_{key}".lstrip("_"): value
                for name, result in results.items()
                for key, value in result.get("metadata", {}).items()
            },
        )
        for check, results in by_check.items()
    ]
