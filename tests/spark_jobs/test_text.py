"""Texts and their counts by cell against naive pandas and h3."""

from collections import Counter
from pathlib import Path
from typing import Any

import h3
import numpy as np
import pandas as pd
import pytest
from pyspark.sql import SparkSession

from mora_pipeline.contract.errors import UserError
from spark_jobs import grid_text
from spark_jobs.output import part_files

OUTPUTS = ("texts", "text_cells", "quarantine")


def cell(latitude: float, longitude: float) -> int:
    return h3.str_to_int(h3.latlng_to_cell(latitude, longitude, 8))


def points(number: int = 400) -> pd.DataFrame:
    random = np.random.default_rng(5)
    names = [None, "Café Ñandú", ' "Quoted", Inc. ', "Zoo", "", "東京ラーメン"]
    return pd.DataFrame(
        {
            "latitude": random.uniform(40.0, 40.05, number),
            "longitude": random.uniform(-74.05, -74.0, number),
            "name": random.choice(np.array(names, dtype=object), number),
            "category": random.choice(["food", "bar", "  museum "], number),
            "count": random.integers(1, 9, number) / 4,
        }
    )


def naive_counts(frame: pd.DataFrame, parts: list[str]) -> dict[tuple[int, str], float]:
    counts: dict[tuple[int, str], float] = {}
    for row in frame.to_dict("records"):
        text = ", ".join(row[part].strip() for part in parts if row[part] and row[part].strip())
        key = (cell(row["latitude"], row["longitude"]), text)
        counts[key] = counts.get(key, 0.0) + row.get("count", 1.0)
    return counts


@pytest.mark.parametrize("name", ["poi.csv", "poi.parquet"])
def test_texts_are_counted_by_cell(spark: SparkSession, source: Any, output: Any, read: Any, name: str) -> None:
    frame, target = points(), output(*OUTPUTS)
    outcome = grid_text.run(spark, {"source": source(frame, name), "resolution": 8, "output": target})
    texts, counts = read(target["texts"]), read(target["text_cells"])
    found = dict(zip(texts["text_id"], texts["text"], strict=True))
    pairs = {(row[0], found[row[1]]): row[2] for row in counts.itertuples(index=False, name=None)}
    assert pairs == pytest.approx(naive_counts(frame, ["name", "category"]))
    assert texts["text_id"].tolist() == list(range(len(texts)))
    assert texts["text"].tolist() == sorted(set(texts["text"]), key=str.encode)
    assert counts.equals(counts.sort_values(["cell", "text_id"], ignore_index=True))
    assert outcome.rows == {"texts": len(texts), "text_cells": len(counts), "quarantine": 0}
    assert outcome.read == len(frame)


def test_a_category_at_a_place_needs_neither_name_nor_count(
    spark: SparkSession, source: Any, output: Any, read: Any
) -> None:
    frame, target = points().drop(columns=["name", "count"]), output(*OUTPUTS)
    places = frame[["latitude", "longitude"]].assign(id=[f"{index:04d}" for index in range(len(frame))])
    raw = pd.DataFrame({"place": places["id"], "category": frame["category"]})
    params = {"source": source(raw, "poi.csv"), "places": source(places, "places.parquet"), "resolution": 8}
    grid_text.run(spark, {**params, "output": target})
    texts, counts = read(target["texts"]), read(target["text_cells"])
    assert texts["text"].tolist() == ["bar", "food", "museum"]
    pairs = {(row[0], texts["text"][row[1]]): row[2] for row in counts.itertuples(index=False, name=None)}
    assert pairs == naive_counts(frame, ["category"])


def test_the_order_of_rows_changes_no_byte(spark: SparkSession, source: Any, output: Any) -> None:
    frame, written = points(), []
    for seed in range(2):
        target = output(*OUTPUTS)
        mixed = source(frame.sample(frac=1, random_state=seed), "poi.csv")
        grid_text.run(spark, {"source": mixed, "resolution": 8, "output": target})
        written.append([Path(file).read_bytes() for name in OUTPUTS for file in part_files(target[name])])
    assert written[0] == written[1]


def test_bad_points_are_kept_with_their_reasons(spark: SparkSession, source: Any, output: Any, read: Any) -> None:
    """A count of zero says that there is nothing: such a row is apart, and not kept."""
    frame, target = points(100).astype({"count": object}), output(*OUTPUTS)
    frame.loc[0, ["name", "category"]] = [" ", None]
    frame.loc[1, "count"] = 0
    frame.loc[2, "count"] = "some"
    frame.loc[3, "latitude"] = -90.5
    frame.loc[4, "count"] = -1
    params = {"source": source(frame, "poi.csv"), "resolution": 8, "output": target, "maximum_bad_share": 0.1}
    outcome = grid_text.run(spark, params)
    expected = {
        "no text": 1,
        "count not positive": 1,
        "count missing or not a number": 1,
        "latitude beyond ±90": 1,
    }
    assert outcome.quarantined == expected
    assert Counter(read(target["quarantine"])["reason"]) == expected
    strict = {**params, "output": output(*OUTPUTS), "maximum_bad_share": 0.01}
    with pytest.raises(UserError, match=r"raise modalities\.poi\.maximum_bad_share"):
        grid_text.run(spark, {**strict, "bad_share_setting": "modalities.poi.maximum_bad_share"})


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"latitude": "latitude", "longitude": "longitude"}, "columns.name or columns.category"),
        ({"name": "name"}, "needs latitude and longitude, or place"),
        ({"place": "name", "name": "name"}, "lack 'places'"),
        ({"latitude": "latitude", "longitude": "longitud", "name": "name"}, "no column 'longitud'.*mean 'longitude'"),
    ],
)
def test_wrong_columns_are_told(
    spark: SparkSession, source: Any, output: Any, columns: dict[str, str], message: str
) -> None:
    raw = {**source(points(5), "poi.csv"), "columns": columns}
    with pytest.raises(UserError, match=message):
        grid_text.run(spark, {"source": raw, "resolution": 8, "output": output(*OUTPUTS)})


def test_a_text_of_two_categories_has_an_id_for_each(spark: SparkSession, source: Any, output: Any, read: Any) -> None:
    frame = points(6).assign(name=["a, b", "a", "a", "a", None, "a"], category=[None, "b", "b", "b", "b", None])
    frame[["latitude", "longitude", "count"]] = [40.0, -74.0, 1.0]
    target = output(*OUTPUTS)
    grid_text.run(spark, {"source": source(frame, "poi.parquet"), "resolution": 8, "output": target})
    texts, counts = read(target["texts"]), read(target["text_cells"])
    pairs = list(zip(texts["text"], texts["category"], strict=True))
    assert pairs == [("a", None), ("a, b", None), ("a, b", "b"), ("b", "b")]
    assert counts["count"].tolist() == [1, 1, 3, 1]


def test_names_alone_have_no_category(spark: SparkSession, source: Any, output: Any, read: Any) -> None:
    frame, target = points().dropna(subset="name").drop(columns="category"), output(*OUTPUTS)
    frame = frame[frame["name"] != ""]
    grid_text.run(spark, {"source": source(frame, "poi.parquet"), "resolution": 8, "output": target})
    assert read(target["texts"])["category"].isna().all()
