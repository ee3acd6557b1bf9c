"""What a terminal shows of a run: one line a step, live, or a line an event where there is no terminal."""

import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mora_pipeline.commands.base import console
from mora_pipeline.commands.forecast import ENDED, Forecast, bar, duration
from mora_pipeline.contract.json_logs import is_on
from mora_pipeline.defs.op_names import GRID

if TYPE_CHECKING:
    from dagster import DagsterEvent, EventLogEntry
    from rich.console import Console, Group

_MARKS = {"waiting": "·", "running": "▸", "done": "✓", "failed": "✗", "skipped": "-"}
_COLOURS = {"waiting": "dim", "running": "cyan", "done": "green", "failed": "red", "skipped": "dim"}


@dataclass
class Step:
    """What is known of a step of a run; `made` tells that it did more than find its assets unchanged."""

    name: str
    state: str = "waiting"
    started: float = 0.0
    seconds: float = 0.0
    note: str = ""
    made: bool = False


@dataclass
class RunState:
    """A run as its events tell it: feed it every event in order.

    Attributes:
        forecast: what its steps took before.
    """

    steps: dict[str, Step]
    forecast: Forecast = field(default_factory=Forecast)
    errors: list[str] = field(default_factory=list)
    succeeded: bool = False

    @classmethod
    def of(cls, names: list[str], forecast: Forecast | None = None) -> "RunState":
        return cls({name: Step(name) for name in names}, forecast or Forecast())

    def progress(self) -> tuple[float, float | None]:
        """See `Forecast.progress`."""
        running = {name: time.time() - step.started for name, step in self.steps.items() if step.state == "running"}
        return self.forecast.progress({name: step.state for name, step in self.steps.items()}, running)

    def take(self, entry: "EventLogEntry") -> Step | None:
        """Learn from an event; the step that it began or ended, if it did."""
        event = entry.dagster_event
        step = self.steps.get(entry.step_key or "")
        if event is None:
            if step and step.state == "running":
                step.note = _one_line(entry.user_message)
            return None
        if step is not None:
            return self._take_step(step, event, entry.timestamp)
        if event.is_job_success:
            self.succeeded = True
        elif event.event_type_value in ("PIPELINE_FAILURE", "PIPELINE_CANCELED") and not self.errors:
            self.errors.append(_run_error(event))
        return None

    def _take_step(self, step: Step, event: "DagsterEvent", timestamp: float) -> Step | None:
        kind = event.event_type_value
        if kind == "STEP_START":
            step.state, step.started = "running", timestamp
        elif kind == "STEP_SUCCESS":
            step.state, step.seconds = "done", timestamp - step.started
        elif kind == "STEP_FAILURE":
            step.state, step.note = "failed", ""
            step.seconds = timestamp - step.started if step.started else 0.0
            if not self._failed_check(event):
                asset = "" if step.name == GRID else f"{step.name}: "  # its message names the assets
                self.errors.append(f"{asset}{_step_error(event)}")
        elif kind == "STEP_SKIPPED":
            step.state, step.note = "skipped", ""
        elif kind == "ASSET_MATERIALIZATION":
            step.made |= "unchanged" not in event.step_materialization_data.materialization.metadata
            step.note = (_rows(event) or "") if step.made else "unchanged"
            return None
        elif kind == "ASSET_CHECK_EVALUATION":
            if not event.asset_check_evaluation_data.passed:
                self.errors.append(_check_error(event))
            return None
        else:
            return None
        return step

    def _failed_check(self, event: "DagsterEvent") -> bool:
        """True if the step failed because of a check, which has been reported already."""
        error = event.step_failure_data.error
        return bool(self.errors and error and error.cls_name == "DagsterAssetCheckFailedError")


class PlainProgress:
    """One line when a step begins and one when it ends: for logs and pipes."""

    def __init__(self, state: RunState) -> None:
        self.state, self.console = state, console()

    def __enter__(self) -> "PlainProgress":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def show(self, changed: Step | None) -> None:
        if changed is None:
            return
        done = sum(step.state in ENDED for step in self.state.steps.values())
        clock = time.strftime("%H:%M:%S")
        words = [clock, f"[{done}/{len(self.state.steps)}]", changed.name, changed.state]
        if changed.state in ("done", "failed"):
            words.append(f"{changed.seconds:.1f} s")
        if changed.state in ("waiting", "done") and changed.note:
            words.append(changed.note)
        share, left = self.state.progress()
        if changed.state != "waiting" and left is not None:
            words.append(f"({share:.0%}, about {duration(left)} left)")
        self.say(" ".join(words), changed)

    def say(self, line: str, step: Step) -> None:
        """Write one line about a step."""
        self.console.print(line, markup=False)


class JsonProgress(PlainProgress):
    """The same lines as JSON, on standard error."""

    def say(self, line: str, step: Step) -> None:
        """See `PlainProgress.say`."""
        level = logging.ERROR if step.state == "failed" else logging.INFO
        logging.getLogger("mora_pipeline.progress").log(level, line, extra={"step": step.name})


class LiveProgress:
    """A table of all steps that renews itself: for terminals."""

    def __init__(self, state: RunState, console: "Console | None" = None) -> None:
        from rich.console import Console
        from rich.live import Live

        self.state, self.console = state, console or Console()
        self.live = Live(
            get_renderable=self._table, console=self.console, refresh_per_second=4, vertical_overflow="visible"
        )

    def __enter__(self) -> "LiveProgress":
        self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.live.stop()

    def show(self, changed: Step | None) -> None:
        """Nothing to do: the table is drawn anew four times a second."""

    def _table(self) -> "Group":
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 2))
        # A long note gives way, not the step's name or time.
        table.add_column(no_wrap=True, min_width=2 + max(map(len, self.state.steps), default=0))
        table.add_column(justify="right", no_wrap=True, min_width=len("1234.5 s"))
        table.add_column(no_wrap=True, overflow="ellipsis")
        for step in self.state.steps.values():
            seconds = time.time() - step.started if step.state == "running" else step.seconds
            table.add_row(
                Text(f"{_MARKS[step.state]} {step.name}", style=_COLOURS[step.state]),
                f"{seconds:.1f} s" if step.state in ("running", "done", "failed") else "",
                Text(step.note, style="dim"),
            )
        return Group(table, Text(bar(*self.state.progress(), self.console.width), no_wrap=True))


def progress_for(state: RunState) -> PlainProgress | LiveProgress:
    """Live where a person looks, plain elsewhere, JSON where MORA_LOG_FORMAT says so."""
    if is_on():
        return JsonProgress(state)
    return LiveProgress(state) if console().is_terminal else PlainProgress(state)


def _rows(event: "DagsterEvent") -> str | None:
    metadata = event.step_materialization_data.materialization.metadata
    rows = metadata.get("dagster/row_count") or metadata.get("rows")
    return f"{rows.value:,} rows" if rows is not None and isinstance(rows.value, int) else None


def _step_error(event: "DagsterEvent") -> str:
    """The message that the step's code gave: of a `Failure` its description, of an exception its text."""
    failure = event.step_failure_data
    described = failure.user_failure_data.description if failure.user_failure_data else None
    return described or (_root_message(failure.error) if failure.error else "failed without a message")


def _check_error(event: "DagsterEvent") -> str:
    """Which check failed, and what it measured."""
    check = event.asset_check_evaluation_data
    figures = [f"{name} {entry.value}" for name, entry in check.metadata.items() if hasattr(entry, "value")]
    measured = ": ".join(filter(None, [check.description, ", ".join(figures)]))
    name = f"{check.asset_key.to_user_string()}: the check {check.check_name} failed"
    return f"{name} ({measured}). Nothing of it was committed." if check.blocking else f"{name} ({measured})"


def _run_error(event: "DagsterEvent") -> str:
    if event.event_type_value == "PIPELINE_CANCELED":
        return "The run was cancelled."
    error = event.job_failure_data.error if event.event_specific_data else None
    return _root_message(error) if error else (event.message or "The run failed without a message.")


def _root_message(error: Any) -> str:
    """The innermost error's text; the class is named unless it is one that means the user's data or settings."""
    while error.cause is not None:
        error = error.cause
    name, _, text = error.message.strip().partition(": ")
    if not text:
        return name
    kind = name.rsplit(".", 1)[-1]
    return text.strip() if kind in ("UserError", "Failure") else f"{kind}: {text.strip()}"


def _one_line(message: str) -> str:
    return next((line.strip() for line in message.splitlines() if line.strip()), "")[:120]
