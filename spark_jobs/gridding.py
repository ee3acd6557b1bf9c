"""Points to H3 cells, vectorised in Arrow batches, and the table that maps place ids to cells."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import or_

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from h3ronpy.vector import cells_to_coordinates, coordinates_to_cells
from pyspark.sql import DataFrame, SparkSession, Window, types
from pyspark.sql import functions as sql

from mora_pipeline.contract.errors import UserError
from spark_jobs.sources import NUMBER, TEXT, Source, read_source
from spark_jobs.validation import AMBIGUOUS_PLACE, NO_ID, Rule, ValidatedRows, coordinate_rules

Points = Mapping[str, tuple[str, str]]


def checked_resolution(value: object) -> int:
    """An H3 resolution.

    Raises:
        UserError: if it is not a whole number from 0 to 15.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 15:
        raise UserError(f"resolution is {value!r}: say a whole number from 0 to 15.")
    return value


def cells_at(latitude: pa.Array, longitude: pa.Array, resolution: int) -> pa.Array:
    """H3 cells (int64) of points in degrees; the points must be valid."""
    # h3ronpy gives unsigned cells; every valid cell is below 2^63, so the same bits are the signed number.
    return pa.array(coordinates_to_cells(latitude, longitude, resolution)).cast(pa.int64())


def centres_of(cells: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Latitude and longitude, in degrees, of the centres of cells."""
    centres = pa.record_batch(cells_to_coordinates(pa.array(cells.astype(np.uint64))))
    return centres["lat"].to_numpy(), centres["lng"].to_numpy()


def resolutions_of(cells: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The resolution of each cell: four bits of its id."""
    return (cells >> 52) & 15


def with_cells(frame: DataFrame, points: Points, resolution: int) -> DataFrame:
    """Replace coordinates by cells.

    Args:
        frame: good rows: coordinates that are numbers on the globe.
        points: for each new column, the columns of its latitude and longitude, which are dropped.
    """
    dropped = {column for pair in points.values() for column in pair}
    kept = [column for column in frame.schema if column.name not in dropped]
    schema = types.StructType([*kept, *(types.StructField(name, types.LongType()) for name in points)])
    return frame.mapInArrow(_gridder([column.name for column in kept], dict(points), resolution), schema)


def _gridder(
    kept: list[str], points: Points, resolution: int
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def grid(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            cells = [cells_at(batch[latitude], batch[longitude], resolution) for latitude, longitude in points.values()]
            yield pa.record_batch([*(batch[name] for name in kept), *cells], names=[*kept, *points])

    return grid


@dataclass(frozen=True)
class Places:
    """Place ids and their cells, small enough to send to every worker; ``arrow`` is the same as ``table``."""

    table: DataFrame
    arrow: pa.Table
    judged: ValidatedRows

    def look_up(self, frame: DataFrame, role: str, cell: str) -> DataFrame:
        """Add the cell of the place in column `role`; null where it is unknown."""
        named = self.table.select(sql.col("id").alias(f"_{role}"), sql.col("cell").alias(cell))
        return frame.join(sql.broadcast(named), sql.col(role) == sql.col(f"_{role}"), "left").drop(f"_{role}")


def read_places(spark: SparkSession, params: object, resolution: int) -> Places:
    """The table of places; an id at several points is ambiguous, and all its rows are bad.

    Raises:
        UserError: as `read_source`.
    """
    source = Source.parse(params, {"id", "latitude", "longitude"}, "places")

    def make() -> tuple[list[Rule], DataFrame]:
        raw = read_source(spark, source, {"id": TEXT, "latitude": NUMBER, "longitude": NUMBER})
        same_id = Window.partitionBy("id")
        broken = reduce(or_, (condition for condition, _ in coordinate_rules("latitude", "longitude")))
        points = sql.when(~broken, sql.struct("latitude", "longitude"))  # null, and so ignored, where there is none
        raw = raw.withColumn("ambiguous", sql.min(points).over(same_id) != sql.max(points).over(same_id))
        rules = [
            (sql.col("id").isNull(), NO_ID),
            *coordinate_rules("latitude", "longitude"),
            (sql.col("ambiguous"), AMBIGUOUS_PLACE),
        ]
        return rules, raw

    judged = ValidatedRows(source.describe(), make)
    good = with_cells(judged.good("id", "latitude", "longitude"), {"cell": ("latitude", "longitude")}, resolution)
    arrow = good.distinct().orderBy("id").toArrow()
    return Places(spark.createDataFrame(arrow), arrow, judged)
