"""Mend what is damaged in a lake: readers are pointed at the newest whole version, or told what to make again."""

from pathlib import Path

from mora_pipeline.lake import commits, records
from mora_pipeline.lake.records import RECORD
from mora_pipeline.lake.verify import datasets, pointer, problems_of
from mora_pipeline.lake.versions import Lake


def repair(lake: Lake, region: str | None = None) -> list[str]:
    """Verify every byte of every kept version, and mend what is damaged; one sentence for each thing done.

    A damaged version is set aside as ``damaged-<version>``, which nobody reads; nothing is deleted.
    """
    return [line for dataset, name in datasets(lake, region) for line in _repair_dataset(lake, dataset, name)]


def _repair_dataset(lake: Lake, dataset: str, region: str) -> list[str]:
    folder, done = lake.folder(dataset, region), list[str]()
    current = folder / commits.CURRENT
    text = current.read_bytes() if current.exists() else None
    seen, problem = pointer(folder)
    if seen and (folder / seen).is_dir() and _only_record_is_damaged(folder, seen):
        commits.mend_record(folder, seen)
        done.append(f"`{dataset}` of '{region}': wrote the record of {seen} anew, from {current}.")
        seen, problem = pointer(folder)
    damaged = {path.name for path in commits.committed_versions(folder) if problems_of(path, fast=False)}
    whole = [path.name for path in commits.committed_versions(folder) if path.name not in damaged]
    if text is not None and (problem or seen in damaged):
        done.append(_mended(lake, dataset, region, text, whole[-1] if whole else None, problem))
    for version in sorted(damaged):
        if (folder / version).is_dir():
            commits.set_aside(folder, version)
            done.append(f"`{dataset}` of '{region}': set the damaged version aside, {folder / f'damaged-{version}'}.")
    return done


def _only_record_is_damaged(folder: Path, version: str) -> bool:
    """Whether the version that readers see is damaged in nothing but its own copy of the record."""
    current = records.read(folder / commits.CURRENT)
    text, own = records.text_of(current), folder / version / RECORD
    if own.exists() and own.read_bytes() == text.encode():
        return False
    contents = current.get("files", {})
    files = ((folder / version / name, contents[name]) for name in contents)
    return all(file.exists() and records.describe(file)["sha256"] == written["sha256"] for file, written in files)


def _mended(lake: Lake, dataset: str, region: str, damaged: bytes, whole: str | None, problem: str | None) -> str:
    folder = lake.folder(dataset, region)
    if not commits.mend(folder, damaged, whole):
        return f"`{dataset}` of '{region}': a new version was committed meanwhile; left as it is."
    why = f" ({problem})" if problem else ""
    if whole is None:
        return (
            f"`{dataset}` of '{region}' has no whole version{why}: it counts as not made. Make it again: "
            f"mora materialize {region}"
        )
    return f"`{dataset}` of '{region}': readers now see {whole}, the newest whole version{why}."
