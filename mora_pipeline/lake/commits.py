"""How versions in one folder are committed and cleared up, so that a process may be killed at any step.

Each step is one that the file system does whole or not at all: a draft is renamed to its version, ``current.json`` is
replaced, and the version gets its ``version.json``, which marks it as committed. Locks, which end with their
process, tell what a killed process left from work in progress.
"""

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from mora_pipeline.contract.files import claim, is_claimed, locked, replace_file, sync
from mora_pipeline.lake import records
from mora_pipeline.lake.records import RECORD, DamagedRecordError

VERSION_NAME = re.compile(r"\d{8}T\d{12}-[0-9a-f]{8}")
KEPT_VERSIONS = 3
CURRENT = "current.json"
_DRAFT = "draft-"
_DROPPED = "dropped-"
DAMAGED = "damaged-"  # before the name of a version that was set aside: nobody reads it, `mora prune` removes it
_LIFE = ".lock"


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Nobody else commits, restores or clears up in the folder meanwhile."""
    with locked(folder / _LIFE):
        yield


def new_draft(folder: Path, version: str) -> tuple[Path, IO[str]]:
    """Clear up after dead processes, and make the folder of a draft.

    Returns:
        The folder, and the lock that tells others that its process lives; closing it gives the draft up.
    """
    with writing(folder):
        _clear(folder)
        draft = folder / f"{_DRAFT}{version}"
        # Beside the draft and not in it: whoever fills the draft may empty the folder first.
        life = claim(_life_of(draft))
        draft.mkdir()
    return draft, life


def leftovers(folder: Path) -> list[Path]:
    """What dead processes left in the folder of a dataset."""
    with writing(folder):
        return _leftovers(folder)


def clear(folder: Path) -> None:
    """Remove what dead processes left in the folder of a dataset."""
    with writing(folder):
        _clear(folder)


def _clear(folder: Path) -> None:
    for leftover in _leftovers(folder):
        shutil.rmtree(leftover, ignore_errors=True)
        _life_of(leftover).unlink(missing_ok=True)


def discard(draft: Path, life: IO[str]) -> None:
    """Remove a draft; nothing happens to one that has been committed."""
    shutil.rmtree(draft, ignore_errors=True)
    _life_of(draft).unlink(missing_ok=True)
    life.close()


def commit(folder: Path, draft: Path, record: dict[str, Any], fence: Callable[[], None] = lambda: None) -> None:
    """Turn a draft into the version that readers see, and drop versions beyond the last three.

    Args:
        fence: raises if the draft may not be published any more; asked while nobody else can publish in the folder.
    """
    with writing(folder):
        fence()
        draft.rename(folder / record["version"])
        _point_at(folder, record)
        _prune(folder)


def restore(folder: Path, version: str) -> dict[str, Any]:
    """Point readers at a version that is kept; returns its record.

    Raises:
        FileNotFoundError: if it is not kept.
    """
    with writing(folder):
        record = records.read(folder / version / RECORD)
        _point_at(folder, record)
    return record


def mend(folder: Path, damaged: bytes, version: str | None) -> bool:
    """Point readers at a whole version instead of a damaged one, or at none.

    Args:
        damaged: content of ``current.json`` as it was examined.
        version: a kept version that was verified; None if none is whole: then the pointer is removed.

    Returns:
        False if another process committed meanwhile; then nothing was changed.
    """
    current = folder / CURRENT
    with writing(folder):
        if not current.exists() or current.read_bytes() != damaged:
            return False
        if version is None:
            current.unlink()
            sync(folder)
        else:
            _point_at(folder, records.read(folder / version / RECORD))
    return True


def mend_record(folder: Path, version: str) -> None:
    """Write the record of the version that readers see anew, from ``current.json``."""
    with writing(folder):
        if _current(folder).get("version") == version:
            (folder / version / RECORD).unlink(missing_ok=True)
            _mark_current(folder)


def set_aside(folder: Path, version: str) -> None:
    """Take a damaged version from the kept ones; readers must not see it."""
    with writing(folder):
        if _current(folder).get("version") != version and (folder / version).is_dir():
            (folder / version).rename(folder / f"{DAMAGED}{version}")


def committed_versions(folder: Path) -> list[Path]:
    """The folders of the versions that are kept, oldest first."""
    return sorted(path.parent for path in folder.glob(f"*/{RECORD}") if VERSION_NAME.fullmatch(path.parent.name))


def _point_at(folder: Path, record: dict[str, Any]) -> None:
    """Let readers see a version: replacing ``current.json`` is the one step that commits."""
    _mark_current(folder)
    replace_file(folder / CURRENT, records.text_of(record), partial_folder=folder / record["version"])
    _mark_current(folder)


def _mark_current(folder: Path) -> None:
    """Mark the version that readers see as committed, also if its process was killed before it could."""
    record = _current(folder)
    home = folder / str(record.get("version"))
    if home.is_dir() and not (home / RECORD).exists():
        replace_file(home / RECORD, records.text_of(record))


def _current(folder: Path) -> dict[str, Any]:
    """The record of the version that readers see; empty if there is none, or it is damaged."""
    try:
        return records.read(folder / CURRENT)
    except (FileNotFoundError, DamagedRecordError):
        return {}


def _prune(folder: Path) -> None:
    """Drop versions beyond the last three; the one that readers see always stays."""
    seen = _current(folder).get("version")
    for old in committed_versions(folder)[:-KEPT_VERSIONS]:
        if old.name != seen:
            shutil.rmtree(old.rename(folder / f"{_DROPPED}{old.name}"), ignore_errors=True)


def _leftovers(folder: Path) -> list[Path]:
    """What killed processes left: drafts, half-dropped versions, and versions that readers were never pointed at.

    While this process is `writing`, a version without a record is nobody's work in progress.
    """
    _mark_current(folder)
    lives = [path for path in folder.glob(f".{_DRAFT}*{_LIFE}") if not is_claimed(path)]
    leftovers = {folder / path.name.removeprefix(".").removesuffix(_LIFE) for path in lives}
    leftovers |= {path for path in folder.glob(f"{_DRAFT}*") if not is_claimed(_life_of(path))}
    leftovers |= set(folder.glob(f"{_DROPPED}*"))
    versions = (path for path in folder.iterdir() if VERSION_NAME.fullmatch(path.name))
    leftovers |= {path for path in versions if not (path / RECORD).exists()}
    return sorted(leftovers)


def _life_of(draft: Path) -> Path:
    return draft.with_name(f".{draft.name}{_LIFE}")
