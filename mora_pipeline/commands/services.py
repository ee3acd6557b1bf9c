"""The three services of `mora dev`: the server of our definitions, the guarded UI, and the daemon."""

import contextlib
import json
import socket
import sys
from pathlib import Path

from mora_pipeline.commands.supervisor import Service
from mora_pipeline.contract.json_logs import is_on

DEFINITIONS = "mora_pipeline.definitions"
_PYTHON = (sys.executable, "-W", "ignore", "-m")


def services(host: str, port: int, home: Path, private: Path) -> list[Service]:
    """What `mora dev` runs.

    Args:
        home: Dagster's folder: where they work, so that Dagster finds no other dagster.yaml.
        private: a folder of this user alone, with a short path; it holds the socket of the definitions' server.
    """
    place, workspace = private / "code.sock", private / "workspace.yaml"
    server = {"socket": str(place), "location_name": DEFINITIONS}
    workspace.write_text(json.dumps({"load_from": [{"grpc_server": server}]}))  # JSON is YAML
    serve = (*_PYTHON, "dagster", "code-server", "start", "--module-name", DEFINITIONS, "--location-name", DEFINITIONS)
    ui = (*_PYTHON, "mora_pipeline.cli", "webserver", "--host", host, "--port", str(port))
    lines = ("--log-format", "json") if is_on() else ()
    return [
        Service(
            "server of the definitions",
            (*serve, "--socket", str(place), "--use-python-environment-entry-point", "--log-level", "warning", *lines),
            home,
            lambda: _answers(place),
        ),
        Service("UI", (*ui, "--workspace", str(workspace)), home),
        Service("daemon", (*_PYTHON, "dagster._daemon", "run", "--workspace", str(workspace), *lines), home),
    ]


def _answers(place: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(OSError):
        probe.connect(str(place))
        return True
    return False
