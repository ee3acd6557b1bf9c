"""`mora webserver`: Dagster's UI behind our guard, in one process."""

import os
import signal
from pathlib import Path

import click

from mora_pipeline.guard import HOSTS_VARIABLE, AllowedHosts, Guard


@click.command()
@click.option("--port", default=3000, show_default=True, type=click.IntRange(1, 65535), help="Port of the UI.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0: all of them.")
@click.option(
    "--workspace",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Dagster's workspace file, which says where our definitions are served.",
)
def webserver(port: int, host: str, workspace: Path) -> None:
    """Serve the UI alone, for a deployment (docs/deployment.md); `mora dev` starts all that a laptop needs.

    It answers to 127.0.0.1, localhost, [::1], --host and the names in $MORA_UI_HOSTS (with commas between), and refuses
    what web pages of other sites ask for.

    \b
    Examples:
      mora webserver --workspace workspace.yaml
      MORA_UI_HOSTS=mora.example.org mora webserver --host 0.0.0.0 --workspace /opt/dagster/workspace.yaml
    """
    serve(host, port, workspace, AllowedHosts.of(host, os.environ.get(HOSTS_VARIABLE, "")))


def serve(host: str, port: int, workspace: Path, hosts: AllowedHosts) -> None:
    """Serve until SIGTERM or SIGINT.

    Dagster offers no public way to put anything before its app, so this builds it as `dagster-webserver` does. Should
    Dagster rename what is used here, nothing is served at all, rather than without the guard.
    """
    import uvicorn
    from dagster._core.workspace.context import WorkspaceProcessContext
    from dagster._core.workspace.load_target import WorkspaceFileTarget
    from dagster_webserver.app import create_app_from_workspace_process_context

    from mora_pipeline.commands.instance import dagster_instance

    for number in (signal.SIGTERM, signal.SIGINT):  # uvicorn raises them again once it has ended
        signal.signal(number, signal.default_int_handler)
    try:
        with dagster_instance() as instance:
            instance.optimize_for_webserver(statement_timeout=15_000, pool_recycle=3600, max_overflow=20)
            with WorkspaceProcessContext(instance, WorkspaceFileTarget([str(workspace)])) as context:
                app = Guard(create_app_from_workspace_process_context(context, live_data_poll_rate=2000), hosts)
                uvicorn.run(
                    app,
                    host=host,
                    port=port,
                    log_level="warning",
                    proxy_headers=False,
                    server_header=False,
                    timeout_graceful_shutdown=3,  # seconds that open pages may hold it up
                )
    except KeyboardInterrupt:
        return
