"""Which datasets of a lake are damaged: every record and every byte of every kept version, and how to mend each."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.names import checked_region_name
from mora_pipeline.lake import commits, records
from mora_pipeline.lake.records import RECORD, DamagedRecordError
from mora_pipeline.lake.versions import Lake, Version


@dataclass(frozen=True)
class Damage:
    """One thing that is not as it was committed.

    Attributes:
        version: whose; None where readers are pointed at no version that could be told.
        seen: whether readers see it now; else it is a kept version that `mora lake restore` could go back to.
        what: the file, and what is wrong with it.
    """

    dataset: str
    region: str
    version: str | None
    seen: bool
    what: str

    @property
    def message(self) -> str:
        """What is damaged and the command that mends it."""
        whose = "readers see it" if self.seen else "an earlier version, which no reader sees"
        return f"`{self.dataset}` of '{self.region}' ({whose}): {self.what}. Mend it: mora lake repair {self.region}"


@dataclass
class Verification:
    """What was looked at, and what is damaged.

    Attributes:
        unhashed: versions of before there were hashes: their footers and rows were looked at.
    """

    versions: int = 0
    files: int = 0
    bytes: int = 0
    unhashed: int = 0
    damages: list[Damage] = field(default_factory=list)


def verify(lake: Lake, region: str | None = None, fast: bool = False) -> Verification:
    """Compare every kept version with its record.

    Args:
        region: one region; default: all.
        fast: only sizes and Parquet footers, not every byte.
    """
    found = Verification()
    for dataset, name in datasets(lake, region):
        _verify_dataset(lake, dataset, name, fast, found)
    return found


def datasets(lake: Lake, region: str | None = None) -> list[tuple[str, str]]:
    """Every dataset and region that has a folder in the lake, whether it can be read or not."""
    pattern = f"region={checked_region_name(region)}" if region else "region=*"
    folders = sorted(path for depth in ("*", "*/*") for path in lake.root.glob(f"{depth}/{pattern}") if path.is_dir())
    return [(path.parent.relative_to(lake.root).as_posix(), path.name.removeprefix("region=")) for path in folders]


def readable_datasets(lake: Lake, region: str) -> tuple[list[Version], list[str]]:
    """The current version of every dataset of a region by name, and a message for each that cannot be read."""
    versions, problems = list[Version](), list[str]()
    for dataset, name in datasets(lake, region):
        if lake.has(dataset, name):
            try:
                versions.append(lake.read(dataset, name))
            except UserError as error:
                problems.append(str(error))
    return versions, problems


def problems_of(folder: Path, fast: bool, found: Verification | None = None) -> list[str]:
    """What is wrong with the version in a folder; empty if it is whole.

    Args:
        found: is told what was looked at.
    """
    found = found if found is not None else Verification()
    found.versions += 1
    try:
        record = records.read(folder / RECORD)
    except FileNotFoundError:
        return [f"{folder} is gone" if not folder.exists() else f"{folder / RECORD} is gone"]
    except DamagedRecordError as error:
        return [f"{folder / RECORD} is damaged ({error})"]
    contents = record.get("files", {})
    problems = [problem for name in contents for problem in _file_problems(folder / name, contents[name], fast, found)]
    present = {file.name: file for file in sorted(folder.glob("*.parquet"))}
    if not contents:
        found.unhashed += 1
        return problems + _old_problems(list(present.values()), record["rows"], found)
    return problems + [f"{present[name]} was never committed" for name in present.keys() - contents.keys()]


def _verify_dataset(lake: Lake, dataset: str, region: str, fast: bool, found: Verification) -> None:
    folder = lake.folder(dataset, region)
    seen, problem = pointer(folder)
    if problem:
        found.damages.append(Damage(dataset, region, None, True, problem))
    for path in commits.committed_versions(folder):
        problems = problems_of(path, fast, found)
        if path.name == seen and not problems and _text(path / RECORD) != _text(folder / commits.CURRENT):
            problems = [f"{path / RECORD} and {folder / commits.CURRENT} differ"]
        if problems and path.exists():  # else it was dropped meanwhile
            found.damages += [Damage(dataset, region, path.name, path.name == seen, what) for what in problems]


def pointer(folder: Path) -> tuple[str | None, str | None]:
    """The version that readers of a dataset are pointed at, and what is wrong with the pointer."""
    current = folder / commits.CURRENT
    while True:
        before = _text(current)
        if before is None:
            return None, None
        try:
            version = str(records.read(current)["version"])
        except FileNotFoundError:
            continue
        except DamagedRecordError as error:
            return None, f"{current} is damaged ({error})"
        if (folder / version / RECORD).exists():
            return version, None
        if _text(current) == before:  # else it was replaced meanwhile, and the version dropped
            what = "has no record" if (folder / version).exists() else "is gone"
            return version, f"{folder / version}, which {current} names, {what}"


def _file_problems(file: Path, written: dict[str, object], fast: bool, found: Verification) -> Iterator[str]:
    found.files += 1
    try:
        size = file.stat().st_size
        if size != written["bytes"]:
            yield f"{file} has {size:,} bytes, but {written['bytes']:,} were committed"
        elif not fast:
            found.bytes += size
            if records.describe(file)["sha256"] != written["sha256"]:
                yield f"{file} was changed after it was committed: its SHA-256 differs"
        elif "rows" in written and (problem := _footer_problem(file)[1]):
            yield problem
    except FileNotFoundError:
        yield f"{file} is gone"
    except OSError as error:
        yield f"{file} cannot be read ({error})"


def _old_problems(files: list[Path], rows: int, found: Verification) -> list[str]:
    """Of a version without hashes: whether its footers are whole and its rows all there."""
    found.files += len(files)
    counted = [_footer_problem(file) for file in files]
    problems = [problem for _, problem in counted if problem]
    total = sum(count for count, _ in counted)
    if problems or total == rows:
        return problems
    return [f"{files[0].parent if files else 'it'} holds {total:,} rows, but {rows:,} were committed"]


def _footer_problem(file: Path) -> tuple[int, str | None]:
    """The rows that a Parquet file's footer tells, and what is wrong with it."""
    try:
        return pq.read_metadata(file).num_rows, None
    except (pa.ArrowException, OSError) as error:
        return 0, f"{file} cannot be read as Parquet ({error})"


def _text(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None
