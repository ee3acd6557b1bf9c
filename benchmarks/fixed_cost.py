"""What a run costs before its data counts: processes, imports and Java, part by part, as it was and as it is.

python -m benchmarks.fixed_cost --repeats 3
As it was: a process that imports everything for each step, and a Spark program for each job. As it is: steps are
forked from a server that has imported what they need, and one Spark application serves the jobs of a run. Each way runs
in a process of its own, in turn. The last line is JSON.
"""
# ruff: noqa: T201 - a command prints

import argparse
import importlib
import json
import multiprocessing
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.measure import REPORTS, Usage, machine, run_measured, save_report
from mora_pipeline.defs.executor import PRELOADED
from mora_pipeline.steps.spark import LocalSpark, SparkRunner, job_environment
from mora_pipeline.steps.spark_server import SparkServer

STEPS = 4  # of a run, that Python makes: text, imagery, embeddings, benchmark
TRIPS = 400
SETTINGS = {"spark.master": "local[2]", "spark.sql.shuffle.partitions": "2", "spark.driver.memory": "512m"}


def train_a_little() -> None:
    """What a step does at least: its imports, and one turn of a torch optimizer."""
    for name in PRELOADED:
        importlib.import_module(name)
    import torch

    weights = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.Adam([weights])
    weights.sum().backward()
    optimizer.step()


def steps(start: str) -> None:
    """Steps one after another, each in a process that starts by ``spawn`` or ``forkserver``."""
    context = multiprocessing.get_context(start)
    if start == "forkserver":
        context.set_forkserver_preload(list(PRELOADED))
    for _ in range(STEPS):
        step = context.Process(target=train_a_little)  # type: ignore[attr-defined]
        step.start()
        step.join()
        if step.exitcode:
            sys.exit(f"A step ended with {step.exitcode}.")


def grid(runner: SparkRunner, folder: Path) -> None:
    """The three jobs that every region has, on a few trips."""
    ends = ["origin_latitude", "origin_longitude", "destination_latitude", "destination_longitude"]
    random = np.random.default_rng(0)
    pd.DataFrame(random.uniform(0, 2, (TRIPS, 4)), columns=ends).to_parquet(folder / "trips.parquet")
    source = {"files": [str(folder / "trips.parquet")], "format": "parquet", "columns": {end: end for end in ends}}
    output = {name: folder / name for name in ("edges", "self_flow", "rhythm", "quarantine")}
    runner.run("grid_mobility", {"kind": "trips", "source": source, "resolution": 5, "output": output})
    graph = {"edges": folder / "edges", "strategy": "top_share", "share": 0.5, "output": {"graph": folder / "graph"}}
    runner.run("sample_graph", graph)
    inputs = {"edges": folder / "edges", "self_flow": folder / "self_flow", "output": {"cells": folder / "cells"}}
    runner.run("cells", {"members": [], "population": None, "resolution": 5, "extent": None, **inputs})


def programs(folder: Path) -> None:
    """Each job a Spark program of its own."""
    grid(LocalSpark(SETTINGS), folder)


def served(folder: Path) -> None:
    """One Spark application for the jobs."""
    with SparkServer(lambda: job_environment(SETTINGS), LocalSpark(SETTINGS)) as server:
        grid(server, folder)


WAYS: dict[str, dict[str, Callable[[Path], None]]] = {
    f"{STEPS} Python steps": {"before": lambda _: steps("spawn"), "after": lambda _: steps("forkserver")},
    "3 Spark jobs": {"before": programs, "after": served},
}


def measured(part: str, way: str) -> Usage:
    """One way in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-W", "ignore", "-m", "benchmarks.fixed_cost"]
        return run_measured([*command, "--part", part, "--way", way, "--folder", folder], Path(folder))


def row(part: str, way: str, runs: list[Usage]) -> dict[str, Any]:
    """Medians over the repeats."""
    return {
        "part": part,
        "way": way,
        "processor s": round(statistics.median(run.processor_seconds for run in runs), 1),
        "wall s": round(statistics.median(run.seconds for run in runs), 1),
        "peak GiB": round(statistics.median(run.peak_gib for run in runs), 2),
    }


def main() -> None:
    """Measure all parts in turn, or carry one out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3, help="of each way, in turn")
    parser.add_argument("--report", type=Path, default=REPORTS, help="folder of fixed_cost.md and fixed_cost.json")
    for hidden in ("--part", "--way", "--folder"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        WAYS[options.part][options.way](Path(options.folder))
        return
    facts = machine("dagster", "torch", "pyspark")
    runs: dict[tuple[str, str], list[Usage]] = {(part, way): [] for part, ways in WAYS.items() for way in ways}
    for _ in range(options.repeats):
        for (part, way), done in runs.items():
            done.append(measured(part, way))
    rows = [row(part, way, done) for (part, way), done in runs.items()]
    print(save_report(options.report, "fixed_cost", "What a run costs before its data counts", rows, facts))
    print(json.dumps({"rows": rows, **facts}))


if __name__ == "__main__":
    main()
