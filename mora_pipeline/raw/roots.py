"""The folders that a region's files may lie in: a path, a glob or a link that leads elsewhere is refused.

A region that arrives by itself, under the watched root, was written by whoever may write there, so it reads its own
folder and what ``MORA_DATA_ROOTS`` names. One that is added by hand reads what its user can read, until
``MORA_DATA_ROOTS`` is set: then it is held to the same.
"""

import os
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.home import watched_root
from mora_pipeline.contract.quoting import printable

VARIABLE = "MORA_DATA_ROOTS"
MOST_ENTRIES = 2_000_000  # files and folders that a path or a glob may lead to look at
MOST_SECONDS = 240.0
_DEADLINE: ContextVar[float | None] = ContextVar("deadline", default=None)  # of `time.monotonic`
_KERNEL = ("/proc", "/sys", "/dev")  # folders of the kernel, in which there is no data
_MEMORY = "/dev/shm"  # a disk in memory
_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def data_roots() -> tuple[str, ...]:
    """The folders of ``$MORA_DATA_ROOTS``, which colons separate; links resolved."""
    named = os.environ.get(VARIABLE, "").split(os.pathsep)
    return tuple(os.path.realpath(Path(name).expanduser()) for name in named if name.strip())


def roots_of(folder: Path) -> tuple[str, ...] | None:
    """The folders that a region may read whose `region.yaml`, or whose data, lies in `folder`; None: any."""
    named, real, watched = data_roots(), os.path.realpath(folder), str(watched_root())
    if is_below(real, watched) and real != watched:
        return (f"{watched}/{real[len(watched.rstrip('/')) + 1 :].split('/')[0]}", *named)
    if not named:
        return None
    return named if any(is_below(real, root) for root in named) else (real, *named)


def is_below(path: str, folder: str) -> bool:
    """Whether a path is a folder or lies in it; both absolute, links resolved."""
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")


@contextmanager
def within(deadline: float) -> Iterator[None]:
    """Searches that begin in this block end by `deadline`, seconds of `time.monotonic`, at the latest."""
    before = _DEADLINE.set(deadline)
    try:
        yield
    finally:
        _DEADLINE.reset(before)


def _until() -> float:
    latest, deadline = time.monotonic() + MOST_SECONDS, _DEADLINE.get()
    return latest if deadline is None else min(latest, deadline)


@dataclass
class Bounds:
    """What the search of one path of region.yaml may look at: folders, and how many entries for how long.

    Attributes:
        said: start of the messages, such as ``region.yaml: mobility.path is 'raw', ``.
        roots: the folders that files must lie in; None: any.
    """

    said: str
    roots: tuple[str, ...] | None = None
    entries: int = 0
    _until: float = field(default_factory=_until)
    _allowed: set[str] = field(default_factory=set)  # folders

    @classmethod
    def of(cls, base: Path, said: str) -> "Bounds":
        """Those of a path that is relative to `base`."""
        return cls(said, roots_of(base))

    def real(self, path: str | Path) -> str:
        """A path with all links followed.

        Raises:
            UserError: if it cannot be a path: it is too long, or holds a null character.
        """
        try:
            os.lstat(path)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            pass
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UserError(f"{self.said}which is no path: {reason}. Fix it.") from None
        return os.path.realpath(path)

    def check(self, real: str) -> None:
        """Refuse a path, absolute and with links resolved, that is none of the region's business.

        Raises:
            UserError: if it lies outside of the roots, or in a folder of the kernel.
        """
        folder = real.rpartition("/")[0]
        if folder in self._allowed:
            return
        if any(is_below(real, kernel) for kernel in _KERNEL) and not is_below(real, _MEMORY):
            raise UserError(
                f"{self.said}which leads to {printable(real)}, where the kernel shows itself and no data is. Fix it."
            )
        if self.roots is None or any(is_below(folder, root) for root in self.roots):
            self._allowed.add(folder)
        elif real not in self.roots:
            raise UserError(f"{self.said}{outside(real, self.roots)}")

    def check_kind(self, path: str) -> None:
        """Refuse what is there and is neither a file nor a folder: reading it might never end.

        Raises:
            UserError: if it is a pipe, a socket or a device.
        """
        try:
            kind = _KINDS.get(stat.S_IFMT(Path(path).stat().st_mode))
        except (OSError, ValueError):
            return
        if kind:
            raise UserError(f"{self.said}and {printable(path)} is {kind}, not a file. Name a file.")

    def count(self, entries: int) -> None:
        """Note that so many entries of folders were looked at.

        Raises:
            UserError: if there are too many, or it took too long.
        """
        self.entries += entries
        if self.entries > MOST_ENTRIES or time.monotonic() > self._until:
            limit = f"the limit of {MOST_ENTRIES:,}" if self.entries > MOST_ENTRIES else "the time for it was over"
            raise UserError(
                f"{self.said}which leads to a search that was given up after {self.entries:,} files and folders: "
                f"{limit}. Name the folder of the data, or put fewer files there."
            )


def outside(real: str, roots: Iterable[str]) -> str:
    """What is said of a path outside of a region's roots."""
    return (
        f"which leads to {printable(real)}, outside of the folders that this region may read ({', '.join(roots)}). "
        f"Put the data there, or name its folder in {VARIABLE} (folders, with '{os.pathsep}' between them)."
    )


def checked_base(folder: Path, root: str, said: str) -> Path:
    """The absolute folder that a region's relative paths start from, links resolved.

    Args:
        folder: that of its `region.yaml`.
        root: relative to it.
        said: start of the messages.

    Raises:
        UserError: if it lies outside of the region's roots or in a folder of the kernel, or cannot be a path.
    """
    try:
        base = (folder / root).resolve()
    except (OSError, ValueError, RuntimeError) as error:  # a loop of links, a name that is too long
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{said}root is '{printable(root[:80])}', which is no path: {reason}. Fix it.") from None
    bounds = Bounds(f"{said}root is '{printable(root[:80])}', ", roots_of(folder))
    bounds.check(f"{base}/")
    return base


def checked_path(base: Path, path: str, where: str) -> Path:
    """The path of a file or folder that region.yaml names, relative to `base`, which need not be there.

    Raises:
        UserError: if it leads out of the region's roots, into a folder of the kernel, or to a pipe or device.
    """
    bounds = Bounds.of(base, f"{where}is '{printable(path[:80])}', ")
    bounds.check(bounds.real(base / path))
    bounds.check_kind(str(base / path))
    return base / path
