"""Which process is meant: a pid alone is used again, and a wall clock may be set back."""

import os
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """A process of some machine.

    Attributes:
        started: when it began, in clock ticks since the machine's start.
        host: name of its machine or container.
        boot: which start of the machine; empty where that is not known.
        space: in which processes have numbers of their own (a container's).
    """

    pid: int
    started: int
    host: str
    boot: str
    space: str

    @classmethod
    def current(cls) -> "Process":
        """This process."""
        return cls(os.getpid(), _started(os.getpid()) or 0, *_here())

    @classmethod
    def parsed(cls, text: str) -> "Process | None":
        """The process that `text` names; None if it is no such text."""
        parts = text.split("/")
        if len(parts) != 5 or not (parts[0].isdigit() and parts[1].isdigit()):
            return None
        return cls(int(parts[0]), int(parts[1]), *parts[2:])

    @property
    def text(self) -> str:
        """In one line, for tags and files."""
        return "/".join(map(str, (self.pid, self.started, self.host, self.boot, self.space)))

    def is_alive(self) -> bool | None:
        """Whether it still runs; None if that cannot be told from here (another machine or container)."""
        if (self.host, self.boot, self.space) == _here():
            return self.started in (_started(self.pid), 0) and _started(self.pid) is not None
        if self.host == socket.gethostname() and self.boot and self.boot != _here()[1]:
            return False  # the machine has been started anew since
        return None


def _started(pid: int) -> int | None:
    """When a process began, in clock ticks since the machine's start; None if it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return _started_elsewhere(pid) if not Path("/proc/self/stat").exists() else None
    return None if fields[0] in "ZX" else int(fields[19])


def _started_elsewhere(pid: int) -> int | None:
    """The same where there is no /proc: seconds since 1970, as the system tells them."""
    import psutil

    try:
        return int(psutil.Process(pid).create_time())
    except psutil.Error:
        return None


@cache
def _here() -> tuple[str, str, str]:
    """Name, start, and numbering of processes of this machine."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        space = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return socket.gethostname(), "", ""
    return socket.gethostname(), boot, space.strip("pid:[]")
