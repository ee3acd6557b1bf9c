"""Logs as JSON: each line an object that says what it is about, of commands, of steps and of Dagster's runs."""

import io
import json
import logging
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from mora_pipeline.contract import json_logs
from mora_pipeline.contract.errors import UserError

RUN = """
import dagster as dg
from mora_pipeline.defs.logs import json_lines, run_loggers
regions = dg.StaticPartitionsDefinition(["town"])
@dg.asset(partitions_def=regions)
def edges(context):
    context.log.info("half of it")
@dg.asset(deps=[edges], partitions_def=regions)
def graph(context):
    raise dg.Failure("a bad row\\nin two lines", allow_retries=False)
job = dg.define_asset_job("toy", config=run_loggers())
defs = dg.Definitions(assets=[edges, graph], jobs=[job], loggers={"json": json_lines}, executor=dg.in_process_executor)
with dg.instance_for_test() as instance:
    defs.resolve_job_def("toy").execute_in_process(instance=instance, partition_key="town", raise_on_error=False)
"""


def logged(action: Any) -> list[dict[str, Any]]:
    stream, logger = io.StringIO(), logging.Logger("a.logger")
    logger.addHandler(json_logs.handler(stream))
    action(logger)
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_says_when_what_and_what_about() -> None:
    def log(logger: logging.Logger) -> None:
        with json_logs.log_fields(region="town", run=None), json_logs.log_fields(step="edges"):
            logger.warning("%s rows, “quoted”\nand on", 3)
        logger.info("after", extra={"run": "r1"})

    first, second = logged(log)
    assert first.pop("time").endswith("+00:00")
    assert first == {
        "level": "warning",
        "logger": "a.logger",
        "message": "3 rows, “quoted”\nand on",
        "region": "town",
        "step": "edges",
    }
    assert (second["run"], "region" in second) == ("r1", False)


def test_an_exception_and_what_is_no_json_stay_one_line() -> None:
    def log(logger: logging.Logger) -> None:
        try:
            raise ValueError("a\nb")
        except ValueError:
            logger.exception("it broke", extra={"region": Path("/x")})

    (line,) = logged(log)
    assert line["error"].endswith("ValueError: a\nb")
    assert line["region"] == "/x"


def test_what_a_line_is_about_is_its_threads_own() -> None:
    seen: list[dict[str, Any]] = []
    with json_logs.log_fields(region="town"):
        thread = threading.Thread(target=lambda: seen.extend(logged(lambda logger: logger.info("x"))))
        thread.start()
        thread.join()
    assert "region" not in seen[0]


@pytest.mark.parametrize(("value", "wanted"), [(None, False), ("", False), ("text", False), ("JSON", True)])
def test_the_switch(value: str | None, wanted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MORA_LOG_FORMAT", raising=False)
    if value is not None:
        monkeypatch.setenv("MORA_LOG_FORMAT", value)
    assert json_logs.wanted() is json_logs.is_on() is wanted


def test_a_switch_that_cannot_be_meant_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MORA_LOG_FORMAT", "yaml")
    with pytest.raises(UserError, match="say json or text"):
        json_logs.wanted()
    assert json_logs.is_on() is False


def lines_of(*command: str, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What a process writes to standard error, each line of it as JSON."""
    monkeypatch.setenv("MORA_LOG_FORMAT", "json")
    ended = subprocess.run([sys.executable, "-W", "ignore", *command], capture_output=True, text=True, check=False)
    return [json.loads(line) for line in ended.stderr.splitlines()]


def test_a_mistake_of_the_user_is_one_line(mora_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (line,) = lines_of("-m", "mora_pipeline.cli", "region", "show", "town", monkeypatch=monkeypatch)
    assert (line["level"], line["logger"]) == ("error", "mora_pipeline")
    assert "Region 'town' is not known" in line["message"]


def test_a_run_of_dagster_writes_what_its_steps_say_and_how_they_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else is on standard error: Dagster's own console is out of the way."""
    lines = lines_of("-c", RUN, monkeypatch=monkeypatch)
    said = next(line for line in lines if line["message"] == "half of it")
    assert (said["region"], said["step"], said["level"]) == ("town", "edges", "info")
    assert len({line["run"] for line in lines}) == 1
    failed = next(line for line in lines if line["message"].startswith("STEP_FAILURE"))
    assert (failed["level"], failed["step"]) == ("error", "graph")
    assert "a bad row\nin two lines" in failed["message"]
    assert lines[-1]["message"].startswith("PIPELINE_FAILURE")


def test_progress_of_a_command_is_lines_too(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    from mora_pipeline.commands.progress import JsonProgress, RunState, progress_for

    monkeypatch.setenv("MORA_LOG_FORMAT", "json")
    state = RunState.of(["edges"])
    shown = progress_for(state)
    assert isinstance(shown, JsonProgress)
    state.steps["edges"].state = "failed"
    with caplog.at_level(logging.INFO), shown:
        shown.show(state.steps["edges"])
    (record,) = caplog.records
    assert (record.levelname, record.step) == ("ERROR", "edges")  # type: ignore[attr-defined]
    assert "[1/1] edges failed" in record.message
