"""Which step of a run makes an asset, where it is not one of the asset's own name; light, and without Dagster."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mora_pipeline.contract.errors import UserError

if TYPE_CHECKING:
    from mora_pipeline.steps import Step

GRID = "grid"


def grid_steps() -> "list[Step]":
    """The steps that Spark makes in one application of a run, each after those whose outputs it reads."""
    from mora_pipeline.steps import all_steps

    return [step for step in all_steps() if step.in_chain and step.pool == "spark"]


def by_step_of_run(run_config: Mapping[str, Any]) -> dict[str, Any]:
    """Run config whose settings stand below their assets' names, as Dagster takes it: below the steps that make them.

    ``ops: {graph: {config: {share: 0.2}}}`` becomes ``ops: {grid: {config: {graph: {share: 0.2}}}}``. What is written
    in the second way stays.

    Raises:
        UserError: if what stands below an asset is no mapping, or its settings stand in both places.
    """
    ops = run_config.get("ops")
    if not isinstance(ops, Mapping):
        return dict(run_config)
    assets = {step.name for step in grid_steps()}
    moved = {name: _settings(name, value) for name, value in ops.items() if name in assets}
    if not moved:
        return dict(run_config)
    grid = ops.get(GRID) or {}
    settings = _settings(GRID, grid)
    if twice := sorted(moved.keys() & settings.keys()):
        raise UserError(f"Settings of {twice[0]} stand below ops.{twice[0]} and below ops.{GRID}: leave one of them.")
    others = {name: value for name, value in ops.items() if name not in assets}
    return {**run_config, "ops": {**others, GRID: {**grid, "config": {**settings, **moved}}}}


def _settings(name: str, value: Any) -> dict[str, Any]:
    settings = (value or {}).get("config") if isinstance(value, Mapping | None) else value
    if not isinstance(settings, Mapping | None):
        raise UserError(f"ops.{name}.config must be a mapping of settings.")
    return dict(settings or {})
