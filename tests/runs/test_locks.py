"""One lock a region: who holds it is known, and it ends with its process, whatever ends that."""

import json
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from mora_pipeline.contract.files import is_claimed
from mora_pipeline.runs import TOKEN
from mora_pipeline.runs.identity import Process
from mora_pipeline.runs.locks import (
    RegionBusyError,
    RegionLock,
    clear_up_after_the_dead,
    held_here,
    holder_in,
    lock_of,
)
from tests.runs.conftest import Start

TAKE = """
import sys
from pathlib import Path
from mora_pipeline.runs.locks import RegionBusyError, RegionLock
sys.stdin.readline()
try:
    lock = RegionLock.take(Path(sys.argv[1]), "town", "mora materialize town")
except RegionBusyError as error:
    print(error, flush=True)
else:
    print("mine", flush=True)
    sys.stdin.readline()
    lock.release()
"""
# Holds the lock and has a child of its own, which carries the run's token.
HOLD = """
import subprocess, sys, time
from pathlib import Path
from mora_pipeline.runs.locks import RegionLock
lock = RegionLock.take(Path(sys.argv[1]), "town", "mora materialize town")
with lock.children_marked():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
print(child.pid, lock.holder.temporary, flush=True)
time.sleep(60)
"""


def is_gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists() or ") Z " in Path(f"/proc/{pid}/stat").read_text()


def test_in_a_race_of_three_one_runs_and_two_are_told_who(tmp_path: Path, start: Start) -> None:
    racers = [start(TAKE, tmp_path) for _ in range(3)]
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.flush()
    answers = {racer.pid: racer.stdout.readline().strip() for racer in racers if racer.stdout}
    (winner,) = [pid for pid, answer in answers.items() if answer == "mine"]
    others = [answer for pid, answer in answers.items() if pid != winner]
    assert all(f"'town' is being made by process {winner} on" in answer for answer in others), others
    assert all("`mora materialize town`" in answer for answer in others)


def test_the_lock_of_a_killed_process_is_free_and_what_it_left_is_cleared_up(tmp_path: Path, start: Start) -> None:
    holder = start(HOLD, tmp_path)
    assert holder.stdout is not None
    child, temporary = holder.stdout.readline().split()
    assert Path(temporary).is_dir()
    with pytest.raises(RegionBusyError, match=f"process {holder.pid}"):
        RegionLock.take(tmp_path, "town", "a test")
    holder.kill()
    holder.wait()
    lock = RegionLock.take(tmp_path, "town", "a test")
    assert is_gone(int(child))
    assert not Path(temporary).exists()
    lock.release()
    assert holder_in(lock.path) is None


def test_what_a_dead_run_left_is_cleared_up_though_nobody_makes_its_region_again(tmp_path: Path, start: Start) -> None:
    holder = start(HOLD, tmp_path)
    assert holder.stdout is not None
    child, temporary = holder.stdout.readline().split()
    assert clear_up_after_the_dead(tmp_path) == 0
    assert not is_gone(int(child))
    holder.kill()
    holder.wait()
    assert clear_up_after_the_dead(tmp_path) == 1
    assert is_gone(int(child))
    assert not Path(temporary).exists()
    assert clear_up_after_the_dead(tmp_path) == 0


def test_a_lock_is_known_where_it_is_held_and_lasts_until_it_is_released(tmp_path: Path) -> None:
    lock = RegionLock.take(tmp_path, "town", "a test")
    assert held_here(tmp_path, "town") is lock
    assert held_here(tmp_path, "village") is None
    lock.name_run("r1")
    assert holder_in(lock.path) == lock.holder
    with pytest.raises(RegionBusyError, match="by run r1 already"):
        RegionLock.take(tmp_path, "town", "a test")
    with RegionLock.take(tmp_path, "village", "a test").children_marked():
        assert TOKEN in os.environ
    assert TOKEN not in os.environ
    lock.release()
    assert not is_claimed(lock.path)
    assert held_here(tmp_path, "town") is None
    RegionLock.take(tmp_path, "town", "a test").release()


@pytest.mark.parametrize("content", ["", "{", '"text"', '{"process": 3}', '{"process": "1/2/a/b/c"}'])
def test_a_damaged_file_of_a_lock_hinders_nobody(tmp_path: Path, content: str) -> None:
    path = lock_of(tmp_path, "town")
    path.parent.mkdir()
    path.write_text(content)
    assert holder_in(path) is None
    RegionLock.take(tmp_path, "town", "a test").release()


def test_a_file_that_names_another_folder_removes_nothing_there(tmp_path: Path) -> None:
    """Somebody who can write into the home could name any folder."""
    lock = RegionLock.take(tmp_path, "town", "a test")
    lock.release()
    precious = tmp_path / "precious"
    precious.mkdir()
    process = replace(lock.holder.process, started=1)
    said = {"region": "town", "token": "0", "process": process.text, "command": "", "since": "", "front": None}
    lock.path.write_text(json.dumps({**said, "temporary": str(precious), "run_id": None}))
    assert holder_in(lock.path) is not None
    clear_up_after_the_dead(tmp_path)
    assert precious.is_dir()
    assert holder_in(lock.path) is None


def test_a_process_is_told_from_another_with_its_number(start: Start) -> None:
    here = Process.current()
    assert Process.parsed(here.text) == here
    assert here.is_alive() is True
    assert replace(here, started=here.started - 1).is_alive() is False
    assert replace(here, boot="before").is_alive() is False
    assert replace(here, host="elsewhere").is_alive() is None
    assert replace(here, space="container").is_alive() is None
    ended = start("from mora_pipeline.runs.identity import Process; print(Process.current().text, flush=True)")
    assert ended.stdout is not None
    process = Process.parsed(ended.stdout.readline().strip())
    time.sleep(0.3)  # it has ended, but nobody has asked for its exit code yet
    assert process is not None
    assert process.is_alive() is False
    assert Process.parsed("") is None
