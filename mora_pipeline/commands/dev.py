"""`mora dev`: the Dagster UI and daemon with this home's history."""

import os
import socket
import sys

import click

from mora_pipeline.contract.errors import UserError


@click.command()
@click.option("--port", default=3000, show_default=True, type=click.IntRange(1, 65535), help="Port of the UI.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address of the UI; 0.0.0.0 opens it to others.")
def dev(port: int, host: str) -> None:
    """Start the Dagster UI and the daemon, with the history under $MORA_HOME; stop them with Ctrl-C.

    In the UI: Assets, any asset, Materialize runs a region; the sensor new_regions adds the regions whose folders
    are put under $MORA_REGIONS (default $MORA_HOME/regions); the schedule nightly is off until switched on.

    \b
    Examples:
      mora dev
      mora dev --port 3001
    """
    from mora_pipeline.commands.instance import dagster_home, workspace_arguments

    _check_free(host, port)
    home = dagster_home()
    click.echo(f"Dagster UI: http://{host}:{port} (in about 15 seconds)\nHistory: {home}\nStop: Ctrl-C")
    command = [sys.executable, "-W", "ignore", "-m", "dagster", "dev", *workspace_arguments()]
    os.environ["DAGSTER_DISABLE_TELEMETRY"] = "1"
    # In Dagster's own folder it does not warn that the dagster.yaml of the current folder is another one.
    os.chdir(home)
    sys.stdout.flush()
    # Become Dagster instead of starting it: then every signal reaches the process that ends the UI and the daemon.
    os.execv(sys.executable, [*command, "--port", str(port), "--host", host])


def _check_free(host: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise UserError(
                f"Cannot listen on {host}:{port} ({error.strerror}). Is `mora dev` running already? "
                f"Otherwise choose another port: mora dev --port {port + 1}"
            ) from error
