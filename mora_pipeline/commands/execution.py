"""Run a job for a region in a process of its own, and follow it on Dagster's instance, as the UI does."""

import json
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mora_pipeline.commands.base import complain
from mora_pipeline.commands.waiting import Waits, await_the_end_of_abandoned
from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.json_logs import log_fields
from mora_pipeline.lake import mora_home
from mora_pipeline.runs.identity import Process
from mora_pipeline.runs.locks import clear_up_after_the_dead
from mora_pipeline.steps import FORCE_TAG

if TYPE_CHECKING:
    from dagster import DagsterInstance, DagsterRun, EventLogEntry

MAIN_JOB = "materialize_region"
LOG_TAG = "mora/log"  # of the runs started here: the file of what was printed on the way, another one for each run
_POLL_SECONDS = 0.3


def run_region(
    region: str, select: str | None, run_config: Mapping[str, Any], job: str = MAIN_JOB, force: bool = False
) -> bool:
    """Run a job for a region and show its progress; True if it succeeded.

    Args:
        force: make anew also what has not changed.

    Raises:
        UserError: if the region, its files, the selection or a setting is wrong; then nothing has been started.
    """
    from mora_pipeline.commands.forecast import Forecast
    from mora_pipeline.commands.instance import REGIONS, dagster_instance
    from mora_pipeline.commands.progress import RunState, progress_for
    from mora_pipeline.lake.registry import Registry

    Registry.at_home().load(region)
    with dagster_instance() as instance:
        instance.add_dynamic_partitions(REGIONS, [region])
        with region_run(instance, region, select, run_config, job, force) as running:
            state = RunState.of(running.steps(), Forecast.of(instance, job, region))
            click.echo(f"Run {running.run.run_id} of {region}, {len(state.steps)} steps")
            with progress_for(state) as shown, log_fields(region=region, run=running.run.run_id):
                waits = Waits(instance, running.run, state, shown)
                for entry in running.events(waits.tell):
                    shown.show(state.take(entry))
    if not state.succeeded:
        for message in state.errors or ["The run ended without a message."]:
            complain(message)
        complain(f"\nWhat was printed on the way: {running.log}")
    return state.succeeded


@contextmanager
def region_run(
    instance: "DagsterInstance",
    region: str,
    select: str | None,
    run_config: Mapping[str, Any],
    job: str = MAIN_JOB,
    force: bool = False,
) -> Iterator["RunProcess"]:
    """A started run that does not outlive the block: an interrupt or SIGTERM cancels it.

    Raises:
        UserError: if the selection or a setting is wrong, or another run makes the region.
    """
    before = signal.getsignal(signal.SIGTERM) or signal.SIG_DFL
    log = mora_home() / "logs" / f"{region}-{time.strftime('%Y%m%dT%H%M%S')}-{secrets.token_hex(4)}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    tags = {LOG_TAG: str(log), **({FORCE_TAG: "true"} if force else {})}
    request = {"job": job, "region": region, "select": select, "run_config": run_config, "tags": tags}
    request |= {"command": " ".join(["mora", *sys.argv[1:]])[:200], "front": Process.current().text}
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        await_the_end_of_abandoned(region)
        running = RunProcess.start(instance, request, log)
        try:
            running.wait_for_run()
            yield running
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one must not break off the end
            running.end()
    finally:
        signal.signal(signal.SIGTERM, before)


@dataclass
class RunProcess:
    """The process that carries out a run (`mora_pipeline.commands.run_job`), seen from outside.

    Attributes:
        log: where the console output of the run and its steps goes.
    """

    instance: "DagsterInstance"
    process: "subprocess.Popen[str]"
    log: Path

    @classmethod
    def start(cls, instance: "DagsterInstance", request: Mapping[str, Any], log: Path) -> "RunProcess":
        """Start the process; the arguments of `run_job` are its input."""
        text = json.dumps(request)
        command = [sys.executable, "-W", "ignore", "-m", "mora_pipeline.commands.run_job"]
        pipe = subprocess.PIPE
        with log.open("wb") as stream:
            process = subprocess.Popen(
                command, stdin=pipe, stdout=pipe, stderr=stream, text=True, start_new_session=True
            )
        assert process.stdin is not None
        with process.stdin:
            process.stdin.write(text)
        return cls(instance, process, log)

    @property
    def run(self) -> "DagsterRun":
        """The run as it is recorded now."""
        run = self._recorded()
        assert run is not None, "wait_for_run has returned"
        return run

    def _recorded(self) -> "DagsterRun | None":
        from dagster import RunsFilter

        return next(iter(self.instance.get_runs(RunsFilter(tags={LOG_TAG: str(self.log)}), limit=1)), None)

    def wait_for_run(self) -> None:
        """Return as soon as the run is recorded.

        Raises:
            UserError: if the process refuses the request.
        """
        ended = False
        while not self._recorded():
            if ended:
                assert self.process.stdout is not None
                refusal = self.process.stdout.read()
                if self.process.returncode == 2 and refusal:
                    raise UserError(refusal)
                raise click.ClickException(
                    f"The run ended with code {self.process.returncode} before it began. Its output: {self.log}"
                )
            time.sleep(_POLL_SECONDS)
            ended = self.process.poll() is not None

    def steps(self) -> list[str]:
        """The run's steps, each after those that it needs."""
        plan = self.instance.get_execution_plan_snapshot(str(self.run.execution_plan_snapshot_id))
        return list(TopologicalSorter({key: sorted(deps) for key, deps in plan.step_deps.items()}).static_order())

    def events(self, idle: Callable[[], None] = lambda: None) -> Iterator["EventLogEntry"]:
        """Every event of the run in order, as it comes, until the process has ended.

        Args:
            idle: called again and again while nothing comes.
        """
        run_id, cursor, ended = self.run.run_id, None, False
        while True:
            page = self.instance.get_records_for_run(run_id, cursor=cursor)
            cursor = page.cursor
            for record in page.records:
                yield record.event_log_entry
            if page.has_more:
                continue
            if ended:
                return
            ended = self.process.poll() is not None
            if ended:
                self.end()
            else:
                idle()
                time.sleep(_POLL_SECONDS)

    def end(self) -> None:
        """Cancel a run that still goes on, record the end of one whose process could not, and leave nothing of it."""
        from dagster import DagsterRunStatus

        from mora_pipeline.defs.dead_runs import end_run

        cancelled = self.process.poll() is None
        if cancelled:
            self._stop()
        try:
            run = self._recorded()
            if run is None or run.status in (DagsterRunStatus.SUCCESS, DagsterRunStatus.CANCELED):
                return
            if cancelled or run.status is DagsterRunStatus.CANCELING:
                self.instance.report_run_canceled(run)
            elif not run.is_finished:
                message = f"The run's process ended with code {self.process.returncode} before it could report."
                end_run(self.instance, run, message)
        finally:
            clear_up_after_the_dead(mora_home())

    def _stop(self) -> None:
        """Let the process end; gently, so that it clears up, else at once."""
        with suppress(Exception):  # a full disk, for one, must not keep the run going
            if run := self._recorded():
                self.instance.report_run_canceling(run)  # else Dagster takes the signal for a failure
        for _ in range(4):  # Dagster may lose a signal that arrives while a run begins; a second one does no harm
            self.process.terminate()
            try:
                self.process.wait(timeout=15)
                return
            except subprocess.TimeoutExpired:
                continue
        self.process.kill()
        self.process.wait()
