"""Dagster's log of a run as JSON lines on standard error, where MORA_LOG_FORMAT says so."""

import logging
from collections.abc import Mapping
from typing import Any

import dagster as dg

from mora_pipeline.contract.json_logs import JsonFormatter, handler, is_on
from mora_pipeline.runs import PARTITION_TAG

NAME = "json"
# What happens to a run and its steps; Dagster logs such events at the level DEBUG, beside a hundred others.
_RUN = ("RUN_START", "RUN_SUCCESS", "RUN_FAILURE", "RUN_CANCELED", "PIPELINE_START", "PIPELINE_SUCCESS")
_STEP = ("PIPELINE_FAILURE", "PIPELINE_CANCELED", "STEP_START", "STEP_SUCCESS", "STEP_FAILURE", "STEP_SKIPPED")
TOLD = frozenset({*_RUN, *_STEP})


class RunFormatter(JsonFormatter):
    """A record of Dagster's: which run, region and step it is about, and the message as it was logged."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter.format`."""
        about: Mapping[str, Any] = getattr(record, "dagster_meta", None) or {}
        record.run, record.step = about.get("run_id"), about.get("step_key")
        record.region = (about.get("job_tags") or {}).get(PARTITION_TAG)
        event = about.get("dagster_event")
        if event is not None:
            record.msg, record.args = f"{event.event_type_value}: {_cause(event) or event.message}", ()
            record.levelno = max(record.levelno, logging.INFO)
            record.levelname = logging.getLevelName(record.levelno)
        elif about.get("orig_message"):
            record.msg, record.args = about["orig_message"], ()
        return super().format(record)


def _cause(event: dg.DagsterEvent) -> str | None:
    """Why a step failed, as its code said it."""
    if not event.is_step_failure:
        return None
    failure = event.step_failure_data
    described = failure.user_failure_data.description if failure.user_failure_data else None
    return described or (failure.error.message.strip() if failure.error else None)


class _Worth(logging.Filter):
    """What a step logs, and the events that are worth a line."""

    def filter(self, record: logging.LogRecord) -> bool:
        event = (getattr(record, "dagster_meta", None) or {}).get("dagster_event")
        return record.levelno >= logging.INFO if event is None else event.event_type_value in TOLD


@dg.logger(config_schema={}, description="One JSON object a line on standard error (MORA_LOG_FORMAT=json).")
def json_lines(context: dg.InitLoggerContext) -> logging.Logger:
    """A logger of its own for each run, so that no line is written twice."""
    logger = logging.Logger("dagster", logging.DEBUG)
    lines = handler()
    lines.setFormatter(RunFormatter())
    lines.addFilter(_Worth())
    logger.addHandler(lines)
    return logger


def run_loggers() -> dict[str, Any]:
    """The run config that makes a run log in this way; empty where text is wanted."""
    return {"loggers": {NAME: {"config": {}}}} if is_on() else {}
