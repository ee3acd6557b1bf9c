"""Regions are added and removed by a form of the UI: two jobs, whose settings are the form's fields."""

from pathlib import Path

import dagster as dg
from pydantic import Field

from mora_pipeline.contract.errors import UserError
from mora_pipeline.defs.partitions import regions
from mora_pipeline.defs.resources import LakeResource
from mora_pipeline.lake.registry import Registry


class AddRegion(dg.Config):
    """What to add."""

    path: str = Field(
        min_length=1,
        description="The region.yaml, or the folder that holds it, on the machine that runs this: /data/my_city.",
    )
    replace: bool = Field(
        default=False, description="Take this file even if the region is known from another one that still exists."
    )


class RemoveRegion(dg.Config):
    """What to remove."""

    name: str = Field(min_length=1, description="The region, or a partition that was mistyped: my_city.")


@dg.op
def add(context: dg.OpExecutionContext, config: AddRegion, lake: LakeResource) -> None:
    """Checks region.yaml and every file it names, and makes the region a partition of every asset."""
    path = Path(config.path.strip()).expanduser()
    try:
        if not path.is_absolute():
            raise UserError(f"path: {path} is relative. Give the whole path: /data/my_city/region.yaml")
        understood = Registry(lake.path()).add(path, config.replace)
    except UserError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from error
    context.instance.add_dynamic_partitions(str(regions.name), [understood.region])
    modalities = ", ".join(understood.modalities) or "none besides mobility"
    context.log.info(
        f"Added {understood.region}: resolution {understood.resolution}, modalities: {modalities}. "
        f"Next: job materialize_region, Materialize…, partition {understood.region}."
    )


@dg.op
def remove(context: dg.OpExecutionContext, config: RemoveRegion, lake: LakeResource) -> None:
    """Forgets the region; its raw files and what was made from them stay."""
    try:
        context.log.info(forget(context.instance, Registry(lake.path()), config.name.strip()))
    except UserError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from error


def forget(instance: dg.DagsterInstance, registry: Registry, name: str) -> str:
    """Forget a region, or a partition that never was one; says which it was.

    Raises:
        UserError: if there is neither.
    """
    known, partitions = registry.all(), instance.get_dynamic_partitions(str(regions.name))
    if name not in partitions:
        registry.path_of(name)
    if name in known:
        registry.remove(name)
    instance.delete_dynamic_partition(str(regions.name), name)
    if name in known:
        return f"Forgot {name}. Its files were not touched."
    return f"Removed the partition {name}, which was no region."


@dg.job(
    name="add_region",
    executor_def=dg.in_process_executor,
    description=(
        "Adds a region by its region.yaml (docs/region.md). Open the Launchpad, give the path, and launch: the run "
        "fails with what is wrong in the file, or the region is a partition of every asset."
    ),
)
def add_region() -> None:
    add()


@dg.job(
    name="remove_region",
    executor_def=dg.in_process_executor,
    description=(
        "Forgets a region, or takes away a partition that was mistyped. Its raw files and what was made from them stay."
    ),
)
def remove_region() -> None:
    remove()
