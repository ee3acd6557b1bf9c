"""A home with one region, and a way to run an asset of a test's own in it."""

from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from mora_pipeline.defs.partitions import regions
from mora_pipeline.defs.resources import LakeResource
from mora_pipeline.lake import Lake
from mora_pipeline.lake.registry import Registry

Run = Callable[..., dg.ExecuteInProcessResult]

REGION_YAML = """
region: tiny
resolution: 8
mobility:
  kind: od
  path: flows.csv
  columns: {origin: from, destination: to, flow: trips}
  places: {path: places.csv, id: id, latitude: latitude, longitude: longitude}
"""


@pytest.fixture
def lake(mora_home: Path) -> Lake:
    """The lake of a home that knows the region `tiny`."""
    folder = mora_home / "raw"
    folder.mkdir()
    (folder / "region.yaml").write_text(REGION_YAML)
    (folder / "places.csv").write_text("id,latitude,longitude\na,47.3,8.4\nb,47.4,8.5\n")
    (folder / "flows.csv").write_text("from,to,trips\na,b,3\n")
    Registry(mora_home).add(folder / "region.yaml")
    return Lake(mora_home / "lake")


@pytest.fixture
def run(lake: Lake) -> Run:
    """Materialise an asset for the region `tiny`; a failure does not raise."""

    def materialize(asset: dg.AssetsDefinition, **resources: object) -> dg.ExecuteInProcessResult:
        with dg.DagsterInstance.ephemeral() as instance:
            instance.add_dynamic_partitions(str(regions.name), ["tiny"])
            return dg.materialize(
                [asset],
                partition_key="tiny",
                instance=instance,
                resources={"lake": LakeResource(), **resources},
                raise_on_error=False,
            )

    return materialize
