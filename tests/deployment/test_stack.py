"""The commands of docker-compose.yml as real processes: demo_city goes through all of them, from a click to MLflow."""

import base64
import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from mora_pipeline.lake import Lake
from tests.deployment.conftest import UI_PASSWORD

REGION = "demo_city"
LOGIN = {"Authorization": f"Basic {base64.b64encode(f'mora:{UI_PASSWORD}'.encode()).decode()}"}
PATIENCE = 900  # seconds for the run; a machine with two free cores takes an eighth of it
LAUNCH = """
mutation ($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } }
  }
}"""
STATUS = "query ($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
DAEMONS = "{ instance { daemonHealth { allDaemonStatuses { daemonType required healthy } } } }"
# Training for seconds: what is tested is the way, not the vectors.
SETTINGS = {
    "line_vectors": {"samples_per_cell": 20.0, "samples_per_edge": 1.0},
    "embeddings": {"preset": "paper", "paper": {"maximum_epochs": 4}},
    "distilled_encoder": {"epochs": 5, "degree": 4, "hidden": 16, "hidden_layers": 1},
    "benchmark": {"trees": 10, "fast_trees": 10, "seeds": [42], "folds": 3, "cell_minimum_child": 5},
}


def answer_of(url: str, body: object = None, headers: Mapping[str, str] | None = None) -> Any:
    """JSON that an address answers with; a body is posted."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **(headers or {})})
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.loads(response.read())


def graphql(stack: Any, query: str, **variables: object) -> Any:
    """What the webserver answers to a query, through the proxy where there is one."""
    url = stack.url("8088" if "proxy" in stack.services else "3000")
    answer = answer_of(f"{url}/graphql", {"query": query, "variables": variables}, LOGIN)
    assert "errors" not in answer, answer["errors"]
    return answer["data"]


def in_user_code(stack: Any, *command: str) -> str:
    """As ``docker compose exec user-code ...``."""
    done = subprocess.run(
        command, env=stack.environment("user-code"), cwd=stack.scratch, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def run_id(stack: Any) -> str:
    """The main job's run on a small demo_city, started over the webserver and ended well."""
    from mora_pipeline.demo import make_demo_city

    folder: Path = stack.loopback.folders["/data/regions"] / REGION
    make_demo_city(folder, rings=4, users=400, days=2)
    assert "Added demo_city" in in_user_code(stack, "mora", "region", "add", str(folder))
    params = {
        "selector": {
            "repositoryLocationName": "mora_pipeline.definitions",
            "repositoryName": "__repository__",
            "jobName": "materialize_region",
        },
        "runConfigData": {"ops": {name: {"config": config} for name, config in SETTINGS.items()}},
        "executionMetadata": {"tags": [{"key": "dagster/partition", "value": REGION}]},
    }
    launched = graphql(stack, LAUNCH, params=params)["launchRun"]
    assert launched["__typename"] == "LaunchRunSuccess", launched
    run = str(launched["run"]["runId"])
    deadline = time.monotonic() + PATIENCE
    while (status := graphql(stack, STATUS, id=run)["runOrError"]["status"]) not in ("SUCCESS", "FAILURE", "CANCELED"):
        assert time.monotonic() < deadline, f"still {status}\n{stack.tail('user-code')}\n{stack.tail('daemon')}"
        time.sleep(1)
    assert status == "SUCCESS", in_user_code(
        stack, "dagster", "debug", "export", run, str(stack.scratch / "run.gz")
    ) + (stack.tail("user-code"))
    return run


@pytest.mark.timeout(PATIENCE + 240)
def test_a_run_started_over_the_webserver_publishes_embeddings(stack: Any, run_id: str) -> None:
    lake = Lake(stack.loopback.folders["/data/mora"] / "lake")
    assert lake.read("embeddings", REGION).rows == lake.read("cells", REGION).rows > 50
    assert lake.read("benchmark", REGION).rows > 0


def test_runs_of_dagster_are_kept_in_postgresql(stack: Any, run_id: str, variables: dict[str, str]) -> None:
    connect = f"host=127.0.0.1 port={stack.loopback.ports['5432']} user=mora password={variables['POSTGRES_PASSWORD']}"
    with closing(psycopg2.connect(f"{connect} dbname=dagster")) as database, database.cursor() as cursor:
        cursor.execute("SELECT status FROM runs WHERE run_id = %s", (run_id,))
        assert cursor.fetchall() == [("SUCCESS",)]
    with pytest.raises(psycopg2.OperationalError, match="password"):
        psycopg2.connect(f"{connect}-wrong dbname=dagster")


def test_mlflow_has_the_run_of_every_training_step_with_its_weights(stack: Any, run_id: str) -> None:
    api = f"{stack.url('5000')}/mlflow/api/2.0/mlflow"
    experiment = answer_of(f"{api}/experiments/get-by-name?experiment_name=mora/{REGION}")["experiment"]
    assert experiment["artifact_location"].startswith("mlflow-artifacts:")
    found = answer_of(f"{api}/runs/search", {"experiment_ids": [experiment["experiment_id"]]})["runs"]
    runs = {run["info"]["run_name"]: run for run in found}
    assert {"line_vectors", "embeddings", "distilled_encoder", "benchmark"} <= set(runs)
    for run in runs.values():
        tags = {tag["key"]: tag["value"] for tag in run["data"]["tags"]}
        assert run["info"]["status"] == "FINISHED"
        assert (tags["region"], tags["dagster.run_id"]) == (REGION, run_id)
    weights = answer_of(f"{api}/artifacts/list?run_id={runs['embeddings']['info']['run_id']}")["files"]
    assert any(file["path"].endswith(".safetensors") for file in weights)
    assert list(stack.loopback.folders["/data/mlflow"].rglob("*.safetensors")), "artifacts go through the server"


def test_mlflow_answers_to_its_name_in_the_network_and_to_no_other(stack: Any) -> None:
    """It guards against pages that reach it under a name of theirs; user-code calls it `mlflow`."""
    url = f"{stack.url('5000')}/mlflow/api/2.0/mlflow/experiments/search"
    assert "experiments" in answer_of(url, {"max_results": 1}, {"Host": "mlflow:5000"})
    with pytest.raises(urllib.error.HTTPError, match="403"):
        answer_of(url, {"max_results": 1}, {"Host": "evil.example"})


def test_all_pages_stand_behind_one_log_in(stack: Any) -> None:
    if "proxy" not in stack.services:
        pytest.skip("no nginx on this machine")
    pages = ("/server_info", "/mlflow/ajax-api/2.0/mlflow/experiments/search?max_results=1", "/spark/json/")
    for page in pages:
        with pytest.raises(urllib.error.HTTPError, match="401"):
            answer_of(f"{stack.url('8088')}{page}")
        assert answer_of(f"{stack.url('8088')}{page}", headers=LOGIN), page
        with pytest.raises(urllib.error.HTTPError, match="403"):
            answer_of(f"{stack.url('8088')}{page}", headers={**LOGIN, "Origin": "http://evil.example"})


def test_spark_ran_on_the_cluster(stack: Any, run_id: str) -> None:
    master = answer_of(f"{stack.url('8080')}/json/")
    assert master["url"] == f"spark://127.0.0.1:{stack.loopback.ports['7077']}"
    assert [worker["state"] for worker in master["workers"]] == ["ALIVE"]
    done = {(job["name"], job["state"]) for job in master["completedapps"]}
    assert done == {("mora grid", "FINISHED")}, "one application serves all jobs of a run"
    worked = {path.parents[0].name for path in (stack.scratch / "spark-work").glob("app-*/*")}
    assert worked == {job["id"] for job in master["completedapps"]}, "every application had an executor in the worker"


def test_the_daemon_is_well_and_its_sensor_looks_for_regions(stack: Any, eventually: Callable[..., Any]) -> None:
    def all_well() -> bool:
        statuses = graphql(stack, DAEMONS)["instance"]["daemonHealth"]["allDaemonStatuses"]
        return all(status["healthy"] for status in statuses if status["required"])

    def looked() -> list[Any]:
        selector = {
            "repositoryLocationName": "mora_pipeline.definitions",
            "repositoryName": "__repository__",
            "sensorName": "new_regions",
        }
        query = """query ($s: SensorSelector!) { sensorOrError(sensorSelector: $s) {
          ... on Sensor { sensorState { status ticks(limit: 5) { status } } } } }"""
        state = graphql(stack, query, s=selector)["sensorOrError"]["sensorState"]
        assert state["status"] == "RUNNING"
        return [tick["status"] for tick in state["ticks"] if tick["status"] in ("SKIPPED", "SUCCESS")]

    eventually(all_well, 60)
    eventually(looked, 60)


def test_what_steps_print_can_be_read_in_the_webserver(stack: Any, run_id: str) -> None:
    """Written by user-code, read by webserver: both see the same folder."""
    kept = [path for path in stack.loopback.folders["/data/mora"].glob("dagster/**/*.err") if path.stat().st_size]
    assert kept
    assert os.path.commonpath([kept[0], stack.loopback.folders["/data/mora"] / "dagster"]).endswith("dagster")


def test_no_service_has_ended_or_been_killed(stack: Any, run_id: str) -> None:
    ended = {name: process.poll() for name, process in stack.processes.items() if process.poll() is not None}
    assert ended == {}, "\n".join(stack.tail(name) for name in ended)
