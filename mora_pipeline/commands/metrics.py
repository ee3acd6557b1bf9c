"""`mora metrics`: figures of every region for Prometheus."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mora_pipeline.contract.errors import UserError

if TYPE_CHECKING:
    from dagster import DagsterInstance


@click.command()
@click.option(
    "--write",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Replace FILE, for node_exporter's textfiles.",
)
@click.option(
    "--serve", "port", type=click.IntRange(1, 65535), help="Answer on http://127.0.0.1:PORT/metrics; Ctrl-C ends it."
)
def metrics(file: Path | None, port: int | None) -> None:
    """Print the figures of every region in Prometheus's text format: rows, bad rows, edges, seconds, bytes, ages.

    While a daemon runs (mora dev), MORA_METRICS_FILE names a file that it writes each minute. docs/metrics.md
    lists all figures.

    \b
    Examples:
      mora metrics
      mora metrics --write /var/lib/node_exporter/mora.prom
      mora metrics --serve 9464
    """
    if file and port:
        raise UserError("--write and --serve are two ways: say one of them.")
    if port:
        with server(port) as listening:
            click.echo(f"http://127.0.0.1:{port}/metrics (Ctrl-C ends it)")
            listening.serve_forever()
    text = figures()
    if file is None:
        click.echo(text, nl=False)
        return
    from mora_pipeline.defs.figures import write_metrics

    try:
        write_metrics(file, text)
    except OSError as error:
        raise UserError(f"{file} cannot be written: {error.strerror}.") from error


def figures() -> str:
    """The figures of this home; those of runs are missing where Dagster's history cannot be read."""
    from mora_pipeline.defs.figures import metrics_text
    from mora_pipeline.lake import mora_home

    with readable_instance() as (instance, _):
        return metrics_text(mora_home(), instance)


@contextmanager
def readable_instance() -> "Iterator[tuple[DagsterInstance | None, str | None]]":
    """Dagster's instance of this home, or None and why its history cannot be read; a new home gets no history by it."""
    import sqlite3

    import dagster as dg
    from sqlalchemy.exc import SQLAlchemyError

    from mora_pipeline.commands.instance import dagster_instance
    from mora_pipeline.lake import mora_home

    home = mora_home()
    if not home.is_dir():
        yield None, "There is nothing yet."
        return
    instance: DagsterInstance | None
    problem: str | None = None
    with ExitStack() as stack:
        try:
            instance = stack.enter_context(dagster_instance())
            instance.get_runs(limit=1)
            instance.all_instigator_state()
        except (dg.DagsterError, SQLAlchemyError, sqlite3.Error, OSError, ValueError, UserError) as error:
            reason = str(error).strip().splitlines()
            instance, first = None, reason[0] if reason else repr(error)
            problem = (
                f"Dagster's history under {os.environ.get('DAGSTER_HOME') or home / 'dagster'} cannot be read: {first}"
            )
        yield instance, problem


def server(port: int) -> ThreadingHTTPServer:
    """A server of the figures on the loopback address, collected anew for each question.

    Raises:
        UserError: if the port is taken.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path.split("?")[0] == "/metrics"
            body = (figures() if found else "The figures are at /metrics\n").encode()
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nothing: a line every 15 seconds helps nobody."""

    try:
        return ThreadingHTTPServer(("127.0.0.1", port), Handler)
    except OSError as error:
        raise UserError(f"Cannot listen on 127.0.0.1:{port}: {error.strerror}. Choose another port.") from error
