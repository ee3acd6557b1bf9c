"""Rows that lie somewhere, by their coordinates or by their place: judged, then gridded."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as sql

from mora_pipeline.contract.errors import UserError
from spark_jobs.gridding import read_places, with_cells
from spark_jobs.report import parameter
from spark_jobs.sources import NUMBER, TEXT, Source, read_source
from spark_jobs.validation import NO_ID, UNKNOWN_PLACE, Rule, ValidatedRows, coordinate_rules


@dataclass(frozen=True)
class Located:
    """Good rows with their ``cell``, and the sources they come from, the main one first."""

    rows: DataFrame
    judged: list[ValidatedRows]


def read_located(
    spark: SparkSession,
    params: Mapping[str, Any],
    source: Source,
    kinds: Mapping[str, str],
    derived: Mapping[str, Column],
    rules: list[Rule],
    columns: list[str],
) -> Located:
    """Read, judge and grid rows.

    Args:
        params: of the job: ``resolution``, and ``places`` where the source has the role place.
        kinds: of the roles beside latitude, longitude and place.
        derived: columns to add before judging.
        rules: beside those of the location.
        columns: to keep beside ``cell``.

    Raises:
        UserError: if the source has neither coordinates nor a place, or as `read_source`.
    """
    if {"latitude", "longitude"} <= set(source.columns):
        raw = read_source(spark, source, {**kinds, "latitude": NUMBER, "longitude": NUMBER})
        every = [*coordinate_rules("latitude", "longitude"), *rules]
        judged = ValidatedRows(source.describe(), lambda: (every, raw.withColumns(dict(derived))))
        good = judged.good("latitude", "longitude", *columns)
        return Located(with_cells(good, {"cell": ("latitude", "longitude")}, params["resolution"]), [judged])
    if "place" not in source.columns:
        raise UserError("source.columns needs latitude and longitude, or place (an id of the table of places).")
    places = read_places(spark, parameter(params, "places"), params["resolution"])
    raw = places.look_up(read_source(spark, source, {**kinds, "place": TEXT}), "place", "cell")
    every = [(sql.col("place").isNull(), NO_ID), (sql.col("cell").isNull(), UNKNOWN_PLACE), *rules]
    judged = ValidatedRows(source.describe(), lambda: (every, raw.withColumns(dict(derived))))
    return Located(judged.good("cell", *columns), [judged, places.judged])
