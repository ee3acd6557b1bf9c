"""Jobs of one Spark application: the same bytes as programs of their own, and mistakes that stop nothing else."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest

from mora_pipeline.contract.errors import UserError
from mora_pipeline.steps.spark import LocalSpark, SparkReport, StepError, job_environment
from mora_pipeline.steps.spark_server import SparkServer

SETTINGS = {"spark.master": "local[1]", "spark.sql.shuffle.partitions": "2", "spark.driver.memory": "512m"}
BREAKS = "def run(spark, params):\n    raise RuntimeError('told to')\n"
PROGRAM = 'print(\'{"rows": {}, "read": 7, "checks": {}}\')\n'


@pytest.fixture
def other_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs of another package: one breaks down, one is no function that could be served."""
    package = tmp_path / "other_jobs"
    package.mkdir()
    for name, text in (("__init__", ""), ("breaks", BREAKS), ("alone", f"if __name__ == '__main__':\n    {PROGRAM}")):
        (package / f"{name}.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")


def flows(folder: Path) -> dict[str, Any]:
    """Parameters of the job `grid_mobility` without its output."""
    random = np.random.default_rng(0)
    ends = ["origin_latitude", "origin_longitude", "destination_latitude", "destination_longitude"]
    pd.DataFrame(random.uniform(0, 2, (400, 4)), columns=ends).to_parquet(folder / "trips.parquet")
    source = {"files": [str(folder / "trips.parquet")], "format": "parquet", "columns": {end: end for end in ends}}
    return {"kind": "trips", "source": source, "resolution": 5}


def grid(runner: Any, params: dict[str, Any], folder: Path) -> dict[str, SparkReport]:
    """The reports of three jobs, which write below a folder."""
    output = {name: folder / name for name in ("edges", "self_flow", "rhythm", "quarantine")}
    made = {"edges": runner.run("grid_mobility", {**params, "output": output})}
    of_graph = {"edges": folder / "edges", "strategy": "top_share", "share": 0.5, "output": {"graph": folder / "graph"}}
    made["graph"] = runner.run("sample_graph", of_graph)
    members = {"members": [], "population": None, "resolution": 5, "extent": None}
    inputs = {"edges": folder / "edges", "self_flow": folder / "self_flow", "output": {"cells": folder / "cells"}}
    return {**made, "cells": runner.run("cells", {**members, **inputs})}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*.parquet"))}


def java() -> set[psutil.Process]:
    """The JVMs below this process, that of other tests' session among them."""
    return {child for child in psutil.Process().children(recursive=True) if child.name() == "java"}


def test_a_served_job_writes_the_bytes_of_a_program_of_its_own(
    tmp_path: Path, mora_home: Path, other_jobs: None
) -> None:
    """And a mistake leaves the application as it is, another package's program runs, and none outlives the block."""
    params, before = flows(tmp_path), java()
    with SparkServer(lambda: job_environment(SETTINGS), LocalSpark(SETTINGS)) as server:
        served = grid(server, params, tmp_path / "served")
        (first,) = java() - before
        with pytest.raises(UserError, match="kind is 'walks': say od, trips, events"):
            server.run("grid_mobility", {**params, "kind": "walks"})
        assert server.run("sample_graph", {
            "edges": tmp_path / "served" / "edges", "strategy": "none", "output": {"graph": tmp_path / "whole"},
        }).rows["graph"] == served["edges"].rows["edges"]  # fmt: skip
        assert java() - before == {first}
        assert server.run("other_jobs.alone", {}).read == 7
        with pytest.raises(StepError, match="told to"):
            server.run("other_jobs.breaks", {})
    assert java() <= before
    alone = grid(LocalSpark(SETTINGS), params, tmp_path / "alone")
    assert json.dumps([item.rows for item in alone.values()]) == json.dumps([item.rows for item in served.values()])
    assert contents(tmp_path / "served") == contents(tmp_path / "alone")
    assert len(contents(tmp_path / "alone")) >= 5


def test_a_server_that_dies_is_told_and_another_takes_its_place(
    tmp_path: Path, mora_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without Spark: a module of the server's name that answers, or dies as the machine's memory ends it."""
    package = tmp_path / "code" / "spark_jobs"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "serve.py").write_text(
        "import json, os, sys\nfor line in sys.stdin:\n"
        "    if json.loads(line)['job'] == 'dies': os.kill(os.getpid(), 9)\n"
        '    os.write(int(sys.argv[2]), b\'{"checks": {}, "read": 3}\\n\')\n'
    )
    with SparkServer(lambda: {"PYTHONPATH": str(tmp_path / "code")}, LocalSpark()) as server:
        assert server.run("counts", {}).read == 3
        with pytest.raises(StepError, match="code -9"):
            server.run("dies", {})
        assert server.run("counts", {}).read == 3
