"""Servers on the loopback address that take alerts, and a home with a small lake."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from mora_pipeline.lake import Lake
from tests.region_yaml import REGION_YAML

ALERT_VARIABLES = ("WEBHOOK", "WEBHOOK_TOKEN", "EMAIL_TO", "EMAIL_FROM", "SMTP", "SMTP_USER", "SMTP_PASSWORD")


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests gets no alert of theirs."""
    for name in (*ALERT_VARIABLES, "LATE_HOURS", "AGE_HOURS"):
        monkeypatch.delenv(f"MORA_ALERT_{name}", raising=False)
    for name in ("MORA_LOG_FORMAT", "MORA_METRICS_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DAGSTER_HOME", "")  # so that what a command sets is taken back after the test


@dataclass
class WebhookServer:
    """A real HTTP server; it answers `status` and remembers what it was sent."""

    url: str = ""
    status: int = 200
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)


@pytest.fixture
def webhook() -> Iterator[WebhookServer]:
    seen = WebhookServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if seen.status == 200:
                seen.bodies.append(body)
                seen.headers.append(dict(self.headers))
            self.send_response(seen.status)
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    seen.url = f"http://127.0.0.1:{server.server_port}/hooks/s3cret"
    yield seen
    server.shutdown()
    server.server_close()


@pytest.fixture
def commit(mora_home: Path) -> Any:
    """Commits rows of one column as a dataset of a region."""

    def write(dataset: str, region: str, rows: int = 3) -> Any:
        draft = Lake.at_home().begin(dataset, region)
        draft.write(pa.table({"cell": pa.array(range(rows), pa.int64())}))
        return draft.commit()

    return write


@pytest.fixture
def write_region(tmp_path: Path, mora_home: Path) -> Any:
    """Adds a tiny region to the home; returns its region.yaml."""
    from mora_pipeline.lake.registry import Registry

    def write(name: str) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "trips.csv").write_text("a,b,c,d\n40.7,-74.0,40.8,-73.9\n")
        (folder / "region.yaml").write_text(REGION_YAML.format(name=name))
        Registry.at_home().add(folder / "region.yaml")
        return folder / "region.yaml"

    return write
