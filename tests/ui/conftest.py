"""The UI of a home that has a little history, and a browser that looks at it."""

import dataclasses
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from mora_pipeline.commands.instance import REGIONS, dagster_home
from mora_pipeline.contract import schemas
from mora_pipeline.defs.assets import asset_of
from mora_pipeline.defs.resources import LakeResource, Tracking
from mora_pipeline.defs.spark import SparkSubmit
from mora_pipeline.lake.registry import Registry
from mora_pipeline.steps.embeddings import embeddings_step
from mora_pipeline.steps.interface import RegionRun
from mora_pipeline.steps.results import Check, Picture, StepResult
from tests.region_yaml import REGION_YAML

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def region_folder(folder: Path, name: str) -> Path:
    """Write a tiny region; its region.yaml."""
    folder.mkdir(parents=True)
    (folder / "trips.csv").write_text("a,b,c,d\n40.7,-74.0,40.8,-73.9\n")
    (folder / "region.yaml").write_text(REGION_YAML.format(name=name))
    return folder / "region.yaml"


def square_png() -> bytes:
    """A picture that is large enough to be hidden if it were in the text of the metadata."""
    import io

    import numpy as np
    from matplotlib import image

    buffer = io.BytesIO()
    image.imsave(buffer, np.random.default_rng(0).random((120, 120, 3)), format="png")
    return buffer.getvalue()


def embed(region: RegionRun, *_: object) -> StepResult:
    """Stands in for the real step: north passes its checks, south has collapsed."""
    region.begin("embeddings").write(schemas.embeddings(schemas.DIMENSION).empty_table())
    passes = region.region == "north"
    names = (*region.step.checks, *region.step.warnings)
    checks = [Check(name, passes or name != "not_collapsed", {"spread": 0.123456789}) for name in names]
    return region.finish(checks, {"map": Picture(square_png(), "map"), "loss": 0.987654321})


@dataclass(frozen=True)
class Served:
    """A UI that runs: its address and its home."""

    address: str
    home: Path


def _history(home: Path) -> None:
    asset = asset_of(dataclasses.replace(embeddings_step(), run=embed))
    resources: dict[str, Any] = {"lake": LakeResource(), "spark": SparkSubmit(), "tracking": Tracking()}
    with dg.DagsterInstance.get() as instance:
        for name in ("north", "south"):
            Registry.at_home().add(region_folder(home / "raw" / name, name))
            instance.add_dynamic_partitions(REGIONS, [name])
            dg.materialize([asset], instance=instance, partition_key=name, resources=resources, raise_on_error=False)


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """`mora dev` over a home with two regions, the embeddings of each, and a folder that is refused."""
    home = tmp_path_factory.mktemp("ui") / "home"
    home.mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MORA_HOME", str(home))
        patch.setenv("DAGSTER_HOME", "")
        patch.setenv("MORA_WATCH_SECONDS", "5")
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        dagster_home()
        _history(home)
        region_folder(home / "regions" / "town", "city")
        with (home / "dev.log").open("wb") as log:
            command = [sys.executable, "-m", "mora_pipeline.cli", "dev", "--port", str(port)]
            process = subprocess.Popen(command, env=dict(os.environ), stdout=log, stderr=log, start_new_session=True)
        try:
            served = Served(f"http://127.0.0.1:{port}", home)
            _wait(served, process)
            yield served
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


def _wait(served: Served, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{served.address}/server_info", timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    pytest.fail(f"the UI did not come up:\n{(served.home / 'dev.log').read_text()[-3000:]}")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="the dev extra playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed (apt-get install chromium)")
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Any, ui: Served) -> Iterator[Any]:
    """A page of the UI, where one waits 30 seconds for what should be there."""
    context = browser.new_context(base_url=ui.address, viewport={"width": 1400, "height": 1000})
    context.set_default_timeout(30_000)
    yield context.new_page()
    context.close()
