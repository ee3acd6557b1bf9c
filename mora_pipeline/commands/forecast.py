"""How far a run is and about how long it still takes, by what its steps took before."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dagster import DagsterInstance

EARLIER_RUNS = 5
LEAST_BAR, MOST_BAR = 10, 40  # columns
ENDED = ("done", "failed", "skipped")


@dataclass(frozen=True)
class Forecast:
    """What the steps of a run took before, in seconds; empty if they never ran.

    Attributes:
        usual: seconds of a step, by name; the longest of the last runs, as a step may have had nothing to do.
        pace: seconds of a whole run per second of its steps; below 1, as steps run side by side.
    """

    usual: Mapping[str, float] = field(default_factory=dict)
    pace: float = 1.0

    @classmethod
    def of(cls, instance: "DagsterInstance", job: str, region: str) -> "Forecast":
        """By the last runs of a job for a region that ended well."""
        from dagster import DagsterRunStatus, RunsFilter

        from mora_pipeline.runs import PARTITION_TAG

        filters = RunsFilter(job_name=job, tags={PARTITION_TAG: region}, statuses=[DagsterRunStatus.SUCCESS])
        usual: dict[str, float] = {}
        paces: list[float] = []
        for record in instance.get_run_records(filters, limit=EARLIER_RUNS):
            steps = instance.get_run_step_stats(record.dagster_run.run_id)
            took = {
                step.step_key: step.end_time - step.start_time for step in steps if step.start_time and step.end_time
            }
            for name, seconds in took.items():
                usual[name] = max(seconds, usual.get(name, 0.0))
            if record.start_time and record.end_time and (busy := sum(took.values())):
                paces.append((record.end_time - record.start_time) / busy)
        return cls(usual, max(paces, default=1.0))

    def progress(self, states: Mapping[str, str], seconds: Mapping[str, float]) -> tuple[float, float | None]:
        """The share of the work that is done, from 0 to 1, and the seconds that are left; None if nobody can tell.

        Args:
            states: ``waiting``, ``running``, ``done``, ``failed`` or ``skipped`` of each step of the run.
            seconds: that each running step has taken so far.
        """
        if not self.usual or any(
            name not in self.usual for name, state in states.items() if state in ("waiting", "running")
        ):
            return sum(state in ENDED for state in states.values()) / max(len(states), 1), None
        left = {
            name: max(self.usual[name] - seconds.get(name, 0.0), 0.0)
            for name, state in states.items()
            if state in ("waiting", "running")
        }
        total = sum(max(self.usual.get(name, 0.0), 1e-3) for name in states)
        return 1.0 - min(sum(left.values()) / total, 1.0), max(sum(left.values()) * self.pace, *left.values(), 0.0)


def bar(share: float, left: float | None, width: int) -> str:
    """One line that fits into `width` columns: a bar, the percentage, and the time that is left.

    Args:
        share: of the work that is done, from 0 to 1.
        left: seconds; None if nobody can tell.
    """
    words = f" {share:4.0%}" + (f"  about {duration(left)} left" if left is not None else "")
    room = min(max(width - len(words) - 2, LEAST_BAR), MOST_BAR)
    full = round(share * room)
    return f"[{'#' * full}{'.' * (room - full)}]{words}"[:width]


def duration(seconds: float) -> str:
    """``40 s``, ``12 min`` or ``3 h 5 min``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
