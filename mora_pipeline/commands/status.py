"""`mora status`: every region, its age, its last run, its disk; what runs now, the daemon, and the next night."""

import json
import sqlite3
import sys
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from dagster import DagsterInstance

    from mora_pipeline.defs.history import Night, RunSeen
    from mora_pipeline.lake.inventory import Inventory, RegionState

_UNITS = ("B", "kB", "MB", "GB", "TB")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Everything as one JSON object.")
@click.option("--check", is_flag=True, help="End with 1 if something is wrong: for cron and monitoring.")
def status(as_json: bool, check: bool) -> None:
    """Show every region: how old its embeddings are, its last run, its disk; what runs now, the daemon, the next night.

    Works where Dagster's history or a dataset is damaged: what is wrong is said, and the rest is shown.

    \b
    Examples:
      mora status
      mora status --json
      mora status --check
    """
    from mora_pipeline.lake import mora_home

    seen = look(mora_home())
    click.echo(json.dumps(seen.record(), indent=2) if as_json else seen.text())
    if check and seen.problems:
        sys.exit(1)


@dataclass(frozen=True)
class Status:
    """All that `mora status` shows.

    Attributes:
        last: the last ended run of each region.
        active: the runs that wait or go on.
        problems: what is wrong, a line each.
    """

    home: Path
    inventory: "Inventory"
    last: "dict[str, RunSeen]"
    active: "list[RunSeen]"
    night: "Night | None"
    daemon_seconds: float | None
    daemon_alive: bool
    problems: list[str]

    def record(self) -> dict[str, Any]:
        """For machines; times are seconds since 1970 or ISO 8601, sizes bytes."""
        return {
            "home": str(self.home),
            "regions": [self._region_record(state) for state in self.inventory.regions.values()],
            "active_runs": [asdict(run) | {"seconds": run.seconds} for run in self.active],
            "daemon": {"alive": self.daemon_alive, "seconds_since_sign_of_life": self.daemon_seconds},
            "night": asdict(self.night) if self.night else None,
            "disk_free_bytes": free_bytes(self.home),
            "problems": self.problems,
        }

    def _region_record(self, state: "RegionState") -> dict[str, Any]:
        at, run = state.embeddings_at, self.last.get(state.name)
        return {
            "region": state.name,
            "region_yaml": str(state.path) if state.path else None,
            "embeddings_at": at.isoformat() if at else None,
            "cells": state.rows("cells"),
            "last_run": asdict(run) | {"seconds": run.seconds} if run else None,
            "disk_bytes": state.bytes,
            "problems": state.problems,
        }

    def text(self) -> str:
        """For people."""
        lines = [f"Home {self.home}, {size(free_bytes(self.home))} free"]
        rows = [self._row(state) for state in self.inventory.regions.values()]
        lines += ["", *table([("region", "embeddings", "cells", "last run", "disk"), *rows])] if rows else []
        if not rows:
            lines += ["No region yet. Add one: mora region add PATH_OF_REGION_YAML"]
        lines += ["", *self._running(), self._daemon(), self._night()]
        if self.problems:
            lines += ["", "Wrong:", *(f"  {problem}" for problem in self.problems)]
        return "\n".join(lines)

    def _row(self, state: "RegionState") -> tuple[str, ...]:
        at, run, cells = state.embeddings_at, self.last.get(state.name), state.rows("cells")
        age = f"{duration(time.time() - at.timestamp())} old" if at else "none yet"
        last = "none"
        if run:
            took = f" in {duration(run.seconds)}" if run.seconds is not None else ""
            last = f"{run.status}{took}, {duration(time.time() - (run.ended or run.created))} ago"
        name = state.name if state.path else f"{state.name} (not known any more)"
        return name, age, f"{cells:,}" if cells is not None else "", last, size(sum(state.bytes.values()))

    def _running(self) -> list[str]:
        lines = []
        for run in self.active:
            since = f"for {duration(run.seconds)}" if run.seconds is not None else "not begun"
            process = f" ({run.process})" if run.process else ""
            lines.append(f"Run {run.run_id} of {run.region or run.job}: {run.status}, {since}{process}")
        return lines or ["Nothing runs."]

    def _daemon(self) -> str:
        if self.daemon_alive:
            return "Daemon: running"
        seen = f"last seen {duration(self.daemon_seconds)} ago" if self.daemon_seconds is not None else "never seen"
        return f"Daemon: not running ({seen}); start it: mora dev"

    def _night(self) -> str:
        if self.night is None:
            return "Nightly run: not known"
        if not self.night.on:
            return "Nightly run: off (mora nightly on)"
        return f"Nightly run: on, next at {moment(self.night.next)}, last begun {moment(self.night.tick)}"


def look(home: Path) -> Status:
    """Look at a home and its history, whatever is damaged."""
    from mora_pipeline.alerts import open_alerts
    from mora_pipeline.commands.metrics import readable_instance
    from mora_pipeline.lake.inventory import take_inventory

    inventory = take_inventory(home)
    problems = [*inventory.problems, *(problem for state in inventory.regions.values() for problem in state.problems)]
    problems += [f"{state.path} of {state.name} is gone" for state in inventory.regions.values() if _is_gone(state)]
    history: dict[str, Any] = {"last": {}, "active": [], "night": None, "daemon_seconds": None, "daemon_alive": False}
    with readable_instance() as (instance, unreadable):
        if instance is not None:
            found, wrong = _history(instance, list(inventory.regions))
            history |= found
            problems += wrong
        elif home.is_dir():
            problems += [f"{unreadable}. See: mora doctor", *_lock_holders(home)]
    told = [f"{alert.title} (since {alert.since}): {alert.mend}" for alert in open_alerts(home)]
    return Status(home, inventory, **history, problems=[*problems, *(item for item in told if item not in problems)])


def _history(instance: "DagsterInstance", regions: list[str]) -> tuple[dict[str, Any], list[str]]:
    """What Dagster's history says, and what is wrong there."""
    from mora_pipeline.defs import history

    problems = []
    try:
        last = {name: run for name in regions if (run := history.last_run(instance, name)) is not None}
        found: dict[str, Any] = {
            "last": last,
            "active": history.active_runs(instance),
            "daemon_seconds": history.daemon_age(instance),
            "daemon_alive": history.daemon_alive(instance),
        }
    except sqlite3.Error as error:
        return {}, [f"Dagster's history cannot be read: {error}. See: mora doctor"]
    problems += [
        f"The last run of {name} ended with {run.status}: mora materialize {name}"
        for name, run in last.items()
        if run.status == "failure"
    ]
    try:
        found["night"] = history.night(instance)
        wrong = [*history.wrong_nights(instance, regions), *history.old_regions(instance, regions)]
    except ValueError as error:
        return found, [*problems, str(error)]
    wrong += history.dead_daemon(instance)
    if found["night"].on and not found["daemon_alive"] and not any(alert.kind == "daemon_dead" for alert in wrong):
        problems.append("The nightly run is on, but no daemon is running: mora dev")
    return found, [*problems, *(f"{alert.title}. {alert.text} {alert.mend}" for alert in wrong)]


def _lock_holders(home: Path) -> list[str]:
    """Who makes which region, where Dagster's history does not say so."""
    from mora_pipeline.contract.files import is_claimed
    from mora_pipeline.runs.locks import holder_in

    paths = [path for path in sorted((home / "runs").glob("*.lock")) if is_claimed(path)]
    holders = (holder_in(path) for path in paths)
    return [f"{holder.region} is being made by {holder.words}" for holder in holders if holder]


def _is_gone(state: "RegionState") -> bool:
    return state.path is not None and not state.path.exists()


def free_bytes(home: Path) -> int:
    """Bytes free where a home is, or will be."""
    import shutil

    existing = next(folder for folder in (home, *home.parents) if folder.exists())
    return shutil.disk_usage(existing).free


def duration(seconds: float | None) -> str:
    """Seconds as people say them: `42 s`, `17 min`, `5.3 h`, `12 days`."""
    if seconds is None:
        return "?"
    if seconds < 60:
        return f"{max(0.0, seconds):.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.0f} days"


def size(number: float) -> str:
    """Bytes with a unit: `3.4 GB`."""
    for unit in _UNITS[:-1]:
        if number < 1000:
            return f"{number:.0f} B" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} {_UNITS[-1]}"


def moment(seconds: float | None) -> str:
    """A time in UTC, to the minute."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC" if seconds is not None else "never"


def table(rows: list[tuple[str, ...]]) -> list[str]:
    """Rows as lines of columns as wide as they need."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
