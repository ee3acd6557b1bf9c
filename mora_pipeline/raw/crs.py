"""Coordinate reference systems: which one a file states, and from there to degrees."""

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.extras import geo_extra
from mora_pipeline.raw.storage import opened

DEGREES = "OGC:CRS84"  # longitude and latitude on WGS 84, in this order
Floats = npt.NDArray[np.float64]


def parquet_crs(file: str, column: str) -> str | None:
    """The CRS of a geometry column of a Parquet file: GeoParquet's metadata, or Parquet's own geometry type.

    Returns:
        text for `to_degrees`; `DEGREES` where the file states none, as both formats define; None where the file says
        that its CRS is unknown.
    """
    with opened(file) as stream:
        parquet = pq.ParquetFile(stream)
    metadata = parquet.metadata.metadata or {}
    if b"geo" in metadata:
        described = _json(metadata[b"geo"]).get("columns", {}).get(column)
        if isinstance(described, dict):
            crs = described.get("crs", DEGREES)
            return None if crs is None else crs if isinstance(crs, str) else json.dumps(crs)
    own = next((part for part in parquet.schema if part.path == column), None)
    stated = _json(own.logical_type.to_json()).get("crs") if own is not None else None
    return _of_logical_type(str(stated), metadata) if stated else DEGREES


def parquet_geometry(file: str) -> str | None:
    """GeoParquet's primary column; None where the file has no such metadata."""
    metadata = pq.read_metadata(file).metadata or {}
    primary = _json(metadata.get(b"geo", b"{}")).get("primary_column")
    return primary if isinstance(primary, str) else None


def _of_logical_type(stated: str, metadata: Mapping[bytes, bytes]) -> str | None:
    """``srid:5070``, ``projjson:<key of the file's metadata>``, or any text that names a CRS."""
    kind, _, name = stated.partition(":")
    if kind == "srid":
        return None if name == "0" else f"EPSG:{name}"
    if kind == "projjson":
        return metadata.get(name.encode(), b"").decode() or None
    return stated


def _json(text: bytes | str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def checked_crs(crs: str, where: str) -> str:
    """A declared CRS.

    Args:
        where: that states it, the subject of the message.

    Raises:
        UserError: if nobody knows it.
    """
    with geo_extra("Coordinate reference systems"):
        import pyproj
    try:
        pyproj.CRS.from_user_input(crs)
    except pyproj.exceptions.CRSError:
        raise UserError(
            f"{where} is {crs!r}, which is no coordinate reference system. Say it as EPSG:2263, for example; "
            "https://epsg.io lists them."
        ) from None
    return crs


def stated_crs(in_file: str | None, declared: str | None, file: str) -> str:
    """The CRS to read coordinates by: the declared one, else the file's.

    Args:
        in_file: what the file states, None where it states nothing.

    Raises:
        UserError: if there is neither.
    """
    if declared is not None:
        return checked_crs(declared, "crs")
    if in_file is not None:
        return in_file
    lacking = ".prj file" if Path(file).suffix.lower() == ".shp" else "coordinate reference system"
    raise UserError(
        f"{file} has no {lacking}, so what its coordinates mean is unknown. Declare it beside the path: "
        "crs: EPSG:4326 for degrees, for example."
    )


def to_degrees(x: Floats, y: Floats, crs: str | None) -> tuple[Floats, Floats]:
    """Latitude and longitude, degrees of WGS 84, of points; NaN where a point lies on no globe.

    Args:
        x, y: float64 [n], in the order easting (or longitude), northing (or latitude).
        crs: of x and y; None means degrees.

    Raises:
        UserError: if the CRS is none.
    """
    longitude, latitude = transformed(x, y, crs)
    with np.errstate(invalid="ignore"):
        lost = ~((np.abs(latitude) <= 90) & (np.abs(longitude) <= 180))
    return np.where(lost, np.nan, latitude), np.where(lost, np.nan, longitude)


def transformed(x: Floats, y: Floats, crs: str | None) -> tuple[Floats, Floats]:
    """Longitude and latitude of points of a CRS, as `to_degrees`, on the globe or not."""
    return (x, y) if crs is None or in_degrees(crs) else _transformer(crs).transform(x, y)


@lru_cache(maxsize=64)
def in_degrees(crs: str) -> bool:
    """Whether coordinates of a CRS are degrees of WGS 84 already."""
    if crs in (DEGREES, "EPSG:4326"):
        return True
    checked_crs(crs, "crs")
    import pyproj

    return pyproj.CRS.from_user_input(crs).equals(pyproj.CRS.from_epsg(4326), ignore_axis_order=True)


@lru_cache(maxsize=64)
def metres_per_unit(crs: str | None) -> float | None:
    """Metres of one unit of a projected CRS; None where the units are degrees."""
    if crs is None or in_degrees(crs):
        return None
    import pyproj

    system = pyproj.CRS.from_user_input(crs)
    return None if system.is_geographic else float(system.axis_info[0].unit_conversion_factor)


@lru_cache(maxsize=64)
def _transformer(crs: str) -> Any:
    import pyproj

    return pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True)


def crs_of_srid(srid: int) -> str | None:
    """The CRS of the SRID of an EWKB; None for 0, which means none."""
    return f"EPSG:{srid}" if srid else None
