"""The figures of a home for Prometheus, and the sensor that writes them to $MORA_METRICS_FILE."""

import os
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import dagster as dg

from mora_pipeline.contract.files import replace_file
from mora_pipeline.defs.history import active_runs, daemon_alive, last_run, last_success, night
from mora_pipeline.lake import mora_home
from mora_pipeline.lake.inventory import take_inventory
from mora_pipeline.metrics import NAMES, DatasetFigures, RegionFigures, Sample, collect, exposition
from mora_pipeline.steps.meter import GIB

FILE = "MORA_METRICS_FILE"


@dg.sensor(
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Writes the figures of every region for Prometheus to the file that MORA_METRICS_FILE names, each minute; "
        "does nothing without it. What they mean: docs/metrics.md."
    ),
)
def metrics_file(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Never asks for a run."""
    chosen = os.environ.get(FILE)
    if not chosen:
        return dg.SkipReason(f"{FILE} is not set.")
    write_metrics(Path(chosen).expanduser(), metrics_text(mora_home(), context.instance))
    return dg.SkipReason(f"Wrote {chosen}.")


def write_metrics(file: Path, text: str) -> None:
    """Replace the file in one step, readable by everybody: node_exporter is another user.

    Raises:
        OSError: if it cannot be written.
    """
    replace_file(file, text)
    file.chmod(0o644)


def metrics_text(home: Path, instance: dg.DagsterInstance | None) -> str:
    """All figures of a home in Prometheus's text format.

    Args:
        instance: Dagster's; None if its history cannot be read: then the figures of runs are missing.
    """
    inventory = take_inventory(home)
    runs: dict[str, RegionFigures] = {}
    others: dict[str, float | None] = {"mora_history_readable": float(instance is not None)}
    active: list[Sample] = []
    if instance is not None:
        try:
            runs = {name: _of_region(instance, name) for name in inventory.regions}
            others |= _of_instance(instance)
            statuses = Counter(run.status for run in active_runs(instance))
            active = [
                Sample("mora_runs_active", statuses[name], {"status": name}) for name in ("queued", "started")
            ] + [
                Sample("mora_runs_active", n, {"status": s})
                for s, n in statuses.items()
                if s not in ("queued", "started")
            ]
        except (dg.DagsterError, OSError, sqlite3.Error):
            runs, others = {}, {"mora_history_readable": 0.0}
    return exposition([*collect(home, inventory, runs, others), *active], NAMES)


def _of_instance(instance: dg.DagsterInstance) -> dict[str, float | None]:
    try:
        seen = night(instance)
    except ValueError:
        seen = None
    shown = seen if seen is not None and seen.on else None
    return {
        "mora_daemon_up": float(daemon_alive(instance)),
        "mora_night_due_timestamp_seconds": shown.due if shown else None,
        "mora_night_begun_timestamp_seconds": shown.tick if shown else None,
    }


def _of_region(instance: dg.DagsterInstance, region: str) -> RegionFigures:
    last, good = last_run(instance, region), last_success(instance, region)
    return RegionFigures(
        None if last is None else last.status == "success",
        last.ended if last else None,
        last.seconds if last else None,
        good.ended if good else None,
        _steps(instance, region),
    )


def _steps(instance: dg.DagsterInstance, region: str) -> dict[str, DatasetFigures]:
    """What each step took when it last made something of the region."""
    steps = {}
    for key in instance.get_asset_keys():
        wanted = dg.AssetRecordsFilter(asset_key=key, asset_partitions=[region])
        records = instance.fetch_materializations(wanted, limit=1).records
        event = records[0].asset_materialization if records else None
        seconds = _value(event, "seconds")
        if seconds is not None:
            memory = _value(event, "peak_memory_gib")
            steps[key.to_user_string()] = DatasetFigures(seconds, None if memory is None else memory * GIB)
    return steps


def _value(event: dg.AssetMaterialization | None, name: str) -> float | None:
    entry: Any = event.metadata.get(name) if event else None
    return float(entry.value) if entry is not None and isinstance(entry.value, int | float) else None
