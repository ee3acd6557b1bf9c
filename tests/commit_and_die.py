"""Commits into copies of a lake, each time killed one step later; a process of its own for `test_lake`.

Usage: python commit_and_die.py LAKE COPIES. The steps are the calls that Python's audit hooks report for files of the
lake (open, mkdir, rename, replace, remove, rmdir, flock), and every fsync: the process kills itself just before each,
which is also just after the one before. COPIES/<step> is the lake that the process left behind.
"""

import os
import shutil
import signal
import sys
from pathlib import Path

import pyarrow as pa

from mora_pipeline.lake import Lake

STEPS = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "fcntl.flock"}


def die_before(step: int, root: Path) -> None:
    """Arm the process: SIGKILL just before its `step`-th step within `root`."""
    count, whole_fsync = 0, os.fsync

    def tick() -> None:
        nonlocal count
        count += 1
        if count == step:
            os.kill(os.getpid(), signal.SIGKILL)

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event == "fcntl.flock" or (event in STEPS and str(arguments[0]).startswith(str(root))):
            tick()

    def fsync(descriptor: int) -> None:
        tick()
        whole_fsync(descriptor)

    os.fsync = fsync
    sys.addaudithook(hook)


def commit(root: Path, value: int) -> None:
    draft = Lake(root).begin("edges", "town")
    for part in range(2):
        draft.write(pa.table({"cell": [value] * 5}), f"part-{part:05d}.parquet")
    draft.commit()


def main(source: Path, copies: Path) -> None:
    step, survived = 0, False
    while not survived:
        step += 1
        copy = copies / f"{step:03d}"
        shutil.copytree(source, copy)
        child = os.fork()
        if not child:
            die_before(step, copy)
            commit(copy, 99)
            os._exit(0)
        survived = os.waitpid(child, 0)[1] == 0


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
