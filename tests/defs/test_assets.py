"""What the asset factory makes of a step: its checks, metadata, settings, and failures as Dagster shows them."""

from typing import Literal

import dagster as dg
import pyarrow as pa
import pytest
from pydantic import BaseModel, ConfigDict, Field

from mora_pipeline.contract.errors import UserError
from mora_pipeline.defs.assets import asset_of, config_of, job_of
from mora_pipeline.defs.partitions import regions
from mora_pipeline.defs.resources import LakeResource, Tracking
from mora_pipeline.defs.spark import SparkSubmit
from mora_pipeline.steps.interface import RegionRun, Step
from mora_pipeline.steps.results import Check, Markdown, Picture, StepResult
from mora_pipeline.steps.spark import StepError

ROWS = pa.table({"cell": pa.array([1, 2], pa.int64())})


class Inner(BaseModel):
    """Settings within settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    width: int = Field(3, ge=1, description="A width.")


class Outer(BaseModel):
    """Settings of a step."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    colour: Literal["red", "blue"] = Field("red", description="A colour.")
    inner: Inner = Field(Inner(), description="More settings.")


def step_of(passes: bool = True, error: Exception | None = None) -> Step:
    def work(region: RegionRun, settings: Outer, *_: object) -> StepResult:
        if error:
            raise error
        region.begin("thing").write(ROWS)
        shown = {"words": Markdown("**bold**"), "map": Picture(b"png", "map"), "folder": region.home, "width": 0}
        return region.finish([Check("no_nan", passes, {"bad": 1})], {**shown, "width": settings.inner.width})

    return Step("thing", work, "A thing.", (), "test", frozenset(), settings=Outer, checks=("no_nan",))  # type: ignore[arg-type]


def description(done: dg.ExecuteInProcessResult) -> str:
    (failure,) = [event for event in done.all_events if event.is_step_failure]
    return str(failure.step_failure_data.user_failure_data.description)


def test_a_step_becomes_an_asset_with_its_metadata_and_checks(run, lake) -> None:
    done = run(asset_of(step_of()))
    assert done.success
    (event,) = done.asset_materializations_for_node("thing")
    shown = {name: value.value for name, value in event.metadata.items()}
    assert shown["words"] == "**bold**"
    assert str(shown["map"]).startswith("![map](data:image/png;base64,")
    assert (shown["dagster/row_count"], shown["committed"], shown["width"]) == (2, True, 3)
    assert lake.read("thing", "tiny").version in str(shown["datasets"])
    (check,) = done.get_asset_check_evaluations()
    assert (check.check_name, check.passed, check.metadata["bad"].value) == ("no_nan", True, 1)
    assert check.partition == "tiny"  # each region has its own status


def test_a_failed_check_fails_the_run_and_commits_nothing(run, lake) -> None:
    done = run(asset_of(step_of(passes=False)))
    assert not done.success
    assert not lake.has("thing", "tiny")
    (event,) = done.asset_materializations_for_node("thing")
    assert event.metadata["committed"].value is False
    assert "dagster/row_count" not in event.metadata


@pytest.mark.parametrize("error", [UserError("flows.csv: no column 'jobs'."), StepError("The job was killed.")])
def test_a_failure_shows_the_message_of_the_step(run, error) -> None:
    assert description(run(asset_of(step_of(error=error)))) == str(error)


def test_settings_within_settings_keep_their_defaults_descriptions_and_bounds() -> None:
    config = config_of(Outer)
    assert issubclass(config, dg.Config)
    assert config().inner.width == 3
    schema = config.to_fields_dict()
    assert schema["colour"].description == "A colour."
    with pytest.raises(ValueError, match="greater than or equal to 1"):
        config(inner={"width": 0})


def test_a_step_outside_the_chain_becomes_a_job_that_reports_on_an_external_asset(session, lake) -> None:
    """Its metadata shows with its partition; a failed check fails the run with the figures."""
    resources = {"lake": LakeResource(), "spark": SparkSubmit(), "tracking": Tracking()}
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(str(regions.name), ["tiny"])

        def done(step: Step) -> dg.ExecuteInProcessResult:
            job = dg.Definitions(jobs=[job_of(step, "other", "A job.")], resources=resources).resolve_job_def("other")
            return job.execute_in_process(instance=instance, partition_key="tiny", raise_on_error=False)

        assert done(step_of()).success
        event = instance.get_latest_materialization_event(dg.AssetKey("thing"))
        assert event is not None
        assert event.asset_materialization.partition == "tiny"
        assert event.asset_materialization.metadata["committed"].value is True
        committed = lake.read("thing", "tiny").version
        assert "no_nan ({'bad': 1})" in description(done(step_of(passes=False)))
        assert lake.read("thing", "tiny").version == committed
