"""Services beside each other: they end together, whatever started them, and one that dies comes back."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from mora_pipeline.commands import supervisor
from mora_pipeline.commands.supervisor import Service, Supervisor

PROJECT = Path(__file__).resolve().parents[2]
# Two services; the first has a child. Each writes down its pid. Started as a shell starts a background job.
PROGRAM = """
import sys
from pathlib import Path
from mora_pipeline.commands.supervisor import Service, Supervisor
folder = Path(sys.argv[1])
child = "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(60)"
parent = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {child!r}, sys.argv[1] + '-child']); {child}"
run = lambda name, text: Service(name, [sys.executable, "-c", text, str(folder / name)], folder)
sys.exit(Supervisor([run("first", parent), run("second", child)]).run())
"""


def wait_until(true, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def pids(folder: Path) -> dict[str, int]:
    return {file.name: int(file.read_text()) for file in folder.iterdir() if file.read_text()}


def lives(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_a_signal_ends_all_services_also_in_the_background_of_a_shell(tmp_path: Path, number: signal.Signals) -> None:
    """A shell lets its background jobs ignore SIGINT; services took over SIGTERM from that and never ended."""
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    started = subprocess.Popen(
        command,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )
    try:
        wait_until(lambda: len(pids(tmp_path)) == 3)
        found = pids(tmp_path)
        os.kill(started.pid, number)
        assert started.wait(timeout=30) == (0 if number != signal.SIGKILL else -signal.SIGKILL)
        if number == signal.SIGKILL:  # nobody is left who could end the child of a child
            assert found.pop("first-child")
            os.kill(pids(tmp_path)["first-child"], signal.SIGKILL)
        wait_until(lambda: not any(map(lives, found.values())))
    finally:
        started.kill()
        started.wait()


def test_a_service_that_dies_is_started_again(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The second start finds the first one's file, and ends everything by a signal to its parent."""
    text = """
import os, pathlib, signal, time
seen = pathlib.Path("seen")
if seen.exists():
    os.kill(os.getppid(), signal.SIGTERM)
    time.sleep(60)
seen.touch()
os.kill(os.getpid(), signal.SIGKILL)
"""
    service = Service("daemon", [sys.executable, "-c", text], tmp_path)
    before = signal.getsignal(signal.SIGTERM)
    assert Supervisor([service]).run() == 0
    assert "The daemon ended with code -9; it is started again." in capfd.readouterr().err
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_service_that_dies_all_the_time_ends_everything(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "POLL_SECONDS", 0.02)
    other = Service("daemon", ["/bin/sleep", "60"], tmp_path)
    service = Service("UI", ["/bin/sh", "-c", "echo no luck >&2; exit 3"], tmp_path)
    assert Supervisor([other, service]).run() == 1
    said = capfd.readouterr().err
    assert said.count("no luck") == 4
    assert "ended 4 times within 120 s, at last with code 3: everything is stopped" in said
    assert other.is_gone()
