"""A table gives the same edges as CSV and as Parquet, and each of its rows the fate that a naive reader gives."""

import math
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as draw
from pyspark.sql import SparkSession

from mora_pipeline.raw.rule_sets import ENDS
from spark_jobs import grid_mobility
from spark_jobs.output import part_files

OUTPUTS = ("edges", "self_flow", "rhythm")
APART = ("unknown place", "point at 0, 0", "flow zero", "count zero")
degrees = draw.one_of(
    draw.floats(40.0, 40.3),
    draw.sampled_from([None, math.nan, 0.0, 90.0, -90.0, 90.5, -91.0, math.inf, 180.0, 181.0, -200.0]),
)
ODD_AMOUNTS = [None, math.nan, 0.0, -1.0, math.inf, 2.0**40, 2.0**41, 2.0**-41]
amounts = draw.one_of(draw.floats(0.01, 9), draw.sampled_from(ODD_AMOUNTS))
ids = draw.sampled_from(["ann", " bob ", "", "  ", None, "eve"])
times = draw.one_of(draw.none(), draw.integers(1_700_000_000, 1_700_300_000).map(lambda s: s * 1_000_000))

trips = draw.fixed_dictionaries({**dict.fromkeys(ENDS, degrees), "count": amounts, "user": ids, "time": times})
events = draw.fixed_dictionaries({"user": ids, "time": times, "latitude": degrees, "longitude": degrees})
flows = draw.fixed_dictionaries(
    {
        "origin": draw.sampled_from(["a", " b", "c", "", None, "nowhere"]),
        "destination": draw.sampled_from(["a", "b", "c", None]),
        "flow": amounts,
        "users": draw.sampled_from([1.0, 2.0, 3.0, 0.0, 0.5, -1.0, None]),
    }
)
TYPES = {
    **dict.fromkeys((*ENDS, "latitude", "longitude", "count", "flow"), pa.float64()),
    **dict.fromkeys(("user", "origin", "destination"), pa.string()),
    "time": pa.timestamp("us", "UTC"),
    "users": pa.float64(),
}
GOOD: dict[str, Any] = {  # an edge in any case
    "trips": {**dict(zip(ENDS, (40.0, 40.0, 40.2, 40.2), strict=True)), "count": 1.0, "user": "ann", "time": 0},
    "events": {"user": "zoe", "time": 0, "latitude": 40.0, "longitude": 40.0},
    "od": {"origin": "a", "destination": "b", "flow": 1.0, "users": 1},
}


def of_number(value: float | None, name: str) -> str | None:
    """Why an amount is bad, or of no use."""
    if value is None or not math.isfinite(value):
        return f"{name} missing or not a number"
    if value <= 0:
        return f"{name} zero" if value == 0 and name != "users" else f"{name} not positive"
    if value < 2.0**-40:
        return f"{name} below 2^-40"
    return f"{name} above 2^40" if value > 2.0**40 else None


def of_point(latitude: float | None, longitude: float | None) -> str | None:
    if latitude is None or longitude is None or not (math.isfinite(latitude) and math.isfinite(longitude)):
        return "coordinate missing or NaN"
    if latitude == longitude == 0:
        return "point at 0, 0"
    if not -90 <= latitude <= 90:
        return "latitude beyond ±90"
    return None if -180 <= longitude <= 180 else "longitude beyond ±180"


def of_text(value: str | None, reason: str) -> str | None:
    return None if value and value.strip(" ") else reason


def of_time(value: int | None) -> str | None:
    return "time unparsable" if value is None else None


def of_trip(row: dict[str, Any]) -> str | None:
    origin, destination = (of_point(*(row[name] for name in pair)) for pair in (ENDS[:2], ENDS[2:]))
    amount, user = of_number(row["count"], "count"), of_text(row["user"], "user missing")
    return origin or destination or amount or user or of_time(row["time"])


def of_event(row: dict[str, Any]) -> str | None:
    user, point = of_text(row["user"], "user missing"), of_point(row["latitude"], row["longitude"])
    return user or of_time(row["time"]) or point


def of_flow(row: dict[str, Any]) -> str | None:
    ends = [row["origin"], row["destination"]]
    if any(of_text(end, "missing") for end in ends):
        return "id missing"
    if any(end.strip(" ") not in ("a", "b", "c") for end in ends):
        return "unknown place"
    whole = None if row["users"] is None or row["users"] % 1 == 0 else "users not a whole number"
    return of_number(row["flow"], "flow") or of_number(row["users"], "users") or whole


NAIVE = {"trips": of_trip, "events": of_event, "od": of_flow}


def write(folder: Path, kind: str, records: list[dict[str, Any]], form: str) -> dict[str, Any]:
    extra = [GOOD[kind]] * 2
    if kind == "events":
        extra = [GOOD[kind], {**GOOD[kind], "time": 60_000_000, "latitude": 40.3}]
    table = pa.Table.from_pylist([*records, *extra], pa.schema([(name, TYPES[name]) for name in GOOD[kind]]))
    folder.mkdir(parents=True, exist_ok=True)
    if form == "parquet":
        pq.write_table(table, folder / "raw.parquet", row_group_size=7)
    else:
        arrow_csv.write_csv(table, folder / "raw.csv")
    pd.DataFrame({"id": ["a", "b", "c"], "y": [40.0, 40.1, 40.2], "x": [40.0] * 3}).to_csv(
        folder / "p.csv", index=False
    )
    return {
        "kind": kind,
        "source": {"files": [str(folder / f"raw.{form}")], "format": form, "columns": {n: n for n in GOOD[kind]}},
        "places": {
            "files": [str(folder / "p.csv")],
            "format": "csv",
            "columns": {"id": "id", "latitude": "y", "longitude": "x"},
        },
        "resolution": 6,
        "maximum_bad_share": 1.0,
    }


def run(spark: SparkSession, params: dict[str, Any], folder: Path) -> tuple[Any, list[bytes], list[tuple[str, str]]]:
    output = {name: str(folder / name) for name in (*OUTPUTS, "quarantine")}
    outcome = grid_mobility.run(spark, {**params, "output": output})
    kept = [row for file in part_files(output["quarantine"]) for row in pq.read_table(file).to_pylist()]
    files = [Path(file).read_bytes() for name in OUTPUTS for file in part_files(output[name])]
    return outcome, files, sorted((row["reason"], row["row"]) for row in kept)


@pytest.mark.parametrize(("kind", "record"), [("trips", trips), ("events", events), ("od", flows)])
def test_a_csv_and_a_parquet_file_of_one_table_give_the_same(
    spark: SparkSession, tmp_path: Path, kind: str, record: Any
) -> None:
    """The same bytes, and for each row the reason that a reader of one row at a time gives.

    A flow of zero, an unknown place and a point at 0, 0 are apart; they were bad. What is not finite is no number.
    """
    calls = iter(range(1000))

    @settings(max_examples=4, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
    @given(draw.lists(record, min_size=20, max_size=60))
    def compare(records: list[dict[str, Any]]) -> None:
        folder = tmp_path / str(next(calls))
        of_csv, csv_bytes, csv_rows = run(spark, write(folder, kind, records, "csv"), folder / "csv")
        of_parquet, parquet_bytes, parquet_rows = run(
            spark, write(folder, kind, records, "parquet"), folder / "parquet"
        )
        assert csv_bytes == parquet_bytes
        assert [reason for reason, _ in csv_rows] == [reason for reason, _ in parquet_rows]
        fates = Counter(filter(None, map(NAIVE[kind], records)))
        bad = {reason: count for reason, count in fates.items() if reason not in APART}
        for outcome in (of_csv, of_parquet):
            assert outcome.quarantined == bad
            assert outcome.metadata["rows_apart"] == {reason: fates[reason] for reason in fates if reason in APART}
            assert outcome.read == len(records) + 2
        assert Counter(reason for reason, _ in csv_rows) == Counter(bad)

    compare()
