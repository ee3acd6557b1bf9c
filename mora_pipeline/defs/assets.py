"""Every step as an asset: the one place where steps and Dagster meet."""

import inspect
import types
from typing import Any, cast

import dagster as dg
from pydantic import BaseModel, Field

from mora_pipeline.contract.errors import UserError
from mora_pipeline.defs.metadata import column_schema, result_metadata
from mora_pipeline.defs.partitions import regions
from mora_pipeline.defs.resources import LakeResource, Tracking
from mora_pipeline.defs.spark import PipesSpark, SparkSubmit
from mora_pipeline.steps import Session, Step, all_steps, run_step
from mora_pipeline.steps.checks import DESCRIPTIONS
from mora_pipeline.steps.interface import NoSettings
from mora_pipeline.steps.spark import StepError


def asset_of(step: Step) -> dg.AssetsDefinition:
    """A step as an asset of a region, with its settings as run config and its checks as blocking checks."""

    def materialize(
        context: dg.AssetExecutionContext, lake: LakeResource, spark: SparkSubmit, tracking: Tracking
    ) -> dg.MaterializeResult:
        return run_asset(step, None, context, lake, spark, tracking)

    config_class = config_of(step.settings)

    def materialize_as_told(
        context: dg.AssetExecutionContext,
        config: config_class,  # type: ignore[valid-type]
        lake: LakeResource,
        spark: SparkSubmit,
        tracking: Tracking,
    ) -> dg.MaterializeResult:
        return run_asset(step, config, context, lake, spark, tracking)

    return dg.asset(
        name=step.name,
        partitions_def=regions,
        deps=list(step.inputs),
        group_name=step.group,
        kinds=set(step.kinds),
        pool=step.pool,
        description=inspect.cleandoc(step.description or ""),
        metadata=column_schema(step.columns) if step.columns else None,
        check_specs=[
            dg.AssetCheckSpec(name, asset=step.name, blocking=True, description=DESCRIPTIONS[name])
            for name in step.checks
        ],
    )(materialize if step.settings is NoSettings else materialize_as_told)


def run_asset(
    step: Step,
    settings: BaseModel | None,
    context: dg.AssetExecutionContext,
    lake: LakeResource,
    spark: SparkSubmit,
    tracking: Tracking,
) -> dg.MaterializeResult:
    """Run a step for the region of a run, and report what it did.

    Raises:
        dagster.Failure: with the message of the step; a user's mistake is not tried again.
    """
    home = lake.path()
    tags = {"dagster.run_id": context.run_id, "dagster.asset": step.name}
    session = Session(home, PipesSpark(context, spark), tracking.settings(home), tags, context.log)
    try:
        result = run_step(step, context.partition_key, session, settings)
    except UserError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from error
    except StepError as error:
        raise dg.Failure(description=str(error)) from error
    return dg.MaterializeResult(
        metadata=result_metadata(result),
        check_results=[
            dg.AssetCheckResult(check_name=check.name, passed=bool(check.passed), metadata=dict(check.figures))
            for check in result.checks
        ],
        data_version=dg.DataVersion(result.data_version) if result.data_version else None,
    )


def config_of(settings: type[BaseModel]) -> type[dg.Config]:
    """A pydantic model of settings as Dagster's run config: the same fields, defaults, descriptions and validators."""
    nested = {
        name: config_of(field.annotation)
        for name, field in settings.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
    }
    fields: dict[str, Any] = {"__doc__": settings.__doc__, "__module__": __name__, "__annotations__": nested}
    for name, config in nested.items():
        given = settings.model_fields[name]
        default = config(**given.get_default().model_dump())
        fields[name] = Field(default, description=given.description)
    config_class = types.new_class(settings.__name__, (settings, dg.Config), exec_body=lambda body: body.update(fields))
    return cast(type[dg.Config], config_class)


assets = [asset_of(step) for step in all_steps()]
