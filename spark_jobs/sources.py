"""Raw files as they are, CSV or Parquet, read into columns of known types, one a role."""

import csv
import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import Column, DataFrame, SparkSession, types
from pyspark.sql import functions as sql

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.names import did_you_mean
from mora_pipeline.contract.times import WRITTEN_EPOCH, WRITTEN_ZONE
from spark_jobs.remote import columns_in_nanoseconds, is_remote, size_in_bytes

NUMBER, TEXT, TIME = "number", "text", "time"
WALL_CLOCK_NANOSECONDS = "timestamp[ns]"
WRITTEN_DATE = r"^\s*\d{4}-\d{1,2}"


@dataclass(frozen=True)
class Source:
    """Files of one form and the column that plays each role (``latitude``, ``flow``, …)."""

    files: tuple[str, ...]
    format: str
    columns: Mapping[str, str]

    @classmethod
    def parse(cls, params: Any, roles: set[str], where: str = "source") -> "Source":
        """The source that a parameter describes.

        Raises:
            UserError: if it names no file, another format than csv or parquet, or lacks one of `roles`.
        """
        if not isinstance(params, Mapping) or not params.get("files"):
            raise UserError(f"{where} must name at least one file, its format and its columns.")
        source = cls(tuple(dict.fromkeys(params["files"])), params.get("format", ""), dict(params.get("columns") or {}))
        if source.format not in ("csv", "parquet"):
            raise UserError(f"{where}.format is '{source.format}': say csv or parquet.")
        missing = sorted(roles - set(source.columns))
        if missing:
            raise UserError(
                f"{where}.columns lacks {', '.join(missing)}; it has {', '.join(source.columns) or 'none'}."
            )
        return source

    def size_in_bytes(self, spark: SparkSession) -> int:
        return sum(size_in_bytes(spark, file) if is_remote(file) else Path(file).stat().st_size for file in self.files)

    def describe(self) -> str:
        more = f" and {len(self.files) - 1} more" if len(self.files) > 1 else ""
        return f"{self.files[0]}{more}"


def read_source(
    spark: SparkSession, source: Source, kinds: Mapping[str, str], time_zone: str | None = None
) -> DataFrame:
    """Read files into one column a role.

    Files may differ in the order of their columns and in the types of these: each is cast by itself. A value that
    does not fit its role becomes null, for the caller to validate.

    Args:
        kinds: the role's kind: NUMBER (double), TEXT (trimmed string, null where empty; whole numbers without a
            decimal point, leading zeros of strings kept) or TIME (microseconds since 1970, UTC).
        time_zone: the zone of times that carry none.

    Returns:
        The roles that the source has; ``<role>_zoneless`` (true: the time has no zone and none was declared) for
        TIME; ``source``, the file; ``row``, the raw values of these columns as JSON.

    Raises:
        UserError: if a file is missing, unreadable or lacks a column, or the zone is unknown.
    """
    groups = read_groups(spark, source, kinds, time_zone)
    return reduce(DataFrame.unionByName, [each.withColumn("row", as_json("values")).drop("values") for each in groups])


def as_json(values: str) -> Column:
    """A struct of raw values as JSON."""
    return sql.to_json(values, {"ignoreNullFields": "false"})


def read_groups(
    spark: SparkSession, source: Source, kinds: Mapping[str, str], time_zone: str | None = None
) -> list[DataFrame]:
    """As `read_source`, apart for files of different types, with ``values``, a struct, instead of ``row``."""
    if time_zone is not None:
        checked_zone(time_zone)
    used = {role: column for role, column in source.columns.items() if role in kinds}
    frames = []
    for files, stored in _alike(spark, source, list(used.values())):
        raw = _open(spark, source.format, files)
        wall_clock = {role for role, column in used.items() if stored[column] == WALL_CLOCK_NANOSECONDS}
        columns = [sql.col(f"`{column.replace('`', '``')}`").alias(role) for role, column in used.items()]
        raw = raw.select(*columns, "_metadata.file_path")
        frames.append(raw.select(*_typed(raw, used, kinds, time_zone, wall_clock)))
    return frames


def _typed(
    raw: DataFrame, used: Mapping[str, str], kinds: Mapping[str, str], time_zone: str | None, wall_clock: set[str]
) -> list[Column]:
    stored = {column.name: column.dataType for column in raw.schema}
    typed: list[Column] = []
    for role in used:
        if kinds[role] == NUMBER:
            typed.append(_number(sql.col(role)).alias(role))
        elif kinds[role] == TEXT:
            typed.append(_text(sql.col(role), stored[role]).alias(role))
        else:
            value, kind = sql.col(role), stored[role]
            if role in wall_clock:  # Spark reads nanoseconds as a bare number
                value, kind = sql.timestamp_micros(sql.floor(value / 1000)), types.TimestampNTZType()
            moment, zoneless = _moment(value, kind, time_zone)
            typed += [moment.alias(role), zoneless.alias(f"{role}_zoneless")]
    path = sql.regexp_replace(sql.url_decode(sql.regexp_replace("file_path", r"\+", "%2B")), r"^file:/+", "/")
    once = {column: role for role, column in used.items()}  # a column may play two roles
    values = sql.struct(*(sql.col(role).alias(column) for column, role in once.items()))
    return [*typed, path.alias("source"), values.alias("values")]


def _number(value: Column) -> Column:
    return value.try_cast("double")


def _text(value: Column, kind: types.DataType) -> Column:
    if isinstance(kind, types.FloatType | types.DoubleType):
        whole = sql.when(value == sql.floor(value), value.try_cast("bigint").cast("string"))
        value = sql.coalesce(whole, sql.when(~sql.isnan(value), value.cast("string")))
    trimmed = sql.trim(value.cast("string"))
    return sql.when(trimmed != "", trimmed)


def _moment(value: Column, kind: types.DataType, time_zone: str | None) -> tuple[Column, Column]:
    """Microseconds since 1970 UTC, and whether the value lacks a zone that nobody declared."""
    never = sql.lit(False)
    if isinstance(kind, types.TimestampType):
        return sql.unix_micros(value), never
    if isinstance(kind, types.TimestampNTZType | types.DateType):
        return _local(value.cast("timestamp"), time_zone), sql.lit(time_zone is None)
    if not isinstance(kind, types.StringType):
        return _epoch(value.try_cast("double")), never
    colon_in_zone = sql.regexp_replace(sql.trim(value), r"(:\d{2}(?:\.\d+)?\s?[+-]\d{2})(\d{2})$", "$1:$2")
    instant = sql.when(value.rlike(WRITTEN_DATE), colon_in_zone.try_cast("timestamp"))
    written_zone = value.rlike(WRITTEN_ZONE)
    moment = (
        sql.when(value.rlike(WRITTEN_EPOCH), _epoch(value.try_cast("double")))
        .when(written_zone, sql.unix_micros(instant))
        .otherwise(_local(instant, time_zone))
    )
    if time_zone is not None:
        return moment, never
    return moment, instant.isNotNull() & ~written_zone


def _local(instant: Column, time_zone: str | None) -> Column:
    """A wall clock time, read as UTC by the session, as an instant."""
    return sql.unix_micros(sql.to_utc_timestamp(instant, time_zone) if time_zone else instant)


def _epoch(value: Column) -> Column:
    """Seconds, milliseconds, microseconds or nanoseconds since 1970, distinguished by their size (1973 to 5138)."""
    seconds, milliseconds, microseconds = 1e11, 1e14, 1e17
    scaled = (
        sql.when(sql.abs(value) < seconds, value * 1e6)
        .when(sql.abs(value) < milliseconds, value * 1e3)
        .when(sql.abs(value) < microseconds, value)
        .otherwise(value / 1e3)
    )
    return sql.when(~sql.isnan(value), scaled).try_cast("bigint")


def checked_zone(name: str) -> None:
    """Refuse a name that is no time zone's.

    Raises:
        UserError: if there is none.
    """
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        raise UserError(f"time_zone is '{name}', which is not a time zone: say America/Santiago or UTC.") from None


def _open(spark: SparkSession, form: str, files: list[str]) -> DataFrame:
    # No globbing: the paths are files already, and a name may hold [ or {. No folders read as partitions either.
    reader = spark.read.option("__globPaths__", "false").option("recursiveFileLookup", "true")
    if form == "parquet":
        return reader.parquet(*files)
    frame = reader.csv(files, header=True, inferSchema=False, enforceSchema=True, escape='"', mode="PERMISSIVE")
    return frame.toDF(*(name.removeprefix("\ufeff") for name in frame.columns))


def _header(spark: SparkSession, source: Source, file: str) -> dict[str, str]:
    """The columns of a file and the names of their types."""
    if is_remote(file):
        header = {column.name: column.dataType.simpleString() for column in _open(spark, source.format, [file]).schema}
        if source.format == "parquet":
            header |= dict.fromkeys(columns_in_nanoseconds(spark, file), WALL_CLOCK_NANOSECONDS)
        return header
    return _parquet_columns(file) if source.format == "parquet" else dict.fromkeys(_csv_header(file), "string")


def _alike(spark: SparkSession, source: Source, columns: list[str]) -> list[tuple[list[str], dict[str, str]]]:
    """The files in groups that Spark can read with one schema, and the types of the columns in each."""
    groups: dict[Any, tuple[list[str], dict[str, str]]] = {}
    for file in source.files:
        header = _header(spark, source, file)
        for column in columns:
            if column not in header:
                near = did_you_mean(column, list(header))
                raise UserError(f"{file} has no column '{column}'; it has {', '.join(header)}.{near}")
        # Parquet is read by name, CSV by position.
        likeness = tuple(header[name] for name in columns) if source.format == "parquet" else tuple(header)
        groups.setdefault(likeness, ([], header))[0].append(file)
    return list(groups.values())


def _parquet_columns(file: str) -> dict[str, str]:
    try:
        return {column.name: str(column.type) for column in pq.read_schema(file)}
    except FileNotFoundError:
        raise UserError(f"{file} does not exist.") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{file} cannot be read as Parquet ({error}). Is it whole? Fetch it again.") from None


def _csv_header(file: str) -> list[str]:
    opener = gzip.open if file.endswith(".gz") else open
    try:
        with opener(file, "rt", encoding="utf-8-sig", errors="replace", newline="") as stream:
            header = next(csv.reader(stream), [])
    except FileNotFoundError:
        raise UserError(f"{file} does not exist.") from None
    except (OSError, EOFError) as error:
        raise UserError(f"{file} cannot be read as CSV ({error}). Is it whole? Fetch it again.") from None
    if not header:
        raise UserError(f"{file} is empty: a CSV file starts with a line of column names.")
    return header
