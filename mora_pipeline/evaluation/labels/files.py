"""Reads the files of labels: columns by role, ids as text, places and coordinates as rows of `cells`."""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from h3ronpy.vector import coordinates_to_cells

from mora_pipeline.contract.cells import find_rows
from mora_pipeline.raw.labels import Unreadable
from mora_pipeline.raw.reader import SourceReader
from mora_pipeline.raw.source import CELL, GEOMETRY, NUMBER, TEXT, Source
from mora_pipeline.region import RegionConfig
from mora_pipeline.region.columns import Checker
from mora_pipeline.region.jobs import source_of
from mora_pipeline.region.sections import RawTable

KINDS = {"cell": CELL, "geometry": GEOMETRY}  # roles that hold neither ids nor numbers
IDS = {"id", "place", "group"}  # roles that hold ids; all others hold numbers
Rows = npt.NDArray[np.int64]
UNKNOWN = -1


def read_roles(config: RegionConfig, key: str, table: RawTable, roles: Mapping[str, str | None]) -> pd.DataFrame:
    """The columns of a table of region.yaml, named by role.

    Args:
        key: where region.yaml names the table, such as ``tasks.income``.
        roles: column or expression by role; roles without one are left out.

    Returns:
        A column a role: ids as text (None where there is none), numbers as float64 (NaN where it is none), cells as
        Int64, geometries as WKB in degrees (None where there is no area) with latitude and longitude beside them.

    Raises:
        UserError: if a file or column is missing, a file is damaged, or more labels than 1 % are no numbers.
    """
    wanted = {role: column for role, column in roles.items() if column is not None}
    Checker(config.base_of(table), config.file.name).columns(key, f"{key}.path", table, wanted)
    kinds = {role: KINDS.get(role, TEXT if role in IDS else NUMBER) for role in wanted}
    source = Source.parse(source_of(config, table, wanted), set(), key)
    reader = SourceReader.of(source, kinds)
    names = [*wanted, *(("latitude", "longitude") if "geometry" in wanted else ())]
    rows, unreadable = list[pa.RecordBatch](), Unreadable()
    for typed, raw in reader.read_all():
        rows.append(typed.select(names))
        if "column" in wanted:
            unreadable.add(reader, "column", typed, raw)
    unreadable.check(f"{config.file.name}: {key}.column is '{roles.get('column')}'")
    columns = {}
    for role in names:
        values = [_plain(batch[role], kinds.get(role, NUMBER)) for batch in rows] or [np.empty(0)]
        dtypes: dict[str, Any] = {TEXT: object, GEOMETRY: object, CELL: "Int64"}
        columns[role] = pd.Series(np.concatenate(values), dtype=dtypes.get(kinds.get(role, NUMBER), float))
    return pd.DataFrame(columns)


def label_digests(config: RegionConfig) -> dict[str, str]:
    """The first 16 hex digits of the SHA-256 of each task's files, one after another, by their path in region.yaml."""
    digests: dict[str, str] = {}
    for path in sorted({task.path for task in config.tasks.values()}):
        digest = hashlib.sha256()
        for file in config.files(path):
            with file.open("rb") as opened:
                while block := opened.read(1 << 20):
                    digest.update(block)
        digests[path] = digest.hexdigest()[:16]
    return digests


def _plain(values: pa.Array, kind: str) -> npt.NDArray[Any]:
    if kind == TEXT:
        values = values.cast(pa.string())
    if kind != NUMBER:
        return np.array([*values.to_pylist(), None], dtype=object)[:-1]  # of objects, whatever they are
    numbers = values.to_numpy(zero_copy_only=False)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def match_ids(ids: pd.Series, known: pd.Series) -> Rows:
    """The position of each id among the known ones.

    Ids are compared as text. Files often lose the leading zeros of ids ('01001' written as the number 1001); where
    that would leave ids unknown, leading zeros are ignored, provided that this makes no two ids of a side the same.

    Args:
        ids: text or None.
        known: text, no two the same.

    Returns:
        Positions in `known`, int64 [ids]; UNKNOWN where there is none.
    """
    exact = _positions(ids, known)
    if (exact != UNKNOWN).all():
        return exact
    short_ids, short_known = ids.str.lstrip("0"), known.str.lstrip("0")
    if short_known.duplicated().any() or short_ids.nunique() != ids.nunique():
        return exact
    loose = _positions(short_ids, short_known)
    return loose if np.count_nonzero(loose != UNKNOWN) > np.count_nonzero(exact != UNKNOWN) else exact


def _positions(ids: pd.Series, known: pd.Series) -> Rows:
    positions = np.asarray(pd.Index(known).get_indexer(pd.Index(ids)), dtype=np.int64)
    positions[ids.isna().to_numpy()] = UNKNOWN
    return positions


def cell_rows(latitude: pd.Series, longitude: pd.Series, resolution: int, cells: npt.NDArray[np.int64]) -> Rows:
    """Rows of `cells` that hold the points; UNKNOWN for points elsewhere, on no globe or without coordinates.

    Args:
        latitude, longitude: degrees.
        resolution: H3 resolution of `cells`.
        cells: int64 [N], ascending.
    """
    north, east = latitude.to_numpy(dtype=np.float64), longitude.to_numpy(dtype=np.float64)
    rows = np.full(len(north), UNKNOWN, dtype=np.int64)
    valid = (np.abs(north) <= 90) & (np.abs(east) <= 180)  # false for NaN
    if valid.any():
        own = np.asarray(coordinates_to_cells(north[valid], east[valid], resolution)).astype(np.int64)
        position, known = find_rows(cells, own)
        rows[valid] = np.where(known, position, UNKNOWN)
    return rows
