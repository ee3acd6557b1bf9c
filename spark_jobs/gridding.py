"""Points to H3 cells in Arrow batches, and the table that maps place ids to cells."""

from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from h3ronpy.vector import cells_to_coordinates
from pyspark.sql import SparkSession

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.places import cells_at
from mora_pipeline.raw.rule_sets import PLACE_ROLES, place_rules
from mora_pipeline.raw.rules import AMBIGUOUS_PLACE, Rule, is_among
from mora_pipeline.raw.source import Source
from spark_jobs.validation import ValidatedRows


def checked_resolution(value: object) -> int:
    """An H3 resolution.

    Raises:
        UserError: if it is not a whole number from 0 to 15.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 15:
        raise UserError(f"resolution is {value!r}: say a whole number from 0 to 15.")
    return value


def centres_of(cells: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Latitude and longitude, degrees, float64 [n] each, of the centres of cells, int64 [n]."""
    centres = pa.record_batch(cells_to_coordinates(pa.array(cells.astype(np.uint64))))
    return centres["lat"].to_numpy(), centres["lng"].to_numpy()


def resolutions_of(cells: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The resolution of each cell, int64 [n]: four bits of its id."""
    return (cells >> 52) & 15


def read_places(spark: SparkSession, params: object, resolution: int) -> tuple[pa.Table, ValidatedRows]:
    """The table of places (id, cell; small enough to send to every worker), and the rows it was made of.

    An id at several points is ambiguous, and all its rows are bad.

    Raises:
        UserError: as `SourceReader.of`.
    """
    source, columns = Source.parse(params, {"id", "latitude", "longitude"}, "places"), ("id", "latitude", "longitude")
    kinds, rules = PLACE_ROLES, place_rules()
    located = ValidatedRows(spark, source, kinds, rules)
    points = located.good(*columns).toArrow()
    bounds = points.group_by("id").aggregate([(name, end) for name in columns[1:] for end in ("min", "max")])
    south, north, west, east = (bounds[f"{name}_{end}"].to_numpy() for name in columns[1:] for end in ("min", "max"))
    ambiguous = bounds["id"].filter(pa.array((south != north) | (west != east))).combine_chunks()
    validated, good = located, points
    if len(ambiguous):
        rules.append(Rule(AMBIGUOUS_PLACE, ("id",), partial(is_among, listed=ambiguous)))
        good = points.filter(pc.invert(pc.is_in(points["id"], ambiguous)))
        validated = ValidatedRows(spark, source, kinds, rules)
    cells = [cells_at(chunk["latitude"], chunk["longitude"], resolution) for chunk in good.to_batches()]
    table = pa.table({"id": good["id"], "cell": pa.chunked_array(cells, pa.int64())})
    return table.group_by(["id", "cell"]).aggregate([]).sort_by("id"), validated
