"""The process of one run: ``python -m mora_pipeline.commands.run_job``, as `execution` starts it.

Standard input holds the arguments of `run_job` as JSON. Why a run cannot begin goes to standard output, in words for
the user, with exit code 2; all else that the run and its steps print goes to standard error.
"""

import json
import os
import signal
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mora_pipeline.commands.instance import PARTITION_TAG, dagster_instance
from mora_pipeline.commands.selection import selected_assets
from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.names import did_you_mean

if TYPE_CHECKING:
    from dagster import DagsterInstance, JobDefinition


def job_definition(name: str) -> "JobDefinition":
    """One of our jobs by its name; the processes of the steps load it by this function."""
    from mora_pipeline.definitions import defs

    return defs.resolve_job_def(name)


def run_job(job: str, region: str, select: str | None, run_config: Mapping[str, Any], tags: Mapping[str, str]) -> bool:
    """Record a run on the instance and carry it out; True if it succeeded.

    Args:
        select: assets to make, as `selected_assets` takes them; None for all of the job.

    Raises:
        UserError: if the selection or a setting is wrong, or another run makes the region; then no run is recorded.
    """
    import dagster as dg

    assets = selected_assets(select) if select else None
    definition = dg.build_reconstructable_job("mora_pipeline.commands.run_job", "job_definition", (job,))
    with dagster_instance() as instance:
        _refuse_second_run(instance, region)
        try:
            return dg.execute_job(
                definition, instance, run_config, {PARTITION_TAG: region, **tags}, asset_selection=assets
            ).success
        except dg.DagsterInvalidConfigError as error:
            chosen = job_definition(job).get_subset(asset_selection=frozenset(assets or ()))
            raise UserError("\n".join(_setting_error(chosen, problem) for problem in error.errors)) from error


def _refuse_second_run(instance: "DagsterInstance", region: str) -> None:
    """Two runs of a region would write the same datasets; the daemon's own wait in its queue instead."""
    import dagster as dg

    states = dg.DagsterRunStatus
    active = [states.NOT_STARTED, states.STARTING, states.STARTED, states.CANCELING]
    runs = instance.get_runs(dg.RunsFilter(tags={PARTITION_TAG: region}, statuses=active), limit=1)
    if runs:
        raise UserError(
            f"'{region}' is being made by run {runs[0].run_id} already. Wait for it, or cancel it in the UI (mora "
            "dev, Runs, Terminate; a run whose process was killed needs 'Force termination')."
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
    answer = os.dup(sys.stdout.fileno())  # not inherited by the steps' processes
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        return 0 if run_job(**json.load(sys.stdin)) else 1
    except UserError as error:
        os.write(answer, str(error).encode())
        return 2


if __name__ == "__main__":
    sys.exit(main())
