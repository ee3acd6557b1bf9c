"""Named and categorised points (POIs) to the distinct texts of a region and their counts by cell.

A text is "name, category"; either may be missing. Each distinct text of a category gets an id.

Source: method.md, "Where the sources are silent" 4.
"""

import shutil
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a plain spark-submit knows this folder alone

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sql

from mora_pipeline.contract.constants import MAXIMUM_BAD_SHARE
from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.schemas import CELL, TEXT_CELLS, TEXTS
from mora_pipeline.raw.rule_sets import TEXT_ROLES, text_rules
from mora_pipeline.raw.source import Source
from spark_jobs.clustering import on_each_file
from spark_jobs.gridding import checked_resolution
from spark_jobs.located import SHARE, read_located
from spark_jobs.output import (
    WORKING,
    checked_empty,
    count_rows,
    in_one_step,
    open_parquet,
    part_files,
    part_name,
    write_parts,
    written_by_tasks,
)
from spark_jobs.report import Outcome, parameter, run_as_program
from spark_jobs.validation import ValidatedRows, quarantine_and_check

COUNTS = "_counts"
TEXT_COUNTS = pa.schema([CELL, TEXTS.field("text"), TEXTS.field("category"), TEXT_CELLS.field("count")])
ROWS_SORTED_IN_ONE_TASK = 5_000_000


def run(spark: SparkSession, params: Mapping[str, Any]) -> Outcome:
    """Grid a text modality.

    Args:
        params: ``source`` (roles latitude and longitude, geometry, cell, or place; name or category; count?),
            ``places``, ``resolution``, ``maximum_bad_share``, ``bad_share_setting``, ``output.texts``, ``.text_cells``,
            ``.quarantine``.

    Raises:
        UserError: if the files or the parameters are wrong or too many rows are bad.
    """
    source = Source.parse(parameter(params, "source"), set())
    if not {"name", "category"} & set(source.columns):
        raise UserError("A text modality needs columns.name or columns.category, or both.")
    checked_resolution(parameter(params, "resolution"))
    texts, text_cells = parameter(params, "output.texts"), parameter(params, "output.text_cells")
    for folder in (texts, text_cells, parameter(params, "output.quarantine")):
        checked_empty(folder)
    counts, sources = counts_by_cell(spark, params, source)
    working = str(Path(text_cells) / COUNTS)
    write_parts(counts, working, TEXT_COUNTS)
    bad = quarantine_and_check(
        sources,
        float(params.get("maximum_bad_share", MAXIMUM_BAD_SHARE)),
        params.get("bad_share_setting", "the modality's maximum_bad_share"),
        params["output"]["quarantine"],
    )
    counted = spark.read.parquet(working)
    num_texts = write_texts(counted.select("text", "category").distinct(), texts)
    known = spark.read.parquet(texts)
    same = (counted["text"] == known["text"]) & counted["category"].eqNullSafe(known["category"])
    numbered = counted.join(known, same).select("cell", "text_id", "count")
    few, order = count_rows(part_files(working)) <= ROWS_SORTED_IN_ONE_TASK, ("cell", "text_id")
    ordered = numbered.coalesce(1).sortWithinPartitions(*order) if few else numbered.orderBy(*order)
    rows = write_parts(ordered, text_cells, TEXT_CELLS)
    shutil.rmtree(working)
    return Outcome(
        rows={"texts": num_texts, "text_cells": rows, "quarantine": sum(bad.quarantined.values())},
        read=bad.read,
        quarantined=bad.quarantined,
        checks={"bad_rows_within_limit": bad.check()},
    )


def counts_by_cell(
    spark: SparkSession, params: Mapping[str, Any], source: Source
) -> tuple[DataFrame, list[ValidatedRows]]:
    """cell, text, category, count: one shuffle, by cell; sums are repeatable, each added up in sorted order."""
    rules = text_rules(source.columns)
    parts = [role for role in ("name", "category") if role in source.columns]
    derive = partial(with_texts, parts=parts, counted="count" in source.columns)
    derived = {"text": "string", "category": "string", "count": "double"}
    columns = ["text", "category", "count"]
    located = read_located(spark, params, source, TEXT_ROLES, derive, derived, rules, columns, "count")
    partitions = int(spark.conf.get("spark.sql.shuffle.partitions"))
    key = ("cell", "text", "category")
    rows = located.rows
    if located.spread:  # a thing that lies in several cells is counted in each by its share
        rows = rows.select(*key, (sql.col("count") * sql.col(SHARE)).alias("count"))
    ordered = rows.repartition(partitions, "cell").sortWithinPartitions(*key, "count")
    return ordered.groupBy(*key).agg(sql.sum("count").alias("count")), located.sources


def with_texts(rows: pa.RecordBatch, parts: Sequence[str], counted: bool) -> pa.RecordBatch:
    """Add ``text``, "name, category" (null where there is neither).

    And a ``category`` of null and a ``count`` of 1 where the source has none.
    """
    texts = [rows[part] for part in parts]
    rows = rows.append_column("text", pc.coalesce(pc.binary_join_element_wise(*texts, ", "), *texts))
    if "category" not in parts:
        rows = rows.append_column("category", pa.nulls(rows.num_rows, pa.string()))
    return rows if counted else rows.append_column("count", pa.array(np.ones(rows.num_rows)))


def write_texts(distinct: DataFrame, folder: str) -> int:
    """Number the sorted pairs of text and category from 0: each file knows how many are before it.

    Returns:
        How many texts there are.
    """
    working = str(Path(folder) / WORKING / "sorted")
    with written_by_tasks(Path(folder)):
        pairs = pa.schema([TEXTS.field("text"), TEXTS.field("category")])
        write_parts(distinct.orderBy("text", "category"), working, pairs)
        files = part_files(working)
        sizes = [count_rows([file]) for file in files]
        before = [0, *accumulate(sizes)]
        on_each_file(distinct.sparkSession, files, partial(number_texts, before=before, folder=folder))
    return before[-1]


def number_texts(number: int, file: str, before: list[int], folder: str) -> None:
    """Write one file of sorted texts with their ids."""
    pairs = open_parquet(file).read(["text", "category"])
    ids = np.arange(before[number], before[number + 1])
    table = pa.table([pa.array(ids), *(column.cast(pa.string()) for column in pairs.columns)], schema=TEXTS)
    with in_one_step(Path(folder) / part_name(number)) as draft:
        pq.write_table(table, draft, compression="zstd")


if __name__ == "__main__":
    sys.exit(run_as_program("grid_text", run))
