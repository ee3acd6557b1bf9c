"""Several jobs, one after another, in one Spark application: ``python -m spark_jobs.serve --replies FD``.

Standard input brings one job a line: ``{"job": "grid_mobility", "parameters": {…}}``; its end is the end of the
server, and breaks off a job that runs. Each job is answered by one line at the file descriptor: its report, or
``{"error": message}`` for a mistake in the input, as a program of its own prints it; ``{"unserved": reason}`` for a
module that has no ``run``; ``{"broken": reason}`` for anything else, which ends the server.
"""

import argparse
import contextlib
import gc
import importlib
import json
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from typing import IO, Any

from pyspark.sql import SparkSession

from spark_jobs.classes import end_java
from spark_jobs.errors import as_user_error
from spark_jobs.report import Job, listener, log_to_stderr
from spark_jobs.session import QUICK_JAVA, spark_session

Settings = Callable[[Mapping[str, Any]], Mapping[str, str]]


class Sessions:
    """The session that the jobs share; another one only for a job whose settings the running one does not have."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._running: tuple[SparkSession, Mapping[str, str]] | None = None

    def get(self, wanted: Mapping[str, str] | None) -> SparkSession:
        """A session for a job.

        Args:
            wanted: settings of Spark that suit the job; None: any do. A quick start is no reason for a second one.
        """
        if self._running and (wanted is None or dict(wanted) in (dict(self._running[1]), QUICK_JAVA)):
            return self._running[0]
        if self._running:
            self.close()
            end_java()  # options of Java hold for its whole life
        session = self._stack.enter_context(spark_session("mora grid", wanted))
        self._running = session, wanted or {}
        return session

    def tidy(self) -> None:
        """Forget what a job held: its cached rows, and, as Java's references go, its shuffled files."""
        if self._running is None:
            return
        gc.collect()
        session = self._running[0]
        session.catalog.clearCache()
        session.sparkContext._jvm.System.gc()

    def close(self) -> None:
        """End the session, if there is one, and remove its files."""
        self._running = None
        self._stack.close()


def requests(stream: IO[str], busy: threading.Event) -> Iterator[Mapping[str, Any]]:
    """The jobs, as they come; the end of the stream while a job runs interrupts it."""
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()

    def read() -> None:
        for line in stream:
            waiting.put(line)
        if busy.is_set():
            os.kill(os.getpid(), signal.SIGINT)
        waiting.put("")

    threading.Thread(target=read, name="requests", daemon=True).start()
    while line := waiting.get():
        yield json.loads(line)


def job_of(name: str) -> tuple[Job, Settings | None] | None:
    """A job by its module's name, with the settings that suit it; None if the module has no ``run``."""
    module = importlib.import_module(name if "." in name else f"spark_jobs.{name}")
    run = getattr(module, "run", None)
    return (run, getattr(module, "settings", None)) if callable(run) else None


def answer(request: Mapping[str, Any], sessions: Sessions) -> dict[str, Any]:
    """Run one job; what it reports."""
    found = job_of(request["job"])
    if found is None:
        return {"unserved": f"{request['job']} has no function run(spark, params)"}
    run, settings = found
    params = request["parameters"]
    try:
        return asdict(run(sessions.get(settings(params) if settings else None), params))
    except Exception as error:
        mistake = as_user_error(error)
        if mistake is None:
            raise
        print(str(mistake), file=sys.stderr, flush=True)
        return {"error": str(mistake)}


def serve(stream: IO[str], replies: IO[str]) -> int:
    """Answer jobs until the stream ends; the exit code."""
    busy, sessions = threading.Event(), Sessions()
    with listener() as send, contextlib.closing(sessions):
        for request in requests(stream, busy):
            busy.set()
            try:
                message = answer(request, sessions)
            except Exception as error:  # noqa: BLE001 - whatever it is, whoever waits is told
                traceback.print_exc()
                message = {"broken": f"{type(error).__name__}: {error}"}
            busy.clear()
            if "unserved" not in message:
                send({"job": request["job"], **message})
            print(json.dumps(message), file=replies, flush=True)
            if "broken" in message:
                return 1
            sessions.tidy()
    return 0


def main() -> int:
    """The server as a program."""
    parser = argparse.ArgumentParser(prog="serve", description=__doc__)
    parser.add_argument("--replies", required=True, type=int, help="file descriptor that is written to")
    chosen = parser.parse_args()
    log_to_stderr()
    os.set_inheritable(chosen.replies, False)  # Spark's processes must not keep it open
    with os.fdopen(chosen.replies, "w") as replies, contextlib.suppress(KeyboardInterrupt):
        return serve(sys.stdin, replies)
    return 130


if __name__ == "__main__":
    sys.exit(main())
