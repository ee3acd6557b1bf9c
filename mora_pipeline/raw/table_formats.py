"""The data files of tables that keep a log: Delta, by deltalake, and Iceberg, by pyiceberg."""

import json
import os
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.globs import real_path

ICEBERG_METADATA = re.compile(r"(?:v(\d+)|(\d+)-[0-9a-fA-F-]+)(?:\.gz)?\.metadata\.json")
_SHOWN = 300  # characters of a library's message
_NAMES = {"delta": "Delta", "iceberg": "Iceberg"}


def table_kind(folder: str, names: Collection[str] | None, said: str) -> str | None:
    """`delta` or `iceberg` if a folder is such a table.

    Args:
        names: of the folder's content, if they are known.
        said: start of the message.

    Raises:
        UserError: if it is a Hudi table.
    """

    def has(name: str) -> bool:
        return name in names if names is not None else os.path.isdir(f"{folder}/{name}")

    if has("_delta_log"):
        return "delta"
    if has(".hoodie"):
        raise UserError(
            f"{said}and {folder} is a Hudi table, whose files of old versions lie beside the current ones. Write the "
            "current version as plain Parquet, and name that folder."
        )
    return "iceberg" if has("metadata") and _metadata_files(folder) else None


def current_files(folder: str, kind: str, said: str) -> dict[str, dict[str, str]]:
    """The data files of the current version of a table: their paths below `folder`, and their partition columns.

    Args:
        kind: ``delta`` or ``iceberg``.
        said: start of the messages.

    Raises:
        UserError: if its package is missing, its log cannot be read, it has no file, or a file is missing or elsewhere;
            if rows are deleted or columns renamed in the log alone, which the files do not show.
    """
    where = f"{said}and {folder} is a table of {_NAMES[kind]} "
    with _package(kind, where):
        found = _delta(folder, where) if kind == "delta" else _iceberg(folder, where)
    if not found:
        raise UserError(f"{where}whose current version has no files. Write data to it.")
    checked, top, folders = {}, os.path.realpath(folder), dict[str, str]()
    for name, columns in found.items():
        path = _inside(folder, name)
        if path is None or not real_path(path, folders).startswith(f"{top}/"):
            raise UserError(f"{where}whose log names {name}, which is outside of it. Copy the table as a whole.")
        if not os.path.isfile(path):
            raise UserError(f"{where}whose log names {name}, which is not there. Copy the table as a whole.")
        checked[path] = columns
    return checked


@contextmanager
def _package(kind: str, where: str) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as lacking:
        raise UserError(f"{where}which needs the package {lacking.name}: pip install 'mora-pipeline[{kind}]'") from None


def _inside(folder: str, name: str) -> str | None:
    """Where a file of a log lies, below its folder; None if it is elsewhere."""
    if "://" in name or name.startswith("/") or ".." in name.split("/"):
        return None
    return f"{folder}/{name}"


def _delta(folder: str, where: str) -> dict[str, dict[str, str]]:
    import pyarrow as pa
    from deltalake import DeltaTable

    with _log(where):
        try:
            table = DeltaTable(folder)
        except Exception:
            if (files := _bare_log(folder)) is not None:
                return files
            raise
        mode = table.metadata().configuration.get("delta.columnMapping.mode", "none")
        features = table.protocol().reader_features or []
    if mode != "none":
        raise UserError(
            f"{where}with column mapping: its files have other column names. Write its current version as "
            "plain Parquet."
        )
    if "deletionVectors" in features and _has_deletion_vectors(table):
        raise UserError(
            f"{where}with deletion vectors: rows that are deleted are still in its files. Run REORG TABLE … APPLY "
            "(PURGE) on it, or write its current version as plain Parquet."
        )
    with _log(where):
        actions = pa.table(table.get_add_actions())
        actions = actions.select([name for name in ("path", "partition") if name in actions.column_names]).to_pylist()
    return {
        unquote(action["path"]): {
            name: _text(value) for name, value in (action.get("partition") or {}).items() if value is not None
        }
        for action in actions
    }


def _has_deletion_vectors(table: Any) -> bool:
    from deltalake.exceptions import DeltaError

    try:
        return any(batch.num_rows for batch in table.deletion_vectors())
    except DeltaError:  # there are some, and they cannot be read
        return True


@contextmanager
def _log(where: str) -> Iterator[None]:
    """Say that a log cannot be read, whatever its library raises: its classes of errors are many."""
    try:
        yield
    except (UserError, MemoryError):
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":  # of Rust
            raise
        said = " ".join(str(error).split())[:_SHOWN].rstrip(".")
        raise UserError(f"{where}whose log cannot be read: {said}. Copy the table again, as a whole.") from None


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _bare_log(folder: str) -> dict[str, dict[str, str]] | None:
    """The files by a log that is whole but names no schema, which deltalake refuses; None of any other log."""
    commits = sorted(Path(folder, "_delta_log").glob("*"))
    if [item.name for item in commits] != [f"{number:020}.json" for number in range(len(commits))]:
        return None
    files: dict[str, dict[str, str]] = {}
    try:
        lines = [line for commit in commits for line in commit.read_text(encoding="utf-8").splitlines()]
        for action in map(json.loads, filter(str.strip, lines)):
            if action.keys() & {"metaData", "protocol"}:
                return None
            if add := action.get("add"):
                values = add.get("partitionValues") or {}
                files[unquote(add["path"])] = {name: value for name, value in values.items() if value is not None}
            if remove := action.get("remove"):
                files.pop(unquote(remove["path"]), None)
    except (OSError, ValueError, KeyError, AttributeError):
        return None
    return files


def _metadata_files(folder: str) -> list[str]:
    try:
        return [name for name in os.listdir(f"{folder}/metadata") if ICEBERG_METADATA.fullmatch(name)]
    except OSError:
        return []


def _iceberg(folder: str, where: str) -> dict[str, dict[str, str]]:
    from mora_pipeline.raw.iceberg_folder import FolderIO, newest_metadata

    with _log(where):
        metadata = newest_metadata(folder, _metadata_files(folder))
        io, snapshot = FolderIO(folder, metadata.location), metadata.current_snapshot()
        manifests = snapshot.manifests(io) if snapshot else []
        entries = [(each, entry) for each in manifests for entry in each.fetch_manifest_entry(io)]
        relative = [io.relative(entry.data_file.file_path) for _, entry in entries]
    if any(manifest.content.name == "DELETES" for manifest, _ in entries):
        raise UserError(
            f"{where}with delete files: rows that are deleted are still in its data files. Rewrite its data files "
            "(rewrite_data_files), or write its current version as plain Parquet."
        )
    if renamed := _renamed(metadata):
        raise UserError(
            f"{where}whose column {renamed} has another name in files written before. Write its current version as "
            "plain Parquet."
        )
    formats = {str(entry.data_file.file_format.value).upper() for _, entry in entries} - {"PARQUET"}
    if formats:
        raise UserError(f"{where}whose files are {min(formats)}. Write its current version as plain Parquet.")
    schema, specs = metadata.schema(), metadata.specs()
    files = {}
    for (manifest, entry), path in zip(entries, relative, strict=True):
        fields, partition = specs[manifest.partition_spec_id].fields, entry.data_file.partition
        files[path] = {
            schema.find_field(field.source_id).name: field.transform.to_human_string(
                schema.find_type(field.source_id), partition[number]
            )
            for number, field in enumerate(fields)
            if str(field.transform) == "identity"
            and partition[number] is not None
            and schema.find_column_name(field.source_id) is not None
        }
    return files


def _renamed(metadata: Any) -> str | None:
    """A current column that an earlier schema has under another name, or whose name was another column's."""
    current = {field.field_id: field.name for field in metadata.schema().fields}
    earlier = {(field.field_id, field.name) for schema in metadata.schemas for field in schema.fields}
    for number, name in sorted(earlier):
        if current.get(number, name) != name or (number not in current and name in current.values()):
            return current.get(number, name)
    return None
