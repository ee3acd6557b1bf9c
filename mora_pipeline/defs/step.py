"""What the bodies of all assets share: measured, published only after the checks, users' mistakes told plainly."""

import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import dagster as dg

from mora_pipeline.contract.errors import UserError
from mora_pipeline.defs.checks import result
from mora_pipeline.defs.metadata import datasets_table
from mora_pipeline.defs.meter import Meter
from mora_pipeline.defs.resources import LakeResource
from mora_pipeline.lake import Draft, Version
from mora_pipeline.lake.reading import RegionReader
from mora_pipeline.region import ImageModality, TableModality, TextModality

Kind = TypeVar("Kind", TextModality, ImageModality, TableModality)


class Step(RegionReader):
    """One asset of one region at work; made by `step`."""

    def __init__(self, context: dg.AssetExecutionContext, home: LakeResource, meter: Meter) -> None:
        self.context, self.meter = context, meter
        self.home = home.path()
        super().__init__(home.region(context.partition_key), home.lake())
        self.published = False  # whether `finish` has published
        self._drafts: list[Draft] = []
        self._evidence: list[Draft] = []
        self._details: dict[str, dict[str, Any]] = {}

    def modalities(self, kind: type[Kind]) -> dict[str, Kind]:
        """The region's modalities of a kind, in the order of region.yaml."""
        return {name: item for name, item in self.config.modalities.items() if isinstance(item, kind)}

    def begin(self, dataset: str, evidence: bool = False, details: Mapping[str, Any] | None = None) -> Draft:
        """A new version of an output, made from all inputs read so far.

        Args:
            evidence: publish it even if a check fails; for what explains the failure (quarantine).
            details: what its record says besides, for this output alone.
        """
        draft = self.lake.begin(dataset, self.region, self.lineage)
        (self._evidence if evidence else self._drafts).append(draft)
        self._details[draft.version] = dict(details or {})
        return draft

    def sound(self, checks: Mapping[str, dg.AssetCheckResult]) -> bool:
        """Whether every blocking check has a result and passed."""
        needed = [spec.name for spec in self.context.assets_def.check_specs if spec.blocking]
        return all(name in checks and checks[name].passed for name in needed)

    def finish(
        self,
        checks: Mapping[str, dg.AssetCheckResult],
        metadata: Mapping[str, Any] | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> dg.MaterializeResult:
        """Publish all drafts in the order they were begun, the main one last, if no blocking check failed.

        Otherwise they are discarded and the versions published before stay. A declared check without a result has
        failed.
        """
        sound = self.sound(checks)
        results = [checks.get(spec.name) or _unreported(spec.name) for spec in self.context.assets_def.check_specs]
        due = self._drafts if sound else []
        versions = self.publish_evidence()
        versions += [draft.publish({**self._details[draft.version], **(details or {})}) for draft in due]
        self.published = sound
        if sound:
            self.context.log.info(f"Published {', '.join(item.dataset for item in versions) or 'nothing'}.")
        else:
            self.context.log.error("A blocking check failed: nothing was published, the versions before stay.")
        published = {"dagster/row_count": versions[-1].rows} if sound and self._drafts else {}
        return dg.MaterializeResult(
            metadata={
                **published,
                "published": sound,
                "datasets": datasets_table(versions),
                **(metadata or {}),
                **self.meter.metadata(),
            },
            check_results=results,
            data_version=dg.DataVersion(versions[-1].version) if sound and self._drafts else None,
        )

    def publish_evidence(self) -> list[Version]:
        """Publish what explains a failure; files in a subfolder (of one modality) move up and get its name."""
        due, self._evidence = self._evidence, []
        for draft in due:
            for file in sorted(draft.path.glob("*/*.parquet")):
                file.rename(draft.path / f"{file.parent.name}-{file.name}")
            for folder in [item for item in draft.path.iterdir() if item.is_dir()]:
                shutil.rmtree(folder)
        return [draft.publish() for draft in due]

    def explain(self, failure: dg.Failure) -> dg.Failure:
        """The failure, after publishing what explains it, with the folders' final names in its message."""
        text = failure.description or ""
        drafts = {item.version: item.path for item in self._evidence if any(item.path.rglob("*.parquet"))}
        self._evidence = [item for item in self._evidence if item.version in drafts]
        for version in self.publish_evidence():
            draft = re.escape(str(drafts[version.version]))
            text = re.sub(rf"{draft}(/[a-z0-9_]+)?(?=\W|$)", str(version.path), text)
        return dg.Failure(description=text, metadata=self.meter.metadata(), allow_retries=failure.allow_retries)

    def discard(self) -> None:
        """Remove what was not published."""
        for draft in (*self._drafts, *self._evidence):
            draft.discard()


@contextmanager
def step(context: dg.AssetExecutionContext, home: LakeResource) -> Iterator[Step]:
    """Run an asset's body: drafts do not outlive it, and a UserError fails the asset with its message alone.

    Raises:
        dagster.Failure: for a mistake in the user's data, files or settings.
    """
    running: Step | None = None
    try:
        with Meter() as meter:
            running = Step(context, home, meter)
            yield running
    except dg.Failure as failure:
        raise (running.explain(failure) if running else failure) from failure
    except UserError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from error
    finally:
        if running is not None:
            running.discard()


def blocking(asset: str, *names: str) -> list[dg.AssetCheckSpec]:
    """Checks that hold back publishing and everything downstream."""
    return [dg.AssetCheckSpec(name, asset=asset, blocking=True, description=CHECKS.get(name)) for name in names]


def _unreported(name: str) -> dg.AssetCheckResult:
    return result(name, False, reason="The step ended without a result of this check.")


CHECKS = {
    "edges_positive": "Every flow is a positive number.",
    "edges_clustered": "Every file holds all edges of its origins.",
    "bad_rows_within_limit": "The share of bad rows is at most maximum_bad_share of region.yaml.",
    "shares_sum_to_one": "The shares of every group sum to 1 in every cell.",
    "cells_unique_and_sorted": "Every cell stands once, in ascending order, and node is its row.",
    "follows_strategy": "Every origin keeps the edges that the sampling strategy says, and no others.",
    "cells_known": "Every cell of every modality is one of the region's cells.",
    "one_row_per_cell": "There is one row for each of the region's cells, in their order.",
    "no_nan": "Every number is finite.",
    "every_method_scored": "All methods have scores for the same trials.",
    "every_variant_scored": "All variants have scores for the same trials, of which there is one at least.",
    "not_collapsed": "The vectors differ between cells, in more than a few directions.",
}
