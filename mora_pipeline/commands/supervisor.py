"""Keeps services going beside each other: ends all of them together, and starts one again that died."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import click
import psutil

SECONDS_TO_END = 20.0  # after SIGTERM; then SIGKILL
RESTARTS, WITHIN_S = 3, 120.0  # of one service; more of them end everything
POLL_SECONDS = 0.2
ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass
class Service:
    """A program that is to run all the time.

    Attributes:
        ready: asked again and again after a start, before the next service is started.
    """

    name: str
    command: Sequence[str]
    folder: Path
    ready: Callable[[], bool] | None = None
    process: "subprocess.Popen[bytes] | None" = None
    starts: "deque[float]" = field(default_factory=lambda: deque(maxlen=RESTARTS + 1))

    def start(self) -> None:
        """Start it in a process group of its own, which gets SIGTERM should this process be killed."""
        self.starts.append(time.monotonic())
        self.process = subprocess.Popen(
            self.command, cwd=self.folder, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=_as_child
        )

    def died(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def signal(self, number: signal.Signals) -> None:
        """Signal it and all that it started."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)

    def is_gone(self) -> bool:
        """Whether nothing of its process group runs any more."""
        return self.process is None or (self.process.poll() is not None and not _group(self.process.pid))


class Supervisor:
    """Services in the order in which they start; SIGTERM, SIGINT and SIGHUP end all, also in a shell's background."""

    def __init__(self, services: Sequence[Service]) -> None:
        self.services = services
        self._asked: int | None = None

    def run(self) -> int:
        """Keep the services going until a signal: the exit code, which is 0 if somebody asked for the end."""
        before = {number: signal.signal(number, self._ask) for number in ENDING}
        try:
            for service in self.services:
                self._start(service)
            while self._asked is None and all(self._kept(service) for service in self.services):
                time.sleep(POLL_SECONDS)
            return 0 if self._asked is not None else 1
        finally:
            self._end()
            for number, handler in before.items():
                signal.signal(number, handler)

    def _ask(self, number: int, _: FrameType | None) -> None:
        if self._asked is not None:  # a second signal: at once
            for service in self.services:
                service.signal(signal.SIGKILL)
        self._asked = number

    def _start(self, service: Service) -> None:
        if self._asked is not None:
            return
        service.start()
        while service.ready and self._asked is None and not service.died() and not service.ready():
            time.sleep(POLL_SECONDS)

    def _kept(self, service: Service) -> bool:
        """Whether a service runs; one that died is started again, unless it dies all the time."""
        if not service.died() or self._asked is not None:
            return True
        assert service.process is not None
        code = service.process.returncode
        service.signal(signal.SIGKILL)  # what it left behind would be in the next one's way
        if len(service.starts) > RESTARTS and time.monotonic() - service.starts[0] < WITHIN_S:
            click.echo(
                f"The {service.name} ended {len(service.starts)} times within {WITHIN_S:.0f} s, at last with code "
                f"{code}: everything is stopped. Its last words stand above.",
                err=True,
            )
            return False
        click.echo(f"The {service.name} ended with code {code}; it is started again.", err=True)
        self._start(service)
        return True

    def _end(self) -> None:
        for service in reversed(self.services):
            service.signal(signal.SIGTERM)
        deadline = time.monotonic() + SECONDS_TO_END
        while time.monotonic() < deadline and not all(service.is_gone() for service in self.services):
            time.sleep(POLL_SECONDS)
        for service in self.services:
            service.signal(signal.SIGKILL)
            if service.process is not None:
                service.process.wait()


def _as_child() -> None:
    """In the child, before its program: a shell's background job ignores SIGINT, and Dagster would SIGTERM as well."""
    for number in ENDING:
        signal.signal(number, signal.SIG_DFL)
    if sys.platform == "linux":
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _group(leader: int) -> list[psutil.Process]:
    """The living processes of a process group."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if os.getpgid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found
