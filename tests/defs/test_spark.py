"""Children of Dagster Pipes: what they report is believed, silence and death are not success."""

import json
import os
import sys
from pathlib import Path

import dagster as dg
import pytest

from mora_pipeline.defs.assets import asset_of
from mora_pipeline.defs.spark import SparkSubmit
from mora_pipeline.steps.interface import RegionRun, Step
from mora_pipeline.steps.results import StepResult
from mora_pipeline.steps.spark import SparkReport, merged_checks

OPEN = "from dagster_pipes import open_dagster_pipes\nwith open_dagster_pipes() as pipes:\n"
REPORT = OPEN + "    pipes.report_custom_message({'rows': {}, 'read': 3, 'checks': {'no_nan': {'passed': True}}})\n"


class Script(SparkSubmit):
    """Runs a Python program in the job's place."""

    program: str

    def command(self, job: str, parameters: Path) -> list[str]:
        return [sys.executable, "-c", self.program, str(parameters)]


def count(region: RegionRun, *_: object) -> StepResult:
    report = region.spark.run("count", {"path": Path("/somewhere")})
    return region.finish(merged_checks({"": report}), {"read": report.read})


counted = asset_of(Step("counted", count, "A count.", (), "test", frozenset(), checks=("no_nan",)))


def description(done: dg.ExecuteInProcessResult) -> str:
    (failure,) = [event for event in done.all_events if event.is_step_failure]
    return str(failure.step_failure_data.user_failure_data.description)


def test_a_report_becomes_check_results(run) -> None:
    done = run(counted, spark=Script(program=REPORT))
    assert done.success
    assert [item.passed for item in done.get_asset_check_evaluations()] == [True]


def test_a_child_that_never_reports_fails_the_asset(run) -> None:
    for silent in ("pass", OPEN + "    pass\n"):
        done = run(counted, spark=Script(program=silent))
        assert not done.success
        assert "never reported" in description(done)


def test_a_childs_error_message_is_the_assets(run) -> None:
    program = (
        OPEN + "    pipes.report_custom_message({'error': 'flows.csv: 7 of 9 rows are bad.'})\nraise SystemExit(2)"
    )
    assert description(run(counted, spark=Script(program=program))) == "flows.csv: 7 of 9 rows are bad."


def test_a_child_that_raises_is_quoted(run) -> None:
    told = description(run(counted, spark=Script(program=OPEN + "    raise RuntimeError('no such thing')\n")))
    assert "RuntimeError" in told
    assert "no such thing" in told


def test_a_child_that_is_killed_after_its_report_still_fails_the_asset(run) -> None:
    done = run(counted, spark=Script(program=REPORT + "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"))
    assert not done.success
    assert "-9" in description(done)


def test_a_check_that_the_child_leaves_out_has_failed(run) -> None:
    program = REPORT.replace("no_nan", "another")
    done = run(counted, spark=Script(program=program))
    assert not done.success
    assert [item.passed for item in done.get_asset_check_evaluations()] == [False]


def test_a_check_passes_only_if_every_modalitys_run_passed_it() -> None:
    good = SparkReport(checks={"no_nan": {"passed": True, "metadata": {"rows": 3}}})
    bad = SparkReport(checks={"no_nan": {"passed": False, "metadata": {"rows": 4}}})
    silent = SparkReport(checks={"other": {"passed": True}})
    merged = {
        name: {check.name: check for check in merged_checks({"poi": good, "shops": other})}
        for name, other in (("good", good), ("bad", bad), ("silent", silent))
    }
    assert {name: checks["no_nan"].passed for name, checks in merged.items()} == {
        "good": True,
        "bad": False,
        "silent": False,
    }
    assert set(merged["bad"]["no_nan"].figures) == {"poi_rows", "shops_rows"}


def test_a_users_spark_settings_are_kept_and_the_resources_own_win(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two messages tell people to set MORA_SPARK_CONF; a run must not throw it away."""
    monkeypatch.setenv("MORA_SPARK_CONF", json.dumps({"spark.local.dir": "/scratch", "spark.driver.memory": "2g"}))
    monkeypatch.setenv("MORA_SPARK_DRIVER_MEMORY", "1g")
    conf = json.loads(SparkSubmit().environment()["MORA_SPARK_CONF"])
    assert conf == {"spark.master": "local[*]", "spark.local.dir": "/scratch", "spark.driver.memory": "2g"}
    assert json.loads(SparkSubmit(driver_memory="3g").environment()["MORA_SPARK_CONF"])["spark.driver.memory"] == "3g"


def test_the_cluster_is_one_setting(monkeypatch: pytest.MonkeyPatch, mora_home: Path) -> None:
    monkeypatch.delenv("MORA_SPARK_CONF", raising=False)
    monkeypatch.setenv("MORA_SPARK_MASTER", "spark://master:7077")
    environment = SparkSubmit(executor_memory="8g").environment()
    assert environment["MORA_SPARK_CONF"] == '{"spark.master": "spark://master:7077", "spark.executor.memory": "8g"}'
    assert environment["PYSPARK_PYTHON"] == sys.executable
    assert (Path(environment["JAVA_HOME"]) / "bin" / "java").exists()
    monkeypatch.delenv("MORA_SPARK_MASTER")
    assert '"spark.master": "local[*]"' in SparkSubmit().environment()["MORA_SPARK_CONF"]
    assert str(Path(__file__).resolve().parents[2]) in environment["PYTHONPATH"].split(os.pathsep)


def test_executors_are_sized_by_the_resource_or_the_environment(
    monkeypatch: pytest.MonkeyPatch, mora_home: Path
) -> None:
    def told(**fields: object) -> dict[str, str]:
        return json.loads(SparkSubmit(**fields).environment()["MORA_SPARK_CONF"])

    for name in ("CONF", "MASTER", "DRIVER_MEMORY", "EXECUTOR_MEMORY", "EXECUTOR_CORES"):
        monkeypatch.delenv(f"MORA_SPARK_{name}", raising=False)
    assert not [key for key in told() if key.startswith("spark.executor")]
    monkeypatch.setenv("MORA_SPARK_EXECUTOR_MEMORY", "3g")
    monkeypatch.setenv("MORA_SPARK_EXECUTOR_CORES", "2")
    assert told() == {"spark.master": "local[*]", "spark.executor.memory": "3g", "spark.executor.cores": "2"}
    chosen = told(executor_memory="8g", executor_cores=4, conf={"spark.executor.cores": "6", "spark.cores.max": "12"})
    assert chosen["spark.executor.memory"] == "8g"
    assert (chosen["spark.executor.cores"], chosen["spark.cores.max"]) == ("6", "12"), "conf wins over all others"


def test_a_run_cannot_choose_java_options(run, monkeypatch: pytest.MonkeyPatch) -> None:
    """With them, whoever reached the UI ran commands; the environment may still hold them."""
    options = {"spark.driver.extraJavaOptions": "-XX:OnOutOfMemoryError=id"}
    done = run(counted, spark=Script(program=REPORT, conf=options))
    assert not done.success
    assert "'spark.driver.extraJavaOptions', which run config may not set" in description(done)
    monkeypatch.setenv("MORA_SPARK_CONF", json.dumps(options))
    assert json.loads(SparkSubmit().environment()["MORA_SPARK_CONF"])["spark.driver.extraJavaOptions"]
