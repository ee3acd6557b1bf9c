"""Every step as an asset or a job: the one place where steps and Dagster meet."""

import inspect
import types
from collections.abc import Set as AbstractSet
from typing import Any, cast

import dagster as dg
from pydantic import BaseModel, Field

from mora_pipeline.contract.disk import disk_full
from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.redaction import redacted
from mora_pipeline.defs.estimates import told
from mora_pipeline.defs.fences import fence_of_step
from mora_pipeline.defs.metadata import column_schema, figures, result_metadata
from mora_pipeline.defs.partitions import regions
from mora_pipeline.defs.resources import LakeResource, Tracking
from mora_pipeline.defs.spark import PipesSpark, SparkSubmit
from mora_pipeline.runs.fence import RunEndedError
from mora_pipeline.steps import FORCE_TAG, Session, Step, StepResult, all_steps, run_step
from mora_pipeline.steps.checks import DESCRIPTIONS
from mora_pipeline.steps.interface import NoSettings
from mora_pipeline.steps.spark import SparkRunner, StepError


def asset_of(step: Step) -> dg.AssetsDefinition:
    """A step of the main chain as an asset, with its settings as run config and its checks as blocking checks."""

    def materialize(
        context: dg.AssetExecutionContext, lake: LakeResource, spark: SparkSubmit, tracking: Tracking
    ) -> dg.MaterializeResult:
        return materialized(step, run_in_dagster(step, None, context, lake, PipesSpark(context, spark), tracking))

    config_class = config_of(step.settings)

    def materialize_with_settings(
        context: dg.AssetExecutionContext,
        config: config_class,  # type: ignore[valid-type]
        lake: LakeResource,
        spark: SparkSubmit,
        tracking: Tracking,
    ) -> dg.MaterializeResult:
        return materialized(step, run_in_dagster(step, config, context, lake, PipesSpark(context, spark), tracking))

    decorate = dg.asset(name=step.name, pool=step.pool, check_specs=check_specs_of(step), **description_of(step))
    return decorate(materialize if step.settings is NoSettings else materialize_with_settings)


def check_specs_of(step: Step) -> list[dg.AssetCheckSpec]:
    """The checks of a step, by region: those that hold back its outputs, and those that only warn."""
    return [
        dg.AssetCheckSpec(
            name,
            asset=step.name,
            blocking=name in step.checks,
            description=DESCRIPTIONS.get(name),
            partitions_def=regions,
        )
        for name in (*step.checks, *step.warnings)
    ]


def job_of(step: Step, name: str, description: str) -> dg.JobDefinition:
    """A step outside the main chain as a job, which no "Materialize all" of the regions takes along.

    Its result is recorded as a materialization of the step's `external_asset_of`.
    """
    config_class = config_of(step.settings)

    @dg.op(name=step.name, pool=step.pool)
    def run_with_settings(
        context: dg.OpExecutionContext,
        config: config_class,  # type: ignore[valid-type]
        lake: LakeResource,
        spark: SparkSubmit,
        tracking: Tracking,
    ) -> None:
        result = run_in_dagster(step, config, context, lake, PipesSpark(context, spark), tracking)
        metadata = result_metadata(result)
        context.log_event(dg.AssetMaterialization(step.name, partition=context.partition_key, metadata=metadata))
        if not result.committed:
            failed = ", ".join(f"{check.name} ({dict(check.figures)})" for check in result.checks if not check.passed)
            raise dg.Failure(f"Checks failed: {failed}. Nothing of it was committed.", allow_retries=False)

    @dg.job(name=name, description=description, partitions_def=regions)
    def job() -> None:
        run_with_settings()

    return job


def external_asset_of(step: Step) -> dg.AssetSpec:
    """A step outside the main chain as the UI shows it among the assets; its job makes it, not a button there."""
    return dg.AssetSpec(step.name, **description_of(step))


def description_of(step: Step) -> dict[str, Any]:
    """What an asset says of itself, as arguments of `dagster.AssetSpec`."""
    return {
        "partitions_def": regions,
        "deps": list(step.inputs),
        "group_name": step.group,
        "kinds": set(step.kinds),
        "description": inspect.cleandoc(step.description or ""),
        "code_version": step.code_version,
        "metadata": column_schema(step.columns) if step.columns else None,
    }


def run_in_dagster(
    step: Step,
    settings: BaseModel | None,
    context: dg.AssetExecutionContext | dg.OpExecutionContext,
    lake: LakeResource,
    spark: SparkRunner,
    tracking: Tracking,
) -> StepResult:
    """Run a step for the region of a run; one that has made the same already, only if the run's tag says so.

    Raises:
        dagster.Failure: with the message of the step; a user's mistake is not tried again.
    """
    home = lake.path()
    tags = {"dagster.run_id": context.run_id, "dagster.asset": step.name}
    force, fence = context.run.tags.get(FORCE_TAG) == "true", fence_of_step(context)
    session = Session(home, spark, tracking.settings(home), tags, context.log, force=force, fence=fence)
    try:
        with told(context, step.name):
            return run_step(step, context.partition_key, session, settings)
    except UserError as error:
        raise dg.Failure(description=redacted(str(error)), metadata=error.costs, allow_retries=False) from error
    except StepError as error:
        raise dg.Failure(description=redacted(str(error)), metadata=error.costs) from error
    except RunEndedError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from error
    except Exception as error:
        if reason := disk_full(error):
            raise dg.Failure(description=reason, allow_retries=False) from error
        raise


def materialized(
    step: Step, result: StepResult, checks: AbstractSet[dg.AssetCheckKey] | None = None
) -> dg.MaterializeResult:
    """What a step tells Dagster of its asset.

    Args:
        checks: those that the run has chosen; None: all of the step.
    """
    return dg.MaterializeResult(
        asset_key=step.name,
        metadata=result_metadata(result),
        check_results=[
            dg.AssetCheckResult(
                asset_key=step.name,
                check_name=check.name,
                passed=bool(check.passed),
                metadata=figures(check.figures),
                severity=dg.AssetCheckSeverity.WARN if check.name in step.warnings else dg.AssetCheckSeverity.ERROR,
            )
            for check in result.checks
            if checks is None or dg.AssetCheckKey(dg.AssetKey(step.name), check.name) in checks
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


assets = [asset_of(step) for step in all_steps() if step.in_chain and step.pool != "spark"]
external_assets = [external_asset_of(step) for step in all_steps() if not step.in_chain]
