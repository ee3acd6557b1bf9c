"""`mora prune`: delete what a home keeps of its past beyond the limits."""

import click


@click.command()
@click.option("--dry-run", is_flag=True, help="Only tell what would be deleted.")
def prune(dry_run: bool) -> None:
    """Delete old runs, events, logs, models and caches beyond the limits, and what killed processes left.

    What readers see stays: the kept versions of the lake, the champion, the run that made what the UI shows. The
    limits are the variables MORA_KEEP_* (docs/home.md). The schedule nightly_prune does the same every night.

    \b
    Examples:
      mora prune --dry-run
      MORA_KEEP_RUNS=10 MORA_KEEP_MODELS=2 mora prune
    """
    from mora_pipeline.commands.instance import dagster_instance
    from mora_pipeline.defs.resources import Tracking
    from mora_pipeline.lake import mora_home
    from mora_pipeline.upkeep.limits import Limits
    from mora_pipeline.upkeep.prune import prune as pruned

    home, limits = mora_home(), Limits.from_environment()
    with dagster_instance() as instance:
        parts = pruned(home, instance, Tracking().settings(home), limits, dry_run)
    for part in parts:
        if part.number:
            click.echo(f"{'Would delete' if dry_run else 'Deleted'} {part.words}.")
    if not any(part.number for part in parts):
        click.echo("Nothing is beyond the limits.")
