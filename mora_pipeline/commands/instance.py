"""Dagster's instance of this home: where its history is stored, and which files set it up."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mora_pipeline.contract.files import is_claimed, locked
from mora_pipeline.lake import mora_home, opened
from mora_pipeline.runs.locks import holder_in

if TYPE_CHECKING:
    from dagster import DagsterInstance

PROJECT = Path(__file__).resolve().parents[2]
REGIONS = "regions"  # the name of the dynamic partitions, one a region


def dagster_home() -> Path:
    """The folder of Dagster's history, ready for use; sets ``DAGSTER_HOME`` and ``MORA_HOME`` for this process.

    ``DAGSTER_HOME`` is kept if it is set (a deployment has its own). Else it is ``$MORA_HOME/dagster``, whose
    ``dagster.yaml`` is a link to the project's, unless the user put a file there, and whose databases are made here:
    two processes that made them at the same time would break them.
    """
    home = opened(mora_home(), create=True)
    os.environ["MORA_HOME"] = str(home)
    chosen = os.environ.get("DAGSTER_HOME")
    folder = Path(chosen).expanduser().resolve() if chosen else home / "dagster"
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["DAGSTER_HOME"] = str(folder)
    if not chosen:
        _link(folder / "dagster.yaml", PROJECT / "dagster.yaml")
        _create_databases(folder)
    return folder


@contextmanager
def dagster_instance() -> Iterator["DagsterInstance"]:
    """The persistent instance that the UI shows; runs that have died are ended first."""
    import dagster as dg

    from mora_pipeline.defs.dead_runs import end_dead_runs

    dagster_home()
    with dg.DagsterInstance.get() as instance:
        for sentence in end_dead_runs(instance):
            click.echo(sentence, err=True)
        yield instance


def end_dead_runs_if_any() -> None:
    """For commands that may do without Dagster, whose instance is opened only if a run's process has died."""
    if any(holder_in(lock) and not is_claimed(lock) for lock in (mora_home() / "runs").glob("*.lock")):
        with dagster_instance():
            pass


def workspace_arguments() -> list[str]:
    """What tells a ``dagster`` command where our definitions are, the same for the UI, the daemon and the CLI."""
    workspace = PROJECT / "workspace.yaml"
    return ["-w", str(workspace)] if workspace.exists() else ["-m", "mora_pipeline.definitions"]


def _create_databases(folder: Path) -> None:
    """Make Dagster's databases, one process at a time; a file says that it has been done, and for which Dagster."""
    from importlib.metadata import version

    import dagster as dg

    done = folder / ".created"
    if done.exists() and done.read_text() == version("dagster"):
        return
    with locked(folder / ".creating.lock"):
        if done.exists() and done.read_text() == version("dagster"):
            return
        with dg.DagsterInstance.get() as instance:  # each is made when it is asked for the first time
            instance.get_runs(limit=1)
            instance.event_log_storage.get_concurrency_keys()
            instance.all_instigator_state()
        done.write_text(version("dagster"))


def _link(link: Path, target: Path) -> None:
    if link.exists() and not link.is_symlink():
        return
    if target.exists() and not (link.is_symlink() and link.readlink() == target):
        link.unlink(missing_ok=True)
        try:
            link.symlink_to(target)
        except FileExistsError:
            return  # another process was faster
