"""Runs whose process is gone are failed and cleared up; those that live, and those elsewhere, are left alone."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from mora_pipeline.commands.waiting import waits_for_pools
from mora_pipeline.defs import dead_runs
from mora_pipeline.defs.dead_runs import end_dead_runs
from mora_pipeline.runs import PARTITION_TAG, PROCESS_TAG, TOKEN, TOKEN_TAG
from mora_pipeline.runs.identity import Process
from tests.runs.conftest import ROOT, Start
from tests.runs.test_locks import is_gone

STATES = dg.DagsterRunStatus
GONE = replace(Process.current(), started=1)
OPEN_HOME = """
from mora_pipeline.commands.instance import dagster_instance
with dagster_instance() as instance:
    instance.add_dynamic_partitions("regions", ["town"])
    print(len(instance.get_runs()))
"""


@dg.job
def nothing() -> None:
    """A job of no steps."""


@pytest.fixture
def instance(mora_home: Path) -> Iterator[dg.DagsterInstance]:
    overrides = {"concurrency": {"pools": {"default_limit": 1}}}
    with dg.DagsterInstance.local_temp(str(mora_home), overrides=overrides) as found:
        for pool in ("spark", "gpu"):
            found.event_log_storage.initialize_concurrency_limit_to_default(pool)
        yield found


def run_of(instance: dg.DagsterInstance, process: Process | None, status: STATES, **tags: str) -> str:
    named = {PROCESS_TAG: process.text} if process else {}
    named |= {name.replace("__", "/"): value for name, value in tags.items()}
    run = instance.create_run_for_job(nothing, tags={PARTITION_TAG: "town", **named}, status=status)
    return run.run_id


def status_of(instance: dg.DagsterInstance, run_id: str) -> STATES:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run.status


@pytest.mark.parametrize("status", [STATES.NOT_STARTED, STATES.STARTING, STATES.STARTED, STATES.CANCELING])
def test_a_run_whose_process_is_gone_is_ended_and_its_slot_is_free(
    instance: dg.DagsterInstance, status: STATES
) -> None:
    storage = instance.event_log_storage
    dead = run_of(instance, GONE, status)
    living = run_of(instance, Process.current(), status)
    elsewhere = run_of(instance, replace(GONE, host="elsewhere"), status)
    storage.claim_concurrency_slot("spark", dead, "edges")
    storage.claim_concurrency_slot("spark", living, "graph")
    waits = waits_for_pools(instance, living)
    assert waits == {"graph": f"waits for the pool spark: edges of town (run {dead[:8]}) has it"}
    (told,) = end_dead_runs(instance)
    assert f"Run {dead} of 'town' had died: Its process {os.getpid()} on {socket.gethostname()} is gone" in told
    ended = STATES.CANCELED if status == STATES.CANCELING else STATES.FAILURE
    assert [status_of(instance, run) for run in (dead, living, elsewhere)] == [ended, status, status]
    assert storage.get_concurrency_info("spark").active_run_ids | storage.get_concurrency_info(
        "spark"
    ).assigned_run_ids == {living}
    assert waits_for_pools(instance, living) == {}
    assert end_dead_runs(instance) == []


def test_a_slot_that_an_ended_run_kept_is_free(instance: dg.DagsterInstance) -> None:
    ended = run_of(instance, None, STATES.FAILURE)
    instance.event_log_storage.claim_concurrency_slot("gpu", ended, "embeddings")
    end_dead_runs(instance)
    assert instance.event_log_storage.get_concurrency_info("gpu").claimed_slots == []


def test_the_processes_of_a_dead_run_are_ended_before_it_is_recorded(instance: dg.DagsterInstance) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], env={**os.environ, TOKEN: "t1"})
    for _ in range(100):
        if f"{TOKEN}=t1".encode() in Path(f"/proc/{child.pid}/environ").read_bytes():
            break
        time.sleep(0.05)
    run_of(instance, GONE, STATES.STARTED, **{TOKEN_TAG.replace("/", "__"): "t1"})
    end_dead_runs(instance)
    assert child.wait(timeout=5) == -signal.SIGKILL


def test_a_run_that_was_never_begun_is_ended_after_a_while(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The process that was to begin it, or the server that was to start one, died in between."""
    unborn = run_of(instance, None, STATES.NOT_STARTED)
    gone = run_of(instance, None, STATES.STARTING, dagster__grpc_info=f'{{"socket": "{tmp_path / "none"}"}}')
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "server"))
        server.listen()
        there = run_of(instance, None, STATES.STARTING, dagster__grpc_info=f'{{"socket": "{tmp_path / "server"}"}}')
        own = run_of(instance, None, STATES.STARTED)  # such as a notebook's, which tells no process
        assert end_dead_runs(instance) == []
        later = time.time() + dead_runs.SECONDS_TO_START + 1
        monkeypatch.setattr(dead_runs.time, "time", lambda: later)
        assert len(end_dead_runs(instance)) == 2
    assert [status_of(instance, run) for run in (unborn, gone)] == [STATES.FAILURE] * 2
    assert [status_of(instance, run) for run in (there, own)] == [STATES.STARTING, STATES.STARTED]


def test_the_sensor_does_the_same_and_is_on_from_the_start(instance: dg.DagsterInstance) -> None:
    sensor = dead_runs.dead_runs
    assert sensor.default_status == dg.DefaultSensorStatus.RUNNING
    assert (sensor.minimum_interval_seconds or 99) <= 20  # with the daemon's own round: within 30 s
    dead = run_of(instance, GONE, STATES.STARTED)
    told = sensor.evaluate_tick(dg.build_sensor_context(instance)).skip_message
    assert f"Run {dead} of 'town' had died" in str(told)
    assert status_of(instance, dead) == STATES.FAILURE


# A Spark job that ends by itself after a minute; it writes who it is into the file $TOLD.
SPARK = """
import sys
from mora_pipeline.steps import spark
job = "import os, time; open(os.environ['TOLD'], 'w').write(str(os.getpid())); time.sleep(60)"
spark.job_command = lambda *_: [sys.executable, "-c", job]
spark.LocalSpark().run("count", {})
"""


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGKILL])
def test_a_script_that_is_ended_takes_its_spark_job_with_it(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sent: signal.Signals
) -> None:
    told = tmp_path / "pid"
    monkeypatch.setenv("TOLD", str(told))
    monkeypatch.setenv("JAVA_HOME", os.environ.get("JAVA_HOME", ""))
    script = start(SPARK)
    deadline = time.monotonic() + 60
    while not (told.exists() and told.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    job = int(told.read_text())
    script.send_signal(sent)
    script.wait()
    while not is_gone(job) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert is_gone(job)


def test_commands_at_once_in_a_new_home_all_work(mora_home: Path) -> None:
    command = [sys.executable, "-c", OPEN_HOME]
    pipe = subprocess.PIPE
    racers = [subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True) for _ in range(3)]
    ended = [(*racer.communicate(timeout=120), racer.returncode) for racer in racers]
    assert [(out.strip(), code) for out, _, code in ended] == [("0", 0)] * 3, ended
