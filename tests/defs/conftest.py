"""A way to run an asset of a test's own in the home of the region `tiny`."""

from collections.abc import Callable

import dagster as dg
import pytest

from mora_pipeline.defs.partitions import regions
from mora_pipeline.defs.resources import LakeResource, Tracking
from mora_pipeline.defs.spark import SparkSubmit
from mora_pipeline.lake import Lake
from tests.steps.conftest import lake, session

__all__ = ["lake", "run", "session"]

Run = Callable[..., dg.ExecuteInProcessResult]


@pytest.fixture
def run(lake: Lake) -> Run:
    """Materialise an asset for the region `tiny`; a failure does not raise."""

    def materialize(
        asset: dg.AssetsDefinition,
        selection: list[str] | None = None,
        run_config: dict[str, object] | None = None,
        **resources: object,
    ) -> dg.ExecuteInProcessResult:
        defaults = {"lake": LakeResource(), "spark": SparkSubmit(), "tracking": Tracking()}
        with dg.DagsterInstance.ephemeral() as instance:
            instance.add_dynamic_partitions(str(regions.name), ["tiny"])
            return dg.materialize(
                [asset],
                partition_key="tiny",
                selection=selection,
                run_config=run_config,
                instance=instance,
                resources=defaults | resources,
                raise_on_error=False,
            )

    return materialize
