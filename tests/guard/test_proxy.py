"""The log-in before a deployment's pages: the real nginx, with small servers behind it."""

import base64
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from mora_pipeline.contract.errors import UserError
from mora_pipeline.guard.proxy import login, password_of, write_files

PROJECT = Path(__file__).resolve().parents[2]
PASSWORD = "correct horse battery"
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
SETTINGS = {
    "MORA_UI_PASSWORD": PASSWORD,
    "MORA_UI_HOSTS": "mora.example.org",
    "MORA_PROXY_DAGSTER": "http://webserver:3000",
    "MORA_PROXY_MLFLOW": "http://mlflow:5000",
    "MORA_PROXY_SPARK": "http://spark-master:8080",
}


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}


def test_the_files_hold_no_password_and_are_the_users_alone(tmp_path: Path) -> None:
    write_files(tmp_path, SETTINGS)
    users, text = tmp_path / "users", (tmp_path / "nginx.conf").read_text()
    assert users.stat().st_mode & 0o777 == 0o600
    assert users.read_text().startswith("mora:$6$")
    assert PASSWORD not in users.read_text() + text
    assert "@" not in text, "every place is filled in"
    assert "mora\\.example\\.org" in text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MORA_UI_PASSWORD", ""),
        ("MORA_UI_PASSWORD", "short"),
        ("MORA_UI_PASSWORD_FILE", "/nowhere"),
        ("MORA_UI_USER", "a:b\nc"),
        ("MORA_UI_HOSTS", "x; evil"),
        ("MORA_PROXY_HOST", "0.0.0.0; evil"),
        ("MORA_PROXY_PORT", "http"),
        ("MORA_PROXY_DAGSTER", "webserver:3000"),
        ("MORA_PROXY_SPARK", "http://a:1;}"),
    ],
)
def test_a_wrong_setting_is_told_by_its_name(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(UserError, match=name):
        write_files(tmp_path, SETTINGS | {name: value})


def test_the_password_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{PASSWORD}\n")
    assert password_of({"MORA_UI_PASSWORD_FILE": str(tmp_path / "secret")}) == PASSWORD
    assert login("mora", PASSWORD) != login("mora", PASSWORD), "salted"


class Echo(BaseHTTPRequestHandler):
    """Answers with what it was asked."""

    def answer(self) -> None:
        told = {"server": self.server.server_port, "path": self.path, "headers": dict(self.headers)}
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = answer  # noqa: N815

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def proxy() -> Iterator[tuple[int, dict[str, int]]]:
    """The proxy's port, and those of the services behind it."""
    if NGINX is None:
        pytest.skip("no nginx on this machine")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    servers = {name: ThreadingHTTPServer(("127.0.0.1", 0), Echo) for name in ("DAGSTER", "MLFLOW", "SPARK")}
    for server in servers.values():
        threading.Thread(target=server.serve_forever, daemon=True).start()
    own = SETTINGS | {"MORA_PROXY_PORT": str(port), "PYTHONPATH": str(PROJECT), "PATH": os.environ["PATH"]}
    own |= {f"MORA_PROXY_{name}": f"http://127.0.0.1:{server.server_port}" for name, server in servers.items()}
    process = subprocess.Popen([sys.executable, "-W", "ignore", "-m", "mora_pipeline.guard.proxy"], env=own)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/proxy-health", timeout=5):
                break
        except OSError:
            time.sleep(0.05)
    yield port, {name: server.server_port for name, server in servers.items()}
    process.terminate()
    assert process.wait(timeout=20) == 0
    for server in servers.values():
        server.shutdown()


def asked(port: int, path: str, method: str = "GET", **headers: str) -> tuple[int, Any]:
    told = {name.replace("_", "-"): value for name, value in headers.items()} | basic("mora", PASSWORD)
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=told, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.headers["X-Frame-Options"] == "DENY"
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_nobody_comes_in_without_the_password(proxy: tuple[int, dict[str, int]]) -> None:
    port, _ = proxy
    for path in ("/", "/graphql", "/mlflow/", "/spark/", "/mlflow/api/2.0/x"):
        for headers in ({}, basic("mora", "wrong"), basic("other", PASSWORD)):
            request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
            with pytest.raises(urllib.error.HTTPError, match="401"):
                urllib.request.urlopen(request, timeout=10)


def test_each_page_has_its_service_and_none_of_them_sees_the_password(proxy: tuple[int, dict[str, int]]) -> None:
    port, services = proxy
    for path, name, there in (
        ("/runs/1?x=y", "DAGSTER", "/runs/1?x=y"),
        ("/mlflow/ajax-api/2.0/x", "MLFLOW", "/mlflow/ajax-api/2.0/x"),
        ("/spark/json/", "SPARK", "/json/"),
    ):
        status, told = asked(port, path, Origin=f"http://127.0.0.1:{port}")
        assert (status, told["server"], told["path"]) == (200, services[name], there)
        assert "Authorization" not in told["headers"]
        own = name == "DAGSTER"
        assert told["headers"]["Host"] == f"127.0.0.1:{port if own else services[name]}"
        assert ("Origin" in told["headers"]) == own


@pytest.mark.parametrize("path", ["/graphql", "/mlflow/api/2.0/x", "/spark/"])
def test_pages_of_other_sites_are_refused_although_the_browser_knows_the_password(
    proxy: tuple[int, dict[str, int]], path: str
) -> None:
    port, _ = proxy
    for headers in (
        {"Host": "evil.example"},
        {"Host": "mora.example.org.evil.example"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
    ):
        assert asked(port, path, **headers)[0] == 403, headers
    assert asked(port, path, Host="MORA.example.org", Origin="https://mora.example.org")[0] == 200
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert asked(port, path, **link)[0] == 200


def test_sparks_pages_are_there_to_be_read(proxy: tuple[int, dict[str, int]]) -> None:
    """They have buttons that end applications."""
    assert asked(proxy[0], "/spark/app/kill/", "POST")[0] == 403
