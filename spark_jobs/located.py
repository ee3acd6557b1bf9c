"""Rows at a point or in a place: validated, then gridded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.places import look_up_cells
from mora_pipeline.raw.rule_sets import POINT_ROLES, located_rules
from mora_pipeline.raw.rules import Rule
from mora_pipeline.raw.source import TEXT, Source
from mora_pipeline.raw.validator import Derive
from spark_jobs.gridding import read_places
from spark_jobs.h3_columns import latlng_to_cell
from spark_jobs.report import parameter
from spark_jobs.validation import ValidatedRows


@dataclass(frozen=True)
class Located:
    """Good rows with their ``cell``, and the sources they come from, the main one first."""

    rows: DataFrame
    sources: list[ValidatedRows]


def read_located(
    spark: SparkSession,
    params: Mapping[str, Any],
    source: Source,
    kinds: Mapping[str, str],
    derive: Derive | None,
    derived: Mapping[str, str],
    rules: Sequence[Rule],
    columns: Sequence[str],
    amount: str | None,
) -> Located:
    """Read, validate and grid rows.

    Args:
        params: of the job: ``resolution``, and ``places`` where the source has the role place.
        kinds: of the roles beside latitude, longitude and place.
        derive, derived: as of `ValidatedRows`.
        rules: beside those of the location.
        columns: to keep beside ``cell``.
        amount: as of `Validator`.

    Raises:
        UserError: if the source has neither coordinates nor a place, or as `SourceReader.of`.
    """
    roles = {role: kind for role, kind in kinds.items() if role in source.columns}
    if {"latitude", "longitude"} <= set(source.columns):
        every = [*located_rules(()), *rules]
        validated = ValidatedRows(
            spark, source, {**roles, **POINT_ROLES}, every, derive=derive, derived=derived, amount=amount
        )
        cell = latlng_to_cell("latitude", "longitude", params["resolution"]).alias("cell")
        return Located(validated.good(*POINT_ROLES, *columns).select(cell, *columns), [validated])
    if "place" not in source.columns:
        raise UserError("source.columns needs latitude and longitude, or place (an id of the table of places).")
    places, of_places = read_places(spark, parameter(params, "places"), params["resolution"])
    every = [*located_rules(("place",)), *rules]
    in_place = partial(_in_place, places=places, derive=derive)
    types = {**derived, "cell": "long"}
    validated = ValidatedRows(
        spark, source, {**roles, "place": TEXT}, every, derive=in_place, derived=types, amount=amount
    )
    return Located(validated.good("cell", *columns), [validated, of_places])


def _in_place(rows: pa.RecordBatch, places: pa.Table, derive: Derive | None) -> pa.RecordBatch:
    rows = look_up_cells(rows, {"place": "cell"}, places)
    return derive(rows) if derive else rows
