"""The jobs on a real master and two workers: the same data as in local mode, code shipped, a lost worker survived."""

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ENDS = ["origin_latitude", "origin_longitude", "destination_latitude", "destination_longitude"]
MOBILITY = ("edges", "self_flow", "rhythm", "quarantine")


def raw_files(folder: Path, name: str, frame: pd.DataFrame, files: int, form: str = "parquet") -> dict[str, Any]:
    """Rows dealt out to several files, as a job's source."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}_{number}.{form}" for number in range(files)]
    for number, path in enumerate(paths):
        part = frame.iloc[number::files]
        if form == "csv":
            part.to_csv(path, index=False)
        else:
            part.to_parquet(path, index=False)
    return {"files": list(map(str, paths)), "format": form, "columns": {key: key for key in frame.columns}}


def random_trips(rows: int) -> pd.DataFrame:
    """Trips between points of a square degree, a few of them impossible."""
    random = np.random.default_rng(3)
    trips = pd.DataFrame(random.uniform(0, 1, (rows, 4)), columns=ENDS)
    trips["count"] = random.pareto(1.5, rows) + 0.1
    trips.loc[:: rows // 10, "origin_latitude"] = 91.0
    return trips


def random_events(rows: int) -> pd.DataFrame:
    random = np.random.default_rng(4)
    time = 1_700_000_000 + random.integers(0, 30 * 86_400, rows)
    point = {"latitude": random.uniform(0, 0.3, rows), "longitude": random.uniform(0, 0.3, rows)}
    return pd.DataFrame({"user": random.integers(0, rows // 50, rows).astype(str), "time": time, **point})


def random_pois(rows: int) -> pd.DataFrame:
    random = np.random.default_rng(5)
    point = {"latitude": random.uniform(0, 1, rows), "longitude": random.uniform(0, 1, rows)}
    return pd.DataFrame({**point, "category": [f"kind {number}" for number in random.integers(0, 300, rows)]})


def jobs(raw: Path, lake: Path) -> list[tuple[str, dict[str, Any]]]:
    """Every job in its order, with its parameters; all write below `lake`."""

    def output(*names: str, below: str = "") -> dict[str, str]:
        return {name: str(lake / below / name) for name in names}

    trips = {"kind": "trips", "source": raw_files(raw, "trips", random_trips(20_000), 4), "resolution": 7}
    events = {"kind": "events", "source": raw_files(raw, "events", random_events(20_000), 4), "resolution": 7}
    pois = {"source": raw_files(raw, "pois", random_pois(5_000), 3), "resolution": 7}
    edges, members = str(lake / "trips" / "edges"), [str(lake / "text_cells")]
    cells = {"edges": edges, "self_flow": str(lake / "trips" / "self_flow"), "members": members, "resolution": 7}
    return [
        ("grid_mobility", {**trips, "output": output(*MOBILITY, below="trips")}),
        ("grid_mobility", {**events, "output": output(*MOBILITY, below="events")}),
        ("grid_text", {**pois, "output": output("texts", "text_cells") | output("quarantine", below="pois")}),
        ("cells", {**cells, "output": output("cells")}),
        ("sample_graph", {"edges": edges, "share": 0.1, "output": output("graph")}),
    ]


def content(folder: Path) -> dict[str, bytes | pa.Table]:
    """Every file below a folder: as its bytes, or as its table where Spark's writer made it.

    That writer lists a column's encodings in the order of hashes, which differs from process to process.
    """
    found: dict[str, bytes | pa.Table] = {}
    for path in folder.rglob("*"):
        if path.is_file():
            by_spark = path.suffix == ".parquet" and b"parquet-mr" in path.read_bytes()
            found[str(path.relative_to(folder))] = pq.read_table(path) if by_spark else path.read_bytes()
    return found


def folders(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_dir()}


@pytest.fixture(scope="module")
def both(cluster: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, list[dict[str, Any]]]]:
    """The jobs in local mode and on the cluster: the lake and the reports of each."""
    base, made = tmp_path_factory.mktemp("jobs"), {}
    for name, master in (("local", "local[2]"), ("cluster", cluster.master)):
        lake = base / name
        reports = [
            cluster.run(job, base / "started", params, **{"spark.master": master})
            for job, params in jobs(base / "raw", lake)
        ]
        made[name] = (lake, reports)
    return made


def test_workers_do_not_have_the_code_that_they_run(cluster: Any) -> None:
    for name in ("worker_1", "worker_2"):
        for module, found in (("spark_jobs", False), ("mora_pipeline", False), ("pyspark", True), ("h3ronpy", True)):
            imported = subprocess.run(
                [cluster.python, "-c", f"import {module}"],
                env=cluster.environment,
                cwd=cluster.scratch / name,
                capture_output=True,
                text=True,
                check=False,
            )
            assert (imported.returncode == 0) == found, imported.stderr
            assert found or f"No module named '{module}'" in imported.stderr


def test_everything_is_as_in_local_mode(both: dict[str, Any]) -> None:
    (local, local_reports), (remote, remote_reports) = both["local"], both["cluster"]
    expected, found = content(local), content(remote)
    assert len(expected) >= 20
    assert sorted(found) == sorted(expected)
    assert [name for name in expected if found[name] != expected[name]] == []
    assert all(isinstance(expected[name], bytes) for name in expected if name.startswith(("trips/edges", "graph")))
    assert folders(remote) == folders(local)
    for report in (*local_reports, *remote_reports):
        assert all(check["passed"] for check in report["checks"].values())
    assert remote_reports == local_reports


def test_both_workers_took_tasks_of_every_job(both: dict[str, Any], cluster: Any) -> None:
    master = cluster.ask_master()
    assert master["url"] == cluster.master
    assert [worker["state"] for worker in master["workers"]] == ["ALIVE", "ALIVE"]
    done = sorted((job["name"], job["state"]) for job in master["completedapps"])
    names = ["mora cells", "mora grid_mobility", "mora grid_mobility", "mora grid_text", "mora sample_graph"]
    assert done == [(name, "FINISHED") for name in names]
    assert cluster.finished_tasks("worker_1") > 0
    assert cluster.finished_tasks("worker_2") > 0


def test_a_worker_killed_in_the_middle_changes_nothing(cluster: Any, tmp_path: Path, eventually: Any) -> None:
    """Its finished tasks are lost with their part of the shuffle: they are run again, and counted once."""
    source = raw_files(tmp_path / "raw", "trips", random_trips(400_000), 40, "csv")
    params = {"kind": "trips", "source": source, "resolution": 8}
    outputs = [{name: str(tmp_path / run / name) for name in MOBILITY} for run in ("local", "cluster")]
    whole = cluster.run("grid_mobility", tmp_path / "local", {**params, "output": outputs[0]})
    before = cluster.finished_tasks("worker_2")
    # A task for each file, so that there are many.
    settings = {"spark.master": cluster.master, "spark.sql.files.maxPartitionBytes": "1m"}
    command = cluster.command("grid_mobility", tmp_path / "cluster", {**params, "output": outputs[1]}, **settings)
    job = subprocess.Popen(**command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        eventually(lambda: cluster.finished_tasks("worker_2") >= before + 3)
        assert cluster.executors("worker_2"), "it ended before anything was killed"
        cluster.kill("worker_2")
        told, log = job.communicate(timeout=300)
    finally:
        job.kill()
    assert job.returncode == 0, log
    assert [worker["state"] for worker in cluster.ask_master()["workers"]].count("ALIVE") == 1
    assert json.loads(told.splitlines()[-1]) == whole
    assert content(tmp_path / "cluster" / "edges") == content(tmp_path / "local" / "edges")
    assert content(tmp_path / "cluster" / "self_flow") == content(tmp_path / "local" / "self_flow")
