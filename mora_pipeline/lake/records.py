"""The record of a committed version: what it must say, what its files must be, and how a damaged one is told.

A record is JSON with a format number, the size and SHA-256 of every file of its version, and a SHA-256 of itself. One
of format 0, written before there were formats, has none of these and stays readable.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.files import sync

FORMAT = 1
RECORD = "version.json"
_SEAL = "sha256"
_OF_FORMAT_1 = ("format", "files", _SEAL)
_FIELDS = {"version": str, "rows": int, "inputs": dict, "schema": dict, "details": dict}

Contents = dict[str, dict[str, Any]]  # by path in the version's folder: bytes, sha256, and rows of Parquet


class DamagedRecordError(ValueError):
    """A record that does not say what was written."""


def text_of(record: Mapping[str, Any]) -> str:
    """A record as it stands in its file."""
    return json.dumps(record, indent=2, default=str)


def sealed(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record with its format and the SHA-256 of itself, as readers will find it."""
    plain = json.loads(text_of({"format": FORMAT, **{key: record[key] for key in record if key != _SEAL}}))
    return {**plain, _SEAL: _digest(plain)}


def parse(text: str) -> dict[str, Any]:
    """A record from the text of its file.

    Raises:
        DamagedRecordError: if it does not say what was written.
        UserError: if a newer version of this software wrote it.
    """
    record = json.loads(text) if text else None
    if not isinstance(record, dict):
        raise DamagedRecordError("it holds no record")
    if isinstance(record.get("format"), int) and record["format"] > FORMAT and _is_sealed(record, text):
        raise UserError(
            f"A record has format {record['format']}, which a newer version of this software wrote; this one reads up "
            f"to {FORMAT}. Install the newer version."
        )
    wrong = [key for key, kind in _FIELDS.items() if not isinstance(record.get(key), kind)]
    if wrong:
        raise DamagedRecordError(f"its '{wrong[0]}' is missing or wrong")
    if any(key in record for key in _OF_FORMAT_1) and not _is_sealed(record, text):
        raise DamagedRecordError("it was changed after it was written")
    return record


def read(file: Path) -> dict[str, Any]:
    """A record from its file.

    Raises:
        FileNotFoundError: if there is none.
        DamagedRecordError: if it does not say what was written.
        UserError: if a newer version of this software wrote it.
    """
    try:
        return parse(file.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DamagedRecordError(f"it is no JSON: {error}") from error


def contents_of(folder: Path) -> Contents:
    """Size and SHA-256 of every file below a folder; each is on the disk when this returns, and so are all names."""
    contents: Contents = {}
    for path in sorted(folder.rglob("*")):
        if path.is_dir():
            sync(path)
        else:
            contents[path.relative_to(folder).as_posix()] = describe(path, keep=True)
    sync(folder)
    return contents


def describe(file: Path, keep: bool = False) -> dict[str, Any]:
    """Size and SHA-256 of a file.

    Args:
        keep: wait until its content is on the disk.
    """
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        if keep:
            os.fsync(stream.fileno())
        return {"bytes": os.fstat(stream.fileno()).st_size, "sha256": digest}


def fingerprint(contents: Mapping[str, Mapping[str, Any]]) -> str:
    """One digest of all files in order of their names, whatever the names are; empty without files.

    Versions with the same fingerprint hold the same bytes; Spark's file names differ from run to run.
    """
    if not contents:
        return ""
    digests = (str(contents[name]["sha256"]) for name in sorted(contents) if not name.startswith(("_", ".")))
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def _is_sealed(record: Mapping[str, Any], text: str) -> bool:
    """Whether a record and its text are as `sealed` and `text_of` wrote them."""
    plain = {key: record[key] for key in record if key != _SEAL}
    return record.get(_SEAL) == _digest(plain) and text_of(record) == text


def _digest(plain: Mapping[str, Any]) -> str:
    return hashlib.sha256(text_of(plain).encode()).hexdigest()
