"""A consistent copy of a home for one machine, also while runs go on, and the way back from it."""

import contextlib
import json
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.files import replace_file, sync
from mora_pipeline.lake import Lake, opened
from mora_pipeline.lake.commits import CURRENT
from mora_pipeline.lake.records import describe
from mora_pipeline.lake.verify import datasets
from mora_pipeline.raw import pseudonyms
from mora_pipeline.upkeep.space import databases

MANIFEST = "backup.json"
FORMAT = 1
FOLDERS = ("regions", "mlartifacts", "alerts", "lake/memo")  # as they are; files are written once, or replaced whole
TRIES = 5  # of a dataset whose version is dropped while it is copied
TAR = (".tar", ".tar.gz", ".tgz")


def back_up(home: Path, target: Path) -> dict[str, int]:
    """Copy a home's lake (the versions that readers see), its databases, MLflow's artifacts and its regions.

    What steps remember comes along, so that a restored home makes nothing anew, and the key of pseudonyms. Caches,
    checkpoints and logs are left out. Every file's hash stands in ``backup.json``, which is written last.

    Args:
        target: a folder that is not there or empty, or a file that ends with ``.tar``, ``.tar.gz`` or ``.tgz``.

    Returns:
        The number of ``files`` and ``bytes``.

    Raises:
        UserError: if there is no home, the target is taken, or a dataset is damaged.
    """
    if not home.is_dir():
        raise UserError(f"There is no home at {home}: set MORA_HOME.")
    if target.exists() and (target.is_file() or any(target.iterdir())):
        raise UserError(f"{target} is there already: choose another name, or remove it.")
    if target.is_relative_to(home):
        raise UserError(f"{target} is inside the home {home}: a backup must be elsewhere.")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as name:
        draft = Path(name) / "home"
        _fill(home, draft)
        contents = {path.relative_to(draft).as_posix(): describe(path, keep=True) for path in _files(draft)}
        manifest = {"format": FORMAT, "home": str(home), "made": datetime.now(UTC).isoformat(), "files": contents}
        replace_file(draft / MANIFEST, json.dumps(manifest, indent=1))
        if target.name.endswith(TAR):
            packed = Path(name) / target.name
            with tarfile.open(packed, "w" if target.suffix == ".tar" else "w:gz") as archive:
                archive.add(draft, ".")
            sync(packed)
            packed.replace(target)
        else:
            draft.replace(target)
        sync(target.parent)
    return {"files": len(contents), "bytes": sum(int(item["bytes"]) for item in contents.values())}


def restore(source: Path, home: Path) -> int:
    """Make a home from a backup, after every hash was verified; returns the number of files.

    Raises:
        UserError: if the home is not empty, or the backup is damaged.
    """
    if home.exists() and any(home.iterdir()):
        raise UserError(f"{home} is not empty: move it away first, or set MORA_HOME to a folder that is not there.")
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{home.name}.", dir=home.parent) as name:
        draft = Path(name) / "home"
        _unpack(source, draft)
        files = _verified(source, draft)
        (draft / MANIFEST).unlink()
        with contextlib.suppress(FileNotFoundError):
            home.rmdir()
        draft.replace(home)
    sync(home.parent)
    opened(home)  # elsewhere than it was: what names the former place is told
    return files


def _fill(home: Path, draft: Path) -> None:
    draft.mkdir(mode=0o700)
    for dataset, region in datasets(Lake(home / "lake")):
        _copy_dataset(Lake(home / "lake"), Lake(draft / "lake"), dataset, region)
    for database in databases(home):  # before the artifacts that they name
        copy = draft / database.relative_to(home)
        copy.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(database, timeout=60)) as old, closing(sqlite3.connect(copy)) as new:
            old.backup(new)
    for folder in FOLDERS:
        if (home / folder).is_dir():
            _copy_tree(home / folder, draft / folder)
    for file in (*sorted(home.glob("*.json")), home / pseudonyms.FILE):
        with contextlib.suppress(FileNotFoundError):
            shutil.copy2(file, draft / file.name)


def _copy_tree(source: Path, target: Path) -> None:
    """Copy a folder; what is removed or replaced meanwhile does not matter."""
    for path in source.rglob("*"):
        if path.is_file() and not path.name.startswith("_"):
            copy = target / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                shutil.copy2(path, copy)


def _copy_dataset(source: Lake, target: Lake, dataset: str, region: str) -> None:
    """Copy the version that readers see; if it is dropped meanwhile, the one that took its place.

    Raises:
        UserError: if it is damaged.
    """
    for attempt in range(TRIES):
        if not source.has(dataset, region):
            return
        version = source.read(dataset, region)
        folder = target.folder(dataset, region)
        try:
            shutil.copytree(version.path, folder / version.version)
            shutil.copy2(source.folder(dataset, region) / CURRENT, folder / CURRENT)
            if target.read(dataset, region).version == version.version:
                target.read(dataset, region).check()
                return
        except (FileNotFoundError, shutil.Error, UserError):
            if attempt == TRIES - 1 or source.read(dataset, region).version == version.version:
                version.check()
                raise
        shutil.rmtree(folder, ignore_errors=True)


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _unpack(source: Path, draft: Path) -> None:
    try:
        if source.is_dir():
            shutil.copytree(source, draft)
        else:
            with tarfile.open(source) as archive:
                archive.extractall(draft, filter="data")
    except (OSError, tarfile.TarError, EOFError) as error:
        raise UserError(f"{source} cannot be read as a backup ({error}).") from error


def _verified(source: Path, draft: Path) -> int:
    """The number of files, once each was found to be what was backed up."""
    try:
        manifest = json.loads((draft / MANIFEST).read_text(encoding="utf-8"))
        files, number = dict(manifest["files"]), int(manifest["format"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{source} is no whole backup: {MANIFEST} is missing or damaged ({error}).") from error
    if number > FORMAT:
        raise UserError(f"{source} has format {number}, which a newer version of mora-pipeline made: install that.")
    for name, written in files.items():
        path = draft / name
        if not path.is_file() or describe(path) != written:
            state = "was changed" if path.is_file() else "is gone"
            raise UserError(f"{source} is damaged: {name} {state}. Nothing was restored; take another backup.")
    return len(files)
