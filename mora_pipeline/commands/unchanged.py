"""Whether a run would make anything: answered in the command's own process, before any other is started."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError


def unchanged_steps(region: str, select: str | None, run_config: Mapping[str, Any]) -> dict[str, str]:
    """Why each of the selected steps of a region has nothing to do; empty if one has, or only a run can tell.

    Args:
        select: as `mora materialize --select`.
        run_config: of Dagster; what is wrong with it, the run says.

    Raises:
        UserError: if the region is not known or its file is wrong.
    """
    from mora_pipeline.lake.registry import Registry
    from mora_pipeline.steps import local_session
    from mora_pipeline.steps.facts import Surroundings
    from mora_pipeline.steps.memoised import judged

    if set(run_config) - {"ops"}:
        return {}
    session = local_session()
    now, reasons = Surroundings(session.home, {region: Registry(session.home).load(region)}), dict[str, str]()
    chosen = _selected(select)
    configs: Mapping[str, Any] = run_config.get("ops") or {}
    if set(configs) - {step.name for step in chosen}:
        return {}
    for step in chosen:
        try:
            settings = step.settings(**((configs.get(step.name) or {}).get("config") or {}))
        except (ValidationError, AttributeError, TypeError):
            return {}
        found = judged(step, region, session, settings, now)
        if not found.unchanged:
            return {}
        reasons[step.name] = found.reason
    return reasons


def _selected(select: str | None) -> list[Any]:
    """The steps of a selection, in the order of the chain; plain names need no Dagster to be understood.

    Raises:
        UserError: if a name is not an asset's, or nothing is selected.
    """
    from mora_pipeline.steps import all_steps

    chain = [step for step in all_steps() if step.in_chain]
    if select is None:
        return chain
    names = {name.strip() for name in select.split(",")}
    if not names <= {step.name for step in chain}:
        from mora_pipeline.commands.selection import selected_assets

        names = {key.to_user_string() for key in selected_assets(select)}
    return [step for step in chain if step.name in names]
