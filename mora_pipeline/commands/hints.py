"""What fits to be done after a run: of a whole chain, to look at the result; of a part, to bring up the rest."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mora_pipeline.steps import Step


def hint_after(region: str, select: str | None) -> str:
    """What the command says once a run has ended well.

    Args:
        select: the assets that were made, as `mora materialize --select`; None: all.
    """
    look = f"mora benchmark {region} shows how good the embeddings are; mora lake list {region}, the files."
    if select is None:
        return f"Done. {look}"
    from mora_pipeline.commands.selection import selected_assets
    from mora_pipeline.lake.registry import Registry
    from mora_pipeline.steps import all_steps, local_session
    from mora_pipeline.steps.facts import Surroundings
    from mora_pipeline.steps.memoised import judged

    session, chain = local_session(), [step for step in all_steps() if step.in_chain]
    now = Surroundings(session.home, {region: Registry(session.home).load(region)})
    versioned = [step for step in chain if step.code_version is not None]
    found = {step.name: judged(step, region, session, step.settings(), now) for step in versioned}
    just_made = {key.to_user_string() for key in selected_assets(select)}
    made = {name for name, verdict in found.items() if verdict.memo is not None} - just_made
    changed = {name for name in made if not found[name].unchanged}
    stale = [name for name in downstream(chain, changed) if name in made]
    if not stale:
        return f"Done. {look}"
    return (
        f"Done. No longer made from what there is now: {', '.join(stale)}. "
        f"Bring them up to date, and nothing else: mora materialize {region}"
    )


def downstream(chain: Sequence["Step"], names: set[str]) -> list[str]:
    """The steps of these names and all that is made from them, in the order of the chain.

    Args:
        chain: each step after those whose outputs it reads.
    """
    reached = set(names)
    for step in chain:
        if reached & set(step.inputs):
            reached.add(step.name)
    return [step.name for step in chain if step.name in reached]
