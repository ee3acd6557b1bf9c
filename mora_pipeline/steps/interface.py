"""What a step is: its declaration, what it is given, what it returns. Nothing here, or in any step, knows Dagster."""

import logging
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from mora_pipeline.contract.errors import UserError
from mora_pipeline.lake import Draft, Version
from mora_pipeline.lake.reading import RegionReader
from mora_pipeline.lake.registry import Registry
from mora_pipeline.lake.tracing import Trace, TracedConfig, TracedLake
from mora_pipeline.region import RegionConfig
from mora_pipeline.steps.meter import Meter
from mora_pipeline.steps.results import Check, StepResult
from mora_pipeline.steps.spark import SparkRunner, StepError
from mora_pipeline.tracking import TrackedRun, TrackingSettings, tracked_run


class Progress(Protocol):
    """Is told how far a long part of a step is."""

    def __call__(self, what: str, done: int, total: int, note: float | str | None = None) -> None:
        """Take note of `done` of `total`, and of a loss or a word beside it."""


class NoSettings(BaseModel):
    """The settings of a step that has none."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True)
class Step:
    """The declaration of a step; `run` does its work.

    Attributes:
        run: takes a `RegionRun`, the step's settings, a `Progress` and a `Tracker`.
        inputs: names of the steps whose outputs it reads.
        settings: its settings, a frozen pydantic model.
        columns: of its main dataset.
        checks: names of the checks that hold back its outputs; `steps.checks` describes them.
        warnings: names of the checks that only warn; a run may have no result of them.
        kinds: engines and formats, for the UI.
        pool: `spark` or `gpu`, where one machine can carry one such step at a time.
        in_chain: whether it belongs to the main chain of a region.
        code_version: another one for code that gives other results, which are then made anew. None: its results are
            never remembered, and made anew by every run. `python -m tests.steps.code_versions` watches over it.
        answers_alike: whether the question that the step asks (`RegionRun.answering`) still has the answer it had.
    """

    name: str
    run: Callable[["RegionRun", Any, Progress, "Tracker"], StepResult]
    description: str | None
    inputs: tuple[str, ...]
    group: str
    kinds: frozenset[str]
    settings: type[BaseModel] = NoSettings
    columns: pa.Schema | None = None
    checks: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    pool: str | None = None
    in_chain: bool = True
    code_version: str | None = None
    answers_alike: Callable[["RegionRun", Any], bool] | None = None


class Versioned(Protocol):
    """A plugin whose results depend on its own code."""

    name: ClassVar[str]
    code_version: ClassVar[str]


def code_version(own: str, *plugins: Iterable[Versioned]) -> str:
    """The code version of a step that works by plugins, such as kinds of modalities: its own, and those of theirs."""
    return " ".join([own, *(f"{one.name}={one.code_version}" for some in plugins for one in some)])


@dataclass(frozen=True)
class Session:
    """What all steps of a run share.

    Attributes:
        home: folder of the lake, the caches and the list of regions.
        spark: runs Spark jobs.
        tracking: where MLflow is.
        tags: of all MLflow runs, such as the id of the scheduler's run.
        log: for the people who watch.
        fence: raises if the run has ended; asked in the step that publishes (`runs.fence`).
        force: whether steps are made although nothing has changed.
    """

    home: Path
    spark: SparkRunner
    tracking: TrackingSettings
    tags: Mapping[str, str] = field(default_factory=dict)
    log: logging.Logger = field(default_factory=lambda: logging.getLogger("mora_pipeline.steps"))
    fence: Callable[[], None] = lambda: None
    force: bool = False

    def region(self, name: str) -> RegionConfig:
        """A region's settings, read anew from its region.yaml.

        Raises:
            UserError: if the region is not known or its file is wrong.
        """
        return Registry(self.home).load(name)


class RegionRun(RegionReader):
    """One step of one region at work: what it reads is recorded, what it makes is committed after its checks."""

    def __init__(self, step: Step, region: str, session: Session, meter: Meter) -> None:
        self.trace, self.configs = Trace(), dict[str, RegionConfig]()
        lake = TracedLake(session.home / "lake", self.trace)
        self.session = session
        super().__init__(self._traced(region), lake)
        self.step, self.meter = step, meter
        self.home, self.log, self.spark = session.home, session.log, session.spark
        self._drafts: list[Draft] = []
        self._evidence: list[Draft] = []
        self._details: dict[str, Mapping[str, Any]] = {}
        self.answer: Any = None

    def other(self, region: str) -> RegionReader:
        """What another region has; it is recorded as this one's inputs are."""
        return RegionReader(self._traced(region), self.lake)

    def _traced(self, region: str) -> TracedConfig:
        self.configs[region] = self.session.region(region)
        return TracedConfig.of(self.configs[region], self.trace)

    @contextmanager
    def answering(self) -> Iterator[None]:
        """What is read in the block matters to the step by the answer alone that it puts into `answer`, as JSON.

        As long as `Step.answers_alike` says that the answer holds, the step is not made anew for it.
        """
        with self.trace.answering():
            yield

    def begin(self, dataset: str, evidence: bool = False, details: Mapping[str, Any] | None = None) -> Draft:
        """A new version of an output, made from all inputs read so far.

        Args:
            evidence: commit it even if a check fails; for what explains the failure (quarantine).
            details: what its record says besides, for this output alone.
        """
        draft = self.lake.begin(dataset, self.region, self.lineage)
        (self._evidence if evidence else self._drafts).append(draft)
        self._details[draft.version] = details or {}
        return draft

    def passes(self, checks: Iterable[Check]) -> bool:
        """Whether every declared check has a result and passed."""
        return {check.name for check in checks if check.passed} >= set(self.step.checks)

    def finish(
        self,
        checks: Iterable[Check] = (),
        metadata: Mapping[str, Any] | None = None,
        details: Mapping[str, Any] | None = None,
        data_version: str | None = None,
    ) -> StepResult:
        """Commit all drafts in the order they were begun, the main one last, if every declared check passed.

        Otherwise they are discarded and the versions before stay. A declared check without a result has failed.
        """
        given = {check.name: check for check in checks}
        passed = self.passes(given.values())
        versions = self._commit_evidence()
        if passed:
            told = {draft.version: {**self._details[draft.version], **(details or {})} for draft in self._drafts}
            kept, fence = self._made_before(told), self.session.fence
            versions += kept or [draft.commit(told[draft.version], fence) for draft in self._drafts]
            names = ", ".join(item.dataset for item in versions) or "nothing"
            self.log.info(f"{'The same as before, so the versions stay' if kept else 'Committed'}: {names}.")
        else:
            self.log.error("A blocking check failed: nothing was committed, the versions before stay.")
        if passed and self._drafts:
            data_version = versions[-1].version
        results = [given.get(name) or Check(name, False, {"reason": _UNREPORTED}) for name in self.step.checks]
        results += [given[name] for name in self.step.warnings if name in given]
        shown = {**(metadata or {}), **self.meter.metadata()}
        rows = versions[-1].rows if passed and self._drafts else None
        return StepResult(versions, passed, results, shown, data_version, rows)

    def _made_before(self, details: Mapping[str, Mapping[str, Any]]) -> list[Version]:
        """The versions before, if all drafts are byte for byte the same, from the same inputs; else none.

        What was made from those versions need not be made again.
        """
        versions = list[Version]()
        for draft in self._drafts if self.step.code_version is not None and not self.session.force else ():
            try:
                before = self.lake.read(draft.dataset, self.region)
            except UserError:
                return []
            if not draft.is_like(before, details[draft.version]) or not before.is_whole():
                return []
            versions.append(before)
        return versions

    def skip(self, reason: str) -> StepResult:
        """End the step without outputs, because the region has nothing to make them of; what needs them does without.

        Its checks pass, with the reason as their figure: there is nothing that could break a promise.
        """
        self.log.info(f"Skipped {self.step.name}: {reason}.")
        checks = [Check(name, True, {"skipped": reason}) for name in self.step.checks]
        return StepResult([], True, checks, {"skipped": reason, **self.meter.metadata()})

    def _commit_evidence(self) -> list[Version]:
        """Commit what explains a failure; files in a subfolder (of one modality) move up and get its name."""
        due, self._evidence = self._evidence, []
        for draft in due:
            for file in sorted(draft.path.glob("*/*.parquet")):
                file.rename(draft.path / f"{file.parent.name}-{file.name}")
            for folder in [item for item in draft.path.iterdir() if item.is_dir()]:
                shutil.rmtree(folder)
        return [draft.commit(fence=self.session.fence) for draft in due]

    def explained(self, error: UserError | StepError) -> UserError | StepError:
        """The error, after committing what explains it, with the folders' final names in its message."""
        text = str(error)
        drafts = {item.version: item.path for item in self._evidence if any(item.path.rglob("*.parquet"))}
        self._evidence = [item for item in self._evidence if item.version in drafts]
        for version in self._commit_evidence():
            draft = re.escape(str(drafts[version.version]))
            text = re.sub(rf"{draft}(/[a-z0-9_]+)?(?=\W|$)", str(version.path), text)
        explained = type(error)(text)
        explained.costs = self.meter.metadata()
        return explained

    def discard(self) -> None:
        """Remove what was not committed."""
        for draft in (*self._drafts, *self._evidence):
            draft.discard()


class Tracker:
    """Opens the MLflow runs of one step of one region."""

    def __init__(self, region: RegionRun) -> None:
        self.region, self.settings = region, region.session.tracking

    def run(self, parameters: Mapping[str, Any], resume: str | None = None) -> AbstractContextManager[TrackedRun]:
        """One MLflow run, tagged with the region, the step and the versions that it has read.

        Args:
            parameters: what the step was told.
            resume: id of the run to go on with, after its process was killed.
        """
        inputs = {name: version.version for name, version in self.region.lineage.items()}
        session, step = self.region.session, self.region.step.name
        return tracked_run(self.settings, self.region.region, step, parameters, inputs, session.tags, resume)


@contextmanager
def region_run(step: Step, region: str, session: Session) -> Iterator[RegionRun]:
    """A step's region for the length of the block; drafts do not outlive it.

    Raises:
        UserError: for a mistake in the user's data, files or settings.
        StepError: if a Spark job broke down.
    """
    running: RegionRun | None = None
    try:
        with Meter() as meter:
            running = RegionRun(step, region, session, meter)
            yield running
    except (UserError, StepError) as error:
        raise (running.explained(error) if running else error) from error
    finally:
        if running is not None:
            running.discard()


_UNREPORTED = "The step ended without a result of this check."
