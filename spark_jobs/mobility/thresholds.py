"""What a run of `grid_mobility` keeps to: partitions, bad rows, and what an edge needs to be written."""

from collections.abc import Mapping
from typing import Any

from pyspark.sql import SparkSession

from mora_pipeline.contract.constants import MAXIMUM_BAD_SHARE
from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.extent import Extent
from mora_pipeline.raw.source import Source
from spark_jobs.mobility.edges import Thresholds
from spark_jobs.mobility.readers import RawMoves

BYTES_PER_PARTITION = 128 << 20
ROWS_PER_PARTITION = 4 << 20  # added up at once
BAD_SHARE = "mobility.maximum_bad_share"


def allowed_share(params: Mapping[str, Any]) -> float:
    return float(params.get("maximum_bad_share", MAXIMUM_BAD_SHARE))


def thresholds_of(params: Mapping[str, Any], moves: RawMoves) -> Thresholds:
    """What an edge needs to be written.

    Raises:
        UserError: if users are asked for that the mobility does not know.
    """
    extent = Extent.parse(params.get("extent"))
    least = Thresholds(int(params.get("minimum_users") or 0), float(params.get("minimum_flow") or 0), extent)
    if least.users and moves.users == "unknown":
        raise UserError(
            f"mobility.minimum_users is {least.users}, but {moves.source.describe()} has no users. Name their "
            "column (mobility.columns.user or users), or bound the flow by mobility.minimum_flow."
        )
    return least


def number_of_partitions(spark: SparkSession, params: Mapping[str, Any], source: Source, rows: int) -> int:
    """The partitions of the shuffle: as asked, else the session's, more where the raw files are large."""
    if params.get("partitions"):
        return int(params["partitions"])
    by_size = -(-source.size_in_bytes() // BYTES_PER_PARTITION)
    by_rows = -(-rows // ROWS_PER_PARTITION)  # sorted records take few bytes a row
    return max(int(spark.conf.get("spark.sql.shuffle.partitions")), by_size, by_rows)
