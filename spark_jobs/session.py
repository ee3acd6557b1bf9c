"""The Spark session of a job: local by default, a cluster by ``spark.master`` in ``MORA_SPARK_CONF``.

``python -m spark_jobs.session`` starts one and ends it; the first time, this keeps Spark's classes for later ones.
"""

import os
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pyspark import SparkConf, SparkContext
from pyspark.sql import SparkSession

from mora_pipeline.contract.errors import UserError
from spark_jobs.classes import Classes, classes_for
from spark_jobs.java import java_environment
from spark_jobs.user_settings import settings_of_user

GIBIBYTE = 1 << 30
JAVA_OPTIONS = "spark.driver.extraJavaOptions"
# For jobs whose rows do not pass through the JVM: they start in two thirds of the processor time.
QUICK_JAVA = {JAVA_OPTIONS: "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"}


@contextmanager
def spark_session(
    name: str, of_job: Mapping[str, str] | None = None, keep_classes: bool = False
) -> Iterator[SparkSession]:
    """A session that lasts for one job and leaves no files behind.

    Settings, the later winning: ours, those of the job, those of spark-submit where the job was started by it,
    ``MORA_SPARK_CONF`` (JSON object of ``spark.*`` settings).

    Args:
        keep_classes: leave an archive of Spark's classes for later sessions, if there is none (`classes_for`).

    Raises:
        UserError: if MORA_SPARK_CONF is not such an object, or there is no Java to run on.
    """
    wanted = settings_of_user()
    submitted = "PYSPARK_GATEWAY_PORT" in os.environ
    if not submitted:
        os.environ.update(java_environment())
    folders = scratch_folders(wanted.get("spark.local.dir") or tempfile.gettempdir())
    scratch = folders[0]
    classes = Classes()
    try:
        if submitted:
            SparkContext._ensure_initialized()
        conf = SparkConf()
        for key, value in {**default_settings(scratch), **(of_job or {}), "spark.app.name": name}.items():
            conf.setIfMissing(key, value)
        for key, value in wanted.items():
            conf.set(key, value)
        local = conf.get("spark.master", "").startswith("local")
        if local:
            os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
            conf.setIfMissing("spark.driver.bindAddress", "127.0.0.1")
            conf.setIfMissing("spark.driver.host", "127.0.0.1")
        else:
            os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        conf.set("spark.local.dir", ",".join(folders))
        if local and not submitted and SparkContext._gateway is None and JAVA_OPTIONS not in wanted:
            classes = classes_for(os.environ["JAVA_HOME"], Path(scratch), keep_classes)
        session = classes.start(conf, JAVA_OPTIONS)
        done = False
        try:
            session.sparkContext.addPyFile(code_archive(Path(scratch)))
            yield session
            classes.widen(session, Path(scratch))
            done = True
        finally:
            session.stop()
            classes.end(done)
    finally:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)


def scratch_folders(local: str) -> list[str]:
    """A fresh folder in each of those that ``spark.local.dir`` lists, comma-separated (disks that share the load).

    Raises:
        UserError: if it lists none, or one cannot be written to.
    """
    folders: list[str] = []
    parents = [parent.strip() for parent in local.split(",") if parent.strip()]
    if not parents:
        raise UserError(f"spark.local.dir is '{local}', which names no folder. Name one, or leave the setting out.")
    for parent in parents:
        try:
            Path(parent).mkdir(parents=True, exist_ok=True)
            folders.append(tempfile.mkdtemp(prefix="mora-spark-", dir=parent))
        except OSError as error:
            for folder in folders:
                shutil.rmtree(folder, ignore_errors=True)
            raise UserError(f"spark.local.dir names {parent}, which cannot be written to: {error.strerror}.") from None
    return folders


def default_settings(scratch: str) -> dict[str, str]:
    """What a job needs (first block: results depend on it) and what serves one machine."""
    return {
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.caseSensitive": "true",
        # Sums of floats are repeatable only in a fixed order: sorted input, added up as it comes.
        "spark.sql.execution.replaceHashWithSortAgg": "true",
        "spark.sql.requireAllClusterKeysForDistribution": "false",
        "spark.sql.parquet.compression.codec": "zstd",
        "spark.hadoop.mapreduce.fileoutputcommitter.marksuccessfuljobs": "false",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.sql.execution.arrow.maxRecordsPerBatch": "65536",
        "spark.sql.execution.arrow.maxBytesPerBatch": str(64 << 20),  # rows that hold payloads are large
        "spark.sql.catalogImplementation": "in-memory",
        "spark.master": "local[*]",
        "spark.driver.memory": f"{local_memory_gibibytes()}g",
        # On a few cores the parallel collector costs a tenth less processor time than the default one.
        JAVA_OPTIONS: "-XX:+UseParallelGC",
        # Fixed, not per core: the number of files, and so their bytes, is the same on every machine.
        "spark.sql.shuffle.partitions": "8",
        "spark.sql.warehouse.dir": str(Path(scratch) / "warehouse"),
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        # A failed task's stack is in the exception as well; on the console it would bury the message to the user.
        "spark.log.level": "FATAL",
    }


def local_memory_gibibytes() -> int:
    """A quarter of the machine's memory for the JVM, from 1 to 4 GiB: it spills beyond, and Python needs its part."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return int(min(4, max(1, total // 4 // GIBIBYTE)))


def code_archive(folder: Path) -> str:
    """The jobs and what they share with the project as a zip file, shipped with the job: workers install nothing."""
    root = Path(__file__).resolve().parents[1]
    archive = folder / "spark_jobs.zip"
    modules = [
        path
        for package in ("spark_jobs", "mora_pipeline/contract", "mora_pipeline/raw")
        for path in (root / package).rglob("*.py")
    ]
    with zipfile.ZipFile(archive, "w") as target:
        for module in [root / "mora_pipeline" / "__init__.py", *sorted(modules)]:
            target.write(module, module.relative_to(root))
    return str(archive)


if __name__ == "__main__":
    with spark_session("session", keep_classes=True):
        pass
