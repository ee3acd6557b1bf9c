"""A command that waits says for what and for whom."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mora_pipeline.contract.files import is_claimed
from mora_pipeline.lake import mora_home
from mora_pipeline.runs import PARTITION_TAG, orphans
from mora_pipeline.runs.locks import Holder, clear_up_after_the_dead, holder_in, lock_of

if TYPE_CHECKING:
    from dagster import DagsterInstance, DagsterRun

    from mora_pipeline.commands.progress import LiveProgress, PlainProgress, RunState

_SECONDS_UNTIL_TOLD = 3.0
_SECONDS_BETWEEN = 10.0
_SECONDS_TO_END = 30.0  # that a run may take to end by itself after its command was killed


class Waits:
    """What the steps of a run wait for, told while nothing happens."""

    def __init__(
        self, instance: "DagsterInstance", run: "DagsterRun", state: "RunState", shown: "PlainProgress | LiveProgress"
    ) -> None:
        self.instance, self.run, self.state, self.shown = instance, run, state, shown
        self._next = time.monotonic() + _SECONDS_UNTIL_TOLD

    def tell(self) -> None:
        """Look for what the steps wait for, now and then, and show it beside them."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _SECONDS_BETWEEN
        for name, words in waits_for_pools(self.instance, self.run.run_id).items():
            step = self.state.steps.get(name)
            if step is not None and step.state == "waiting":
                step.note = words
                self.shown.show(step)


def waits_for_pools(instance: "DagsterInstance", run_id: str) -> dict[str, str]:
    """By step of a run that waits for a slot of a pool that others have: which pool, and who has it."""
    storage = instance.event_log_storage
    waits: dict[str, str] = {}
    for name, pool in storage.get_concurrency_infos(sorted(storage.get_concurrency_keys())).items():
        pending = [step for step in pool.pending_steps if step.run_id == run_id and step.assigned_timestamp is None]
        others = sorted({(slot.run_id, slot.step_key) for slot in pool.claimed_slots if slot.run_id != run_id})
        if not pending or not others:
            continue
        owners = [f"{step} of {_region_of(instance, owner)} (run {owner[:8]})" for owner, step in others]
        waits |= {step.step_key: f"waits for the pool {name}: {', '.join(owners)} has it" for step in pending}
    return waits


def await_the_end_of_abandoned(region: str) -> None:
    """Wait for a run of the region whose command was killed: it is ending. After a while it is ended."""
    path = lock_of(mora_home(), region)
    deadline, told = time.monotonic() + _SECONDS_TO_END, -_SECONDS_BETWEEN
    while (holder := _abandoned(path)) is not None:
        if time.monotonic() - told >= _SECONDS_BETWEEN:
            click.echo(f"Waiting for {holder.words} to end: the command that started it is gone.", err=True)
            told = time.monotonic()
        if time.monotonic() > deadline:
            orphans.end(holder.process.pid)
            clear_up_after_the_dead(mora_home())
        time.sleep(0.2)


def _abandoned(path: Path) -> Holder | None:
    holder = holder_in(path)
    if holder is None or holder.front is None or not is_claimed(path):
        return None
    return holder if holder.process.is_alive() and holder.front.is_alive() is False else None


def _region_of(instance: "DagsterInstance", run_id: str) -> str:
    run = instance.get_run_by_id(run_id)
    return str(run.tags.get(PARTITION_TAG)) if run else "a run that is gone"
