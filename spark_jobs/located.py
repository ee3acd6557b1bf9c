"""Rows at a point, with a geometry, in a cell or in a place: validated, then gridded."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.cells import Spread
from mora_pipeline.raw.places import Places, spread_of
from mora_pipeline.raw.rule_sets import LOCATIONS, POINT_ROLES, located_roles, located_rules
from mora_pipeline.raw.rules import Rule
from mora_pipeline.raw.source import Source
from mora_pipeline.raw.validator import Derive
from spark_jobs.gridding import read_places
from spark_jobs.h3_columns import latlng_to_cell
from spark_jobs.report import parameter
from spark_jobs.validation import ValidatedRows, selected

SHARE, FIRST = "share", "first"
ROWS_AT_ONCE = 1 << 14  # spread at a time: each may have many cells


@dataclass(frozen=True)
class Located:
    """Good rows with their ``cell``, and the sources they come from, the main one first.

    Attributes:
        spread: whether a row may lie in several cells. It comes once for each of them then, with its ``share`` there;
            ``first`` is true for one of them.
        places: where rows lie in places, else None.
    """

    rows: DataFrame
    sources: list[ValidatedRows]
    spread: bool = False
    places: Places | None = None


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
        kinds: of the roles beside those of the location.
        derive, derived: as of `ValidatedRows`.
        rules: beside those of the location.
        columns: to keep beside ``cell``.
        amount: as of `Validator`.

    Raises:
        UserError: if nothing says where rows are, or as `SourceReader.of`.
    """
    if not {"latitude", "longitude"} <= set(source.columns) and not LOCATIONS.keys() & set(source.columns):
        raise UserError(
            "source.columns needs latitude and longitude, or place (an id of the table of places), geometry or cell."
        )
    resolution, places, of_places = params["resolution"], None, list[ValidatedRows]()
    located = located_roles(source.columns)
    if "place" in located:
        places, rows = read_places(spark, parameter(params, "places"), resolution)
        of_places = [rows]
        derive, derived = partial(_in_place, places=places, derive=derive), {**derived, "cell": "long"}
    roles = {**{role: kind for role, kind in kinds.items() if role in source.columns}, **located}
    every = [*located_rules(located), *rules]
    validated = ValidatedRows(spark, source, roles, every, derive=derive, derived=derived, amount=amount)
    sources = [validated, *of_places]
    if located == POINT_ROLES:
        cell = latlng_to_cell("latitude", "longitude", resolution).alias("cell")
        return Located(validated.good(*POINT_ROLES, *columns).select(cell, *columns), sources)
    if places is not None and places.single:
        return Located(validated.good("cell", *columns), sources, places=places)
    spreading = (
        partial(_spread_of_places, places=places) if places is not None else partial(spread_of, resolution=resolution)
    )
    types = validated.types(*columns)
    schema = ", ".join(
        f"{name} {kind}" for name, kind in {"cell": "long", SHARE: "double", FIRST: "boolean", **types}.items()
    )
    return Located(
        validated.mapped(partial(spread_rows, spreading=spreading, types=types), schema), sources, True, places
    )


def _in_place(rows: pa.RecordBatch, places: Places, derive: Derive | None) -> pa.RecordBatch:
    rows = places.look_up(rows, {"place": "cell"})
    return derive(rows) if derive else rows


def _spread_of_places(rows: pa.RecordBatch, places: Places) -> Spread:
    return places.spread(rows["cell"].to_numpy())


def spread_rows(
    batches: Iterator[pa.RecordBatch], spreading: Callable[[pa.RecordBatch], Spread], types: Mapping[str, str]
) -> Iterator[pa.RecordBatch]:
    """Each row once for each of its cells, with its share there, and whether it is the first of them.

    Args:
        spreading: as of `places.spread_of`.
        types: of the columns to keep, as of `ValidatedRows.types`.
    """
    for batch in batches:
        for start in range(0, batch.num_rows, ROWS_AT_ONCE):
            part = batch.slice(start, ROWS_AT_ONCE)
            rows, cells, shares = spreading(part)
            (kept,) = selected(iter([part]), types)
            first = np.diff(rows, prepend=-1) != 0
            located = {"cell": pa.array(cells), SHARE: pa.array(shares), FIRST: pa.array(first)}
            yield pa.record_batch({**located, **{name: kept[name].take(pa.array(rows)) for name in types}})
