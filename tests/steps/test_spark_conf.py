"""Run config comes from whoever opens the UI: its settings of Spark must not be able to start a program."""

import pytest

from mora_pipeline.contract.errors import UserError
from mora_pipeline.steps.spark_conf import checked_conf, checked_master, checked_memory

USEFUL = {
    "spark.executor.memory": "8g", "spark.executor.cores": "4", "spark.executor.instances": "3",
    "spark.executor.memoryOverhead": "512m", "spark.executor.heartbeatInterval": "20s",
    "spark.cores.max": "12", "spark.local.dir": "/fast/disk,/other", "spark.default.parallelism": "64",
    "spark.sql.shuffle.partitions": "200", "spark.sql.adaptive.skewJoin.skewedPartitionFactor": "3",
    "spark.sql.adaptive.advisoryPartitionSizeInBytes": "64m", "spark.sql.autoBroadcastJoinThreshold": "-1",
    "spark.sql.files.maxPartitionBytes": "32m", "spark.sql.parquet.compression.codec": "zstd",
    "spark.hadoop.fs.s3a.connection.maximum": "64", "spark.hadoop.fs.s3a.path.style.access": "true",
    "spark.memory.fraction": "0.7", "spark.memory.offHeap.enabled": "true", "spark.shuffle.compress": "false",
    "spark.driver.memory": "4g", "spark.driver.maxResultSize": "2g", "spark.network.timeout": "300s",
    "spark.kryoserializer.buffer.max": "128m", "spark.speculation": "true",
}  # fmt: skip
DANGEROUS = [
    "spark.driver.extraJavaOptions", "spark.driver.defaultJavaOptions", "spark.executor.extraJavaOptions",
    "spark.executor.defaultJavaOptions", "spark.driver.extraClassPath", "spark.executor.extraClassPath",
    "spark.driver.extraLibraryPath", "spark.executor.extraLibraryPath", "spark.executor.userClassPathFirst",
    "spark.executor.resource.gpu.discoveryScript", "spark.driver.resource.gpu.discoveryScript", "spark.worker.x",
    "spark.jars", "spark.jars.packages", "spark.jars.ivy", "spark.jars.ivySettings", "spark.jars.repositories",
    "spark.plugins", "spark.plugins.defaultList", "spark.files", "spark.archives", "spark.submit.pyFiles",
    "spark.pyspark.python", "spark.pyspark.driver.python", "spark.executorEnv.LD_PRELOAD", "spark.executorEnv.PATH",
    "spark.extraListeners", "spark.serializer", "spark.shuffle.manager", "spark.shuffle.sort.io.plugin.class",
    "spark.kryo.registrator", "spark.kryo.classesToRegister", "spark.metrics.conf", "spark.repl.class.uri",
    "spark.sql.extensions", "spark.sql.catalog.x", "spark.sql.catalogImplementation", "spark.sql.warehouse.dir",
    "spark.sql.hive.metastore.jars", "spark.sql.hive.metastore.jars.path", "spark.sql.queryExecutionListeners",
    "spark.sql.streaming.streamingQueryListeners", "spark.sql.streaming.stateStore.providerClass",
    "spark.sql.sources.commitProtocolClass", "spark.sql.sources.outputCommitterClass", "spark.sql.cache.serializer",
    "spark.sql.parquet.output.committer.class", "spark.sql.adaptive.customCostEvaluatorClass",
    "spark.sql.defaultUrlStreamHandlerFactory.enabled", "spark.sql.artifact.copyFromLocalToFs.allowDestLocal",
    "spark.hadoop.fs.file.impl", "spark.hadoop.fs.s3a.impl", "spark.hadoop.fs.AbstractFileSystem.s3a.impl",
    "spark.hadoop.fs.s3a.aws.credentials.provider", "spark.hadoop.fs.s3a.access.key", "spark.hadoop.fs.s3a.secret.key",
    "spark.hadoop.fs.s3a.session.token", "spark.hadoop.fs.s3a.endpoint", "spark.hadoop.fs.s3a.proxy.host",
    "spark.hadoop.fs.s3a.custom.signers", "spark.hadoop.fs.defaultFS", "spark.hadoop.fs.s3a.buffer.dir",
    "spark.hadoop.hadoop.security.credential.provider.path", "spark.hadoop.io.compression.codecs",
    "spark.master", "spark.submit.deployMode", "spark.driver.host", "spark.driver.bindAddress", "spark.ui.enabled",
    "spark.authenticate.secret", "spark.redaction.regex", "spark.eventLog.dir", "spark.yarn.archive", "spark.home",
    "spark", "spark.", "spark.executor.", "spark.executor.memory ", "spark.executor.memory\nspark.jars", "SPARK.JARS",
    "spark.executor.Extra-JavaOptions", "fs.s3a.impl", "",
]  # fmt: skip


def test_sizes_numbers_and_waits_are_the_runs() -> None:
    assert checked_conf(USEFUL) == USEFUL


@pytest.mark.parametrize("key", DANGEROUS)
def test_what_could_start_a_program_is_the_environments(key: str) -> None:
    with pytest.raises(UserError, match="MORA_SPARK_CONF") as refused:
        checked_conf({"spark.executor.memory": "1g", key: "x"})
    assert ascii(key) in str(refused.value), "the message names the key"


@pytest.mark.parametrize(
    "value", ["1g\nspark.jars=x", "1g\r", "\x00", "${env:AWS_SECRET_ACCESS_KEY}", "${system:user.home}", "x" * 1001]
)
def test_a_value_is_plain_and_on_one_line(value: str) -> None:
    for key in ("spark.sql.session.timeZone", "spark.executor.memory", "spark.local.dir"):
        with pytest.raises(UserError, match=key.replace(".", r"\.")):
            checked_conf({key: value})


@pytest.mark.parametrize("value", ["1g -XX:OnOutOfMemoryError=id", "8 g", "-1g", "0", "", "1g;id"])
def test_memory_is_an_amount(value: str) -> None:
    with pytest.raises(UserError, match="512m or 8g"):
        checked_conf({"spark.driver.memory": value})
    with pytest.raises(UserError, match="driver_memory"):
        checked_memory("driver_memory", value)
    assert checked_memory("driver_memory", "8g") == "8g"
    assert checked_memory("driver_memory", None) is None


def test_raw_records_go_to_no_cluster_that_a_run_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MORA_SPARK_MASTER", "spark://master:7077")
    for master in (None, "local", "local[*]", "local[4]", "local[4, 2]", "spark://master:7077"):
        assert checked_master(master) == master
    for master in (
        "spark://evil.example:7077",
        "k8s://https://evil.example",
        "yarn",
        "local[*]\n",
        "",
        "local-cluster[1,1,1]",
    ):
        with pytest.raises(UserError, match="MORA_SPARK_MASTER"):
            checked_master(master)
