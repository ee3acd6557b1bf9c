"""The cells of a region: those that mobility sees, sorted; the only row order.

Source: the outputs of grid_mobility. Where an extent says how far the region reaches, or nobody knows how people move,
the cells of texts and tables (outputs of grid_text and grid_table) and of a table of places are the region's as well.
"""

import sys
from collections.abc import Mapping
from functools import reduce
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a plain spark-submit knows this folder alone

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sql

from mora_pipeline.contract.cells import Cells, find_rows
from mora_pipeline.contract.constants import MAXIMUM_BAD_SHARE
from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.schemas import CELLS
from mora_pipeline.raw.extent import Extent
from spark_jobs.gridding import centres_of, checked_resolution, read_places, resolutions_of
from spark_jobs.output import checked_empty, open_parquet, part_files, part_name
from spark_jobs.report import Check, Outcome, parameter, run_as_program
from spark_jobs.validation import quarantine_and_check


def distinct_cells(spark: SparkSession, edges: str, others: list[str]) -> Cells:
    """All cells of the edges (both ends) and of other datasets, int64 [N], ascending."""
    moves = _open(spark, edges)
    columns: list[DataFrame] = [moves.select(sql.col("origin").alias("cell")), moves.select("destination")]
    columns += [_open(spark, folder).select("cell") for folder in others]
    cells = reduce(DataFrame.union, columns).distinct().toArrow()["cell"].to_numpy()
    return np.sort(cells)


def cells_of_places(spark: SparkSession, params: Mapping[str, Any], resolution: int) -> tuple[Cells, dict[str, int]]:
    """The cells of a table of places, int64 [n], ascending, and its bad rows by reason, which are quarantined.

    Raises:
        UserError: if it cannot be read, or too many of its rows are bad.
    """
    places, rows = read_places(spark, params["places"], resolution)
    allowed = float(params.get("maximum_bad_share", MAXIMUM_BAD_SHARE))
    bad = quarantine_and_check([rows], allowed, "places.maximum_bad_share", parameter(params, "output.quarantine"))
    return np.unique(places.cells), bad.quarantined


def spread(
    spark: SparkSession, folder: str, column: str, cells: Cells
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """A value of a cell-level dataset in the row order of `cells`, float64 [N], and where there is one, bool [N]."""
    table = _open(spark, folder).select("cell", sql.col(column).cast("double").alias(column)).toArrow()
    values, present = np.zeros(len(cells)), np.zeros(len(cells), dtype=bool)
    rows, known = find_rows(cells, table["cell"].to_numpy())
    values[rows[known]], present[rows[known]] = table[column].to_numpy()[known], True
    return values, present


def run(spark: SparkSession, params: Mapping[str, Any]) -> Outcome:
    """List the cells of a region.

    Args:
        params: ``edges``, ``self_flow`` (folders), ``members`` (folders with a column ``cell``), ``population`` (folder
            of weights, or null), ``resolution``, ``extent`` (`Extent.parse`, or null), ``output.cells`` (folder);
            optionally ``places`` (a source whose cells are the region's too), with ``maximum_bad_share`` of them and
            ``output.quarantine`` for these.

    Raises:
        UserError: if a dataset is missing or was gridded at another resolution, too many places are bad, or there is no
            cell.
    """
    resolution = checked_resolution(parameter(params, "resolution"))
    self_flow, members = parameter(params, "self_flow"), list(params.get("members") or [])
    target = checked_empty(parameter(params, "output.cells"))
    extent = Extent.parse(params.get("extent"))
    cells, bad = distinct_cells(spark, parameter(params, "edges"), [self_flow]), dict[str, int]()
    if extent is not None or not len(cells):  # else mobility says which cells the region has
        cells = np.union1d(cells, distinct_cells(spark, parameter(params, "edges"), members))
    if params.get("places"):
        own, bad = cells_of_places(spark, params, resolution)
        cells = np.union1d(cells, own)
    if extent is not None:
        cells = cells[extent.holds(cells)]
    if not len(cells):
        raise UserError("The region has no cell: nothing of its raw data is anywhere. Look at its bad rows.")
    other = resolutions_of(cells) != resolution
    if other.any():
        raise UserError(
            f"{int(other.sum()):,} of {len(cells):,} cells are not of resolution {resolution} (such as "
            f"{int(cells[other][0]):x}): a dataset was made with another one. Materialise the region's grid again."
        )
    internal_flow, _ = spread(spark, self_flow, "internal_flow", cells)
    population, peopled = np.zeros(len(cells)), np.zeros(len(cells), dtype=bool)
    if params.get("population"):
        population, peopled = spread(spark, params["population"], "weight", cells)
    latitude, longitude = centres_of(cells)
    columns = [cells, np.arange(len(cells)), latitude, longitude, internal_flow, pa.array(population, mask=~peopled)]
    pq.write_table(pa.table(columns, schema=CELLS), target / part_name(0), compression="zstd")
    written = open_parquet(str(target / part_name(0))).read(["cell", "node"])
    return Outcome(
        rows={"cells": len(cells)},
        read=len(cells),
        quarantined=bad,
        checks={"cells_unique_and_sorted": check_order(written["cell"].to_numpy(), written["node"].to_numpy())},
        metadata={
            "cells_with_internal_flow": int((internal_flow > 0).sum()),
            "cells_with_population": int(peopled.sum()),
        },
    )


def check_order(cells: Cells, node: Cells) -> Check:
    """Cells, int64 [N], ascend without twins, and node, int64 [N], is the row number."""
    twins = int((cells[1:] == cells[:-1]).sum())
    ordered = bool((cells[1:] >= cells[:-1]).all()) and np.array_equal(node, np.arange(len(cells)))
    return Check(twins == 0 and ordered, {"cells": len(cells), "twins": twins, "in_order": ordered})


def _open(spark: SparkSession, folder: str) -> DataFrame:
    files = part_files(folder)
    for file in files:
        open_parquet(file)  # a broken file is named before Spark meets it
    return spark.read.option("__globPaths__", "false").option("recursiveFileLookup", "true").parquet(*files)


if __name__ == "__main__":
    sys.exit(run_as_program("cells", run))
