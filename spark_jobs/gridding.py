"""Points to H3 cells in Arrow batches, and the table that maps place ids to cells."""

from functools import partial

import pyarrow.compute as pc
from pyspark.sql import SparkSession

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.cells import resolutions_of
from mora_pipeline.raw.places import Places, ambiguous_ids, cells_at, centres_of
from mora_pipeline.raw.rule_sets import place_roles, place_rules
from mora_pipeline.raw.rules import AMBIGUOUS_PLACE, Rule, is_among
from mora_pipeline.raw.source import Source
from spark_jobs.report import Check
from spark_jobs.validation import ValidatedRows

__all__ = ["cells_at", "centres_of", "checked_resolution", "read_places", "resolutions_of", "shares_check"]
TOLERANCE = 1e-9


def checked_resolution(value: object) -> int:
    """An H3 resolution.

    Raises:
        UserError: if it is not a whole number from 0 to 15.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 15:
        raise UserError(f"resolution is {value!r}: say a whole number from 0 to 15.")
    return value


def read_places(spark: SparkSession, params: object, resolution: int) -> tuple[Places, ValidatedRows]:
    """The table of places (small enough to send to every worker), and the rows it was made of.

    An id at several points is ambiguous, and all its rows are bad; it may have several polygons, or H3 cells.

    Raises:
        UserError: as `SourceReader.of`, and `Places.of`.
    """
    source = Source.parse(params, {"id"}, "places")
    kinds, rules = place_roles(source.columns), place_rules(source.columns)
    derived = {"latitude": "double", "longitude": "double"} if "geometry" in kinds else {}
    located = ValidatedRows(spark, source, kinds, rules, derived=derived)
    rows = located.good(*kinds, *derived).toArrow()
    ambiguous = ambiguous_ids(rows)
    validated, good = located, rows
    if len(ambiguous):
        rules.append(Rule(AMBIGUOUS_PLACE, ("id",), partial(is_among, listed=ambiguous)))
        good = rows.filter(pc.invert(pc.is_in(rows["id"], ambiguous)))
        validated = ValidatedRows(spark, source, kinds, rules, derived=derived)
    return Places.of(good, resolution), validated


def shares_check(places: Places | None) -> Check:
    """places_shares_sum_to_one: what a place carries is what its cells get."""
    if places is None:
        return Check(True, {"places": 0})
    distance = places.largest_distance_from_one()
    figures = {"places": len(places.ids), "cells_of_places": len(places.cells), "largest_distance_from_one": distance}
    return Check(distance <= TOLERANCE, figures)
