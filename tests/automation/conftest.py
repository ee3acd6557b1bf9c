"""Small regions, and real Dagster daemons that are stopped whatever happens."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import dagster as dg
import pytest

from mora_pipeline.commands.instance import dagster_home
from mora_pipeline.lake.registry import Registry
from tests.region_yaml import REGION_YAML

Found = TypeVar("Found")


@pytest.fixture
def write_region(tmp_path: Path) -> Callable[..., Path]:
    """Writes a tiny region into a folder and returns its region.yaml."""

    def write(folder: Path, name: str | None = None) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "trips.csv").write_text("a,b,c,d\n40.7,-74.0,40.8,-73.9\n")
        (folder / "region.yaml").write_text(REGION_YAML.format(name=name or folder.name))
        return folder / "region.yaml"

    return write


@pytest.fixture
def home(mora_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty $MORA_HOME with an instance of Dagster in it."""
    monkeypatch.setenv("DAGSTER_HOME", "")  # so that what `dagster_home` sets is taken back after the test
    dagster_home()
    return mora_home


@pytest.fixture
def instance(home: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.get() as found:
        yield found


@pytest.fixture
def known_regions(home: Path, write_region: Callable[..., Path], tmp_path: Path) -> list[str]:
    """Two regions that the home knows, by name."""
    names = ["north", "south"]
    for name in names:
        Registry.at_home().add(write_region(tmp_path / name))
    return names


@pytest.fixture
def start(home: Path) -> Iterator[Callable[..., "subprocess.Popen[bytes]"]]:
    """Starts Python with this home as a process group of its own, which is ended with the test."""
    processes: list[subprocess.Popen[bytes]] = []

    def begin(*command: str, **environment: str) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(
            [sys.executable, *command],
            env=os.environ | environment,
            cwd=home,
            stdout=(home / "process.log").open("ab"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        processes.append(process)
        return process

    yield begin
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


def wait_for(look: Callable[[], Found], seconds: float, log: Path) -> Found:
    """What `look` returns as soon as it is true; fails with the end of the daemon's log after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.5)
    pytest.fail(f"nothing after {seconds} s; the log ends with\n{log.read_text()[-3000:]}")


@pytest.fixture
def waiting(home: Path) -> Callable[[Callable[[], Found], float], Found]:
    return lambda look, seconds: wait_for(look, seconds, home / "process.log")


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
