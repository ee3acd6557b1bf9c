"""Logs as one JSON object a line, for machines that collect them: ``MORA_LOG_FORMAT=json``.

Every line has ``time`` (UTC, ISO 8601), ``level``, ``logger`` and ``message``; where they are known ``region``, ``run``
and ``step``; of an exception ``error``, its traceback.
"""

import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, TextIO

from mora_pipeline.contract.errors import UserError

VARIABLE = "MORA_LOG_FORMAT"
FIELDS = ("region", "run", "step")
_ABOUT: ContextVar[dict[str, str]] = ContextVar("mora_log_fields", default={})  # noqa: B039 - never changed in place


def wanted() -> bool:
    """Whether logs are to be JSON.

    Raises:
        UserError: if the variable says neither ``json`` nor ``text``.
    """
    chosen = os.environ.get(VARIABLE, "").strip().lower() or "text"
    if chosen not in ("json", "text"):
        raise UserError(f"{VARIABLE} is '{chosen}': say json or text.")
    return chosen == "json"


def is_on() -> bool:
    """Whether logs are JSON; a value that cannot be meant counts as text."""
    return os.environ.get(VARIABLE, "").strip().lower() == "json"


@contextmanager
def log_fields(**fields: str | None) -> Iterator[None]:
    """Lines logged in the block by this thread say what they are about; None is left out."""
    token = _ABOUT.set({**_ABOUT.get(), **{name: value for name, value in fields.items() if value}})
    try:
        yield
    finally:
        _ABOUT.reset(token)


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter.format`."""
        fields = {**_ABOUT.get(), **{name: getattr(record, name) for name in FIELDS if getattr(record, name, None)}}
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **fields,
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def handler(stream: TextIO | None = None) -> logging.Handler:
    """A handler that writes JSON lines.

    Args:
        stream: default: standard error.
    """
    made = logging.StreamHandler(stream or sys.stderr)
    made.setFormatter(JsonFormatter())
    return made


def set_up() -> None:
    """Let every logger of this process write JSON lines to standard error, warnings of Python included, if wanted.

    Raises:
        UserError: if the variable says neither ``json`` nor ``text``.
    """
    root = logging.getLogger()
    if not wanted() or any(isinstance(item.formatter, JsonFormatter) for item in root.handlers):
        return
    root.addHandler(handler())
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)
