"""A home of its own with a region of 36 cells, the commands that make it, and what a look at it finds left over."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measure import ROOT

REGION = "town"
REGION_YAML = """region: town
resolution: 8
places: {path: places.csv, id: id, latitude: latitude, longitude: longitude}
mobility:
  kind: od
  path: flows.csv
  columns: {origin: from, destination: to, flow: trips}
"""
_SIDE = 6
_OF_OTHERS = ("DAGSTER_HOME", "MLFLOW_TRACKING_URI", "MORA_RUN_TOKEN")
_UNFINISHED = ("lake/**/draft-*", "lake/**/.draft-*", "lake/**/dropped-*", "**/_*.json.*.*", "cache/*-draft-*")


class Town:
    """The home and its processes; every process of it is known by its environment.

    Attributes:
        folder: of everything; its `home` is $MORA_HOME, its `tmp` is $TMPDIR.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.home, self.temporary = folder, folder / "home", folder / "tmp"
        for made in (self.home, self.temporary, folder / "raw"):
            made.mkdir(exist_ok=True)
        write_region(folder / "raw")
        self.environment = {
            **{name: value for name, value in os.environ.items() if name not in _OF_OTHERS},
            "MORA_HOME": str(self.home),
            "TMPDIR": str(self.temporary),
            "MORA_SPARK_MASTER": "local[1]",
            "MORA_SPARK_DRIVER_MEMORY": "512m",
            "MORA_SPARK_CLASSES": os.environ.get("MORA_SPARK_CLASSES", "off"),
            "DAGSTER_DISABLE_TELEMETRY": "1",
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
        }

    def start(self, *arguments: str, before: tuple[str, ...] = (), **environment: str) -> "subprocess.Popen[str]":
        """Start a `mora` command; its output is in the file `said`.

        Args:
            before: what is put before the command, such as faketime.
        """
        command = [*before, sys.executable, "-W", "ignore", "-m", "mora_pipeline.cli", *arguments]
        with tempfile.TemporaryFile("w+", dir=self.folder) as said:
            process = subprocess.Popen(
                command,
                env={**self.environment, **environment},
                cwd=self.folder,
                stdout=said,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
            process.said = os.fdopen(os.dup(said.fileno()), "r+")  # type: ignore[attr-defined]
        return process

    def mora(self, *arguments: str, seconds: float = 300) -> tuple[int, str]:
        """Run a `mora` command to its end: its exit code and what it said."""
        process = self.start(*arguments)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return 124, f"no end after {seconds} s: {said_by(process)}"
        return process.returncode, said_by(process)

    def processes(self) -> dict[int, str]:
        """The living processes of the home: their command lines by pid."""
        mark = f"MORA_HOME={self.home}".encode()
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (folder / "environ").read_bytes().split(b"\0"):
                    found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
            except OSError:
                continue
        return found

    def temporary_files(self) -> list[str]:
        """What lies where only running commands have files: temporary folders, drafts, half-written files."""
        left = [str(path) for path in self.temporary.iterdir()]
        for pattern in _UNFINISHED:
            left += [str(path) for path in self.home.glob(pattern)]
        return left

    def slots(self) -> int:
        """How many slots of pools are taken, and runs recorded as active, while no command runs."""
        import dagster as dg

        os.environ["DAGSTER_HOME"] = str(self.home / "dagster")
        states = dg.DagsterRunStatus
        active = [states.NOT_STARTED, states.STARTING, states.STARTED, states.CANCELING]  # queued ones await a daemon
        with dg.DagsterInstance.get() as instance:
            storage = instance.event_log_storage
            pools = storage.get_concurrency_infos(sorted(storage.get_concurrency_keys())).values()
            taken = sum(len(pool.claimed_slots) + len(pool.pending_steps) for pool in pools)
            return taken + len(instance.get_runs(dg.RunsFilter(statuses=active)))


def write_region(folder: Path) -> None:
    """The raw files of the region and its region.yaml."""
    number = _SIDE * _SIDE
    places = [f"p{row},{47.3 + 0.014 * (row // _SIDE):.4f},{8.4 + 0.021 * (row % _SIDE):.4f}" for row in range(number)]
    flows = [
        f"p{row},p{(row + step) % number},{3 + row * step % 7}" for row in range(number) for step in (1, 2, 6, 7, 11)
    ]
    (folder / "places.csv").write_text("\n".join(["id,latitude,longitude", *places, ""]))
    (folder / "flows.csv").write_text("\n".join(["from,to,trips", *flows, ""]))
    (folder / "region.yaml").write_text(REGION_YAML)


def said_by(process: "subprocess.Popen[str]") -> str:
    """All that a command of `Town.start` has said."""
    stream = process.said  # type: ignore[attr-defined]
    stream.seek(0)
    return str(stream.read())


def kill(*pids: int) -> None:
    """Kill processes at the same moment: none of them sees another one end."""
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in pids:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue


@contextmanager
def small_disk(megabytes: int) -> Iterator[Path | None]:
    """A folder on a disk of its own; None where this user may not mount one."""
    with tempfile.TemporaryDirectory(prefix="mf-") as name:
        options = ["-t", "tmpfs", "-o", f"size={megabytes}m", "none", name]
        mounted = (
            os.getuid() == 0 and subprocess.run(["mount", *options], capture_output=True, check=False).returncode == 0
        )
        try:
            yield Path(name) if mounted else None
        finally:
            if mounted:
                time.sleep(0.2)
                subprocess.run(["umount", "-l", name], check=False)
