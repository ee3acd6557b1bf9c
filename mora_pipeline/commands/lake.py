"""`mora lake`: which versions of a dataset are kept, the way back to one of them, and what is damaged."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from mora_pipeline.commands.base import MoraGroup
from mora_pipeline.contract.errors import UserError

if TYPE_CHECKING:
    from mora_pipeline.lake import Version


@click.group(cls=MoraGroup)
def lake() -> None:
    """List what has been made, go back to an earlier version, find and mend damage."""


@lake.command(name="list")
@click.argument("region")
def list_datasets(region: str) -> None:
    """List the datasets of REGION: rows, when they were made, and the folder of the current version.

    \b
    Example:
      mora lake list us_east
    """
    from mora_pipeline.lake import Lake
    from mora_pipeline.lake.verify import readable_datasets

    datasets, problems = readable_datasets(Lake.at_home(), region)
    if not datasets and not problems:
        raise UserError(f"Nothing has been made for region '{region}' yet: mora materialize {region}")
    width = max((len(version.dataset) for version in datasets), default=0)
    for problem in problems:
        click.echo(problem, err=True)
    for version in datasets:
        click.echo(f"{version.dataset:<{width}}  {version.rows:>12,} rows  {committed_at(version)}  {version.path}")


@lake.command()
@click.argument("dataset")
@click.argument("region")
def versions(dataset: str, region: str) -> None:
    """List the kept versions of DATASET of REGION, oldest first; the current one has a star.

    \b
    Example:
      mora lake versions embeddings us_east
    """
    current, kept = _current_and_kept(dataset, region)
    for version in kept:
        inputs = ", ".join(f"{name} {source}" for name, source in version.inputs.items())
        star = "*" if version.version == current.version else " "
        click.echo(f"{star} {version.version}  {version.rows:>12,} rows  {f'from {inputs}' if inputs else ''}".rstrip())


@lake.command()
@click.argument("dataset")
@click.argument("region")
@click.argument("version", required=False)
def restore(dataset: str, region: str, version: str | None) -> None:
    """Let readers of DATASET of REGION see VERSION; without VERSION, the one before the current one.

    Nothing is deleted: restore the later version to go forward again.

    \b
    Examples:
      mora lake restore embeddings us_east
      mora lake restore embeddings us_east 20260101T020000000000-0123abcd
    """
    from mora_pipeline.lake import Lake

    if version is None:
        current, kept = _current_and_kept(dataset, region)
        earlier = [item.version for item in kept if item.version < current.version]
        if not earlier:
            raise UserError(f"`{dataset}` of '{region}' has no version before the current {current.version}.")
        version = earlier[-1]
    restored = Lake.at_home().restore(_checked_dataset(dataset, region), region, version)
    click.echo(f"Readers of {dataset} of {region} now see {restored.version}, {restored.rows:,} rows.")


@lake.command()
@click.argument("region", required=False)
@click.option("--fast", is_flag=True, help="Only sizes and Parquet footers, not every byte.")
def verify(region: str | None, fast: bool) -> None:
    """Compare every kept version of REGION, or of all regions, with its record; ends with 1 if something is damaged.

    \b
    Examples:
      mora lake verify us_east
      mora lake verify --fast
    """
    from mora_pipeline.lake import Lake
    from mora_pipeline.lake.verify import verify as verified

    found = verified(Lake.at_home(), region, fast)
    for damage in found.damages:
        click.echo(damage.message, err=True)
    hashed = "sizes and footers" if fast else f"{found.bytes / 1e6:,.1f} MB hashed"
    old = f"; {found.unhashed} of before there were hashes, by their footers alone" if found.unhashed else ""
    click.echo(f"{found.versions} versions, {found.files} files, {hashed}{old}: {len(found.damages) or 'no'} damage.")
    if found.damages:
        raise SystemExit(1)


@lake.command()
@click.argument("region", required=False)
def repair(region: str | None) -> None:
    """Mend what is damaged of REGION, or of all regions: readers see the newest whole version.

    Every byte is verified first. Damaged versions are set aside, and nothing is deleted.

    \b
    Example:
      mora lake repair us_east
    """
    from mora_pipeline.lake import Lake
    from mora_pipeline.lake.repair import repair as repaired

    for line in repaired(Lake.at_home(), region) or ["Nothing is damaged."]:
        click.echo(line)


def committed_at(version: "Version") -> str:
    """When a version was begun, in UTC, to the minute."""
    begun = datetime.strptime(version.version.split("-")[0], "%Y%m%dT%H%M%S%f").replace(tzinfo=UTC)
    return f"{begun:%Y-%m-%d %H:%M} UTC"


def _current_and_kept(dataset: str, region: str) -> tuple["Version", list["Version"]]:
    from mora_pipeline.lake import Lake

    lake, dataset = Lake.at_home(), _checked_dataset(dataset, region)
    return lake.read(dataset, region), lake.versions(dataset, region)


def _checked_dataset(dataset: str, region: str) -> str:
    from mora_pipeline.lake import DATASET_NAME

    if not DATASET_NAME.fullmatch(dataset):
        raise UserError(f"'{dataset}' cannot name a dataset. See what there is: mora lake list {region}")
    return dataset
