"""Dagster's instance of this home: where its history is stored, and which files set it up."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from mora_pipeline.lake import mora_home

if TYPE_CHECKING:
    from dagster import DagsterInstance

PROJECT = Path(__file__).resolve().parents[2]
REGIONS = "regions"  # the name of the dynamic partitions, one a region
PARTITION_TAG = "dagster/partition"  # of a run: its region


def dagster_home() -> Path:
    """The folder of Dagster's history, ready for use; sets ``DAGSTER_HOME`` and ``MORA_HOME`` for this process.

    ``DAGSTER_HOME`` is kept if it is set (a deployment has its own). Else it is ``$MORA_HOME/dagster``, whose
    ``dagster.yaml`` is a link to the project's, unless the user put a file there.
    """
    home = mora_home()
    os.environ["MORA_HOME"] = str(home)
    chosen = os.environ.get("DAGSTER_HOME")
    folder = Path(chosen).expanduser().resolve() if chosen else home / "dagster"
    folder.mkdir(parents=True, exist_ok=True)
    if not chosen:
        _link(folder / "dagster.yaml", PROJECT / "dagster.yaml")
    os.environ["DAGSTER_HOME"] = str(folder)
    return folder


def dagster_instance() -> "DagsterInstance":
    """The persistent instance that the UI shows; use it in a ``with``."""
    import dagster as dg

    dagster_home()
    return dg.DagsterInstance.get()


def workspace_arguments() -> list[str]:
    """What tells a ``dagster`` command where our definitions are, the same for the UI, the daemon and the CLI."""
    workspace = PROJECT / "workspace.yaml"
    return ["-w", str(workspace)] if workspace.exists() else ["-m", "mora_pipeline.definitions"]


def _link(link: Path, target: Path) -> None:
    if link.exists() and not link.is_symlink():
        return
    if target.exists() and not (link.is_symlink() and link.readlink() == target):
        link.unlink(missing_ok=True)
        try:
            link.symlink_to(target)
        except FileExistsError:
            return  # another process was faster
