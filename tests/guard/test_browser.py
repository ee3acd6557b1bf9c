"""A web page of another site against the UI, in a real browser: ours refuses what Dagster's own webserver takes."""

import functools
import http.server
import json
import logging
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
HERE, PROJECT = Path(__file__).parent, Path(__file__).resolve().parents[2]
SITE = "evil.example"
# Those that Dagster's own webserver takes; a page of another site can never send JSON to it, for that is asked first.
TAKEN_BY_DAGSTER = {
    "form_plain", "form_urlencoded", "form_multipart", "report", "get_image", "fetch_get", "fetch_no_cors",
    "websocket", "frame", "rebinding",
}  # fmt: skip

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
    pytest.mark.timeout(240),
]
playwright = pytest.importorskip("playwright.sync_api", reason="the dev extra playwright is not installed")


logger = logging.getLogger(__name__)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Server:
    """A UI of a home of its own."""

    port: int
    home: Path
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def planted(self) -> set[str]:
        """The attacks that came through: runs with their name, and materializations that nobody made."""
        with dg.DagsterInstance.from_config(str(self.home)) as instance:
            found = {run.tags["attack"] for run in instance.get_runs() if "attack" in run.tags}
            event = instance.get_latest_materialization_event(dg.AssetKey("thing"))
            return found | ({"report"} if event else set())

    def runs(self) -> int:
        with dg.DagsterInstance.from_config(str(self.home)) as instance:
            return int(instance.get_runs_count())


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Server]]:
    """Ours, and Dagster's own as the control."""
    folder = tmp_path_factory.mktemp("servers")
    workspace = folder / "workspace.yaml"
    file = {"relative_path": str(HERE / "small_definitions.py"), "location_name": "small"}
    workspace.write_text(json.dumps({"load_from": [{"python_file": file}]}))
    programs = {"ours": ["mora_pipeline.cli", "webserver"], "dagster": ["dagster_webserver"]}
    processes, found = [], {}
    for name, program in programs.items():
        home = folder / name
        home.mkdir()
        shutil.copy(PROJECT / "dagster.yaml", home)
        with dg.DagsterInstance.from_config(str(home)):
            pass  # its tables are there before anybody asks
        server = found[name] = Server(free_port(), home, folder / f"{name}.log")
        arguments = ["--port", str(server.port), "--workspace", str(workspace)]
        processes.append(
            subprocess.Popen(
                [sys.executable, "-W", "ignore", "-m", *program, *arguments],
                env=os.environ | {"DAGSTER_HOME": str(home), "MORA_HOME": str(home), "PYTHONPATH": str(PROJECT)},
                cwd=home,
                stdout=server.log.open("wb"),
                stderr=subprocess.STDOUT,
            )
        )
    for server in found.values():
        wait_until(functools.partial(is_up, server), server.log)
    yield found
    for process in processes:
        process.terminate()
    for process in processes:
        process.wait(timeout=30)


def is_up(server: Server) -> bool:
    try:
        with urllib.request.urlopen(f"{server.url}/server_info", timeout=5):
            return True
    except OSError:
        return False


def wait_until(true: Callable[[], bool], log: Path, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, log.read_text()[-3000:]
        time.sleep(0.1)


@pytest.fixture(scope="module")
def evil() -> Iterator[str]:
    """The other site, under a name of its own."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(HERE))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://{SITE}:{server.server_port}/attacks.html"
    server.shutdown()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, for which the other site's name leads to this machine: as its owner may arrange at any moment."""
    arguments = [f"--host-resolver-rules=MAP {SITE} 127.0.0.1", "--no-sandbox", "--disable-gpu"]
    with playwright.sync_playwright() as started:
        launched = started.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield launched
        launched.close()


def attacked(browser: Any, evil: str, server: Server) -> set[str]:
    """The attacks of the other site that a server takes."""
    page = browser.new_page()
    page.goto(evil)
    told = {}
    for name in page.evaluate("Object.keys(attacks)"):
        told[name] = page.evaluate(f"(target) => attacks.{name}(target, '{name}')", server.url)
        if name == "frame":
            inside = page.frames[-1]
            told[name] = "taken" if "Dagster" in inside.content() else "refused"
    page.goto(f"http://{SITE}:{server.port}/server_info")  # the name now leads to the UI itself
    page.evaluate("(async body => { await fetch('/graphql', {method: 'POST', body, "
                  "headers: {'Content-Type': 'application/json'}}) })", rebinding_body())  # fmt: skip
    page.close()
    taken = server.planted() | {name for name, answer in told.items() if answer == "taken"}
    for name in (*told, "rebinding"):
        logger.info("%s: %s %s", server.home.name, name, "taken" if name in taken else "refused")
    return taken


def rebinding_body() -> str:
    query = """mutation { launchRun(executionParams: {
      selector: {repositoryLocationName: "small", repositoryName: "__repository__", jobName: "work"},
      runConfigData: "{}", executionMetadata: {tags: [{key: "attack", value: "rebinding"}]}}) { __typename } }"""
    return json.dumps({"query": query})


def test_a_page_of_another_site_can_start_nothing_here(browser: Any, evil: str, servers: dict[str, Server]) -> None:
    """The control shows that each of these is an attack: Dagster's own webserver takes it."""
    assert attacked(browser, evil, servers["dagster"]) == TAKEN_BY_DAGSTER
    assert attacked(browser, evil, servers["ours"]) == set()
    assert servers["ours"].runs() == 0
    assert servers["ours"].log.read_text().count("Refused ") >= len(TAKEN_BY_DAGSTER)


def test_the_ui_itself_works(browser: Any, servers: dict[str, Server]) -> None:
    """Pages load whole, by a link of another site too, and the button of the launchpad starts a run."""
    server = servers["ours"]
    refused = server.log.read_text().count("Refused ")
    page = browser.new_page()
    failures: list[str] = []
    page.on("response", lambda answer: failures.append(answer.url) if answer.status >= 400 else None)
    page.set_content(f'<a href="{server.url}/runs">runs</a>')
    page.click("a")
    page.wait_for_selector("text=Runs")
    page.goto(f"{server.url}/assets")
    page.wait_for_selector("text=thing")
    page.goto(f"{server.url}/locations/small/jobs/work/playground")
    page.get_by_role("button", name="Launch run").click()
    wait_until(lambda: server.runs() == 1, server.log)
    page.close()
    assert failures == []
    assert server.log.read_text().count("Refused ") == refused


def test_what_is_refused_says_how_to_be_let_in(servers: dict[str, Server]) -> None:
    asked = urllib.request.Request(f"{servers['ours'].url}/", headers={"Host": "mora.example.org"})
    with pytest.raises(urllib.error.HTTPError, match="403") as error:
        urllib.request.urlopen(asked, timeout=10)
    assert "MORA_UI_HOSTS" in error.value.read().decode()
