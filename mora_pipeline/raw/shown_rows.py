"""Raw rows as texts: with pseudonyms for users, for the quarantine; by the shapes of values alone, for messages."""

import json
from collections.abc import Collection, Mapping
from typing import Any

import pyarrow as pa

from mora_pipeline.contract.quoting import shape
from mora_pipeline.raw.csv_files import MALFORMED
from mora_pipeline.raw.pseudonyms import pseudonym

RECORD = "record"  # the key of a malformed record


def as_json(raw: pa.RecordBatch, users: Collection[str] = (), key: bytes = b"") -> pa.Array:
    """Raw rows as JSON texts: a record that is malformed as it is written, any other by column.

    Args:
        users: the columns that say who somebody is: pseudonyms stand in their place. Of a malformed record nobody
            knows where they are: its shape is shown.
        key: of the pseudonyms.
    """
    rows = [_told(row) for row in raw.to_pylist()]
    if users:
        rows = [_hidden(row, users, key) for row in rows]
    return pa.array([_written(row) for row in rows], pa.string())


def as_shapes(raw: pa.RecordBatch) -> pa.Array:
    """As `as_json`, with the shape of each value in its place."""
    return pa.array([_written(_shapes(_told(row))) for row in raw.to_pylist()], pa.string())


def shapes_of(row: str) -> str:
    """What `as_json` gave of a row, with the shape of each value in its place."""
    return _written(_shapes(json.loads(row)))


def _told(row: dict[str, Any]) -> dict[str, Any]:
    text = row.pop(MALFORMED, None)
    return {RECORD: text} if text is not None else row


def _hidden(row: Mapping[str, Any], users: Collection[str], key: bytes) -> dict[str, Any]:
    if RECORD in row and RECORD not in users and len(row) == 1:
        return {RECORD: shape(row[RECORD])}
    return {
        name: pseudonym(key, value) if name in users and value not in (None, "") else value
        for name, value in row.items()
    }


def _shapes(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value if value is None else shape(value) for name, value in row.items()}


def _written(row: Mapping[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False, default=_shown)


def _shown(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
