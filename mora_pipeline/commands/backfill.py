"""`mora backfill` and `mora nightly`: what the daemon does for several regions."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mora_pipeline.contract.errors import UserError

if TYPE_CHECKING:
    from dagster import AssetKey, DagsterInstance

_LAUNCH = """
mutation ($parameters: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $parameters) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on Error { message }
  }
}"""
_ENDED = ("COMPLETED", "COMPLETED_SUCCESS", "COMPLETED_FAILED", "FAILED", "CANCELED")
_NO_DAEMON = "No Dagster daemon is running. Start it, with the UI, in another terminal: mora dev"


@click.command()
@click.argument("regions", nargs=-1)
@click.option("--all", "all_regions", is_flag=True, help="Every region that this home knows.")
@click.option("--select", metavar="ASSETS", help="Only these assets: names with commas, or Dagster's syntax.")
@click.option("--wait", is_flag=True, help="Wait until all runs have ended; ends with 1 if one failed.")
def backfill(regions: tuple[str, ...], all_regions: bool, select: str | None, wait: bool) -> None:
    """Ask the Dagster daemon for one run of each of REGIONS; the UI shows them together as one backfill.

    The daemon runs them as far as the machine's limits allow (dagster.yaml). Without a daemon the backfill waits
    until one starts.

    \b
    Examples:
      mora backfill us_east demo_city
      mora backfill --all --wait
    """
    from mora_pipeline.commands.instance import REGIONS, dagster_instance
    from mora_pipeline.commands.selection import selected_assets
    from mora_pipeline.lake.registry import Registry

    registry = Registry.at_home()
    if bool(regions) == all_regions:
        raise UserError("Name the regions (mora backfill us_east demo_city), or say --all.")
    names = list(dict.fromkeys(regions)) or list(registry.all())
    if not names:
        raise UserError("No region yet. Add one: mora region add PATH_OF_REGION_YAML")
    for name in names:
        registry.load(name)
    with dagster_instance() as instance:
        running = daemon_is_running(instance)
        if wait and not running:
            raise UserError(_NO_DAEMON)
        instance.add_dynamic_partitions(REGIONS, names)
        backfill_id = request_backfill(names, selected_assets(select or "*"))
        click.echo(f"Backfill {backfill_id}: {', '.join(names)}")
        if not running:
            click.echo(f"It begins when a daemon starts. {_NO_DAEMON}", err=True)
        if wait and not _wait(instance, backfill_id):
            sys.exit(1)


@click.command()
@click.argument("switch", type=click.Choice(["on", "off"]))
def nightly(switch: str) -> None:
    """Switch the nightly run of every region on or off (the schedule `nightly`, 02:00 UTC).

    Runs start while a daemon runs: mora dev. MORA_NIGHTLY_CRON and MORA_NIGHTLY_TIME_ZONE, set when the daemon
    starts, choose another time.

    \b
    Example:
      mora nightly on
    """
    from mora_pipeline.commands.instance import dagster_home, workspace_arguments

    dagster_home()
    action = "start" if switch == "on" else "stop"
    command = [sys.executable, "-m", "dagster", "schedule", action, "nightly", *workspace_arguments()]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode and "already" not in ended.stdout + ended.stderr:
        raise click.ClickException(f"Dagster could not {action} the schedule:\n{ended.stderr.strip()[-2000:]}")
    click.echo(f"The nightly schedule is {switch}.")


def daemon_is_running(instance: "DagsterInstance") -> bool:
    """True if the daemon that carries out backfills has given a sign of life lately."""
    return bool(instance.get_daemon_statuses(["BACKFILL"])["BACKFILL"].healthy)


def request_backfill(regions: Sequence[str], assets: Sequence["AssetKey"]) -> str:
    """Record a backfill, as the UI's button does, for the daemon to carry out; returns its id."""
    from mora_pipeline.commands.instance import workspace_arguments

    parameters = {
        "assetSelection": [{"path": key.path} for key in assets],
        "partitionNames": list(regions),
        "title": f"mora backfill {' '.join(regions)}"[:100],
    }
    program = "from dagster_graphql.cli import main; main()"  # the command `dagster-graphql` need not be on the path
    query = ["--text", _LAUNCH, "--variables", json.dumps({"parameters": parameters})]
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.json"  # standard output has the log of the server of our definitions as well
        query += ["--output", str(answer)]
        command = [sys.executable, "-W", "ignore", "-c", program, *workspace_arguments(), *query]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        launched = json.loads(answer.read_text())["data"]["launchPartitionBackfill"] if answer.exists() else {}
    if "backfillId" not in launched:
        reason = launched.get("message") or f"{ended.stdout[-2000:]}{ended.stderr[-2000:]}"
        raise click.ClickException(f"Dagster did not take the backfill:\n{reason}")
    return str(launched["backfillId"])


def _wait(instance: "DagsterInstance", backfill_id: str) -> bool:
    """Report each run's change of state until the backfill has ended; True if every run succeeded."""
    from dagster import DagsterRunStatus, RunsFilter

    from mora_pipeline.runs import PARTITION_TAG

    shown: dict[str, str] = {}
    while True:
        backfill = instance.get_backfill(backfill_id)
        runs = instance.get_runs(RunsFilter.for_backfill(backfill_id))
        for run in runs:
            if shown.get(run.run_id) != run.status.value:
                shown[run.run_id] = run.status.value
                click.echo(f"{time.strftime('%H:%M:%S')} {run.tags.get(PARTITION_TAG)} {run.status.value.lower()}")
        if backfill is not None and backfill.status.value in _ENDED:
            if backfill.error:
                click.echo(backfill.error.message.strip(), err=True)
            return bool(runs) and all(run.status == DagsterRunStatus.SUCCESS for run in runs)
        time.sleep(2)
