"""Running a step only if it would make something else than it has made."""

import contextlib
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel

from mora_pipeline.contract.errors import UserError
from mora_pipeline.steps.facts import Facts, Surroundings, own_facts, reads_of, tracking_place, versions_of
from mora_pipeline.steps.interface import Progress, RegionRun, Session, Step, Tracker
from mora_pipeline.steps.memo import Memo, Verdict, kept_result, verdict, write_memo, write_shown
from mora_pipeline.steps.results import StepResult


def judged(step: Step, region: str, session: Session, settings: BaseModel, now: Surroundings) -> Verdict:
    """Whether a step of a region has something to do; nothing heavy is imported, and no data is read.

    Args:
        settings: of the type that the step declares.
        now: shared by steps that are judged one after another.
    """
    if step.code_version is None:
        return Verdict(False, "it is made anew each time")
    return verdict(step.name, region, now, _own(step, session, settings))


def what_has_changed(region: str, session: Session, steps: Sequence[Step]) -> str | None:
    """Why a run of a region with default settings would make something; None if it would not.

    Args:
        steps: each after those whose outputs it reads.
    """
    now = Surroundings(session.home)
    for step in steps:
        found = judged(step, region, session, step.settings(), now)
        if not found.unchanged:
            return f"{step.name}: {found.reason}"
    return None


def run_memoised(region: RegionRun, settings: Any, progress: Progress, tracker: Tracker) -> StepResult:
    """Run a step, unless it has made the same already, and remember what it was made from."""
    step, session = region.step, region.session
    started, now = time.time_ns(), Surroundings(session.home)
    found = judged(step, region.region, session, settings, now)
    if session.force:
        found = Verdict(False, "this run makes everything anew")
    if found.memo and not found.unchanged and found.asks and (memo := _answered_alike(region, found.memo, started)):
        found = Verdict(True, found.reason, memo)
    if found.unchanged and found.memo:
        kept = kept_result(found.memo, now, region.region, step.name, region.meter.metadata())
        region.log.info(f"{step.name}: {kept.unchanged}")
        return kept
    region.log.info(f"{step.name} is made: {found.reason}.")
    result = step.run(region, settings, progress, tracker)
    if result.committed:
        _remember(region, settings, result, started)
    return result


def _own(step: Step, session: Session, settings: BaseModel) -> Facts:
    place = tracking_place(session.tracking, session.home) if "mlflow" in step.kinds else None
    return own_facts(step.name, str(step.code_version), settings, place)


def _remember(region: RegionRun, settings: BaseModel, result: StepResult, started: int) -> None:
    step, trace, home = region.step, region.trace, region.home
    outputs = {version.dataset: version.version for version in result.versions}
    reads = reads_of(trace.main, region.region, outputs)
    reads_aside = reads_of(trace.aside, region.region, outputs)
    seen = Surroundings(home, dict(region.configs), versions_of({**trace.aside, **trace.main}))
    memo = Memo(
        {**_own(step, region.session, settings), **seen.facts_of(reads, started)},
        reads,
        seen.facts_of(reads_aside, started),
        reads_aside,
        region.answer,
        outputs,
        result.data_version,
        result.rows,
        [asdict(check) for check in result.checks],
        f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC",
    )
    write_shown(home, region.region, step.name, result.metadata)
    write_memo(home, region.region, step.name, memo)


def _answered_alike(region: RegionRun, memo: Memo, started: int) -> Memo | None:
    """What is to be remembered from now on, if the step's question still has the answer it had; else None."""
    alike, step = False, region.step
    with contextlib.suppress(UserError):  # the step itself will tell it
        alike = step.answers_alike is not None and step.answers_alike(region, memo.answer)
    if not alike:
        return None
    reads_aside = reads_of(region.trace.aside, region.region, memo.outputs)
    seen = Surroundings(region.home, dict(region.configs), versions_of(region.trace.aside))
    memo = replace(memo, aside=seen.facts_of(reads_aside, started), reads_aside=reads_aside)
    write_memo(region.home, region.region, step.name, memo)
    return memo
