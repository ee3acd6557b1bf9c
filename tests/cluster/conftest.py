"""A Spark standalone cluster of this machine's processes: one master, two workers whose Python lacks our code."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
import time
import urllib.request
import venv
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from spark_jobs import session

PROJECT = Path(__file__).resolve().parents[2]
MASTER_URL = re.compile(r"Starting Spark master at (spark://\S+)")
WEB_ADDRESS = re.compile(r"started at (http://\S+)")
QUICK_JAVA = session.QUICK_JAVA["spark.driver.extraJavaOptions"]
# The same in local mode and on the cluster; `spark.master` is all that differs.
SETTINGS = {
    "spark.driver.memory": "512m",
    "spark.executor.memory": "512m",
    "spark.driver.extraJavaOptions": QUICK_JAVA,
    "spark.executor.extraJavaOptions": QUICK_JAVA,
}


def answer_of(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=30) as response:
        return json.loads(response.read())


@dataclass
class Cluster:
    """The processes of a master and its workers; `python` runs the jobs and their workers."""

    scratch: Path
    environment: dict[str, str]
    python: Path
    processes: "dict[str, subprocess.Popen[bytes]]" = field(default_factory=dict)

    def start(self, name: str, *command: str) -> None:
        """Start a process of the cluster in an empty folder."""
        home = self.scratch / name
        home.mkdir()
        with self.log(name).open("wb") as log:
            self.processes[name] = subprocess.Popen(
                command, env=self.environment, cwd=home, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )

    def start_master(self) -> None:
        program = "org.apache.spark.deploy.master.Master"
        self.start("master", "spark-class", program, "--host", "127.0.0.1", "--port", "0", "--webui-port", "0")
        self.said("master", WEB_ADDRESS)

    def start_worker(self, name: str) -> None:
        """A worker with one core; its master knows it when this returns."""
        program, work = "org.apache.spark.deploy.worker.Worker", str(self.work(name))
        size = ("--cores", "1", "--memory", "1g", "--webui-port", "0", "--work-dir", work)
        self.start(name, "spark-class", program, "--host", "127.0.0.1", *size, self.master)
        self.said(name, re.compile("(Successfully registered with master)"))

    @property
    def master(self) -> str:
        return self.said("master", MASTER_URL)

    def ask_master(self) -> Any:
        return answer_of(f"{self.said('master', WEB_ADDRESS)}/json/")

    def log(self, name: str) -> Path:
        return self.scratch / f"{name}.log"

    def work(self, name: str) -> Path:
        """Where a worker keeps the folders of its executors: one an application, below it one an executor."""
        return self.scratch / f"{name}-work"

    def said(self, name: str, what: re.Pattern[str], seconds: float = 90.0) -> str:
        """Wait until a process has written a line."""
        deadline = time.monotonic() + seconds
        while not (found := what.search(self.log(name).read_text(errors="replace"))):
            told = self.log(name).read_text(errors="replace")
            assert self.processes[name].poll() is None, f"{name} ended\n{told}"
            assert time.monotonic() < deadline, f"{name} never wrote {what.pattern}\n{told}"
            time.sleep(0.1)
        return found[1]

    def executors(self, name: str) -> list[psutil.Process]:
        """The executors that a worker runs at this moment."""
        below = psutil.Process(self.processes[name].pid).children(recursive=True)
        return [process for process in below if is_executor(process)]

    def finished_tasks(self, name: str) -> int:
        """Tasks that a worker's executors ended well, by their own logs."""
        logs = [path.read_text(errors="replace") for path in self.work(name).glob("app-*/*/stderr")]
        return sum(len(re.findall(r"Finished task \d+\.\d+ in stage", log)) for log in logs)

    def command(self, job: str, folder: Path, params: dict[str, Any], **settings: Any) -> dict[str, Any]:
        """Arguments of `subprocess` that start a job: our code is on the path of the driver, and of nobody else."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "params.json").write_text(json.dumps(params))
        conf = {**SETTINGS, **settings}
        own = {"PYTHONPATH": str(PROJECT), "MORA_SPARK_CONF": json.dumps(conf), "MORA_HOME": str(self.scratch)}
        return {
            "args": [str(self.python), "-m", f"spark_jobs.{job}", "--params", str(folder / "params.json")],
            "env": self.environment | own,
            "cwd": folder,
            "text": True,
        }

    def run(self, job: str, folder: Path, params: dict[str, Any], **settings: Any) -> dict[str, Any]:
        """A job from its start to its report."""
        command = self.command(job, folder, params, **settings)
        done = subprocess.run(**command, capture_output=True, timeout=300, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return dict(json.loads(done.stdout.splitlines()[-1]))

    def kill(self, name: str) -> None:
        """Kill a worker and its executors at once, as a machine that loses power does."""
        for process in (*self.executors(name), psutil.Process(self.processes[name].pid)):
            process.kill()

    def stop(self) -> None:
        """End all that was started, with the processes below it, whatever state they are in."""
        below: list[psutil.Process] = []
        for process in self.processes.values():
            with contextlib.suppress(psutil.NoSuchProcess):
                below += psutil.Process(process.pid).children(recursive=True)
        for process in self.processes.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=15)
        for child in below:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()


def is_executor(process: psutil.Process) -> bool:
    try:
        return "org.apache.spark.executor.CoarseGrainedExecutorBackend" in process.cmdline()
    except psutil.Error:  # it has ended
        return False


def python_without_the_project(folder: Path) -> Path:
    """An interpreter with all that ours has installed, except what is installed in editable form: this project."""
    venv.create(folder, symlinks=True)
    installed = sysconfig.get_paths()["purelib"]
    ours = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    (ours / "installed.pth").write_text(f"{installed}\n")  # its own .pth files are not followed from here
    return folder / "bin" / "python"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A master and two workers, up and registered."""
    from spark_jobs.java import java_environment

    scratch = tmp_path_factory.mktemp("cluster")
    environment = {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin"]),
        "HOME": str(scratch),
        "LANG": "C.UTF-8",
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_DAEMON_MEMORY": "256m",
        "SPARK_DAEMON_JAVA_OPTS": QUICK_JAVA,
        **java_environment(),
    }
    running = Cluster(scratch, environment, python_without_the_project(scratch / "python"))
    try:
        running.start_master()
        running.start_worker("worker_1")
        running.start_worker("worker_2")
        yield running
    finally:
        running.stop()


@pytest.fixture
def eventually() -> Callable[..., Any]:
    """Asks again and again until the answer is true."""

    def ask(question: Callable[[], Any], seconds: float = 60.0, pause: float = 0.02) -> Any:
        deadline = time.monotonic() + seconds
        while not (answer := question()):
            assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {question}"
            time.sleep(pause)
        return answer

    return ask
