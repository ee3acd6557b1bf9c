"""What earlier runs have added up of dated raw files, in a folder that may be deleted at any time.

A batch holds the sums of some raw files by file and day, of flows and of counts by hour; a total holds those of all
days of a window. The names of both are made of all that they depend on (files by path and version; settings; the number
of our format), so nobody has to say what changed: a new, late or corrected file has a name that is not there yet.
"""

import fcntl
import hashlib
import json
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.tallies import GOOD, Count, of_record
from spark_jobs.mobility.daily_sums import Days
from spark_jobs.output import in_one_step, written_by_tasks

RECORD = "record.json"
# Of records, parts and what they say of a raw file: goes up with every change of the rules for bad rows, of how a value
# is read, a point gridded or a flow added up, so that sums of other numbers are computed anew.
FORMAT = 4
LOCK = "lock"
BAD_ROWS_FOLDER = "quarantine"  # of a batch
OURS = re.compile(r"(draft-|batch-|total-)[0-9a-f]{32}(-[0-9a-f]{8})?")  # names of folders that this may delete
SETTINGS = ("kind", "places", "resolution", "time_zone")


@dataclass(frozen=True)
class CachedFile:
    """The sums of one raw file.

    ``key``: its name; ``rows``: as its footer says, 0 if it has none; ``counts``: rows by what became of them
    (`tallies`); ``days``: the first and the last, None without good rows; ``batch``, ``number``: where the sums are.
    """

    key: str
    path: str
    rows: int
    counts: dict[str, Count]
    days: Days | None
    batch: str
    number: int

    @property
    def good(self) -> int:
        return self.counts[GOOD].rows if GOOD in self.counts else 0


@dataclass(frozen=True)
class Total:
    """The sums of a window: ``held``: the days that are in it of each file (by key)."""

    folder: str = ""
    held: dict[str, Days] = field(default_factory=dict)


class SumsCache:
    """The folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other runs out: they would delete what this one is making.

        Raises:
            UserError: if one is running. The lock of a killed run is free at once.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # it may hold users' ids
        with (self.folder / LOCK).open("a") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                text = f"Another run is using {self.folder}: wait until it has ended, or stop it."
                raise UserError(text) from None
            yield

    def files(self, buckets: int | None = None) -> dict[str, CachedFile]:
        """The files whose sums are here, cut into so many partitions (None: however many), by key."""
        files: dict[str, CachedFile] = {}
        for folder, record in self._records("batch", buckets):
            for number, row in enumerate(record["files"]):
                days = (row["days"][0], row["days"][1]) if row["days"] else None
                counts = {reason: of_record(values) for reason, values in row["counts"].items()}
                own = {**row, "days": days, "counts": counts}
                files.setdefault(row["key"], CachedFile(**own, batch=folder.name, number=number))
        return files

    def buckets(self) -> set[int]:
        """How many partitions what is here was cut into."""
        return {record["buckets"] for _, record in self._records("batch", None)}

    def parts(self, folder: str) -> frozenset[str]:
        """The files of a batch or a total, below its folder."""
        return frozenset(json.loads((self.folder / folder / RECORD).read_text())["parts"])

    def totals(self, buckets: int) -> list[Total]:
        """The sums of windows that are here, cut into so many partitions."""
        totals = []
        for folder, record in self._records("total", buckets):
            totals.append(Total(folder.name, {key: (first, last) for key, (first, last) in record["held"].items()}))
        return totals

    @contextmanager
    def new_folder(self, name: str, buckets: int) -> Iterator[tuple[Path, dict[str, Any]]]:
        """Fill a folder beside its place and move it there in one step: a killed run leaves no half of it.

        Yields:
            The folder to write into, and the record to fill.
        """
        draft = self.folder / f"draft-{name.split('-')[1]}-{secrets.token_hex(4)}"
        draft.mkdir()
        try:
            record: dict[str, Any] = {"format": FORMAT, "buckets": buckets}
            yield draft, record
            record["parts"] = sorted(str(part.relative_to(draft)) for part in draft.rglob("*.parquet"))
            with written_by_tasks(draft), in_one_step(draft / RECORD) as file:
                file.write_text(json.dumps(record))
            shutil.rmtree(self.folder / name, ignore_errors=True)  # what is left of one that is not whole
            draft.rename(self.folder / name)
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def forget(self, used: Iterable[str]) -> None:
        """Delete all but the folders in use, and what killed runs left."""
        stays = set(used)
        for folder in self.folder.iterdir():
            if OURS.fullmatch(folder.name) and folder.name not in stays:
                (folder / RECORD).unlink(missing_ok=True)  # first: half of a folder is not one
                shutil.rmtree(folder, ignore_errors=True)

    def _records(self, kind: str, buckets: int | None) -> Iterator[tuple[Path, dict[str, Any]]]:
        """The folders of a kind that are there with all files that they state, in a fixed order."""
        for folder in sorted(self.folder.glob(f"{kind}-*")):
            try:
                record = json.loads((folder / RECORD).read_text())
                ours = record["format"] == FORMAT and all((folder / name).exists() for name in record["parts"])
            except (OSError, ValueError, KeyError, TypeError):
                continue
            if ours and buckets in (None, record["buckets"]):
                yield folder, record


def keys_of(params: Mapping[str, Any]) -> dict[str, str]:
    """A name for the sums of each raw file, from all that they depend on.

    Args:
        params: of the job; ``versions``: those of the files, instead of their sizes and times of change.

    Raises:
        UserError: if ``dates`` or ``versions`` lack a file.
    """
    settings = {name: params.get(name) for name in SETTINGS}
    settings["source"] = {name: value for name, value in params["source"].items() if name != "files"}
    if params.get("places"):
        settings["place_files"] = [version_of(file, None) for file in params["places"]["files"]]
    common = json.dumps([FORMAT, settings], sort_keys=True)
    by_file = [params[name] for name in ("dates", "versions") if params.get(name)]
    for file in params["source"]["files"]:
        if not all(file in each for each in by_file):
            raise UserError(f"dates and versions must name every file, but one of them lacks {file}.")
    return {
        file: name_of(common, file, version_of(file, params.get("versions")), *(str(each[file]) for each in by_file))
        for file in params["source"]["files"]
    }


def version_of(file: str, versions: Mapping[str, str] | None) -> str:
    """What shows that a file has changed: what the user's listing says, else its size and time of change."""
    if versions is not None:
        return versions[file]
    stat = Path(file).stat()
    return f"{stat.st_size} {stat.st_mtime_ns}"


def name_of(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
