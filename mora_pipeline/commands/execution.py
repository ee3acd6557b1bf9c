"""Run the main job for one region on the persistent instance, in a child process whose events are followed."""

import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from mora_pipeline.commands.materialize import MAIN_JOB
from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.names import did_you_mean
from mora_pipeline.lake import mora_home

if TYPE_CHECKING:
    from dagster import AssetKey, DagsterInstance, DagsterRun, EventLogEntry, JobDefinition
    from dagster._config.errors import EvaluationError
    from dagster._core.definitions.reconstruct import ReconstructableRepository

_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class RunningRegion:
    """A run that was started: its record, the steps it will take in order, and where its console output goes."""

    run: "DagsterRun"
    steps: list[str]
    process: "subprocess.Popen[bytes]"
    log: Path


def repository() -> "ReconstructableRepository":
    """Our definitions, in the form that child processes load them again."""
    from dagster._core.definitions.reconstruct import ReconstructableRepository

    return ReconstructableRepository.for_module("mora_pipeline.definitions", "defs")


def start_run(
    instance: "DagsterInstance", region: str, select: str | None, run_config: Mapping[str, Any], name: str = MAIN_JOB
) -> RunningRegion:
    """Create the run, so that the UI lists it, and start the process that carries it out.

    Args:
        instance: where the run is recorded.
        region: the partition.
        select: assets to make, as `selected_assets` takes them; None for all.
        run_config: Dagster's run config.
        name: the job's.

    Raises:
        UserError: if the selection or a setting is wrong, or another run makes the region.
    """
    import dagster as dg
    from dagster._core.storage.tags import PARTITION_NAME_TAG
    from dagster._grpc.types import ExecuteRunArgs

    _refuse_second_run(instance, region)
    job = repository().get_reconstructable_job(name)
    chosen = None
    if select:
        chosen = selected_assets(select)
        job = job.get_subset(asset_selection=frozenset(chosen))
    origin = job.get_python_origin()
    try:
        run = instance.create_run_for_job(
            job.get_definition(),
            run_config=run_config,
            tags={PARTITION_NAME_TAG: region, "mora/started_by": "mora materialize"},
            asset_selection=chosen,
            job_code_origin=origin,
        )
    except dg.DagsterInvalidConfigError as error:
        raise UserError("\n".join(_setting_error(job.get_definition(), problem) for problem in error.errors)) from error
    snapshot = instance.get_execution_plan_snapshot(str(run.execution_plan_snapshot_id))
    log = mora_home() / "logs" / f"{region}-{run.run_id}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    arguments = ExecuteRunArgs(origin, run.run_id, instance.get_ref(), set_exit_code_on_failure=True)
    command = [sys.executable, "-m", *arguments.get_command_args()]  # `dagster` need not be on the path
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, start_new_session=True
        )
    steps = list(TopologicalSorter({key: sorted(deps) for key, deps in snapshot.step_deps.items()}).static_order())
    return RunningRegion(run, steps, process, log)


def _refuse_second_run(instance: "DagsterInstance", region: str) -> None:
    """Two runs of a region would publish into each other's datasets; the daemon's own wait in its queue instead."""
    import dagster as dg
    from dagster._core.storage.tags import PARTITION_NAME_TAG

    states = dg.DagsterRunStatus
    working = [states.NOT_STARTED, states.STARTING, states.STARTED, states.CANCELING]
    found = instance.get_runs(dg.RunsFilter(tags={PARTITION_NAME_TAG: region}, statuses=working), limit=1)
    if found:
        raise UserError(
            f"'{region}' is being made by run {found[0].run_id} already. Wait for it, or cancel it in the UI (mora "
            "dev, Runs, Terminate; a run whose process was killed needs 'Force termination')."
        )


@contextmanager
def region_run(
    instance: "DagsterInstance", region: str, select: str | None, run_config: Mapping[str, Any], name: str = MAIN_JOB
) -> Iterator[RunningRegion]:
    """A started run (see `start_run`) that does not outlive the block: an interrupt or SIGTERM cancels it."""
    before = signal.getsignal(signal.SIGTERM) or signal.SIG_DFL
    running = start_run(instance, region, select, run_config, name)
    try:
        # Dagster has just given SIGTERM the handler of SIGINT, which a script's `&` has set to "ignore".
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        yield running
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one must not break off the end
        try:
            end_run(instance, running)
        finally:
            signal.signal(signal.SIGTERM, before)


def follow(instance: "DagsterInstance", running: RunningRegion) -> Iterator["EventLogEntry"]:
    """Every event of the run in order, as it comes, until the run's process has ended."""
    cursor, ended = None, False
    while True:
        found = instance.get_records_for_run(running.run.run_id, cursor=cursor)
        cursor = found.cursor
        for record in found.records:
            yield record.event_log_entry
        if found.has_more:
            continue
        if ended:
            return
        ended = running.process.poll() is not None
        if ended:
            end_run(instance, running)
        else:
            time.sleep(_POLL_SECONDS)


def end_run(instance: "DagsterInstance", running: RunningRegion) -> None:
    """Cancel a run that still works, and record the end of one whose process could not do so itself."""
    from dagster import DagsterRunStatus

    if running.process.poll() is None:
        instance.report_run_canceling(running.run)  # else Dagster takes the interrupt for a failure
        running.process.send_signal(signal.SIGINT)
        try:
            running.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            running.process.kill()
            running.process.wait()
    run = instance.get_run_by_id(running.run.run_id)
    if run is not None and run.status is DagsterRunStatus.CANCELING:
        instance.report_run_canceled(run)
    elif run is not None and not run.is_finished:
        instance.report_run_failed(
            run, f"The run's process ended with code {running.process.returncode} before it could report."
        )


def selected_assets(select: str) -> set["AssetKey"]:
    """The assets that a selection names.

    Args:
        select: names, separated by commas, or Dagster's selection syntax (``embeddings+``, ``group:evaluation``).

    Raises:
        UserError: if a name is not an asset's, or nothing is selected.
    """
    import dagster as dg

    graph = repository().get_definition().asset_graph
    known = {key.to_user_string() for key in graph.materializable_asset_keys}
    chosen: set[dg.AssetKey] = set()
    for part in filter(None, (part.strip() for part in select.split(","))):
        try:
            with warnings.catch_warnings(action="ignore", category=dg.BetaWarning):
                found = dg.AssetSelection.from_string(part).resolve(graph)
        except Exception as error:  # the parser has a dozen kinds
            raise UserError(f"--select {part}: no such asset, group or selection. {_known(part, known)}") from error
        if not found:
            raise UserError(f"--select {part} selects nothing. {_known(part, known)}")
        chosen |= found
    if not chosen:
        raise UserError(f"--select is empty. {_known('', known)}")
    return chosen


def settings(config_file: Path | None, assignments: Sequence[str]) -> dict[str, Any]:
    """Run config from a YAML file and ``asset.key=value`` assignments, which win.

    Raises:
        UserError: if the file is not a YAML mapping or an assignment does not have that form.
    """
    config: dict[str, Any] = {}
    if config_file:
        try:
            config = yaml.safe_load(config_file.read_text(encoding="utf-8")) or {}
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise UserError(f"{config_file}: cannot be read as YAML ({error})") from error
        if not isinstance(config, dict):
            raise UserError(f"{config_file}: must be a mapping such as 'ops: {{embeddings: {{config: ...}}}}'")
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        asset, *keys = name.strip().split(".")
        if not (equals and asset and keys and all(keys)):
            raise UserError(f"--set {assignment}: write ASSET.KEY=VALUE, for example embeddings.maximum_epochs=20")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise UserError(f"--set {assignment}: the value is not YAML ({_first_line(error)})") from error
        assign(config, asset, keys, value, f"--set {assignment}")
    return config


def assign(config: dict[str, Any], asset: str, keys: Sequence[str], value: object, told: str) -> None:
    """Put a value into run config, at a path of keys below an asset's.

    Args:
        told: the option that says so, for the message.

    Raises:
        UserError: if a key on the way holds something else than a mapping.
    """
    for key in ["ops", asset, "config", *keys[:-1]]:
        config = config.setdefault(key, {})
        if not isinstance(config, dict):
            raise UserError(f"{told}: '{key}' holds a value in the --config file, not a mapping")
    config[keys[-1]] = value


def _setting_error(job: "JobDefinition", problem: "EvaluationError") -> str:
    """What is wrong with one setting, and what could stand there instead."""
    from dagster._config.errors import FieldNotDefinedErrorData, FieldsNotDefinedErrorData

    path = [str(entry.field_name) for entry in problem.stack.entries if hasattr(entry, "field_name")]
    data = problem.error_data
    if isinstance(data, FieldNotDefinedErrorData):
        unknown = [data.field_name]
    elif isinstance(data, FieldsNotDefinedErrorData):
        unknown = list(data.field_names)
    else:
        return f"{'.'.join(path)}: {problem.message}"
    place: Any = job.run_config_schema.config_type
    for key in path:
        place = place.fields[key].config_type
    known = sorted(place.fields)
    where = ".".join(path) or "the run config"
    return f"{where} has no '{', '.join(unknown)}'; it has {', '.join(known)}.{did_you_mean(unknown[0], known)}"


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _known(name: str, known: set[str]) -> str:
    return f"Assets are {', '.join(sorted(known))}.{did_you_mean(name, known)}"
