"""The process of one run: ``python -m mora_pipeline.commands.run_job``, as `execution` starts it.

Standard input holds the arguments of `run_job` as JSON. Why a run cannot begin goes to standard output, in words for
the user, with exit code 2; all else that the run and its steps print goes to standard error.
"""

import json
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mora_pipeline.commands.instance import dagster_instance
from mora_pipeline.commands.selection import selected_assets
from mora_pipeline.contract import json_logs
from mora_pipeline.contract.disk import disk_full
from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.names import did_you_mean
from mora_pipeline.lake import mora_home
from mora_pipeline.runs import PARTITION_TAG, PROCESS_TAG, TOKEN_TAG
from mora_pipeline.runs.identity import Process
from mora_pipeline.runs.locks import RegionBusyError, RegionLock
from mora_pipeline.runs.orphans import end_with_parent

if TYPE_CHECKING:
    from dagster import DagsterInstance, JobDefinition


def job_definition(name: str) -> "JobDefinition":
    """One of our jobs by its name; the processes of the steps load it by this function."""
    from mora_pipeline.definitions import defs

    return defs.resolve_job_def(name)


def run_job(
    job: str,
    region: str,
    select: str | None,
    run_config: Mapping[str, Any],
    tags: Mapping[str, str],
    command: str = "a script",
    front: Process | None = None,
) -> bool:
    """Record a run on the instance and carry it out; True if it succeeded.

    Args:
        select: assets to make, as `selected_assets` takes them; None for all of the job.
        command: what the user called, for those who find the region busy.
        front: the process that waits for the run.

    Raises:
        UserError: if the selection or a setting is wrong, or another run makes the region; then no run is recorded.
    """
    import dagster as dg

    from mora_pipeline.defs.op_names import by_step_of_run

    run_config = by_step_of_run(run_config)
    from mora_pipeline.defs.logs import run_loggers

    assets = selected_assets(select) if select else None
    definition = dg.build_reconstructable_job("mora_pipeline.commands.run_job", "job_definition", (job,))
    with dagster_instance() as instance, _region(instance, region, command, front) as lock:
        holder = lock.holder
        ours = {PARTITION_TAG: region, TOKEN_TAG: holder.token, PROCESS_TAG: holder.process.text}
        try:
            wanted = {**run_loggers(), **run_config}
            return dg.execute_job(definition, instance, wanted, {**ours, **tags}, asset_selection=assets).success
        except dg.DagsterInvalidConfigError as error:
            chosen = job_definition(job).get_subset(asset_selection=frozenset(assets or ()))
            raise UserError("\n".join(_setting_error(chosen, problem) for problem in error.errors)) from error


@contextmanager
def _region(instance: "DagsterInstance", region: str, command: str, front: Process | None) -> Iterator[RegionLock]:
    """The region's lock, for as long as the block lasts.

    Raises:
        UserError: if another run makes the region: two would write the same datasets. Those of the daemon wait.
    """
    import dagster as dg

    try:
        lock = RegionLock.take(mora_home(), region, command, front=front)
    except RegionBusyError as busy:
        if busy.holder is None or busy.holder.run_id is not None:
            raise
        runs = instance.get_runs(dg.RunsFilter(tags={TOKEN_TAG: busy.holder.token}), limit=1)
        raise RegionBusyError(region, replace(busy.holder, run_id=runs[0].run_id) if runs else busy.holder) from busy
    try:
        _refuse_second_run(instance, region)
        yield lock
    finally:
        lock.release()


def _refuse_second_run(instance: "DagsterInstance", region: str) -> None:
    """Refuse while a run is recorded that has not taken the region's lock yet, or does not on this machine."""
    import dagster as dg

    states = dg.DagsterRunStatus
    active = [states.NOT_STARTED, states.STARTING, states.STARTED, states.CANCELING]
    runs = instance.get_runs(dg.RunsFilter(tags={PARTITION_TAG: region}, statuses=active), limit=1)
    if runs:
        raise UserError(
            f"'{region}' is being made by run {runs[0].run_id} already. Wait for it, or cancel it in the UI (mora "
            "dev, Runs, Terminate)."
        )


def _setting_error(job: "JobDefinition", problem: Any) -> str:
    """What is wrong with one setting, and what could be there instead.

    Args:
        problem: one of the errors of `dagster.DagsterInvalidConfigError`.
    """
    path = [str(entry.field_name) for entry in problem.stack.entries if hasattr(entry, "field_name")]
    where = ".".join(path)
    if problem.reason.value not in ("FIELD_NOT_DEFINED", "FIELDS_NOT_DEFINED"):
        return f"{where}: {problem.message}"
    unknown = getattr(problem.error_data, "field_names", None) or [problem.error_data.field_name]
    place: Any = job.run_config_schema.config_type
    for key in path:
        place = place.fields[key].config_type
    known = sorted(place.fields)
    return (
        f"{where or 'the run config'} has no '{', '.join(unknown)}'; it has {', '.join(known)}."
        f"{did_you_mean(unknown[0], known)}"
    )


def main() -> int:
    # What a script starts with `&` ignores SIGINT, and Dagster gives SIGTERM the handler that it finds for SIGINT.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    end_with_parent(signal.SIGTERM)  # a run does not outlive the command that waits for it
    json_logs.set_up()
    answer = os.dup(sys.stdout.fileno())  # not inherited by the steps' processes
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    request = json.load(sys.stdin)
    front = Process.parsed(request.pop("front"))
    if front is not None and front.is_alive() is False:
        return 1  # it ended before this process could ask to end with it
    try:
        return 0 if run_job(**request, front=front) else 1
    except UserError as error:
        os.write(answer, str(error).encode())
        return 2
    except Exception as error:
        if reason := disk_full(error):
            os.write(answer, reason.encode())
            return 2
        raise


if __name__ == "__main__":
    sys.exit(main())
