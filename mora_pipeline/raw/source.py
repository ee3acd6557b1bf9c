"""A raw table as region.yaml describes it: its files, and the column or expression of each role."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.storage import size_of

NUMBER, TEXT, TIME, CELL, GEOMETRY = "number", "text", "time", "cell", "geometry"  # the kinds of roles
FORMATS = ("csv", "parquet", "vector")


@dataclass(frozen=True)
class Source:
    """Files of one form and what plays each role (``latitude``, ``flow``, …).

    Attributes:
        format: ``csv``, ``parquet``, or ``vector`` (GeoPackage, Shapefile, GeoJSON, FlatGeobuf).
        columns: by role, a column or an expression of columns (`mora_pipeline.raw.expressions`).
        csv: what is declared of the dialect; the rest is taken from the head of each file.
        null: texts and numbers that mean that there is no value.
        where: the filter that rows must pass, or None.
        time_format: how times are written (`mora_pipeline.raw.times`), or None: as ISO 8601, or since 1970.
        crs: the coordinate system of a role ``geometry``; None: as the file says, else WGS 84.
        layer: of a vector file.
        name_pattern: how columns are written in the files' names, such as ``od_{year}.csv``.
        wide: the columns that hold the flow to a destination each, as a pattern (`mora_pipeline.raw.wide`).
        partitions: columns by file, of a table format whose log states them; else the file's folders do.
    """

    files: tuple[str, ...]
    format: str
    columns: Mapping[str, str]
    csv: Mapping[str, Any] = field(default_factory=dict)
    null: tuple[str, ...] = ()
    where: str | None = None
    time_format: str | None = None
    crs: str | None = None
    layer: str | None = None
    name_pattern: str | None = None
    partitions: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    wide: str | None = None

    @classmethod
    def parse(cls, params: Any, roles: set[str], where: str = "source") -> "Source":
        """The source that a parameter of a job describes.

        Raises:
            UserError: if it names no file, an unknown format, or lacks one of `roles`.
        """
        if not isinstance(params, Mapping) or not params.get("files"):
            raise UserError(f"{where} must name at least one file, its format and its columns.")
        own = {name: params[name] for name in cls.__dataclass_fields__ if params.get(name) is not None}
        own |= {"files": tuple(dict.fromkeys(params["files"])), "null": tuple(map(str, params.get("null") or ()))}
        source = cls(**{"format": "", "columns": {}, **own})
        if source.format not in FORMATS:
            raise UserError(f"{where}.format is '{source.format}': say {', '.join(FORMATS)}.")
        missing = sorted(roles - set(source.columns))
        if missing:
            raise UserError(
                f"{where}.columns lacks {', '.join(missing)}; it has {', '.join(source.columns) or 'none'}."
            )
        return source

    def size_in_bytes(self) -> int:
        return sum(map(size_of, self.files))

    def describe(self) -> str:
        more = f" and {len(self.files) - 1} more" if len(self.files) > 1 else ""
        return f"{self.files[0]}{more}" + (f" (where {self.where})" if self.where else "")


def checked_zone(name: str) -> None:
    """Refuse a name that is no time zone's.

    Raises:
        UserError: if there is none.
    """
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        raise UserError(f"time_zone is '{name}', which is not a time zone: say America/Santiago or UTC.") from None
