"""Histograms of places (age and sex, vehicles, …) to one histogram a cell.

Each group is normalised to sum to 1 in every place, averaged over the cell's places by their weight, and sums to 1 in
every cell. How much there is of it is added up beside that, unless the file holds shares itself.

Source: method.md, "Where the sources are silent" 6.
"""

import sys
from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a plain spark-submit knows this folder alone

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as sql

from mora_pipeline.contract.amounts import TOTAL, part_of
from mora_pipeline.contract.constants import MAXIMUM_BAD_SHARE
from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.schemas import WEIGHTS, table_cells, table_sums
from mora_pipeline.raw.labels import repeated
from mora_pipeline.raw.rule_sets import table_rules
from mora_pipeline.raw.source import NUMBER, Source
from spark_jobs.gridding import checked_resolution
from spark_jobs.located import FIRST, SHARE, Located, read_located
from spark_jobs.output import checked_empty, part_files, write_parts
from spark_jobs.report import Check, Outcome, parameter, run_as_program
from spark_jobs.validation import quarantine_and_check

Groups = dict[str, list[str]]
TOLERANCE = 1e-9
SAME = 0.02  # how far, in ln, most totals of shares are from their median at most: 100 %, less what rounding takes
MOST = (0.05, 0.5, 0.95)  # quantiles: places with a share missing do not turn percentages into counts


def run(spark: SparkSession, params: Mapping[str, Any]) -> Outcome:
    """Grid a table modality.

    Args:
        params: ``source`` (roles latitude and longitude, geometry, cell, or place; weight?), ``groups`` {group:
            [columns]},
            ``places``, ``aggregate`` (of several rows of a place: mean, sum, or null: they are refused), ``key`` (of
            region.yaml, for messages), ``resolution``, ``maximum_bad_share``, ``bad_share_setting``,
            ``output.table_cells``, ``.weights``, ``.sums``, ``.quarantine``.

    Raises:
        UserError: if the files or the parameters are wrong or too many rows are bad.
    """
    checked_resolution(parameter(params, "resolution"))
    groups = checked_groups(parameter(params, "groups"))
    output = {name: parameter(params, f"output.{name}") for name in ("table_cells", "weights", "sums", "quarantine")}
    for folder in output.values():
        checked_empty(folder)
    names = bin_names(groups)
    located = one_row_a_place(read_bins(spark, params, groups), params)
    averaged = averages(located.rows, groups).cache()
    bins = [sql.col(_bin(group, position)).alias(name) for (group, position), name in names.items()]
    rows = write_parts(averaged.select("cell", *bins), output["table_cells"], table_cells(list(names.values())))
    write_parts(averaged.select("cell", "weight"), output["weights"], WEIGHTS)
    every = located.rows.where(FIRST) if located.spread else located.rows
    counted = groups_of_counts(every, groups)
    sums = sum_names(groups, counted)
    named = [sql.col(column).alias(name) for column, name in sums.items()]
    write_parts(averaged.select("cell", *named), output["sums"], table_sums(list(sums.values())))
    spread_evenly = {
        group: averaged.where(sql.col(f"{_group(number)}_absent")).count() for number, group in enumerate(groups)
    }
    averaged.unpersist()
    bad = quarantine_and_check(
        located.sources,
        float(params.get("maximum_bad_share", MAXIMUM_BAD_SHARE)),
        params.get("bad_share_setting", "the modality's maximum_bad_share"),
        output["quarantine"],
    )
    return Outcome(
        rows={"table_cells": rows, "weights": rows, "sums": rows, "quarantine": sum(bad.quarantined.values())},
        read=bad.read,
        quarantined=bad.quarantined,
        checks={
            "shares_sum_to_one": check_sums(spark, output["table_cells"], groups),
            "bad_rows_within_limit": bad.check(),
        },
        metadata={
            "cells_spread_evenly": spread_evenly,
            "bins": list(names.values()),
            "groups_of_counts": [group for number, group in enumerate(groups) if number in counted],
        },
    )


def checked_groups(groups: Any) -> Groups:
    """Groups of columns.

    Raises:
        UserError: if there is no group, or one has no columns or a column twice.
    """
    if not isinstance(groups, Mapping) or not groups:
        raise UserError("groups must name at least one group of columns: {age_sex: [male_0_4, …]}.")
    for group, columns in groups.items():
        if not columns or len(set(columns)) != len(columns):
            raise UserError(f"groups.{group} must list at least one column, each once; it lists {columns}.")
    return {group: list(columns) for group, columns in groups.items()}


def bin_names(groups: Groups) -> dict[tuple[int, int], str]:
    """What each bin is called in the output: its column, with its group before it where two groups share it."""
    every = [column for columns in groups.values() for column in columns]
    return {
        (number, position): f"{group}__{column}" if every.count(column) > 1 or column == "cell" else column
        for number, (group, columns) in enumerate(groups.items())
        for position, column in enumerate(columns)
    }


def sum_names(groups: Groups, counted: Collection[int]) -> dict[str, str]:
    """The columns of sums, and what each is called in the output: those of the groups of counts, by number.

    They are named as amounts: ``age: (total)``, and ``age: male_0_4`` for a bin.
    """
    names = {}
    for number, (group, columns) in enumerate(groups.items()):
        if number in counted:
            names[f"{_group(number)}_sum"] = part_of(group, TOTAL)
            for position, column in enumerate(columns):
                names[f"{_bin(number, position)}_sum"] = part_of(group, column)
    return names


def _group(number: int) -> str:
    return f"group_{number}"


def _bin(number: int, position: int) -> str:
    return f"bin_{number}_{position}"


def _bins(groups: Groups, number: int) -> list[str]:
    return [_bin(number, position) for position in range(len(list(groups.values())[number]))]


def read_bins(spark: SparkSession, params: Mapping[str, Any], groups: Groups) -> Located:
    """cell, weight (1 where the source has none) and every bin."""
    source = Source.parse(parameter(params, "source"), set())
    numbered = {
        _bin(number, position): column
        for number, columns in enumerate(groups.values())
        for position, column in enumerate(columns)
    }
    bins = replace(source, columns={**source.columns, **numbered})
    weighted = "weight" in source.columns
    rules = table_rules([*numbered], weighted)
    kinds = dict.fromkeys([*numbered, "weight"], NUMBER)
    derive = None if weighted else with_equal_weights
    columns = ["weight", *numbered, *(["place"] if "place" in source.columns else [])]
    return read_located(spark, params, bins, kinds, derive, {"weight": "double"}, rules, columns, "weight")


def one_row_a_place(located: Located, params: Mapping[str, Any]) -> Located:
    """Several rows of a place made one, by ``aggregate``; of tables without places, all rows are kept.

    Raises:
        UserError: if a place has several rows, and nothing says what is to become of them.
    """
    if "place" not in located.rows.columns:
        return located
    lying = [name for name in ("place", "cell", SHARE, FIRST) if name in located.rows.columns]
    own = [name for name in located.rows.columns if name not in lying]
    aggregate = params.get("aggregate")
    if aggregate is None:
        once = located.rows.where(FIRST) if located.spread else located.rows
        several = once.groupBy("place").count().where("count > 1").orderBy("place").limit(1).collect()
        if several:
            key = params.get("key", "the table")
            raise UserError(repeated(key, several[0]["place"], several[0]["count"]))
        return replace(located, rows=located.rows.drop("place"))
    joined = sql.mean if aggregate == "mean" else sql.sum
    ordered = located.rows.repartition("place").sortWithinPartitions("place", *own)
    rows = ordered.groupBy(*lying).agg(*(joined(name).alias(name) for name in own))
    return replace(located, rows=rows.drop("place"))


def with_equal_weights(rows: pa.RecordBatch) -> pa.RecordBatch:
    return rows.append_column("weight", pa.array(np.ones(rows.num_rows)))


def averages(rows: DataFrame, groups: Groups) -> DataFrame:
    """The weighted mean of each group's shares over the places of a cell.

    A place where a group is zero throughout says nothing about that group. Where all places that say something weigh
    nothing, they count equally; where no place says anything, the group is spread evenly over its bins.

    Of a place that lies in several cells each gets its share: of the weight in means, and of the sums.

    Args:
        rows: cell, weight, every bin as ``bin_<group>_<position>``, and ``share`` where places may have several cells.

    Returns:
        cell, weight (sum), every bin, ``group_<n>_absent``, and the plain sums over the places: of each bin,
        ``bin_<group>_<position>_sum``, and of all bins of a group, ``group_<n>_sum``; sorted by cell in one file.
    """
    names = [name for number in range(len(groups)) for name in _bins(groups, number)]
    lying = [SHARE] if SHARE in rows.columns else []
    ordered = rows.repartition(sql.col("cell")).sortWithinPartitions("cell", "weight", *names, *lying)
    here = sql.col(SHARE) if lying else sql.lit(1.0)
    weight = sql.col("weight") * here
    sums: list[Column] = [sql.sum(weight).alias("weight")]
    for number in range(len(groups)):
        bins = _bins(groups, number)
        total = reduce(add, (sql.col(name) for name in bins))
        sums += [
            sql.sum(sql.when(total > 0, weight)).alias(f"{_group(number)}_weight"),
            sql.count_if(total > 0).alias(f"{_group(number)}_places"),
            sql.sum(total * here).alias(f"{_group(number)}_sum"),
        ]
        for name in bins:
            share = sql.when(total > 0, sql.col(name) / total)
            sums += [
                sql.sum(share * weight).alias(f"{name}_weighted"),
                sql.sum(share * here).alias(f"{name}_plain"),
                sql.sum(sql.col(name) * here).alias(f"{name}_sum"),
            ]
    summed = ordered.groupBy("cell").agg(*sums)
    shares = [column for number in range(len(groups)) for column in _shares(groups, number)]
    sums = [name for name in summed.columns if name.endswith("_sum")]
    return summed.select("cell", "weight", *shares, *sums).coalesce(1).sortWithinPartitions("cell")


def groups_of_counts(rows: DataFrame, groups: Groups) -> set[int]:
    """The groups, by number, whose totals differ from place to place; the others hold shares, and add up to nothing.

    Places where a group is zero throughout say nothing about it; a group that no place says anything about is left
    out too. Looked at are logarithms to three decimals: few values, however many places there are.

    Args:
        rows: as of `averages`, each place once: what it has in all, not in a cell, tells counts from shares.
    """
    totals = {number: reduce(add, (sql.col(name) for name in _bins(groups, number))) for number in range(len(groups))}
    logarithms = {number: sql.when(total > 0, sql.round(sql.ln(total), 3)) for number, total in totals.items()}
    quantiles = [sql.percentile(value, list(MOST)).alias(_group(number)) for number, value in logarithms.items()]
    row = rows.agg(*quantiles).first()
    found = {number: row[_group(number)] for number in totals}
    return {
        number
        for number, values in found.items()
        if values is not None and max(values[1] - values[0], values[2] - values[1]) > SAME
    }


def _shares(groups: Groups, number: int) -> list[Column]:
    bins, group = _bins(groups, number), _group(number)
    weighted = sql.col(f"{group}_weight") > 0
    absent = sql.col(f"{group}_places") == 0
    # The sum of the sums, not the weight: rounding must not move the shares' own sum away from 1.
    totals = {kind: reduce(add, (sql.col(f"{name}_{kind}") for name in bins)) for kind in ("weighted", "plain")}
    shares = [
        sql.when(absent, sql.lit(1.0 / len(bins)))
        .when(weighted, sql.col(f"{name}_weighted") / totals["weighted"])
        .otherwise(sql.col(f"{name}_plain") / totals["plain"])
        .alias(name)
        for name in bins
    ]
    return [*shares, absent.alias(f"{group}_absent")]


def check_sums(spark: SparkSession, folder: str, groups: Groups) -> Check:
    """The largest distance of a group's sum from 1 in any cell, as written."""
    written, names = spark.read.parquet(*part_files(folder)), bin_names(groups)
    distances = []
    for number in range(len(groups)):
        columns = [
            sql.col("`" + name.replace("`", "``") + "`") for (owner, _), name in names.items() if owner == number
        ]
        distances.append(sql.max(sql.abs(reduce(add, columns) - 1.0)).alias(_group(number)))
    row = written.agg(*distances).first()
    largest = {group: row[_group(number)] for number, group in enumerate(groups)}
    # `not >` would let a NaN pass.
    passed = all(value is not None and value <= TOLERANCE for value in largest.values())
    return Check(passed, {"largest_distance_from_one": largest, "tolerance": TOLERANCE})


if __name__ == "__main__":
    sys.exit(run_as_program("grid_table", run))
