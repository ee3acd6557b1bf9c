"""Several assets as one step of a run: any of them may be chosen, and what fails stops those that need it."""

import dagster as dg
import pyarrow as pa
import pytest
from pydantic import BaseModel, ConfigDict

from mora_pipeline.contract.errors import UserError
from mora_pipeline.defs.grid import grid_of
from mora_pipeline.defs.op_names import by_step_of_run
from mora_pipeline.steps.interface import NoSettings, RegionRun, Step
from mora_pipeline.steps.results import Check, StepResult


class Width(BaseModel):
    """How wide."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    width: int = 3


def step(name: str, inputs: tuple[str, ...] = (), passes: bool = True, error: str = "", **more: object) -> Step:
    def work(region: RegionRun, settings: Width | NoSettings, *_: object) -> StepResult:
        if error:
            raise UserError(error)
        rows = settings.width if isinstance(settings, Width) else 1
        region.begin(name).write(pa.table({"cell": pa.array(range(rows), pa.int64())}))
        return region.finish([Check("no_nan", passes, {"bad": 1})])

    return Step(name, work, "A thing.", inputs, "test", frozenset(), checks=("no_nan",), **more)  # type: ignore[arg-type]


def made(done: dg.ExecuteInProcessResult) -> set[str]:
    return {event.asset_key.to_user_string() for event in done.get_asset_materialization_events() if event.asset_key}


def failure(done: dg.ExecuteInProcessResult) -> str:
    (event,) = [event for event in done.all_events if event.is_step_failure]
    data = event.step_failure_data
    return str(data.user_failure_data.description if data.user_failure_data else data.error)


def test_any_asset_may_be_chosen_and_settings_stand_below_their_asset(run, lake) -> None:
    grid = grid_of("grid", [step("first"), step("second", ("first",), settings=Width)])
    config = {"ops": {"grid": {"config": {"second": {"width": 5}}}}}
    done = run(grid, selection=["second"], run_config=config)
    assert done.success
    assert made(done) == {"second"}
    assert [check.asset_key.to_user_string() for check in done.get_asset_check_evaluations()] == ["second"]
    assert (lake.read("second", "tiny").rows, lake.has("first", "tiny")) == (5, False)
    assert run(grid).success
    assert (lake.read("second", "tiny").rows, lake.has("first", "tiny")) == (3, True)


def test_a_mistake_stops_what_needs_it_alone_and_is_named(run, lake) -> None:
    steps = [step("bad", error="flows.csv: no column 'jobs'."), step("needs", ("bad",)), step("other")]
    done = run(grid_of("grid", [*steps, step("late", ("needs",))]))
    assert not done.success
    assert made(done) == {"other"}
    assert failure(done) == "bad: flows.csv: no column 'jobs'."
    assert not lake.has("needs", "tiny")


def test_a_failed_check_stops_what_needs_it_and_fails_the_run(run, lake) -> None:
    done = run(grid_of("grid", [step("bad", passes=False), step("needs", ("bad",)), step("other")]))
    assert not done.success
    assert made(done) == {"bad", "other"}
    assert {name: lake.has(name, "tiny") for name in ("bad", "needs", "other")} == {
        "bad": False,
        "needs": False,
        "other": True,
    }
    assert "DagsterAssetCheckFailedError" in failure(done)


def test_settings_below_an_asset_become_those_of_its_step() -> None:
    written = {"resources": {"lake": {}}, "ops": {"graph": {"config": {"share": 0.2}}, "embeddings": {"config": {}}}}
    grid = {"config": {"graph": {"share": 0.2}}}
    assert by_step_of_run(written) == {"resources": {"lake": {}}, "ops": {"grid": grid, "embeddings": {"config": {}}}}
    assert by_step_of_run({"ops": {"grid": grid}}) == {"ops": {"grid": grid}}
    assert by_step_of_run({}) == {}
    with pytest.raises(UserError, match=r"below ops\.graph and below ops\.grid"):
        by_step_of_run({"ops": {"grid": grid, "graph": {"config": {"share": 0.1}}}})
    with pytest.raises(UserError, match="must be a mapping"):
        by_step_of_run({"ops": {"graph": {"config": 3}}})
