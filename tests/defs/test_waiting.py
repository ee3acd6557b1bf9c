"""A run that waits for the slot of a pool leaves the processor to others."""

import threading
import time

import dagster as dg
import pytest

from mora_pipeline.defs import executor
from mora_pipeline.defs.waiting import pause_while_waiting

POOL, OTHER_RUN = "one_at_a_time", "the run that holds the slot"
SECONDS = 3.0


@dg.op(pool=POOL)
def short_step() -> None:
    """Needs the slot, and nothing else."""


@dg.job(executor_def=executor.region_executor)
def waiting_job() -> None:
    """One step, in a process of its own."""
    short_step()


def test_dagster_can_be_taught_to_pause_and_twice_is_as_once() -> None:
    assert pause_while_waiting()
    assert pause_while_waiting()


def test_a_run_that_waits_for_a_slot_sleeps_and_starts_once_it_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor, "start_method", lambda: {"start_method": {"spawn": {}}})
    used: list[float] = []
    with dg.instance_for_test() as instance:
        storage = instance.event_log_storage
        storage.set_concurrency_slots(POOL, 1)
        assert storage.claim_concurrency_slot(POOL, OTHER_RUN, "its step").is_claimed

        def release_later() -> None:
            while not storage.get_concurrency_info(POOL).pending_step_count:
                time.sleep(0.1)
            before = time.process_time()
            time.sleep(SECONDS)
            used.append(time.process_time() - before)
            storage.free_concurrency_slots_for_run(OTHER_RUN)

        releasing = threading.Thread(target=release_later, daemon=True)
        releasing.start()
        result = dg.execute_job(dg.reconstructable(waiting_job), instance)
        releasing.join(timeout=10)
    assert result.success
    assert used[0] < 0.5
