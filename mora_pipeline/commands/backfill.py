"""`mora backfill` and `mora nightly`: what the daemon does for several regions."""

import subprocess
import sys
import time
from typing import TYPE_CHECKING

import click

from mora_pipeline.contract.errors import UserError

if TYPE_CHECKING:
    from dagster import DagsterInstance

_NO_DAEMON = "No Dagster daemon is running. Start it, with the UI, in another terminal: mora dev"


@click.command()
@click.argument("regions", nargs=-1)
@click.option("--all", "all_regions", is_flag=True, help="Every region that this home knows.")
@click.option("--select", metavar="ASSETS", help="Only these assets: names with commas, or Dagster's syntax.")
@click.option("--wait", is_flag=True, help="Wait until all runs have ended; ends with 1 if one failed.")
def backfill(regions: tuple[str, ...], all_regions: bool, select: str | None, wait: bool) -> None:
    """Ask the Dagster daemon for one run of each of REGIONS; the UI shows them together as one backfill.

    The daemon runs them as far as the machine's limits allow (dagster.yaml). Without a daemon the backfill is kept,
    and begins when one starts.

    \b
    Examples:
      mora backfill us_east demo_city
      mora backfill --all --wait
    """
    from mora_pipeline.commands.instance import dagster_instance
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
        backfill_id = request_backfill(instance, names, select)
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
    from dagster._daemon.controller import get_daemon_statuses

    status = get_daemon_statuses(instance, ["BACKFILL"], ignore_errors=True)["BACKFILL"]
    return bool(status.healthy)


def request_backfill(instance: "DagsterInstance", regions: list[str], select: str | None = None) -> str:
    """Record a backfill of the regions on the instance; the daemon carries it out. Returns its id."""
    from dagster._core.execution.backfill import PartitionBackfill
    from dagster._core.utils import make_new_backfill_id

    from mora_pipeline.commands.execution import repository, selected_assets
    from mora_pipeline.commands.instance import REGIONS

    graph = repository().get_definition().asset_graph
    assets = selected_assets(select) if select else set(graph.materializable_asset_keys)
    instance.add_dynamic_partitions(REGIONS, regions)
    backfill = PartitionBackfill.from_asset_partitions(
        backfill_id=make_new_backfill_id(),
        asset_graph=graph,
        partition_names=regions,
        asset_selection=sorted(assets),
        backfill_timestamp=time.time(),
        tags={"mora/started_by": "mora backfill"},
        dynamic_partitions_store=instance,
        all_partitions=False,
        title=f"mora backfill {' '.join(regions)}"[:100],
        description=None,
        run_config=None,
    )
    instance.add_backfill(backfill)
    return backfill.backfill_id


def _wait(instance: "DagsterInstance", backfill_id: str) -> bool:
    """Report each run's change of state until the backfill has ended; True if every run succeeded."""
    from dagster import DagsterRunStatus, RunsFilter
    from dagster._core.execution.backfill import BULK_ACTION_TERMINAL_STATUSES

    shown: dict[str, str] = {}
    while True:
        backfill = instance.get_backfill(backfill_id)
        runs = instance.get_runs(RunsFilter.for_backfill(backfill_id))
        for run in runs:
            if shown.get(run.run_id) != run.status.value:
                shown[run.run_id] = run.status.value
                click.echo(
                    f"{time.strftime('%H:%M:%S')} {run.tags.get('dagster/partition')} {run.status.value.lower()}"
                )
        if backfill is not None and backfill.status in BULK_ACTION_TERMINAL_STATUSES:
            if backfill.error:
                click.echo(backfill.error.message.strip(), err=True)
            return bool(runs) and all(run.status == DagsterRunStatus.SUCCESS for run in runs)
        time.sleep(2)
