"""`mora dev`: the Dagster UI and daemon with this home's history."""

import os
import socket
import sys
import tempfile
from pathlib import Path

import click

from mora_pipeline.contract.errors import UserError
from mora_pipeline.guard import HOSTS_VARIABLE, AllowedHosts


@click.command()
@click.option("--port", default=3000, show_default=True, type=click.IntRange(1, 65535), help="Port of the UI.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address of the UI; 0.0.0.0 opens it to others.")
def dev(port: int, host: str) -> None:
    """Start the Dagster UI and the daemon, with the history under $MORA_HOME; stop them with Ctrl-C.

    In the UI: Assets, any asset, Materialize runs a region; the sensor new_regions adds the regions whose folders
    are put under $MORA_REGIONS (default $MORA_HOME/regions); the schedule nightly is off until switched on.

    Nobody is asked for a password, and whoever reaches the UI can run programs here: keep it on 127.0.0.1, and
    reach it from elsewhere by ssh -L. Requests by web pages of other sites are refused. Under a name of its own
    it answers once $MORA_UI_HOSTS has that name.

    \b
    Examples:
      mora dev
      mora dev --port 3001
    """
    from mora_pipeline.commands.instance import dagster_home
    from mora_pipeline.commands.services import services
    from mora_pipeline.commands.supervisor import Supervisor

    AllowedHosts.of(host, os.environ.get(HOSTS_VARIABLE, ""))  # a mistake in it is told before anything starts
    _check_free(host, port)
    home = dagster_home()
    click.echo(f"Dagster UI: http://{host}:{port} (in about 15 seconds)\nHistory: {home}\nStop: Ctrl-C")
    os.environ["DAGSTER_DISABLE_TELEMETRY"] = "1"
    with tempfile.TemporaryDirectory(prefix="mora-dev-") as private:
        code = Supervisor(services(host, port, home, Path(private))).run()
    sys.exit(code)


def _check_free(host: str, port: int) -> None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise UserError(
                f"Cannot listen on {host}:{port} ({error.strerror}). Is `mora dev` running already? "
                f"Otherwise choose another port: mora dev --port {port + 1}"
            ) from error
