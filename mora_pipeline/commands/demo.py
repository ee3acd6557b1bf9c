"""`mora demo`: the whole chain on a synthetic city."""

import sys

import click


@click.command()
@click.option("--seed", default=0, show_default=True, help="Another seed makes another city.")
def demo(seed: int) -> None:
    """Make a synthetic city, run the whole chain on it, and show what came out. Takes minutes, needs no network.

    \b
    Example:
      mora demo
    """
    from mora_pipeline.commands.benchmark import benchmark_table
    from mora_pipeline.commands.execution import run_region
    from mora_pipeline.demo import make_demo_city
    from mora_pipeline.lake import Lake, mora_home
    from mora_pipeline.lake.registry import Registry

    folder = mora_home() / "regions" / "demo_city"
    click.echo(f"Making the synthetic city in {folder}")
    region = Registry.at_home().add(make_demo_city(folder, seed), replace=True).region
    # The city shows what a benchmark looks like, and the demo is to end within minutes: trees on one random split, and
    # the linear probe on blocked splits as well (mora benchmark demo_city --run --full scores everything).
    if not run_region(region, None, {"ops": {"benchmark": {"config": {"protocols": ["random", "linear"]}}}}):
        sys.exit(1)
    lake = Lake.at_home()
    click.echo(f"\n{benchmark_table(region)}\n")
    for title, dataset in (("Embeddings", "embeddings"), ("Distilled encoder", "distilled_encoder")):
        click.echo(f"{title + ':':<19}{lake.read(dataset, region).path}")
    if lake.has("report", region):
        click.echo(f"{'Report:':<19}{lake.read('report', region).path / 'report.html'}")
    home = "" if mora_home() == mora_home_by_default() else f"MORA_HOME={mora_home()} "
    click.echo(f"{'Dagster UI:':<19}{home}{_mora()} dev")


def mora_home_by_default() -> object:
    """The home that a command in this folder would use without any setting."""
    from pathlib import Path

    return Path(".mora").resolve()


def _mora() -> str:
    """How this command was called, so that the next one can be typed the same way."""
    from pathlib import Path

    called = Path(sys.argv[0])
    return sys.argv[0] if called.name == "mora" else f"{sys.executable} -m mora_pipeline.cli"
