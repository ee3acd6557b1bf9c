"""Run a job as a program: parameters in, one JSON line out, sent to Dagster Pipes as well where it listens."""

import argparse
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from mora_pipeline.contract.errors import UserError
from spark_jobs.errors import as_user_error
from spark_jobs.session import spark_session

PIPES_CONTEXT = "DAGSTER_PIPES_CONTEXT"


@dataclass(frozen=True)
class Check:
    """Whether the data holds what it promises, with the figures that show it."""

    passed: bool
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What a job did: rows written by output, rows read, bad rows by reason, checks by name, other figures."""

    rows: dict[str, int]
    read: int
    quarantined: dict[str, int] = field(default_factory=dict)
    checks: dict[str, Check] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)


Job = Callable[[SparkSession, Mapping[str, Any]], Outcome]


def run_as_program(
    name: str,
    job: Job,
    arguments: list[str] | None = None,
    settings: Callable[[Mapping[str, Any]], Mapping[str, str]] | None = None,
) -> int:
    """Run a job with the parameters in the file given by ``--params``; the last line printed is its report.

    Args:
        settings: gives those of Spark that suit the job's parameters; the user's win.

    Returns:
        The exit code: 0, or 2 for a mistake in the input, reported as ``{"error": message}``.
    """
    parser = argparse.ArgumentParser(prog=name, description=sys.modules[job.__module__].__doc__)
    parser.add_argument("--params", required=True, type=Path, help="JSON file with the job's parameters")
    chosen = parser.parse_args(arguments)
    log_to_stderr()
    with listener() as send:
        try:
            params = read_params(chosen.params)
            with spark_session(f"mora {name}", settings(params) if settings else None) as spark:
                message, status = asdict(job(spark, params)), 0
        except Exception as error:
            mistake = as_user_error(error)
            if mistake is None:
                raise
            message, status = {"error": str(mistake)}, 2
        send(message)
    if status:
        print(message["error"], file=sys.stderr, flush=True)
    print(json.dumps(message), flush=True)
    return status


def read_params(path: Path) -> dict[str, Any]:
    """The job's parameters.

    Raises:
        UserError: if the file is missing or not a JSON object.
    """
    try:
        params = json.loads(path.read_text())
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise UserError(f"{path} is not JSON: {error}.") from None
    if not isinstance(params, dict):
        raise UserError(f"{path} must hold a JSON object of parameters.")
    return params


def parameter(params: Mapping[str, Any], key: str) -> Any:
    """A required parameter; ``output.edges`` looks into an object.

    Raises:
        UserError: if it is not there.
    """
    value: Any = params
    for name in key.split("."):
        if not isinstance(value, Mapping) or value.get(name) is None:
            raise UserError(f"The job's parameters lack '{key}'; they have {', '.join(sorted(params)) or 'nothing'}.")
        value = value[name]
    return value


def log_to_stderr() -> None:
    """What a job logs goes where its step's output is kept."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    logging.getLogger("py4j").setLevel(logging.WARNING)


@contextmanager
def listener() -> Iterator[Callable[[dict[str, Any]], None]]:
    """Where the report goes besides stdout: to Dagster, if it started this process through Pipes."""
    if PIPES_CONTEXT not in os.environ:
        yield lambda message: None
        return
    from dagster_pipes import open_dagster_pipes

    with open_dagster_pipes() as pipes:
        yield pipes.report_custom_message
