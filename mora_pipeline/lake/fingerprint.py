"""What tells that files have changed, from names, sizes and times alone: no file is opened, and the walk is bounded."""

import hashlib
import os
import stat
import time
from collections.abc import Collection, Iterator
from pathlib import Path

from mora_pipeline.contract.errors import UserError

MOST_ENTRIES = 200_000  # files and folders of one region's folder


def fingerprint(folder: Path, others: Collection[Path] = (), deadline: float | None = None) -> str:
    """A digest of the names, sizes, rights and times of change of all below a folder, and of files elsewhere.

    What is no regular file (a pipe, a device) counts by its name and kind, a link by where it leads and by the file
    there; what a linked folder holds is not looked at.

    Args:
        deadline: when to give up, seconds of `time.monotonic`; default: never.

    Raises:
        UserError: if there are more than `MOST_ENTRIES`, or the deadline is over.
    """
    digest = hashlib.sha256()
    for entries, (path, status) in enumerate(_below(os.fspath(folder)), 1):
        if entries > MOST_ENTRIES:
            raise UserError(
                f"it holds more than {MOST_ENTRIES:,} files and folders, too many to be watched. Put the data "
                "elsewhere, and name its folder in region.yaml and in MORA_DATA_ROOTS."
            )
        if deadline is not None and entries % 1000 == 0 and time.monotonic() > deadline:
            raise UserError("its folder took too long to look through. Put fewer files there, or a faster disk.")
        digest.update(os.fsencode(path) + b"\0" + _told(path, status))
    for file in sorted(others):
        digest.update(os.fsencode(file) + b"\0" + _told(os.fspath(file), None))
    return digest.hexdigest()[:16]


def times_of(folders: Collection[Path]) -> tuple[int, ...]:
    """When something was added to each folder or taken from it; 0 where it is gone."""
    times = list[int]()
    for folder in folders:
        try:
            times.append(folder.stat().st_mtime_ns)
        except OSError:
            times.append(0)
    return tuple(times)


def _below(top: str) -> Iterator[tuple[str, os.stat_result | None]]:
    waiting = [top]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError:
            yield folder, None
            continue
        for entry in entries:
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError:  # removed meanwhile
                continue
            yield entry.path, status
            if stat.S_ISDIR(status.st_mode):
                waiting.append(entry.path)


def _told(name: str, status: os.stat_result | None) -> bytes:
    path = Path(name)
    try:
        status = path.stat() if status is None else status
        if stat.S_ISDIR(status.st_mode):
            return b"folder %o\n" % status.st_mode
        leads = b""
        if stat.S_ISLNK(status.st_mode):
            leads = os.fsencode(path.readlink())
            status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            return b"%s %o\n" % (leads, stat.S_IFMT(status.st_mode))
        return b"%s %o %d %d\n" % (leads, status.st_mode, status.st_size, status.st_mtime_ns)
    except OSError as error:
        return b"error %d\n" % (error.errno or 0)
