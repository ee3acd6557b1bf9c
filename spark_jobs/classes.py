"""Spark's Java classes, kept between starts: loading and linking them takes a third of the time of a short job.

``python -m spark_jobs.session`` makes the archive; jobs use it if it is there.

The JVM leaves an archive of its classes when it ends, and later ones map it (dynamic class data sharing, since Java
13). It builds on the archive of Java's own classes, which the bundled Java lacks: nothing is kept there. An archive
that does not fit the JVM or its class path is ignored by it; one that keeps it from starting is deleted.
"""

import contextlib
import hashlib
import logging
import os
import secrets
import shlex
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pyspark
from pyspark import SparkConf, SparkContext
from pyspark.errors import PySparkRuntimeError
from pyspark.sql import SparkSession
from pyspark.sql import functions as sql

from mora_pipeline.contract.errors import UserError
from spark_jobs.java import cache_folder, is_own, java_release, made_private

SETTING = "MORA_SPARK_CLASSES"
QUIET = "-Xlog:cds=off -Xlog:cds+dynamic=off -Xlog:class+path=off"
LONGEST_S = 180  # that a JVM may take to leave its archive
CLAIM_S = 3600  # after which whoever wanted to make the archive is taken for gone

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Classes:
    """Java options of a start; ``used``: the archive it maps, or ``draft``: what it leaves, to be kept as ``name``."""

    options: str = ""
    used: Path | None = None
    draft: Path | None = None
    name: str = ""

    def start(self, conf: SparkConf, key: str) -> SparkSession:
        """A session with these options added to those under a key, or without them if Java does not start with them."""
        if not self.options:
            return SparkSession.builder.config(conf=conf).getOrCreate()
        before = conf.get(key) or ""
        conf.set(key, f"{before} {self.options}".strip())
        try:
            return SparkSession.builder.config(conf=conf).getOrCreate()
        except PySparkRuntimeError:
            if self.used:
                self.used.unlink(missing_ok=True)
            conf.set(key, before)
            return SparkSession.builder.config(conf=conf).getOrCreate()

    def widen(self, spark: SparkSession, scratch: Path) -> None:
        """Where an archive is wanted, load what jobs use: files, an aggregate, a window, a join, a sort."""
        if self.draft is None:
            return
        try:
            _use(spark, scratch)
        except Exception as error:  # noqa: BLE001 - the job is done; the archive is a gain for others
            logger.info("Spark's classes were not all loaded: %s", error)

    def end(self, well: bool) -> None:
        """Where an archive is wanted, end the JVM, which leaves it, and put it in its place; not if the job failed."""
        if self.draft is None:
            return
        folder, kept = self.draft.parent, False
        with contextlib.suppress(OSError):
            if end_java() == 0 and well:
                kept_before = sorted(folder.glob("spark-classes-*.jsa"), key=lambda path: path.stat().st_mtime)
                for old in kept_before[:-1]:  # another installation of the user's may have the newest
                    old.unlink()
                self.draft.replace(_archive(folder, self.name, self.draft.stat().st_size))
                kept = True
        with contextlib.suppress(OSError):
            self.draft.unlink(missing_ok=True)
            if kept or not well:  # else this Java can leave none: nobody tries again soon
                _claim(folder, self.name).unlink(missing_ok=True)


def classes_for(java_home: str, scratch: Path, make: bool = False) -> Classes:
    """What a start of this Java does about classes.

    ``MORA_SPARK_CLASSES`` names the folder (default: the user's cache, which all homes share), or says ``off``.

    Args:
        make: leave an archive if there is none, for half a minute of processor time: no job pays it, ``make install``
            does. One process at a time makes the archive.
    """
    chosen = os.environ.get(SETTING, "")
    if chosen == "off" or not has_base_archive(java_home):
        return Classes()
    try:
        folder = Path(chosen).expanduser().resolve() if chosen else _users_cache()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not is_own(folder) or ":" in str(folder):  # Java maps what is there unseen, and takes : for a separator
            logger.info("%s is not this user's alone, or has a colon in its path: Spark's classes are not kept", folder)
            return Classes()
        name = hashlib.sha256(_described(java_home).encode()).hexdigest()[:16]
        errors = f"-XX:ErrorFile={scratch / 'java_error.log'}"
        for archive in folder.glob(f"spark-classes-{name}-*.jsa"):
            if is_own(archive) and archive == _archive(folder, name, archive.stat().st_size):
                used = f"-XX:SharedArchiveFile={archive}"
                return Classes(f"{shlex.quote(used)} {shlex.quote(errors)} {QUIET}", used=archive)
        if not (make and _claimed(folder, name)):
            return Classes()
    except (OSError, UserError):  # a folder that cannot be used
        return Classes()
    draft = folder / f"spark-classes-{name}.{secrets.token_hex(4)}.draft"
    return Classes(f"{shlex.quote(f'-XX:ArchiveClassesAtExit={draft}')} {QUIET}", draft=draft, name=name)


def _users_cache() -> Path:
    """The user's folder for what programs may make anew; without one, that of the home."""
    parent = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = parent / "mora"
    try:
        return folder if made_private(folder) else cache_folder()
    except OSError:  # no home of the user's, or none to be written to
        return cache_folder()


def has_base_archive(java_home: str) -> bool:
    """Whether a Java comes with an archive of its own classes, without which it can leave none of others."""
    return (Path(java_home) / "lib" / "server" / "classes.jsa").exists()


def _described(java_home: str) -> str:
    """Java and Spark as they are installed: an archive fits no others."""
    jars = Path(pyspark.__file__).parent / "jars"
    return f"{pyspark.__version__}{jars}{jars.stat().st_mtime_ns}{java_home}{java_release(java_home)}"


def _archive(folder: Path, name: str, size: int) -> Path:
    """The path of an archive; of another size it is not whole."""
    return folder / f"spark-classes-{name}-{size}.jsa"


def _claim(folder: Path, name: str) -> Path:
    return folder / f"spark-classes-{name}.making"


def _claimed(folder: Path, name: str) -> bool:
    """Whether this process is to make the archive."""
    claim = _claim(folder, name)
    with contextlib.suppress(FileNotFoundError):
        if time.time() - claim.stat().st_mtime > CLAIM_S:
            claim.rename(gone := claim.with_suffix(f".{secrets.token_hex(4)}"))  # one process alone takes it away
            gone.unlink()
            for draft in folder.glob("spark-classes-*.draft"):
                draft.unlink(missing_ok=True)
    try:
        claim.open("x").close()
    except FileExistsError:
        return False
    return True


def _use(spark: SparkSession, scratch: Path) -> None:
    table, text = str(scratch / "table"), str(scratch / "text")
    rows = spark.range(0, 8, 1, 2).selectExpr("id", "id % 2 AS half", "cast(id AS string) AS name")
    rows.write.parquet(table)
    rows.write.csv(text, header=True)
    read = spark.read.parquet(table).join(spark.read.csv(text, header=True).select("name"), "name")
    ranked = read.selectExpr("half", "row_number() OVER (PARTITION BY half ORDER BY id) AS place")
    ranked.groupBy("half").agg(sql.sum("place"), sql.collect_list("place")).orderBy("half").toArrow()


def end_java() -> int:
    """End the JVM that pyspark started, and let pyspark start another if it is asked to.

    Returns:
        Its exit code, or 1 if there was none.
    """
    gateway = SparkContext._gateway
    if gateway is None:
        return 1
    process: subprocess.Popen[bytes] = gateway.proc
    gateway.shutdown()
    SparkContext._gateway = SparkContext._jvm = None
    if process.stdin:
        process.stdin.close()
    try:
        return process.wait(LONGEST_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
