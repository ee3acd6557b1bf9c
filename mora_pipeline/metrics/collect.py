"""Which figures there are, and where each comes from: the lake, the disk, and what the scheduler says of the runs."""

import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from mora_pipeline.alerts import KINDS, open_alerts
from mora_pipeline.lake.inventory import Inventory, RegionState
from mora_pipeline.metrics.text import Sample

NAMES: Mapping[str, str] = MappingProxyType(
    {
        "mora_dataset_rows": "Rows of the current version of a dataset.",
        "mora_dataset_bytes": "Bytes of all kept versions of a dataset.",
        "mora_dataset_timestamp_seconds": "When the current version of a dataset was begun, seconds since 1970.",
        "mora_dataset_damaged": "1 if the record of a dataset cannot be read, else 0.",
        "mora_region_cells": "Cells of a region.",
        "mora_region_edges": "Edges between the cells of a region.",
        "mora_region_bad_rows": "Raw rows of a region in quarantine.",
        "mora_region_disk_bytes": "Bytes on the disk of a region, by what they are.",
        "mora_region_embeddings_age_seconds": "Seconds since the embeddings of a region were begun.",
        "mora_region_last_run_success": "1 if the last ended run of a region succeeded, else 0.",
        "mora_region_last_run_timestamp_seconds": "When the last run of a region ended, seconds since 1970.",
        "mora_region_last_run_seconds": "Seconds that the last ended run of a region took.",
        "mora_region_last_success_timestamp_seconds": "When the last good run of a region ended, seconds since 1970.",
        "mora_step_seconds": "Seconds that a step took when it last ran.",
        "mora_step_peak_memory_bytes": "Most memory that a step had when it last ran, its child processes included.",
        "mora_runs_active": "Runs that wait or go on, by status.",
        "mora_alerts_open": "Alerts that stand, by kind.",
        "mora_daemon_up": "1 if the Dagster daemon has given a sign of life lately, else 0.",
        "mora_night_due_timestamp_seconds": "When the nightly run last ought to have begun; only while it is on.",
        "mora_night_begun_timestamp_seconds": "When the nightly run last began; only while it is on.",
        "mora_history_readable": "1 if Dagster's history can be read, else 0.",
        "mora_disk_free_bytes": "Bytes free where the home is stored.",
        "mora_collected_timestamp_seconds": "When these figures were collected, seconds since 1970.",
    }
)


@dataclass(frozen=True)
class DatasetFigures:
    """What a step took when it last ran."""

    seconds: float
    peak_memory_bytes: float | None = None


@dataclass(frozen=True)
class RegionFigures:
    """What the scheduler says of a region; times in seconds since 1970."""

    success: bool | None = None
    ended: float | None = None
    seconds: float | None = None
    last_success: float | None = None
    steps: Mapping[str, DatasetFigures] = field(default_factory=dict)


def collect(
    home: Path, inventory: Inventory, runs: Mapping[str, RegionFigures], others: Mapping[str, float | None]
) -> list[Sample]:
    """All samples of a home.

    Args:
        runs: by region.
        others: further figures by name of the metric, without labels; those of None are left out.
    """
    samples: list[Sample] = []
    for state in inventory.regions.values():
        samples += _of_lake(state)
        samples += _of_runs(state.name, runs.get(state.name, RegionFigures()))
    standing = [alert.kind for alert in open_alerts(home)]
    samples += [Sample("mora_alerts_open", standing.count(kind), {"kind": kind}) for kind in KINDS if kind != "test"]
    samples += [Sample(name, value) for name, value in others.items() if value is not None]
    samples.append(Sample("mora_disk_free_bytes", shutil.disk_usage(home).free))
    samples.append(Sample("mora_collected_timestamp_seconds", round(time.time(), 3)))
    return samples


def _of_lake(state: RegionState) -> Iterator[Sample]:
    region = {"region": state.name}
    for item in state.datasets:
        labels = {**region, "dataset": item.dataset}
        yield Sample("mora_dataset_bytes", item.bytes, labels)
        yield Sample("mora_dataset_damaged", float(item.problem is not None), labels)
        if item.rows is not None:
            yield Sample("mora_dataset_rows", item.rows, labels)
        if item.begun is not None:
            yield Sample("mora_dataset_timestamp_seconds", item.begun.timestamp(), labels)
    for name in ("cells", "edges"):
        if (rows := state.rows(name)) is not None:
            yield Sample(f"mora_region_{name}", rows, region)
    bad = [item.rows for item in state.datasets if item.dataset.startswith("quarantine/") and item.rows is not None]
    if bad:
        yield Sample("mora_region_bad_rows", sum(bad), region)
    for what, size in state.bytes.items():
        yield Sample("mora_region_disk_bytes", size, {**region, "what": what})
    if state.embeddings_at is not None:
        age = max(0.0, time.time() - state.embeddings_at.timestamp())
        yield Sample("mora_region_embeddings_age_seconds", round(age, 1), region)


def _of_runs(region: str, runs: RegionFigures) -> Iterator[Sample]:
    labels = {"region": region}
    figures = {
        "mora_region_last_run_success": None if runs.success is None else float(runs.success),
        "mora_region_last_run_timestamp_seconds": runs.ended,
        "mora_region_last_run_seconds": runs.seconds,
        "mora_region_last_success_timestamp_seconds": runs.last_success,
    }
    yield from (Sample(name, value, labels) for name, value in figures.items() if value is not None)
    for step, took in runs.steps.items():
        yield Sample("mora_step_seconds", took.seconds, {**labels, "step": step})
        if took.peak_memory_bytes is not None:
            yield Sample("mora_step_peak_memory_bytes", took.peak_memory_bytes, {**labels, "step": step})
