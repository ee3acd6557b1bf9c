"""Files that other processes read while we write them: replaced in one step, and one writer at a time."""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def replacing(target: Path, partial_folder: Path | None = None) -> Iterator[Path]:
    """Replace a file in one step, once the body has written the path it is given: a reader finds the old or the new.

    A body that raises leaves the old one, and nothing beside it.

    Args:
        target: the file to replace or create.
        partial_folder: where the half-written file is until then, on the same disk; default: beside the target.
    """
    partial = (partial_folder or target.parent) / f"_{target.name}.{os.getpid()}.{secrets.token_hex(4)}"
    try:
        yield partial
        sync(partial)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)  # there only if something went wrong
    sync(target.parent)


def replace_file(target: Path, text: str, partial_folder: Path | None = None) -> None:
    """Replace a text file in one step: a reader finds the old content or the new, also after a power cut."""
    with replacing(target, partial_folder) as partial:
        partial.write_text(text, encoding="utf-8")


def sync(path: Path) -> None:
    """Wait until the content of a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(lock: Path) -> Iterator[None]:
    """Hold a lock file; others wait. The lock of a killed process is free at once."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a", encoding="utf-8") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def claim(lock: Path) -> IO[str]:
    """Hold a new lock file for as long as the returned stream is open, which ends with the process at the latest."""
    stream = lock.open("x", encoding="utf-8")
    fcntl.flock(stream, fcntl.LOCK_EX)
    return stream


def is_claimed(lock: Path) -> bool:
    """True if a living process holds the lock file; others that look at the same moment do not count."""
    try:
        with lock.open(encoding="utf-8") as stream:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
