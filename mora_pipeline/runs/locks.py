"""One lock a region decides who makes it: ``$MORA_HOME/runs/<region>.lock``, held by a run's process for its life.

The lock ends with its process, whatever ends that. Its file says who holds it; what it says of a process that is gone
names what has to be cleared up.
"""

import contextlib
import fcntl
import json
import os
import secrets
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import IO

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.files import is_claimed
from mora_pipeline.contract.names import checked_region_name
from mora_pipeline.runs import TOKEN, orphans
from mora_pipeline.runs.identity import Process

_SECONDS_TO_TELL = 2.0  # that a process may take from the lock to its name in the file
_held: dict[Path, "RegionLock"] = {}


@dataclass(frozen=True)
class Holder:
    """Who makes a region.

    Attributes:
        token: that the run's processes carry.
        command: what the user called, or who launched the run.
        since: local time.
        temporary: folder of the run's temporary files.
        run_id: of the run in Dagster, as soon as it is known.
        front: the process of the command that waits for the run, if one does.
    """

    region: str
    token: str
    process: Process
    command: str
    since: str
    temporary: str
    run_id: str | None = None
    front: Process | None = None

    @property
    def words(self) -> str:
        """For a sentence."""
        process = f"process {self.process.pid} on {self.process.host}"
        named = f"run {self.run_id} already ({process}" if self.run_id else f"{process} already ("
        return f"{named}{', ' if self.run_id else ''}`{self.command}`, since {self.since})"

    def clear_up(self) -> int:
        """End what is left of the processes of a run whose own is gone, and remove its temporary files.

        Returns:
            How many processes there were.
        """
        ended = orphans.end_marked(self.token)
        orphans.remove_temporary(self.temporary)
        return ended


class RegionBusyError(UserError):
    """Another process makes the region."""

    def __init__(self, region: str, holder: Holder | None) -> None:
        by = holder.words if holder else "another process already"
        super().__init__(
            f"'{region}' is being made by {by}. Wait for it, or cancel it: Ctrl-C where it runs, or in the UI (mora "
            "dev, Runs, Terminate)."
        )
        self.holder = holder


class RegionLock:
    """The right to make a region; made by `take`."""

    def __init__(self, path: Path, stream: IO[str], holder: Holder) -> None:
        self.path, self.holder = path, holder
        self._stream = stream

    @classmethod
    def take(
        cls, home: Path, region: str, command: str, run_id: str | None = None, front: Process | None = None
    ) -> "RegionLock":
        """Take the lock for this process, and clear up after the process that held it before.

        Raises:
            RegionBusyError: if a living process holds it.
        """
        path = lock_of(home, region)
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = path.open("a+", encoding="utf-8")
        try:
            _claim(path, stream, region)
            if before := holder_in(path):
                before.clear_up()
            token = secrets.token_hex(6)
            folder = Path(tempfile.gettempdir()) / f"{orphans.TEMPORARY}{token}"
            since = time.strftime("%Y-%m-%d %H:%M:%S")
            holder = Holder(region, token, Process.current(), command, since, str(folder), run_id, front)
            lock = cls(path, stream, holder)
            lock._tell()
            folder.mkdir(mode=0o700)
        except BaseException:
            stream.close()
            raise
        _held[path] = lock
        return lock

    def name_run(self, run_id: str) -> None:
        """Say which run of Dagster this is, for those who are refused."""
        self.holder = replace(self.holder, run_id=run_id)
        self._tell()

    @contextmanager
    def children_marked(self) -> Iterator[None]:
        """Processes started in the block carry the token, and have their temporary files in the run's folder."""
        changed = {TOKEN: self.holder.token, "TMPDIR": self.holder.temporary}
        before = {name: os.environ.get(name) for name in changed}
        folder = tempfile.tempdir
        os.environ |= changed
        tempfile.tempdir = self.holder.temporary
        try:
            yield
        finally:
            tempfile.tempdir = folder
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value

    def release(self) -> None:
        """Clear up after this run, and let the next one in."""
        self.holder.clear_up()
        with contextlib.suppress(OSError):
            self._stream.truncate(0)
        self._stream.close()
        _held.pop(self.path, None)

    def _tell(self) -> None:
        self._stream.seek(0)
        self._stream.truncate()
        told = {item.name: getattr(self.holder, item.name) for item in fields(Holder)}
        texts = {name: value.text for name, value in told.items() if isinstance(value, Process)}
        self._stream.write(json.dumps({**told, **texts}))
        self._stream.flush()


def lock_of(home: Path, region: str) -> Path:
    """The file of a region's lock."""
    return home / "runs" / f"{checked_region_name(region)}.lock"


def held_here(home: Path, region: str) -> RegionLock | None:
    """The region's lock, if this very process holds it."""
    lock = _held.get(lock_of(home, region))
    return lock if lock and lock.holder.process.pid == os.getpid() else None


def holder_in(path: Path) -> Holder | None:
    """Whom a lock's file names: its holder, or the last one if that died; None after a good end."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        process, front = Process.parsed(told.pop("process")), Process.parsed(told.pop("front") or "")
        return Holder(process=process, front=front, **told) if process else None
    except (OSError, ValueError, TypeError, AttributeError, KeyError):
        return None


def clear_up_after_the_dead(home: Path) -> int:
    """End what is left of runs whose process is gone, and remove their temporary files.

    Returns:
        How many processes there were.
    """
    ended = 0
    for path in sorted((home / "runs").glob("*.lock")):
        if holder_in(path) is None or is_claimed(path):
            continue
        with contextlib.suppress(OSError), path.open("a+", encoding="utf-8") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if dead := holder_in(path):  # as it is now that nobody can take it
                ended += dead.clear_up()
                stream.truncate(0)
    return ended


def _claim(path: Path, stream: IO[str], region: str) -> None:
    """Lock the file, or say who has it; whoever only looks at it holds it for a moment."""
    deadline = time.monotonic() + _SECONDS_TO_TELL
    while True:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            holder = holder_in(path)
            if (holder and holder.process.is_alive() is not False) or time.monotonic() > deadline:
                raise RegionBusyError(region, holder) from None
            time.sleep(0.02)
