"""The region's tasks in the report: what each label is, how many there are, and which may leak from the inputs."""

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

import numpy as np
import pyarrow as pa

from mora_pipeline.evaluation.labels.tasks import Task
from mora_pipeline.evaluation.report.tables import LEAKING, MISSING
from mora_pipeline.region import RegionConfig

DECLARED = ("level", "path", "column", "transform", "aggregate", "weight")  # of a task in region.yaml
Facts = Mapping[str, Mapping[str, Any]]  # by task, then by label


def task_facts(config: RegionConfig, tasks: Sequence[Task] = ()) -> Facts:
    """What a reader should know of each task, ready for JSON.

    Args:
        tasks: as read; without them, only what region.yaml says is known.
    """
    found = {
        name: {key: getattr(task, key, None) for key in DECLARED} | {"leaks_allowed": task.leaks == "allowed"}
        for name, task in config.tasks.items()
    }
    for task in tasks:
        counts = {"labels": len(task.target), "blocks": len(np.unique(task.blocks)), "dropped": dict(task.reasons)}
        found[task.name].update(counts)
    return found


def leaking(facts: Facts) -> frozenset[str]:
    """The tasks whose label is allowed to leak from the inputs."""
    return frozenset(name for name, task in facts.items() if task["leaks_allowed"])


def task_table(facts: Facts, scores: pa.Table) -> tuple[list[str], list[list[str]]]:
    """Head and rows of texts.

    Args:
        facts: from `task_facts`.
        scores: `schemas.BENCHMARK`, which counts labels where the facts do not.
    """
    head = ["task", "level", "label", "transform", "aggregate", "labels", "dropped", "blocks", "may leak"]
    tested = {row["task"]: row["n_max"] for row in scores.group_by(["task"]).aggregate([("n", "max")]).to_pylist()}
    return head, [[name, *_row(task, tested.get(name))] for name, task in facts.items()]


def task_notes(facts: Facts) -> list[str]:
    """What the marks in the table mean."""
    return [LEAKING] if leaking(facts) else []


def _row(task: Mapping[str, Any], tested: int | None) -> list[str]:
    labels, dropped = task.get("labels", tested), task.get("dropped")
    aggregate = task["aggregate"] or MISSING
    return [
        task["level"],
        f"{task['column']} of {PurePath(task['path']).name}",
        task["transform"],
        f"{aggregate}, weighted by {task['weight']}" if task["weight"] else aggregate,
        MISSING if labels is None else f"{labels:,}",
        MISSING if dropped is None else ", ".join(f"{count:,} {reason}" for reason, count in dropped.items()) or "none",
        f"{task['blocks']:,}" if "blocks" in task else MISSING,
        "yes ‡" if task["leaks_allowed"] else "no",
    ]
