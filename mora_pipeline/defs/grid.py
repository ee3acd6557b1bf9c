"""The assets that Spark makes as one step of a run, so that Spark starts once for all of them."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
from pydantic import create_model

from mora_pipeline.defs.assets import check_specs_of, config_of, description_of, materialized, run_in_dagster
from mora_pipeline.defs.op_names import GRID, grid_steps
from mora_pipeline.defs.resources import LakeResource, Tracking
from mora_pipeline.defs.spark import SparkSubmit
from mora_pipeline.steps import Step
from mora_pipeline.steps.interface import NoSettings


def grid_of(name: str, steps: list[Step]) -> dg.AssetsDefinition:
    """Steps as assets that one step of a run makes, one after another; any of them may be chosen.

    An asset that fails stops those that need it; the others are made before the run fails. Settings are below the
    name of their asset.

    Args:
        steps: each after those whose outputs it reads.
    """
    settings = {step.name: config_of(step.settings) for step in steps if step.settings is not NoSettings}
    fields: dict[str, Any] = {asset: (config, config()) for asset, config in settings.items()}
    config_class = create_model("GridSettings", __base__=dg.Config, **fields)

    @dg.multi_asset(
        name=name,
        specs=[dg.AssetSpec(step.name, skippable=True, **description_of(step)) for step in steps],
        check_specs=[spec for step in steps for spec in check_specs_of(step)],
        can_subset=True,
        pool="spark",
    )
    def grid(
        context: dg.AssetExecutionContext,
        config: config_class,
        lake: LakeResource,
        spark: SparkSubmit,
        tracking: Tracking,
    ) -> Iterator[dg.MaterializeResult]:
        chosen = {key.to_user_string() for key in context.selected_asset_keys}
        failures: dict[str, dg.Failure] = {}
        unmade: set[str] = set()
        with spark.served(context) as runner:
            for step in [step for step in steps if step.name in chosen]:
                if unmade & set(step.inputs):
                    unmade.add(step.name)
                    continue
                try:
                    result = run_in_dagster(step, getattr(config, step.name, None), context, lake, runner, tracking)
                except dg.Failure as failure:
                    failures[step.name] = failure
                    unmade.add(step.name)
                    continue
                if not result.committed:
                    unmade.add(step.name)
                yield materialized(step, result, context.selected_asset_check_keys)
        if failures:
            raise together(failures)

    return grid


def together(failures: dict[str, dg.Failure]) -> dg.Failure:
    """Failures of assets as the one of their step, each named."""
    text = "\n".join(f"{asset}: {failure.description}" for asset, failure in failures.items())
    costs = {key: value for failure in failures.values() for key, value in failure.metadata.items()}
    return dg.Failure(text, metadata=costs, allow_retries=all(item.allow_retries for item in failures.values()))


assets = [grid_of(GRID, grid_steps())]
