"""Processes and files that a dead run leaves: found by the run's token, ended and removed; and how few are left.

Linux alone tells the environment of a process (/proc) and ends a process with its parent (prctl); elsewhere the fence
still keeps what is left from publishing.
"""

import ctypes
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

from mora_pipeline.runs import TOKEN

TEMPORARY = "mora-run-"  # begins the name of a run's folder of temporary files
_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of <sys/prctl.h>
_PRCTL: Callable[..., int] | None = getattr(ctypes.CDLL(None), "prctl", None)


def end_with_parent(number: int = signal.SIGKILL) -> None:
    """From now on this process gets a signal when the thread that started it ends, however that happens."""
    if _PRCTL is not None:
        _PRCTL(_PARENT_DEATH_SIGNAL, int(number), 0, 0, 0)


def interrupted_with_parent() -> None:
    """For `subprocess.Popen(preexec_fn=...)`: the child is asked to end when its parent ends."""
    end_with_parent(signal.SIGTERM)


def marked(token: str) -> list[int]:
    """The living processes that carry a run's token, without this one."""
    entry = f"{TOKEN}={token}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if entry in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
        except OSError:  # it has ended, or is another user's
            continue
    return [pid for pid in found if pid != os.getpid()]


def end_marked(token: str, seconds: float = 10.0) -> int:
    """Kill every process of a run, and wait until they are gone; returns how many there were."""
    seen: set[int] = set()
    deadline = time.monotonic() + seconds
    while (living := marked(token)) and time.monotonic() < deadline:
        for pid in living:
            end(pid)
        seen |= set(living)
        time.sleep(0.02)
    return len(seen)


def end(pid: int) -> None:
    """Kill a process, if it is there."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def remove_temporary(folder: str | Path) -> None:
    """Remove a run's folder of temporary files; nothing else is ever removed."""
    if Path(folder).name.startswith(TEMPORARY):
        shutil.rmtree(folder, ignore_errors=True)
