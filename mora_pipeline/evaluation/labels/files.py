"""Reads the files of labels: columns by role, ids as text, places and coordinates as rows of `cells`."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from h3ronpy.vector import coordinates_to_cells

from mora_pipeline.contract.cells import find_rows
from mora_pipeline.contract.errors import UserError
from mora_pipeline.region import RegionConfig
from mora_pipeline.region.columns import Checker

IDS = {"id", "place", "group"}  # roles that hold ids; all others hold numbers
Rows = npt.NDArray[np.int64]
UNKNOWN = -1


def read_roles(config: RegionConfig, key: str, path: str, roles: Mapping[str, str | None]) -> pd.DataFrame:
    """The columns of a table of region.yaml, named by role.

    Args:
        key: where region.yaml names the table, such as ``tasks.income``.
        path: file, folder or glob.
        roles: column by role; roles without a column are left out.

    Returns:
        A column a role: ids as text (None where there is none), everything else as float64 (NaN where it is no number).

    Raises:
        UserError: if a file or column is missing, or a file is damaged.
    """
    wanted = {role: column for role, column in roles.items() if column is not None}
    files = Checker(config.base, config.file.name).columns(key, f"{key}.path", path, wanted)
    return pd.concat([_read_file(file.path, file.format, wanted) for file in files], ignore_index=True)


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


def _read_file(path: Path, kind: str, roles: Mapping[str, str]) -> pd.DataFrame:
    columns = sorted(set(roles.values()))
    try:
        table = _read_csv(path, columns) if kind == "csv" else _read_parquet(path, columns)
    except (pa.ArrowException, OSError, EOFError, ValueError) as error:
        raise UserError(
            f"{path} cannot be read: {str(error).splitlines()[0]} "
            "It may be cut short or damaged; copy or write it again."
        ) from None
    return pd.DataFrame(
        {role: _text(table[column]) if role in IDS else _numbers(table[column]) for role, column in roles.items()}
    )


def _read_csv(path: Path, columns: list[str]) -> dict[str, pd.Series]:
    table = pd.read_csv(path, usecols=columns, dtype=str, encoding="utf-8-sig", keep_default_na=False, na_values=[""])
    return {column: table[column] for column in columns}


def _read_parquet(path: Path, columns: list[str]) -> dict[str, pd.Series]:
    table = pq.read_table(path, columns=columns, partitioning=None)
    return {column: _plain(table[column]) for column in columns}


def _plain(column: pa.ChunkedArray) -> pd.Series:
    """A pandas column without categories and decimals; whole numbers stay whole where some are missing."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_decimal(column.type):
        column = pc.cast(column, pa.float64())
    return column.to_pandas(types_mapper=_whole)


def _whole(kind: pa.DataType) -> pd.api.extensions.ExtensionDtype | None:
    if pa.types.is_unsigned_integer(kind):
        return pd.UInt64Dtype()
    return pd.Int64Dtype() if pa.types.is_signed_integer(kind) else None


def _numbers(column: pd.Series) -> pd.Series:
    numbers = pd.to_numeric(column, errors="coerce").astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan)
    return pd.Series(np.where(np.isfinite(numbers), numbers, np.nan))


def _text(column: pd.Series) -> pd.Series:
    """Ids as text: 7, 7.0 and '7' are one id; '007' is another until `match_ids` finds that it is not."""
    missing = column.isna().to_numpy()
    if pd.api.types.is_float_dtype(column.dtype):
        numbers = column.to_numpy(dtype=np.float64, na_value=np.nan)
        whole = (numbers == np.floor(numbers)) & (np.abs(numbers) < 2**53)
        column = column.astype(object)
        column[whole] = numbers[whole].astype(np.int64).astype(object)
    texts = column.astype(str).str.strip().to_numpy(dtype=object)
    texts[missing | (texts == "")] = None
    return pd.Series(texts, dtype=object)


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
