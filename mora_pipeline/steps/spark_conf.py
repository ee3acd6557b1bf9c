"""Which settings of Spark a run may choose: none that loads or starts a program, and none that leads data elsewhere.

Whoever opens the UI writes run config; whoever starts the services sets their environment. What could run a program
(Java options, jars, packages, plugins, classes by name) therefore stands in the environment's MORA_SPARK_CONF alone.
"""

import os
import re
from collections.abc import Mapping

from mora_pipeline.contract.errors import UserError

# A key is allowed if it is one of these, or begins with one that ends with a dot, and has no word of `_TELLING`.
ALLOWED = (
    *("spark.executor.", "spark.hadoop.fs.", "spark.memory.", "spark.shuffle.", "spark.network.timeout"),
    *("spark.default.parallelism", "spark.local.dir", "spark.cores.max", "spark.task.cpus", "spark.task.maxFailures"),
    *("spark.driver.memory", "spark.driver.memoryOverhead", "spark.driver.cores", "spark.driver.maxResultSize"),
    *("spark.dynamicAllocation.", "spark.speculation", "spark.speculation.", "spark.locality.wait", "spark.log.level"),
    *("spark.reducer.", "spark.rpc.message.maxSize", "spark.io.compression.codec", "spark.kryoserializer.buffer.max"),
    *("spark.sql.adaptive.", "spark.sql.shuffle.", "spark.sql.files.", "spark.sql.parquet.", "spark.sql.orc."),
    *("spark.sql.csv.", "spark.sql.json.", "spark.sql.execution.arrow.", "spark.sql.session.timeZone"),
    *("spark.sql.autoBroadcastJoinThreshold", "spark.sql.broadcastTimeout", "spark.sql.join.", "spark.sql.codegen."),
    *("spark.sql.inMemoryColumnarStorage.", "spark.sql.cbo.", "spark.sql.statistics.", "spark.sql.windowExec."),
    *("spark.sql.sources.parallelPartitionDiscovery.", "spark.sql.execution.sortBeforeRepartition"),
)
_TELLING = (
    *("java", "jar", "package", "plugin", "script", "class", "library", "python", "impl", "factory", "provider"),
    *("extension", "catalog", "listener", "serializer", "manager", "committer", "evaluator", "signer", "codecs"),
    *("password", "secret", "token", "credential", "key", "role", "endpoint", "proxy", "defaultfs", "mounttable"),
    *("host", "port", "url", "uri", "buffer.dir", "resource", "discovery", "delegation", "sort.io", "vendor"),
)
_HARMLESS = ("spark.kryoserializer.buffer.max", "spark.sql.adaptive.skewJoin.skewedPartitionFactor")
_LONGEST = 1000
_MEMORY = re.compile(r"[1-9][0-9]{0,11}([bkmgtp]b?)?", re.IGNORECASE)
_LOCAL = re.compile(r"local(\[(\*|[1-9][0-9]{0,3})(, ?[1-9][0-9]?)?\])?")


def checked_conf(conf: Mapping[str, str]) -> dict[str, str]:
    """The ``spark.*`` settings of a run, all of them allowed.

    Raises:
        UserError: if one is not, or its value is none that Spark could mean; the message says where it may be set.
    """
    for key, value in conf.items():
        if not _is_allowed(key):
            raise UserError(
                f"resources.spark.config.conf has {key[:100]!a}, which run config may not set: it could start a "
                "program, or send data or keys elsewhere. Whoever runs the services may set it, in the environment "
                f"variable MORA_SPARK_CONF, as JSON: {{{key[:100]!a}: …}}. Run config may set spark.executor.*, "
                "spark.memory.*, spark.local.dir, spark.hadoop.fs.* and sizes, numbers, waits of spark.sql.*, except "
                "names of classes, programs, servers and secrets."
            )
        _check_value(f"resources.spark.config.conf: {key}", value)
        if key.endswith((".memory", ".memoryOverhead")) and not _MEMORY.fullmatch(value):
            raise UserError(f"resources.spark.config.conf: {key} is {value[:100]!a}: say 512m or 8g.")
    return dict(conf)


def checked_memory(name: str, value: str | None) -> str | None:
    """An amount of memory of the resource `spark`, such as ``8g``.

    Raises:
        UserError: if it is none.
    """
    if value is not None and not _MEMORY.fullmatch(value):
        raise UserError(f"resources.spark.config.{name} is {value[:100]!a}: say 512m or 8g.")
    return value


def checked_master(master: str | None) -> str | None:
    """Spark's master that a run chooses: this machine, or the cluster of the environment.

    Raises:
        UserError: if it is another one, to which the code, the raw records and the keys of stores would go.
    """
    if master is None or _LOCAL.fullmatch(master) or master == os.environ.get("MORA_SPARK_MASTER"):
        return master
    raise UserError(
        f"resources.spark.config.master is {master[:100]!a}. A run may choose local[N] or the cluster that the "
        "environment names, because raw records go there: set MORA_SPARK_MASTER where the services start, or for a "
        "command (MORA_SPARK_MASTER=spark://host:7077 mora materialize …), and leave master out of the run config."
    )


def _is_allowed(key: str) -> bool:
    named = any(key == item or (item.endswith(".") and key.startswith(item)) for item in ALLOWED)
    shape = re.fullmatch(r"spark(\.[A-Za-z0-9_-]+)+", key)
    return bool(named and shape and (key in _HARMLESS or not any(word in key.lower() for word in _TELLING)))


def _check_value(name: str, value: str) -> None:
    """Refuse line breaks, which could begin another setting, and Spark's ``${env:…}``, which reads the environment."""
    if len(value) > _LONGEST or not value.isprintable() or "${" in value:
        raise UserError(f"{name} is {value[:100]!a}: write a plain value on one line, without ${{…}}.")
