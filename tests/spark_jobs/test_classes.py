"""Spark's classes are kept by a command and used by jobs; nothing that goes wrong with them stops a job."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from spark_jobs.classes import CLAIM_S, Classes, classes_for, has_base_archive
from spark_jobs.java import java_environment

ROOT = Path(__file__).resolve().parents[2]
# What the JVM of a session maps, by its process: the archive, if it was taken.
SESSION = """
import sys
from pathlib import Path
from pyspark import SparkContext
from spark_jobs.session import spark_session
with spark_session("test", keep_classes="keep" in sys.argv) as spark:
    assert spark.range(3).count() == 3
    maps = Path(f"/proc/{SparkContext._gateway.proc.pid}/maps").read_text()
    print({line.split("/")[-1] for line in maps.splitlines() if "spark-classes" in line})
    if "fail" in sys.argv:
        raise RuntimeError("told to")
"""


def session(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    own = {**os.environ, "MORA_SPARK_CLASSES": str(folder), "MORA_SPARK_CONF": '{"spark.master": "local[1]"}'}
    command = [sys.executable, "-c", SESSION, *arguments]
    return subprocess.run(
        command, env={**own, "PYTHONPATH": str(ROOT)}, cwd=folder.parent, capture_output=True, text=True, timeout=300,
        check=False,
    )  # fmt: skip


keeps_classes = pytest.mark.skipif(
    not has_base_archive(java_environment()["JAVA_HOME"]), reason="this Java has no archive of its own classes"
)


@keeps_classes
@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="looks into /proc")
def test_the_first_job_keeps_what_the_next_one_uses(tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    assert session(folder).returncode == 0
    assert not folder.exists() or not list(folder.iterdir())  # a job takes no time for the gain of others
    failed = session(folder, "fail", "keep")
    assert "told to" in failed.stderr
    assert not list(folder.iterdir())  # a job that failed leaves nothing, and the next one may try
    first = session(folder, "keep")
    assert (first.returncode, first.stdout.strip()) == (0, "set()"), first.stderr
    (archive,) = folder.iterdir()
    second = session(folder)
    assert (second.returncode, second.stdout.strip()) == (0, f"{{'{archive.name}'}}")
    half = archive.read_bytes()[:50_000]
    archive.unlink()
    archive.with_name(archive.name.replace(str(archive.stem.split("-")[-1]), "50000")).write_bytes(half)
    third = session(folder)
    assert (third.returncode, third.stdout.splitlines()[-1]) == (0, "set()"), third.stderr
    assert not list(folder.iterdir())  # Java does not start with half of one: it is deleted
    assert not list(tmp_path.glob("hs_err*"))


@keeps_classes
def test_one_process_makes_the_archive_and_a_dead_one_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MORA_SPARK_CLASSES", str(tmp_path))
    java = java_environment()["JAVA_HOME"]
    first = classes_for(java, tmp_path, make=True)
    assert first.draft
    assert str(first.draft) in first.options
    assert classes_for(java, tmp_path, make=True) == Classes()
    first.draft.write_bytes(b"half")
    (claim,) = tmp_path.glob("*.making")
    old = time.time() - CLAIM_S - 1
    os.utime(claim, (old, old))
    again = classes_for(java, tmp_path, make=True)
    assert again.draft not in (None, first.draft)
    assert not first.draft.exists()


@keeps_classes
def test_an_archive_of_another_size_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MORA_SPARK_CLASSES", str(tmp_path))
    java = java_environment()["JAVA_HOME"]
    name = classes_for(java, tmp_path, make=True).name
    archive = tmp_path / f"spark-classes-{name}-7.jsa"
    archive.write_bytes(b"archive")
    assert classes_for(java, tmp_path).used == archive
    archive.write_bytes(b"half")
    assert classes_for(java, tmp_path).used is None


def test_without_a_folder_of_ones_own_jobs_start_as_they_always_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    everybodys, colon = tmp_path / "everybodys", tmp_path / "a:b"
    for folder in (everybodys, colon):
        folder.mkdir()
    everybodys.chmod(0o777)
    for setting in ("off", "/proc/none", everybodys, colon):
        monkeypatch.setenv("MORA_SPARK_CLASSES", str(setting))
        assert classes_for(java_environment()["JAVA_HOME"], tmp_path, make=True) == Classes()
    monkeypatch.delenv("MORA_SPARK_CLASSES")
    monkeypatch.setenv("MORA_HOME", "/proc/none")
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/none")
    assert classes_for(java_environment()["JAVA_HOME"], tmp_path, make=True) == Classes()


def test_a_java_without_an_archive_of_its_own_is_not_asked_for_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bundled Java: it would warm up for an archive that it never leaves, again every hour."""
    monkeypatch.setenv("MORA_SPARK_CLASSES", str(tmp_path / "classes"))
    (tmp_path / "java" / "lib" / "server").mkdir(parents=True)
    assert classes_for(str(tmp_path / "java"), tmp_path, make=True) == Classes()
    assert not (tmp_path / "classes").exists()
    monkeypatch.setenv("MORA_JAVA", "bundled")
    assert not has_base_archive(java_environment()["JAVA_HOME"])
