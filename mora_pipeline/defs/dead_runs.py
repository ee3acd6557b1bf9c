"""Runs whose process is gone: recorded as failed, their slots freed, and what is left of them cleared up.

The daemon does so every few seconds (the sensor `dead_runs`), and so does every `mora` command before its own work.
Dagster's own monitoring cannot: its launcher for one machine does not look at the processes of runs.
"""

import json
import os
import socket
import time
from collections.abc import Iterator

import dagster as dg

from mora_pipeline.contract.files import is_claimed
from mora_pipeline.lake import mora_home
from mora_pipeline.runs import PARTITION_TAG, PROCESS_TAG, TOKEN_TAG, orphans
from mora_pipeline.runs.identity import Process
from mora_pipeline.runs.locks import clear_up_after_the_dead, holder_in

SECONDS_BETWEEN_LOOKS = int(os.environ.get("MORA_DEAD_RUNS_SECONDS", "15"))
SECONDS_TO_START = 60.0  # that a run may take from its record to its launch, unless it waits in Dagster's queue
SECONDS_TO_END = 20.0  # that a run's process may take to end after the run was ended in Dagster
_states = dg.DagsterRunStatus
_ACTIVE = [_states.NOT_STARTED, _states.STARTING, _states.STARTED, _states.CANCELING]


def end_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """Record every run as failed whose process is gone, and free and clear up what it had.

    Returns:
        A sentence for each of them.
    """
    told = []
    for record in instance.get_run_records(dg.RunsFilter(statuses=_ACTIVE)):
        if reason := _why_dead(record):
            run = record.dagster_run
            end_run(instance, run, reason)
            region = run.tags.get(PARTITION_TAG)
            told.append(f"Run {run.run_id} of '{region}' had died: {reason} It is recorded as ended.")
    _end_those_that_stay(instance)
    clear_up_after_the_dead(mora_home())
    _free_slots_of_ended_runs(instance)
    return told


def end_run(instance: dg.DagsterInstance, run: dg.DagsterRun, reason: str) -> None:
    """End a run whose process is gone: first what is left of its processes, so that none works on unseen."""
    if token := run.tags.get(TOKEN_TAG):
        orphans.end_marked(token)
    now = instance.get_run_by_id(run.run_id)
    if now is not None and not now.is_finished:
        if now.status == _states.CANCELING:
            instance.report_run_canceled(now, reason)
        else:
            instance.report_run_failed(now, reason)
    instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)


@dg.sensor(
    minimum_interval_seconds=SECONDS_BETWEEN_LOOKS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Ends runs whose process is gone (killed, or lost with the machine's power): they are recorded as failed, "
        "their slots in the pools are free again, and nothing of them goes on. Runs on other machines are left alone."
    ),
)
def dead_runs(context: dg.SensorEvaluationContext) -> Iterator[dg.SkipReason]:
    """It never asks for a run."""
    told = end_dead_runs(context.instance)
    for sentence in told:
        context.log.warning(sentence)
    yield dg.SkipReason(" ".join(told) or "The process of every run lives.")


def _why_dead(record: dg.RunRecord) -> str | None:
    """A sentence about an active run whose process is gone; None if it lives, or that cannot be told from here."""
    run = record.dagster_run
    process = Process.parsed(run.tags.get(PROCESS_TAG, ""))
    if process is not None:
        return None if process.is_alive() is not False else f"Its process {process.pid} on {process.host} is gone."
    age = time.time() - (record.start_time or record.create_timestamp.timestamp())
    if run.status == _states.NOT_STARTED and age > SECONDS_TO_START:
        return f"No process has begun it within {SECONDS_TO_START:.0f} s."
    server = json.loads(run.tags.get("dagster/grpc_info", "{}")).get("socket")
    if server and PARTITION_TAG in run.tags and age > SECONDS_BETWEEN_LOOKS and not _answers(server):
        return "The server that was to start its process is gone."
    return None


def _answers(server: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(5)
        try:
            probe.connect(server)
        except OSError:
            return False
    return True


def _end_those_that_stay(instance: dg.DagsterInstance) -> None:
    """End the process of a run that was ended in Dagster a while ago ("Force termination") and still has its region."""
    for path in sorted((mora_home() / "runs").glob("*.lock")):
        holder = holder_in(path)
        if holder is None or holder.run_id is None or not holder.process.is_alive() or not is_claimed(path):
            continue
        record = instance.get_run_record_by_id(holder.run_id)
        if record is None or not record.dagster_run.is_finished or record.end_time is None:
            continue
        if time.time() - record.end_time > SECONDS_TO_END:
            orphans.end(holder.process.pid)
            orphans.end_marked(holder.token)


def _free_slots_of_ended_runs(instance: dg.DagsterInstance) -> None:
    storage = instance.event_log_storage
    pools = storage.get_concurrency_infos(sorted(storage.get_concurrency_keys()))
    owners = {slot.run_id for pool in pools.values() for slot in pool.claimed_slots}
    for run_id in sorted(owners | storage.get_concurrency_run_ids()):
        run = instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            storage.free_concurrency_slots_for_run(run_id)
