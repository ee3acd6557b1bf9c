"""A step publishes only while its run holds its region and has not ended."""

import time
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import pyarrow as pa
import pytest

from mora_pipeline.defs.fences import fence_of_step
from mora_pipeline.lake import Lake
from mora_pipeline.runs.fence import RunEndedError, fence_of
from mora_pipeline.runs.locks import RegionLock
from tests.runs.conftest import Start
from tests.runs.test_locks import HOLD

ROWS = pa.table({"cell": [1]})


def test_a_step_publishes_while_its_run_holds_the_region_and_not_after(tmp_path: Path) -> None:
    lake, lock = Lake(tmp_path / "lake"), RegionLock.take(tmp_path, "town", "a test")
    fence = fence_of(tmp_path, "town", lock.holder.token)
    first, second, third = (lake.begin("edges", "town") for _ in range(3))
    for draft in (first, second, third):
        draft.write(ROWS)
    published = first.commit(fence=fence)
    lock.release()
    with pytest.raises(RunEndedError, match="the versions before stay"):
        second.commit(fence=fence)
    successor = RegionLock.take(tmp_path, "town", "another run")
    with pytest.raises(RunEndedError, match="`another run`"):
        third.commit(fence=fence)
    successor.release()
    assert lake.read("edges", "town").version == published.version
    for draft in (second, third):
        draft.discard()
    assert [item.version for item in lake.versions("edges", "town")] == [published.version]
    assert list(tmp_path.rglob("draft-*")) == []


def test_a_step_whose_run_was_killed_may_not_publish(tmp_path: Path, start: Start) -> None:
    holder = start(HOLD, tmp_path)
    assert holder.stdout is not None
    token = holder.stdout.readline().rpartition("mora-run-")[2].strip()
    fence = fence_of(tmp_path, "town", token)
    fence()
    holder.kill()
    holder.wait()
    begun = time.monotonic()
    with pytest.raises(RunEndedError):
        fence()
    assert time.monotonic() - begun < 1


@dg.job
def nothing() -> None:
    """A job of no steps."""


@pytest.mark.parametrize("end", ["failed", "canceling", "deleted", None])
def test_a_step_may_not_publish_once_its_run_has_ended_in_dagster(mora_home: Path, end: str | None) -> None:
    """As the button "Force termination" ends a run whose processes go on."""
    with dg.DagsterInstance.ephemeral() as instance:
        run = instance.create_run_for_job(nothing, status=dg.DagsterRunStatus.STARTED)
        fence = fence_of_step(SimpleNamespace(instance=instance, run_id=run.run_id, partition_key="town"))  # type: ignore[arg-type]
        fence()
        if end == "failed":
            instance.report_run_failed(run)
        elif end == "canceling":
            instance.report_run_canceling(run)
        elif end == "deleted":
            instance.delete_run(run.run_id)
        if end is None:
            fence()
        else:
            with pytest.raises(RunEndedError, match="nothing of it was published"):
                fence()
