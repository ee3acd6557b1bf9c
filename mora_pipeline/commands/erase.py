"""`mora region erase`: remove all that was made of a region."""

import click


@click.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
def erase(name: str, yes: bool) -> None:
    """Remove all that was made of the region NAME, and search the whole home for what still names it.

    That is its datasets, quarantine, caches, checkpoints, logs and alerts, its experiment and models in MLflow, its
    partition, runs and events in Dagster. Its raw files and backups stay: they are yours to delete.

    \b
    Example:
      mora region erase us_east
    """
    from mora_pipeline.commands.instance import dagster_instance
    from mora_pipeline.defs.resources import Tracking
    from mora_pipeline.lake import mora_home
    from mora_pipeline.upkeep.erase import erase as erased

    home = mora_home()
    if not yes:
        click.confirm(f"Remove all that was made of {name} under {home}? It cannot be undone", abort=True)
    with dagster_instance() as instance:
        erasure = erased(home, name, instance, Tracking().settings(home))
    for part in erasure.removed:
        if part.number:
            click.echo(f"Removed {part.words}.")
    if erasure.raw:
        click.echo(f"Its raw files stay: {erasure.raw}")
    for trace in erasure.left:
        click.echo(f"Still names it: {trace}", err=True)
    if erasure.left:
        raise SystemExit(1)
    click.echo(f"Nothing else in {home} names {name}. Backups made before still hold it.")
