"""Which folders under the watched root hold a complete new region: one that is right, and has stopped changing.

Anybody who may write under the root may write anything there, so a look survives whatever it finds: what is wrong with
a folder, or what it does to the code that reads it, is that folder's problem; the others go on. A folder may name data
in itself and in ``MORA_DATA_ROOTS`` alone (`mora_pipeline.raw.roots`).
"""

import logging
import os
import stat
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.home import watched_root
from mora_pipeline.contract.quoting import printable, printable_lines
from mora_pipeline.lake.fingerprint import fingerprint, times_of
from mora_pipeline.lake.registry import Registry
from mora_pipeline.raw.roots import data_roots, is_below, outside, within
from mora_pipeline.region import RegionConfig
from mora_pipeline.region.checks import check_files

SECONDS = 40.0  # that a look takes at most: Dagster ends a tick of a sensor after 60
SECONDS_OF_FOLDER = 15.0
LATE, TAKEN = "late:", "taken:"
logger = logging.getLogger(__name__)

__all__ = ["Arrivals", "look", "watched_root"]


@dataclass(frozen=True)
class Arrivals:
    """What one look at the watched root sees.

    Attributes:
        regions: the regions that are complete now, and the fingerprint of each one's files.
        seen: the fingerprint of every folder, to be handed to the next look.
        problems: one message for every folder that is not complete or not right; it can be printed anywhere.
    """

    regions: dict[str, str] = field(default_factory=dict)
    seen: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Checked:
    """What was found right of a folder, and what tells that it still is.

    Attributes:
        files: those elsewhere.
        times: of the folders of these.
    """

    config: RegionConfig
    files: tuple[Path, ...]
    fingerprint: str
    times: tuple[int, ...]

    def folders(self) -> list[Path]:
        return sorted({file.parent for file in self.files})


# A region that waits is looked at every half a minute: its files are opened again only when one has changed.
_RIGHT: dict[Path, _Checked] = {}
_MOST_RIGHT = 1000


def look(
    root: Path, registry: Registry, partitions: Collection[str], seen: Mapping[str, str], seconds: float = SECONDS
) -> Arrivals:
    """Register every new region whose files are right and have not changed since the look before.

    A region that is known, or that was taken before and whose files have not changed since, is passed over.

    Args:
        root: the watched root; its direct sub-folders with a ``region.yaml`` count.
        registry: where new regions are registered.
        partitions: the regions that Dagster knows.
        seen: `Arrivals.seen` of the look before; a fingerprint with ``taken:`` before it belongs to a region that
            was taken then, one with ``late:`` to a folder that this look begins with, as there was no time for it.
        seconds: that the look takes at most; folders that are left then are named as problems.
    """
    arrivals, known, end = Arrivals(), registry.all(), time.monotonic() + seconds
    names = sorted(_folders(root), key=lambda name: (not seen.get(name, LATE).startswith(LATE), name))
    late = list[str]()
    for name in names:
        before = seen.get(name, "").removeprefix(LATE)
        if time.monotonic() > end:
            arrivals.seen[name] = LATE + before
            late.append(name)
            continue
        folder = _Folder(root / name, before, min(end, time.monotonic() + SECONDS_OF_FOLDER))
        try:
            with within(folder.deadline):
                folder.take(registry, known, partitions, arrivals)
        except (UserError, OSError) as error:
            arrivals.seen.setdefault(name, before)
            arrivals.problems.append(f"{printable(name)}: {printable_lines(str(error))}")
        except Exception as error:
            # Whatever is in a folder must not stop the others: a bug that it meets is told and logged as one.
            logger.exception("A folder under the watched root cannot be looked at: %s", printable(name))
            arrivals.seen.setdefault(name, before)
            what = printable(f"{type(error).__name__}: {error}")[:300]
            arrivals.problems.append(
                f"{printable(name)}: it cannot be looked at ({what}). Take the folder away, or try what it holds "
                f"by hand: mora region check {printable(name)}"
            )
    if late:
        shown = ", ".join(map(printable, late[:5])) + (f" and {len(late) - 5} more" if len(late) > 5 else "")
        arrivals.problems.append(f"{shown}: not looked at yet, as the others took {seconds:g} seconds. Wait a minute.")
    return arrivals


def _folders(root: Path) -> Iterator[str]:
    """The names of the sub-folders that describe a region."""
    try:
        with os.scandir(root) as listing:
            entries = list(listing)
    except FileNotFoundError:
        return
    for entry in entries:
        try:
            if not entry.name.startswith(".") and entry.is_dir() and os.path.lexists(f"{entry.path}/region.yaml"):
                yield entry.name
        except OSError:  # a loop of links
            continue


@dataclass(frozen=True)
class _Folder:
    """A folder under the watched root; `before` is what the look before remembered of it."""

    path: Path
    before: str
    deadline: float

    def take(
        self, registry: Registry, known: Mapping[str, Path], partitions: Collection[str], arrivals: Arrivals
    ) -> None:
        """Register the folder's region if it is complete, and say so in `arrivals`.

        Raises:
            UserError: for what is wrong with it.
        """
        name, description = self.path.name, self.path / "region.yaml"
        if known.get(name) == Path(os.path.realpath(description)) and name in partitions:
            # Remembered, so that a region that is removed by hand does not come back by itself.
            arrivals.seen[name] = self.before or TAKEN + self._now(self._named())
            return
        self._refuse_elsewhere()
        try:
            checked = self._check()
        except UserError:
            arrivals.seen[name] = self._seen(self._now(()))
            raise
        arrivals.seen[name] = self._seen(checked.fingerprint)
        if self.before == TAKEN + checked.fingerprint:
            return
        if self.before != checked.fingerprint:
            raise UserError("waiting until its files stop changing.")
        registry.remember(checked.config)
        arrivals.regions[checked.config.region] = checked.fingerprint
        arrivals.seen[name] = TAKEN + checked.fingerprint

    def _seen(self, now: str) -> str:
        return self.before if self.before == TAKEN + now else now

    def _now(self, files: Collection[Path]) -> str:
        return fingerprint(self.path, files, self.deadline)

    def _named(self) -> tuple[Path, ...]:
        """The files that a region names which is known already, right or not."""
        try:
            return self._check().files
        except UserError:
            return ()

    def _check(self) -> _Checked:
        """The region, if its folder has its name and every file it names is there and right.

        Raises:
            UserError: if not.
        """
        description, right = self.path / "region.yaml", _RIGHT.get(self.path)
        if right and right.times == times_of(right.folders()) and right.fingerprint == self._now(right.files):
            return right
        _RIGHT.pop(self.path, None)
        config = RegionConfig.load(description)
        if config.region != self.path.name:
            raise UserError(
                f"{description}: region is '{config.region}', but the folder is '{self.path.name}'. "
                "Give both the same name."
            )
        own = os.path.realpath(self.path)
        named = [file.path for file in check_files(config)]
        folders = {file.parent for file in named}
        elsewhere = {folder for folder in folders if not is_below(os.path.realpath(folder), own)}
        files = tuple(file for file in named if file.parent in elsewhere)
        checked = _Checked(config, files, self._now(files), times_of(sorted(elsewhere)))
        if len(_RIGHT) < _MOST_RIGHT:
            _RIGHT[self.path] = checked
        return checked

    def _refuse_elsewhere(self) -> None:
        """Refuse a folder or a region.yaml that is a link out of the watched root.

        Raises:
            UserError: if it is one; if the region.yaml is no regular file.
        """
        top, description = str(self.path.parent.resolve()), self.path / "region.yaml"
        roots = (top, *data_roots())
        for path in (self.path, description):
            real = os.path.realpath(path)
            if not any(is_below(real, root) for root in roots):
                raise UserError(f"{path} is a link, {outside(real, roots)}")
        if not stat.S_ISREG(description.stat().st_mode):
            raise UserError(f"{description} is no regular file. Write the description of the region into it.")
