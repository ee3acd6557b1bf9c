"""`mora region`: which regions this home knows."""

from pathlib import Path

import click

from mora_pipeline.commands.base import MoraGroup, console
from mora_pipeline.commands.erase import erase
from mora_pipeline.contract.errors import UserError


@click.group(cls=MoraGroup)
def region() -> None:
    """Add, list, show and remove regions.

    A region is a folder of raw data with a region.yaml that describes it (docs/region.md).
    """


@region.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--replace", is_flag=True, help="Take this file even if the region is known from another one.")
@click.option("--check", is_flag=True, help="Only show what is understood; change nothing.")
def add(path: Path, replace: bool, check: bool) -> None:
    """Check PATH (a region.yaml or its folder) and every file it names, show what is understood, and add the region.

    The head of every file is opened, and a sample of every table is read as a run would read it. Nothing is computed
    yet. Adding a region again reads its region.yaml anew.

    \b
    Examples:
      mora region add examples/us_east/region.yaml
      mora region add my_city --check
    """
    from mora_pipeline.commands.instance import REGIONS, dagster_instance
    from mora_pipeline.commands.understanding import show
    from mora_pipeline.lake.registry import Registry
    from mora_pipeline.region import RegionConfig
    from mora_pipeline.region.understanding import understand

    config = RegionConfig.load(path.expanduser().resolve())
    terminal = console()
    with terminal.status("Reading samples") as status:
        understanding = understand(config, lambda key: status.update(f"Reading a sample of {key}"))
    show(understanding, terminal)
    if check:
        click.echo("Checked; nothing was changed.")
        return
    Registry.at_home().remember(config, replace)
    with dagster_instance() as instance:
        instance.add_dynamic_partitions(REGIONS, [config.region])
    modalities = ", ".join(config.modalities) or ("none besides mobility" if config.mobility else "none")
    click.echo(f"Added {config.region}: resolution {config.resolution}, modalities: {modalities}.")
    if config.mobility is None:
        click.echo(f"It has no mobility: the encoder of {config.embeddings.encoder} embeds it.")
    click.echo(f"Next: mora materialize {config.region}")


@region.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--name", help="Name of the region; by default made from the folder's name.")
@click.option("--resolution", type=click.IntRange(0, 15), help="H3 resolution; by default as the data suggests.")
@click.option("--output", type=click.Path(path_type=Path), help="The file to write; by default FOLDER/region.yaml.")
def new(folder: Path, name: str | None, resolution: int | None, output: Path | None) -> None:
    """Write a first region.yaml for the raw data in FOLDER, guessed from names and content, with comments.

    No file is overwritten, and the data is only read. What is uncertain is said beside what else it may be.

    \b
    Examples:
      mora region new my_city
      mora region new /data/my_city --name my_city --output regions/my_city.yaml
    """
    from mora_pipeline.region.drafting import write_draft

    draft, file, problem = write_draft(folder, name, resolution, output)
    for sentence in draft.found:
        click.echo(f"Found {sentence}")
    click.echo(f"Wrote {file}. Read it, and correct what is guessed wrongly.")
    if problem is not None:
        click.echo(f"Still to do:\n{problem}")
    click.echo(f"Then: mora region add {file}")


@region.command(name="list")
def list_regions() -> None:
    """List the regions: the name, when its embeddings were made, and the path of region.yaml.

    \b
    Example:
      mora region list
    """
    from mora_pipeline.commands.lake import committed_at
    from mora_pipeline.lake import Lake
    from mora_pipeline.lake.registry import Registry

    known = Registry.at_home().all()
    if not known:
        click.echo("No region yet. Add one: mora region add PATH_OF_REGION_YAML")
    lake, width = Lake.at_home(), max(map(len, known), default=0)
    for name, path in known.items():
        try:
            made = committed_at(lake.read("embeddings", name)) if lake.has("embeddings", name) else "no embeddings yet"
        except UserError as error:
            made = "damaged"
            click.echo(str(error), err=True)
        click.echo(f"{name:<{width}}  {made:<20}  {path}")


@region.command()
@click.argument("name")
def show(name: str) -> None:
    """Show the region NAME: its settings as they are read, and what has been made from them.

    \b
    Example:
      mora region show us_east
    """
    import yaml

    from mora_pipeline.commands.lake import committed_at
    from mora_pipeline.lake import Lake
    from mora_pipeline.lake.registry import Registry
    from mora_pipeline.lake.verify import readable_datasets

    registry = Registry.at_home()
    path, config = registry.path_of(name), registry.load(name)
    click.echo(f"# {path}")
    click.echo(yaml.safe_dump(config.model_dump(mode="json", exclude_none=True), sort_keys=False).rstrip())
    click.echo("\n# made so far")
    datasets, problems = readable_datasets(Lake.at_home(), name)
    for version in datasets:
        click.echo(f"{version.dataset:<24} {version.rows:>12,} rows  {committed_at(version)}")
    for problem in problems:
        click.echo(problem, err=True)
    if not datasets and not problems:
        click.echo(f"nothing: mora materialize {name}")


@region.command()
@click.argument("name")
def remove(name: str) -> None:
    """Forget the region NAME, or a partition that was mistyped in the UI; its files, and what was made of them, stay.

    \b
    Example:
      mora region remove us_east
    """
    from mora_pipeline.commands.instance import dagster_instance
    from mora_pipeline.defs.region_jobs import forget
    from mora_pipeline.lake.registry import Registry

    with dagster_instance() as instance:
        click.echo(forget(instance, Registry.at_home(), name))


region.add_command(erase)
