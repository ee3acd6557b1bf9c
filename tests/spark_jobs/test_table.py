"""Histograms by cell against naive pandas and h3."""

from collections import Counter
from pathlib import Path
from typing import Any

import h3
import numpy as np
import pandas as pd
import pytest
from pyspark.sql import SparkSession

from mora_pipeline.contract.errors import UserError
from spark_jobs import grid_table
from spark_jobs.output import part_files

OUTPUTS = ("table_cells", "weights", "sums", "quarantine")
GROUPS = {"age": ["young", "old.er"], "cars": ["none", "one", "`many`"]}
BINS = [name for columns in GROUPS.values() for name in columns]


def cell(latitude: float, longitude: float) -> int:
    return h3.str_to_int(h3.latlng_to_cell(latitude, longitude, 7))


def tracts(number: int = 120) -> pd.DataFrame:
    """Several places a cell; some weigh nothing, some say nothing about a group."""
    random = np.random.default_rng(6)
    frame = pd.DataFrame(
        {
            "latitude": random.uniform(40.0, 40.15, number),
            "longitude": random.uniform(-74.15, -74.0, number),
            "weight": random.integers(0, 3, number) * 100.5,
            **{name: random.uniform(0, 100, number) for name in BINS},
        }
    )
    frame.loc[random.random(number) < 0.3, GROUPS["cars"]] = 0.0
    return frame


def naive_shares(frame: pd.DataFrame) -> dict[int, list[float]]:
    """One cell and one group at a time."""
    own = [cell(row.latitude, row.longitude) for row in frame.itertuples()]
    result: dict[int, list[float]] = {}
    for key, places in frame.groupby(own):
        shares: list[float] = []
        for columns in GROUPS.values():
            speaking = places[places[columns].sum(axis=1) > 0]
            if speaking.empty:
                shares += [1 / len(columns)] * len(columns)
                continue
            weights = speaking["weight"].to_numpy() if speaking["weight"].sum() > 0 else np.ones(len(speaking))
            normal = speaking[columns].div(speaking[columns].sum(axis=1), axis=0).to_numpy()
            shares += np.average(normal, axis=0, weights=weights).tolist()
        result[int(key)] = shares
    return result


def job(source: dict[str, Any], target: dict[str, str], **change: Any) -> dict[str, Any]:
    return {"source": source, "groups": GROUPS, "resolution": 7, "output": target, **change}


ROLES = {"latitude": "latitude", "longitude": "longitude", "weight": "weight"}


@pytest.mark.parametrize("name", ["tracts.csv", "tracts.parquet"])
def test_shares_are_the_weighted_means_of_the_places(
    spark: SparkSession, source: Any, output: Any, read: Any, name: str
) -> None:
    frame, target = tracts(), output(*OUTPUTS)
    outcome = grid_table.run(spark, job(source(frame, name, **ROLES), target))
    table, weights = read(target["table_cells"]), read(target["weights"])
    expected = naive_shares(frame)
    assert list(table.columns) == ["cell", *BINS]
    assert table["cell"].tolist() == sorted(expected)
    np.testing.assert_allclose(table[BINS].to_numpy(), [expected[key] for key in sorted(expected)], rtol=1e-12)
    sums = frame.groupby([cell(row.latitude, row.longitude) for row in frame.itertuples()])["weight"].sum()
    assert weights["cell"].tolist() == table["cell"].tolist()
    np.testing.assert_allclose(weights["weight"], sums)
    assert outcome.checks["shares_sum_to_one"].passed
    empty = sum(1 for shares in expected.values() if shares[2:] == [1 / 3] * 3)
    assert outcome.metadata["cells_spread_evenly"] == {"age": 0, "cars": empty}


def test_places_without_a_weight_column_count_equally(spark: SparkSession, source: Any, output: Any, read: Any) -> None:
    frame, target = tracts(), output(*OUTPUTS)
    ids = [f"{index:04d}" for index in range(len(frame))]
    places = frame[["latitude", "longitude"]].assign(id=ids)
    raw = frame[BINS].assign(tract=ids)
    params = job(source(raw, "raw.csv", place="tract"), target, places=source(places, "places.csv"))
    grid_table.run(spark, params)
    expected = naive_shares(frame.assign(weight=1.0))
    table = read(target["table_cells"])
    np.testing.assert_allclose(table[BINS].to_numpy(), [expected[key] for key in sorted(expected)], rtol=1e-12)
    assert read(target["weights"])["weight"].sum() == len(frame)


def test_a_column_of_two_groups_carries_their_names(spark: SparkSession, source: Any, output: Any, read: Any) -> None:
    target = output(*OUTPUTS)
    groups = {"age": ["young", "none"], "cars": ["none", "one"]}
    grid_table.run(spark, job(source(tracts(), "t.parquet", **ROLES), target, groups=groups))
    table = read(target["table_cells"])
    assert list(table.columns) == ["cell", "young", "age__none", "cars__none", "one"]
    np.testing.assert_allclose(table["young"] + table["age__none"], 1.0)


def test_the_order_of_rows_changes_no_byte(spark: SparkSession, source: Any, output: Any) -> None:
    written = []
    for seed in range(2):
        target = output(*OUTPUTS)
        mixed = source(tracts().sample(frac=1, random_state=seed), "t.csv", **ROLES)
        grid_table.run(spark, job(mixed, target))
        written.append([Path(file).read_bytes() for name in OUTPUTS for file in part_files(target[name])])
    assert written[0] == written[1]


def test_bad_places_are_kept_with_their_reasons(spark: SparkSession, source: Any, output: Any, read: Any) -> None:
    """What is not finite is no number."""
    frame, target = tracts().astype({"young": object}), output(*OUTPUTS)
    frame.loc[0, "one"] = -0.5
    frame.loc[1, "young"] = "few"
    frame.loc[2, "none"] = np.inf
    frame.loc[3, "weight"] = np.nan
    frame.loc[4, "weight"] = -1
    frame.loc[5, "latitude"] = np.nan
    params = job(source(frame, "t.csv", **ROLES), target, maximum_bad_share=0.1)
    expected = {
        "bin negative": 1,
        "bin missing or not a number": 2,
        "weight missing or not a number": 1,
        "weight negative": 1,
        "coordinate missing or NaN": 1,
    }
    assert grid_table.run(spark, params).quarantined == expected
    assert Counter(read(target["quarantine"])["reason"]) == expected


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ({}, "lack 'groups'|at least one group"),
        ({"age": []}, "groups.age must list"),
        ({"age": ["young", "young"]}, "groups.age must list"),
        ({"age": ["young", "oldest"]}, "no column 'oldest'"),
    ],
)
def test_wrong_groups_are_told(
    spark: SparkSession, source: Any, output: Any, groups: dict[str, list[str]], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        grid_table.run(spark, job(source(tracts(), "t.csv", **ROLES), output(*OUTPUTS), groups=groups))


def test_counts_are_added_up_and_shares_are_not(spark: SparkSession, source: Any, output: Any, read: Any) -> None:
    """Percentages, of which some are rounded and a few lack a part, beside counts; weights change nothing."""
    frame, target = tracts(), output(*OUTPUTS)
    frame[GROUPS["cars"]] = (100 * np.random.default_rng(1).dirichlet(np.ones(3), len(frame))).round(1)
    frame.loc[:2, "none"] = 0.0
    frame.loc[3, GROUPS["cars"]] = 0.0
    outcome = grid_table.run(spark, job(source(frame, "t.parquet", **ROLES), target))
    assert outcome.metadata["groups_of_counts"] == ["age"]
    sums = read(target["sums"])
    assert list(sums.columns) == ["cell", "age: (total)", "age: young", "age: old.er"]
    naive = frame[GROUPS["age"]].groupby([cell(row.latitude, row.longitude) for row in frame.itertuples()]).sum()
    assert sums["cell"].tolist() == naive.index.tolist()
    np.testing.assert_allclose(sums[["age: young", "age: old.er"]], naive)
    np.testing.assert_allclose(sums["age: (total)"], naive.sum(axis=1))


def test_a_group_that_no_place_says_anything_about_is_not_counted(
    spark: SparkSession, source: Any, output: Any, read: Any
) -> None:
    frame, target = tracts(), output(*OUTPUTS)
    frame[BINS] = 0.0
    grid_table.run(spark, job(source(frame, "t.parquet", **ROLES), target))
    assert list(read(target["sums"]).columns) == ["cell"]
