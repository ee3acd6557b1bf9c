"""How a run's steps are carried out: under the lock of its region, each in a process of its own."""

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg

from mora_pipeline.defs.waiting import pause_while_waiting
from mora_pipeline.lake import mora_home
from mora_pipeline.runs import PARTITION_TAG, PROCESS_TAG, TOKEN_TAG
from mora_pipeline.runs.fence import RunEndedError
from mora_pipeline.runs.locks import RegionBusyError, RegionLock, held_here

# What the steps import before their work begins. None of them starts a thread, which a fork would lose.
# torch._dynamo is what torch's optimizers and transformers import when first used: 2 s of processor time a step.
PRELOADED = (
    *("mora_pipeline.definitions", "pyarrow.parquet", "pandas", "scipy.sparse"),
    *("torch", "torch._dynamo", "mlflow", "sklearn"),
)
LONGEST_FOLDER = 48  # bytes of the path of temporary files: of a socket some folders below it, 107 are allowed
_LOOK_SECONDS = 1.0
_TELL_SECONDS = 30.0  # between two messages of a run that waits


def inner_executor(context: dg.InitExecutorContext) -> dg.Executor:
    """Every step in a process of its own: its memory goes back to the machine, and a killed one takes no other along.

    Two at once, because pools let only one of them be Spark's and one torch's.
    """
    pause_while_waiting()
    config = {"max_concurrent": 2, "retries": {"enabled": {}}, "tag_concurrency_limits": [], **start_method()}
    create = dg.multiprocess_executor.executor_creation_fn
    assert create is not None
    return create(dg.InitExecutorContext(context.job, dg.multiprocess_executor, config, context.instance))


def start_method() -> dict[str, Any]:
    """How a step's process starts: forked from a server that has imported what steps need, where the system can.

    Elsewhere (macOS, whose libraries do not survive a fork; a long TMPDIR, where the server's socket has no place)
    each imports everything by itself, for two to ten seconds.
    """
    folder = len(tempfile.gettempdir().encode())
    if sys.platform != "linux" or folder > LONGEST_FOLDER:
        return {"start_method": {"spawn": {}}}
    return {"start_method": {"forkserver": {"preload_modules": list(PRELOADED)}}}


@dg.executor(name="region", config_schema={}, requirements=dg.multiple_process_executor_requirements())
def region_executor(context: dg.InitExecutorContext) -> dg.Executor:
    """Takes the lock of the run's region, whatever launched the run, and carries its steps out."""
    return RegionExecutor(inner_executor(context))


class RegionExecutor(dg.Executor):
    """Another executor under the lock of the run's region."""

    def __init__(self, inner: dg.Executor) -> None:
        self._inner = inner

    @property
    def retries(self) -> Any:
        """Whether steps may be tried again."""
        return self._inner.retries

    @property
    def step_dependency_config(self) -> Any:
        """Which steps wait for which."""
        return self._inner.step_dependency_config

    def execute(self, plan_context: Any, execution_plan: Any) -> Iterator[Any]:
        """Carry out the steps; a run of no single region needs no lock."""
        region = plan_context.dagster_run.tags.get(PARTITION_TAG)
        if region is None:
            yield from self._inner.execute(plan_context, execution_plan)
            return
        with _region(plan_context, region) as lock, lock.children_marked():
            yield from self._inner.execute(plan_context, execution_plan)


@contextmanager
def _region(context: Any, region: str) -> Iterator[RegionLock]:
    """The region's lock: this process has it already if `mora` started it."""
    instance, run = context.instance, context.dagster_run
    if lock := held_here(mora_home(), region):
        lock.name_run(run.run_id)
        yield lock
        return
    lock = _awaited(context, region)
    try:
        instance.add_run_tags(run.run_id, {TOKEN_TAG: lock.holder.token, PROCESS_TAG: lock.holder.process.text})
        yield lock
    finally:
        lock.release()


def _awaited(context: Any, region: str) -> RegionLock:
    """The region's lock, once it is free; the run's log says for whom it waits.

    Raises:
        RunEndedError: if the run is ended meanwhile.
    """
    told = 0.0
    while True:
        run = context.instance.get_run_by_id(context.run_id)
        if run is None or run.is_finished or run.status == dg.DagsterRunStatus.CANCELING:
            raise RunEndedError(f"The run was ended before it could make '{region}'.")
        try:
            return RegionLock.take(mora_home(), region, f"launched by Dagster, process {os.getpid()}", context.run_id)
        except RegionBusyError as busy:
            if time.monotonic() - told > _TELL_SECONDS or not told:
                context.log.info(f"Waiting for '{region}': {busy}")
                told = time.monotonic()
            time.sleep(_LOOK_SECONDS)
