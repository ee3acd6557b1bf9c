"""Spark jobs of one run in one Spark application: a child process serves them one after another."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import IO, Any

from mora_pipeline.steps import spark
from mora_pipeline.steps.spark import SparkReport, SparkRunner


class SparkServer:
    """A `SparkRunner` whose jobs share one application; it starts with the first job and ends with the `with` block.

    Java and Spark start once, not once a job. A mistake in a job's input leaves the server as it is; a job that breaks
    down ends it, and the next job starts another.
    """

    def __init__(self, environment: Callable[[], Mapping[str, str]], alone: SparkRunner) -> None:
        """Prepare a server; nothing starts yet.

        Args:
            environment: gives the variables that the server gets besides this process's.
            alone: runs jobs of other packages that cannot be served.
        """
        self._environment, self._alone = environment, alone
        self._child: subprocess.Popen[str] | None = None
        self._replies: IO[str] | None = None

    def __enter__(self) -> "SparkServer":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.end(gently=kind is None or issubclass(kind, Exception))

    def run(self, job: str, parameters: Mapping[str, Any]) -> SparkReport:
        """See `SparkRunner.run`."""
        try:
            message = self._answer(job, parameters)
        except BaseException:
            self.end(gently=False)
            raise
        if message is None:
            return SparkReport.of(job, [], f"code {self.end()}")
        if "broken" in message:
            self.end()
            return SparkReport.of(job, [], message["broken"])
        if "unserved" in message:
            self.end()  # one Java at a time
            return self._alone.run(job, parameters)
        return SparkReport.of(job, [message], None)

    def end(self, gently: bool = True) -> int | None:
        """End the server; its exit code, None if none runs.

        Args:
            gently: let it end its session by itself; else it is interrupted first.
        """
        child, self._child = self._child, None
        if child is None:
            return None
        assert child.stdin is not None
        assert self._replies is not None
        with suppress(OSError):
            child.stdin.close()  # the end of its input is the end of its work
        try:
            return spark.ended(child, gently)
        finally:
            self._replies.close()

    def _answer(self, job: str, parameters: Mapping[str, Any]) -> dict[str, Any] | None:
        """The server's answer; None if it died."""
        child = self._child or self._start()
        assert child.stdin is not None
        assert self._replies is not None
        request = json.dumps({"job": job, "parameters": parameters}, default=str)
        with suppress(BrokenPipeError):
            child.stdin.write(request + "\n")
            child.stdin.flush()
        line = self._replies.readline()
        answer = json.loads(line) if line.endswith("\n") else None
        return dict(answer) if answer else None

    def _start(self) -> "subprocess.Popen[str]":
        read, write = os.pipe()
        try:
            self._child = spark.start_child(
                [sys.executable, "-m", "spark_jobs.serve", "--replies", str(write)],
                {**os.environ, **self._environment()},
                stdin=subprocess.PIPE,
                pass_fds=(write,),
                text=True,
            )
        except BaseException:
            os.close(read)
            raise
        finally:
            os.close(write)
        self._replies = os.fdopen(read)
        return self._child
