"""Reads docker-compose.yml as Docker Compose does, and runs its commands as processes of this machine instead."""

import contextlib
import importlib.util
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[2]
VARIABLE = re.compile(r"\$(?:(\$)|\{(\w+)(?::([-?])([^}]*))?\})")
PORTS = ("5432", "5000", "7077", "8080", "8081", "4000", "3000", "8088")
NOBODY = 65534
UI_PASSWORD = "only-for-this-test"


def has_nginx() -> bool:
    return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin") is not None


def environment_file(path: Path) -> dict[str, str]:
    """The variables of a .env file."""
    lines = (line.strip() for line in path.read_text().splitlines())
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def interpolated(value: Any, variables: Mapping[str, str]) -> Any:
    """A part of a Compose file with ``${NAME}``, ``${NAME:-default}``, ``${NAME:?message}`` and ``$$`` filled in."""

    def fill(match: re.Match[str]) -> str:
        dollar, name, operator, operand = match.groups()
        if dollar:
            return "$"
        if variables.get(name):
            return variables[name]
        if operator == "?":
            raise KeyError(operand)
        return operand if operator == "-" else ""

    if isinstance(value, dict):
        return {key: interpolated(item, variables) for key, item in value.items()}
    if isinstance(value, list):
        return [interpolated(item, variables) for item in value]
    return VARIABLE.sub(fill, value) if isinstance(value, str) else value


def compose(variables: Mapping[str, str]) -> dict[str, Any]:
    """docker-compose.yml with its variables filled in."""
    content: dict[str, Any] = interpolated(yaml.safe_load((PROJECT / "docker-compose.yml").read_text()), variables)
    return content


@dataclass
class Loopback:
    """Where the containers' names, ports and folders are on this machine."""

    hosts: list[str]
    folders: dict[str, Path]
    ports: dict[str, int]

    def moved(self, text: str, alone: bool = True) -> str:
        """A command's argument or a variable's value with addresses of this machine.

        Args:
            alone: whether a text that is a service's name and nothing else is a host.
        """
        if alone and text in (*self.hosts, "0.0.0.0"):
            return "127.0.0.1"
        for name in self.hosts:
            text = re.sub(rf"(?<=//){name}(?=:)|(?<=@){name}(?=:)", "127.0.0.1", text)
        for folder, here in self.folders.items():
            text = re.sub(rf"^{folder}(?=/|$)", str(here), text)
        for port, here in self.ports.items():
            text = re.sub(rf"(?<![\w.]){port}(?!\w)", str(here), text)
        return text


@dataclass
class Stack:
    """The services of docker-compose.yml as processes; `up` starts them in the order Compose would."""

    services: dict[str, Any]
    loopback: Loopback
    scratch: Path
    common: dict[str, str]
    processes: "dict[str, subprocess.Popen[bytes]]" = field(default_factory=dict)

    def environment(self, name: str) -> dict[str, str]:
        """What a service's process sees: the service's variables, and the few that every process needs."""
        own = self.services[name].get("environment", {})
        return self.common | {key: self.loopback.moved(str(value)) for key, value in own.items()}

    def url(self, port: str) -> str:
        return f"http://127.0.0.1:{self.loopback.ports[port]}"

    def up(self) -> None:
        """Start every service as soon as those it depends on are healthy, and wait until all are."""
        waiting = dict(self.services)
        while waiting:
            ready = [name for name in waiting if not set(waiting[name].get("depends_on", {})) & set(waiting)]
            assert ready, f"services wait for each other: {sorted(waiting)}"
            for name in ready:
                for condition in waiting[name].get("depends_on", {}).values():
                    assert condition == {"condition": "service_healthy"}
                self.start(name)
            for name in ready:
                self.await_health(name)
                del waiting[name]

    def start(self, name: str) -> None:
        program, *arguments = self.services[name]["command"]
        # A host stands alone after --host; elsewhere the same word may be a command (mora webserver).
        hosts = [before == "--host" for before in (program, *arguments)]
        moved = [self.loopback.moved(argument, alone) for argument, alone in zip(arguments, hosts, strict=False)]
        command = [program, *moved]
        if name == "postgres":
            self._start(name, command, **initialised_postgres(self, name))
        else:
            self._start(name, command, env=self.environment(name), cwd=self.scratch)

    def _start(self, name: str, command: list[str], **settings: Any) -> None:
        with self.log(name).open("wb") as log:
            self.processes[name] = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True, **settings
            )

    def log(self, name: str) -> Path:
        return self.scratch / f"{name}.log"

    def tail(self, name: str) -> str:
        return f"--- {name}\n" + "\n".join(self.log(name).read_text(errors="replace").splitlines()[-40:])

    def await_health(self, name: str, seconds: float = 120.0) -> None:
        """Ask the service's own health check until it says yes."""
        kind, *check = self.services[name]["healthcheck"]["test"]
        assert kind == "CMD"
        check = [check[0], *(self.moved_check(argument) for argument in check[1:])]
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert self.processes[name].poll() is None, f"{name} ended\n{self.tail(name)}"
            asked = subprocess.run(
                check, env=self.environment(name), capture_output=True, cwd=self.scratch, check=False
            )
            if asked.returncode == 0:
                return
            time.sleep(0.5)
        raise AssertionError(f"{name} is not healthy: {asked.stderr.decode()}\n{self.tail(name)}")

    def moved_check(self, argument: str) -> str:
        return self.loopback.moved(argument, alone=False)

    def down(self) -> None:
        """End every process and all that it started."""
        for process in reversed(self.processes.values()):
            end_group(process, signal.SIGTERM)
        deadline = time.monotonic() + 15
        for process in self.processes.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=max(0.1, deadline - time.monotonic()))
            end_group(process, signal.SIGKILL)
            process.wait(timeout=15)


def end_group(process: "subprocess.Popen[bytes]", how: signal.Signals) -> None:
    try:
        os.killpg(process.pid, how)
    except ProcessLookupError:
        return


def initialised_postgres(stack: Stack, name: str) -> dict[str, Any]:
    """What the image's entry point does before its command: a database folder, the database, the mounted scripts.

    PostgreSQL refuses to run as root: then it runs as nobody, from a copy of the wheel that nobody can read.

    Returns:
        Settings of the process that runs the service's command.
    """
    environment = stack.environment(name)
    folder = Path(tempfile.mkdtemp(prefix="mora-postgres-"))
    stack.common["MORA_TEST_POSTGRES"] = str(folder)
    wheel = importlib.util.find_spec("pgserver")
    assert wheel is not None
    assert wheel.origin is not None
    package = Path(wheel.origin).parent
    as_user: dict[str, Any] = {}
    if os.geteuid() == 0:
        as_user = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        libraries = package.with_name("pgserver.libs")
        shutil.copytree(libraries, folder / "site" / libraries.name)
        package = Path(shutil.copytree(package, folder / "site" / package.name, symlinks=True))
        for path in (folder, *folder.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755)
        os.chown(folder, NOBODY, NOBODY)
    programs = package / "pginstall"
    stack.common["PATH"] = environment["PATH"] = f"{programs / 'bin'}{os.pathsep}{environment['PATH']}"
    password, data = folder / "password", folder / "data"
    password.write_text(environment["POSTGRES_PASSWORD"])
    password.chmod(0o644)
    settings = {"env": environment | {"PGDATA": str(data)}, "cwd": folder, **as_user}
    arguments = [f"--username={environment['POSTGRES_USER']}", f"--pwfile={password}"]
    run_program("initdb", *arguments, *environment["POSTGRES_INITDB_ARGS"].split(), **settings)
    port = stack.loopback.ports["5432"]
    run_program("pg_ctl", "-w", "-l", str(folder / "first.log"), "-o", f"-p {port} -k {folder}", "start", **settings)
    with_password = settings | {"env": settings["env"] | {"PGPASSWORD": environment["POSTGRES_PASSWORD"]}}
    database = ["psql", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(port), "-U", environment["POSTGRES_USER"]]
    run_program(*database, "-d", "postgres", "-c", f"CREATE DATABASE {environment['POSTGRES_DB']}", **with_password)
    scripts = next(v for v in stack.services[name]["volumes"] if v.endswith(":/docker-entrypoint-initdb.d:ro"))
    for script in sorted((PROJECT / scripts.split(":")[0]).glob("*.sql")):
        run_program(*database, "-d", environment["POSTGRES_DB"], "-c", script.read_text(), **with_password)
    run_program("pg_ctl", "-w", "stop", **settings)
    return settings


def run_program(*command: str, **settings: Any) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, **settings)
    assert done.returncode == 0, f"{command[0]}: {done.stdout}\n{done.stderr}"


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on; held together, so that no two are the same."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()


@pytest.fixture(scope="session")
def variables() -> dict[str, str]:
    """What .env.example says, as somebody who copied it would have it."""
    return environment_file(PROJECT / ".env.example")


@pytest.fixture(scope="session")
def compose_file(variables: dict[str, str]) -> dict[str, Any]:
    return compose(variables)


@pytest.fixture(scope="module")
def stack(variables: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """All services of docker-compose.yml, healthy, on this machine's loopback address."""
    from spark_jobs.java import java_environment

    scratch = tmp_path_factory.mktemp("stack")
    folders = {
        "/opt/dagster": scratch / "dagster",
        "/data/mora": scratch / "home",
        "/data/mlflow": scratch / "artifacts",
        "/data/regions": scratch / "regions",
        "/tmp/spark-work": scratch / "spark-work",
    }
    for folder in folders.values():
        folder.mkdir()
    for file in ("dagster.yaml", "workspace.yaml"):
        shutil.copy(PROJECT / "deploy" / file, folders["/opt/dagster"])
    small = {"SPARK_WORKER_MEMORY": "2g", "SPARK_EXECUTOR_MEMORY": "1g", "SPARK_DRIVER_MEMORY": "1g"}
    services = compose(variables | small | {"MORA_UI_PASSWORD": UI_PASSWORD})["services"]
    if not has_nginx():
        del services["proxy"]  # the tests that need it say so
    common = {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin"]),
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(PROJECT),  # this checkout, wherever the environment's editable installation points
        # The image has its Java on the path, and its own network; here there is neither.
        **java_environment(),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "HF_HUB_OFFLINE": "1",
        "DAGSTER_DISABLE_TELEMETRY": "1",
    }
    ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
    running = Stack(services, Loopback(list(services), folders, ports), scratch, common)
    try:
        running.up()
        yield running
    finally:
        running.down()
        shutil.rmtree(running.common.get("MORA_TEST_POSTGRES", scratch), ignore_errors=True)


@pytest.fixture
def eventually() -> Callable[..., Any]:
    """Asks again and again until the answer is true."""

    def ask(question: Callable[[], Any], seconds: float, pause: float = 0.5) -> Any:
        deadline = time.monotonic() + seconds
        while not (answer := question()):
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {seconds:.0f} s: {question}")
            time.sleep(pause)
        return answer

    return ask
