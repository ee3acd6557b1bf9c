"""`mora backup` and `mora restore-backup`: a consistent copy of the home, and the way back."""

from pathlib import Path

import click


@click.command()
@click.argument("target", type=click.Path(path_type=Path))
def backup(target: Path) -> None:
    """Copy the home to TARGET: a new folder, or a file that ends with .tar, .tar.gz or .tgz.

    Runs may go on meanwhile. The copy holds the versions that readers see, the databases of Dagster and MLflow,
    MLflow's artifacts and what is under regions; caches, checkpoints and logs are left out.

    \b
    Example:
      mora backup /backups/mora-2026-01-01.tar.gz
    """
    from mora_pipeline.lake import mora_home, opened
    from mora_pipeline.upkeep.backup import back_up

    made = back_up(opened(mora_home()), target.expanduser().resolve())
    click.echo(f"Backed up {made['files']:,} files, {made['bytes'] / 1e6:,.1f} MB, to {target}.")


@click.command(name="restore-backup")
@click.argument("source", type=click.Path(path_type=Path, exists=True))
def restore_backup(source: Path) -> None:
    """Make the home from the backup SOURCE, once every file of it was verified; the home must not be there yet.

    \b
    Example:
      MORA_HOME=/srv/mora mora restore-backup /backups/mora-2026-01-01.tar.gz
    """
    from mora_pipeline.lake import mora_home
    from mora_pipeline.upkeep.backup import restore

    number = restore(source.expanduser().resolve(), mora_home())
    click.echo(f"Restored {number:,} files to {mora_home()}. Each was what was backed up.")
