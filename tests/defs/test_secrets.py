"""An MLflow server with a password: it is used, and nothing that a run leaves behind has it."""

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner

from mora_pipeline.cli import main
from mora_pipeline.commands.instance import dagster_instance
from mora_pipeline.contract.errors import UserError
from mora_pipeline.defs.assets import asset_of
from mora_pipeline.defs.partitions import regions
from mora_pipeline.defs.resources import LakeResource, Tracking
from mora_pipeline.defs.spark import SparkSubmit
from mora_pipeline.lake import Lake
from mora_pipeline.steps.interface import RegionRun, Step, Tracker
from mora_pipeline.steps.results import Markdown, StepResult
from mora_pipeline.tracking import TrackingSettings

PASSWORD = "S3cret-of-mlflow"
EXPECTED = "Basic " + base64.b64encode(f"mora:{PASSWORD}".encode()).decode()
INFO = {"run_id": "r1", "experiment_id": "1", "run_name": "n", "status": "RUNNING", "lifecycle_stage": "active"}
RUN = {"info": INFO, "data": {}}
ANSWERS: dict[str, Any] = {
    "experiments/search": {}, "registered-models/search": {}, "runs/create": {"run": RUN}, "runs/get": {"run": RUN},
    "experiments/get-by-name": {"experiment": {"experiment_id": "1", "name": "mora/tiny", "lifecycle_stage": "active"}},
    "runs/log-parameter": {}, "runs/log-batch": {}, "runs/update": {"run_info": INFO}, "runs/set-tag": {},
}  # fmt: skip


class Mlflow(BaseHTTPRequestHandler):
    """As much of MLflow's server as a run without artifacts needs, behind a password."""

    seen: "list[str]"

    def answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        name = self.path.partition("?")[0].removeprefix("/api/2.0/mlflow/")
        self.seen.append(f"{name} {self.rfile.read(length).decode()}")
        known = self.headers.get("Authorization") == EXPECTED and name in ANSWERS
        body = json.dumps(ANSWERS[name] if known else {"error_code": "UNAUTHENTICATED", "message": "no"}).encode()
        self.send_response(200 if known else 401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = answer  # noqa: N815

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def mlflow_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, list[str]]]:
    """Port, and what it was asked."""
    import mlflow

    before = mlflow.get_tracking_uri(), mlflow.get_registry_uri()
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "")  # so that what a run sets is taken back
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.delenv("MORA_MLFLOW_URL", raising=False)
    seen: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Own", (Mlflow,), {"seen": seen}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port, seen
    server.shutdown()
    server.server_close()
    mlflow.set_tracking_uri(before[0])
    mlflow.set_registry_uri(before[1])


def train(region: RegionRun, _settings: object, _progress: object, tracker: Tracker) -> StepResult:
    with tracker.run({"encoder": f"http://u:{PASSWORD}@store/x"}) as run:
        region.log.info(f"tracked by {tracker.settings}: {run.link()}")
        return region.finish(metadata={"mlflow": Markdown(run.link())})


trained = asset_of(Step("trained", train, "A training.", (), "test", frozenset()))


def made(monkeypatch: pytest.MonkeyPatch, uri: str) -> dg.ExecuteInProcessResult:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    resources = {"lake": LakeResource(), "spark": SparkSubmit(), "tracking": Tracking()}
    with dagster_instance() as instance:
        instance.add_dynamic_partitions(str(regions.name), ["tiny"])
        return dg.materialize(
            [trained], partition_key="tiny", instance=instance, resources=resources, raise_on_error=False
        )


def assert_nowhere(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            assert PASSWORD.encode() not in path.read_bytes(), path


def test_the_password_of_mlflow_is_used_and_left_nowhere(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, mlflow_server: tuple[int, list[str]], capfd: pytest.CaptureFixture[str]
) -> None:
    """Once with the right password, once with a wrong one, once without a server: storage, logs, links and errors."""
    port, seen = mlflow_server
    home = lake.root.parent
    monkeypatch.setenv("DAGSTER_HOME", "")
    monkeypatch.setenv("MORA_HOME", str(home))
    done = made(monkeypatch, f"http://mora:{PASSWORD}@127.0.0.1:{port}")
    assert done.success
    (event,) = done.asset_materializations_for_node("trained")
    assert f"(http://127.0.0.1:{port}/#/experiments/1/runs/r1)" in str(event.metadata["mlflow"].value)
    assert any(line.startswith("runs/create") for line in seen)
    failed = made(monkeypatch, f"http://other:{PASSWORD}@127.0.0.1:{port}")
    assert not failed.success
    mlflow_down = made(monkeypatch, f"http://mora:{PASSWORD}@127.0.0.1:1")
    assert not mlflow_down.success
    assert (home / "dagster").is_dir()
    assert_nowhere(home)
    assert PASSWORD not in "".join(seen)
    assert PASSWORD not in "".join(capfd.readouterr())


def test_settings_show_no_password(tmp_path: Path) -> None:
    settings = TrackingSettings.of(tmp_path, f"https://mora:{PASSWORD}@mlflow.example/x/")
    assert PASSWORD not in repr(settings)
    assert settings.link == "https://mlflow.example/x"
    assert settings.shown_uri == "https://mora:***@mlflow.example/x/"
    assert TrackingSettings.of(tmp_path, "http://a:5000", f"https://u:{PASSWORD}@b/c/").link == "https://b/c"


def test_a_link_is_a_web_page(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="MORA_MLFLOW_URL"):
        TrackingSettings.of(tmp_path, None, "javascript:alert(1)")


def test_a_password_among_the_settings_is_refused_before_it_is_recorded(mora_home: Path) -> None:
    ended = CliRunner().invoke(main, ["materialize", "town", "--set", f"embeddings.encoder=http://u:{PASSWORD}@h/x"])
    assert ended.exit_code == 2
    assert "MLFLOW_TRACKING_URI" in ended.output
    assert PASSWORD not in ended.output
    assert_nowhere(mora_home)


def test_a_run_names_no_other_home_and_no_other_mlflow() -> None:
    """Whoever can start runs could write anywhere, or send weights away."""
    for resource in (LakeResource, Tracking):
        assert not resource.to_fields_dict()
