"""Files that tasks read by themselves give what Spark's reader gives, to the byte, bad rows included."""

import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as draw
from pyspark.sql import SparkSession
from spark_jobs.sources import NUMBER, TEXT, TIME, Source

from mora_pipeline.contract.errors import UserError
from spark_jobs import grid_mobility
from spark_jobs.mobility import kernels, parquet_reader, readers
from spark_jobs.output import part_files

OUTPUTS = ("edges", "self_flow", "rhythm", "quarantine")
degrees = draw.one_of(
    draw.floats(40.0, 40.3),
    draw.sampled_from([None, math.nan, 90.0, -90.0, 90.5, -91.0, math.inf, 180.0, 181.0, -200.0]),
)
ODD_AMOUNTS = [None, math.nan, 0.0, -1.0, math.inf, 2.0**40, 2.0**41, 2.0**-41]
amounts = draw.one_of(draw.floats(0.01, 9), draw.sampled_from(ODD_AMOUNTS))
ids = draw.sampled_from(["ann", " bob ", "", "  ", None, "eve"])
times = draw.one_of(draw.none(), draw.integers(1_700_000_000, 1_700_300_000).map(lambda s: s * 1_000_000))
ENDS = kernels.ENDS

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
    """Why an amount is bad."""
    if value is None or math.isnan(value):
        return f"{name} missing or not a number"
    if value <= 0:
        return f"{name} not positive"
    if math.isinf(value):
        return f"{name} not finite"
    if value < 2.0**-40:
        return f"{name} below 2^-40"
    return f"{name} above 2^40" if value > 2.0**40 else None


def of_point(latitude: float | None, longitude: float | None) -> str | None:
    if latitude is None or longitude is None or math.isnan(latitude) or math.isnan(longitude):
        return "coordinate missing or NaN"
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


def write(folder: Path, kind: str, records: list[dict[str, Any]]) -> dict[str, Any]:
    extra = [GOOD[kind]] * 2
    if kind == "events":
        extra = [GOOD[kind], {**GOOD[kind], "time": 60_000_000, "latitude": 40.3}]
    table = pa.Table.from_pylist([*records, *extra], pa.schema([(name, TYPES[name]) for name in GOOD[kind]]))
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, folder / "raw.parquet", row_group_size=7)
    pd.DataFrame({"id": ["a", "b", "c"], "y": [40.0, 40.1, 40.2], "x": [40.0] * 3}).to_csv(
        folder / "p.csv", index=False
    )
    return {
        "kind": kind,
        "source": {"files": [str(folder / "raw.parquet")], "format": "parquet", "columns": {n: n for n in GOOD[kind]}},
        "places": {
            "files": [str(folder / "p.csv")],
            "format": "csv",
            "columns": {"id": "id", "latitude": "y", "longitude": "x"},
        },
        "resolution": 6,
        "maximum_bad_share": 1.0,
    }


def run(spark: SparkSession, params: dict[str, Any], folder: Path) -> tuple[Any, list[bytes]]:
    output = {name: str(folder / name) for name in OUTPUTS}
    outcome = grid_mobility.run(spark, {**params, "output": output})
    return outcome, [Path(file).read_bytes() for name in OUTPUTS for file in part_files(output[name])]


@pytest.mark.parametrize(("kind", "record"), [("trips", trips), ("events", events), ("od", flows)])
def test_tasks_read_what_spark_reads(spark: SparkSession, tmp_path: Path, kind: str, record: Any) -> None:
    """Both readers give the same bytes, and for each row the reason that a reader of one row at a time gives."""
    calls = iter(range(1000))

    @settings(max_examples=4, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
    @given(draw.lists(record, min_size=20, max_size=60))
    def compare(records: list[dict[str, Any]]) -> None:
        folder = tmp_path / str(next(calls))
        params = write(folder, kind, records)
        assert readers.parquet_source_of(Source.parse(params["source"], set()), kind) is not None
        by_tasks, their_bytes = run(spark, params, folder / "tasks")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(readers, "parquet_source_of", lambda *_: None)
            by_spark, its_bytes = run(spark, params, folder / "spark")
        assert their_bytes == its_bytes
        assert by_tasks == by_spark
        assert by_tasks.quarantined == Counter(filter(None, map(NAIVE[kind], records)))
        assert by_tasks.read == len(records) + 2

    compare()


def source(tmp_path: Path, table: pa.Table, form: str = "parquet") -> Source:
    pq.write_table(table, tmp_path / "t.parquet")
    return Source((str(tmp_path / "t.parquet"),), form, {name: name for name in table.column_names})


@pytest.mark.parametrize(
    ("values", "kind", "is_plain"),
    [
        (pa.array([1], pa.int32()), NUMBER, True),
        (pa.array([1.0], pa.float32()), NUMBER, True),
        (pa.array(["1"]), NUMBER, False),
        (pa.array([1], pa.decimal128(5, 2)), NUMBER, False),
        (pa.array(["a"]), TEXT, True),
        (pa.array([1]), TEXT, True),
        (pa.array([1.0]), TEXT, False),
        (pa.array([1], pa.timestamp("ms", "UTC")), TIME, True),
        (pa.array([1], pa.timestamp("us")), TIME, False),
        (pa.array([1], pa.timestamp("ns", "UTC")), TIME, False),
        (pa.array([1]), TIME, False),
    ],
)
def test_only_plain_types_are_read_by_tasks(tmp_path: Path, values: pa.Array, kind: str, is_plain: bool) -> None:
    """The others need a judgement that only Spark's reader makes: what a text means, or a time without a zone."""
    found = parquet_reader.ParquetSource.of(source(tmp_path, pa.table({"a": values})), {"a": kind})
    assert (found is not None) == is_plain


def test_files_of_a_store_are_left_to_spark(tmp_path: Path) -> None:
    assert (
        parquet_reader.ParquetSource.of(Source(("s3a://bucket/t.parquet",), "parquet", {"a": "a"}), {"a": NUMBER})
        is None
    )


def test_whole_number_ids_and_written_ones_meet(tmp_path: Path) -> None:
    pq.write_table(pa.table({"user": [17]}), tmp_path / "one.parquet")
    pq.write_table(pa.table({"user": ["17 "]}), tmp_path / "two.parquet")
    both = Source((str(tmp_path / "one.parquet"), str(tmp_path / "two.parquet")), "parquet", {"user": "user"})
    read = parquet_reader.ParquetSource.of(both, {"user": TEXT})
    assert read is not None
    assert [row["user"] for split in read.splits for batch in read.read(split) for row in batch.to_pylist()] == [
        "17"
    ] * 2


@pytest.fixture
def small_splits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., parquet_reader.ParquetSource]:
    """Files of so many rows each, in row groups of 100 and splits of 250."""

    def make(*rows: int) -> parquet_reader.ParquetSource:
        monkeypatch.setattr(parquet_reader, "ROWS_PER_SPLIT", 250)
        files, first = [], 0
        for number in rows:
            files.append(str(tmp_path / f"{first}.parquet"))
            pq.write_table(pa.table({"a": np.arange(first, first + number) * 1.0}), files[-1], row_group_size=100)
            first += number
        read = parquet_reader.ParquetSource.of(Source(tuple(files), "parquet", {"a": "a"}), {"a": NUMBER})
        assert read is not None
        assert read.rows == sum(rows)
        return read

    return make


def rows_read(read: parquet_reader.ParquetSource) -> list[float]:
    return [value for split in read.splits for batch in read.read(split) for value in batch["a"].to_pylist()]


def test_every_row_group_is_in_one_split(small_splits: Callable[..., parquet_reader.ParquetSource]) -> None:
    read = small_splits(1000)
    assert [[(piece.first, piece.last) for piece in split] for split in read.splits] == [
        [(0, 3)],
        [(3, 6)],
        [(6, 9)],
        [(9, 10)],
    ]
    assert rows_read(read) == list(range(1000))


def test_small_files_share_a_split(small_splits: Callable[..., parquet_reader.ParquetSource]) -> None:
    read = small_splits(*[50] * 12, 0)
    assert [len(split) for split in read.splits][:2] == [5, 5]
    assert rows_read(read) == list(range(600))


def test_a_file_that_a_worker_does_not_see_is_told(
    small_splits: Callable[..., parquet_reader.ParquetSource], tmp_path: Path
) -> None:
    read = small_splits(10)
    (tmp_path / "0.parquet").unlink()
    with pytest.raises(UserError, match=r"0\.parquet does not exist on \S+\. Every worker needs"):
        rows_read(read)


def test_text_of_another_encoding_is_told(tmp_path: Path) -> None:
    latin = pa.array([b"Bogot\xe1"], pa.binary()).view(pa.string())
    pq.write_table(pa.table({"a": latin}), tmp_path / "latin.parquet")
    read = parquet_reader.ParquetSource.of(
        Source((str(tmp_path / "latin.parquet"),), "parquet", {"a": "a"}), {"a": TEXT}
    )
    assert read is not None
    with pytest.raises(UserError, match=r"latin\.parquet holds text that is not UTF-8"):
        list(read.read(read.splits[0]))


def test_a_damaged_file_is_named(spark: SparkSession, tmp_path: Path) -> None:
    """A page in the middle is spoilt: the footer is whole, so that only the task notices."""
    random = np.random.default_rng(0)
    table = pa.table({name: random.uniform(40, 40.2, 200_000) for name in ENDS})
    params = {"kind": "trips", "source": {"files": [], "format": "parquet", "columns": {n: n for n in ENDS}}}
    file = tmp_path / "trips.parquet"
    pq.write_table(table, file)
    content = bytearray(file.read_bytes())
    content[1000:200_000] = bytes(199_000)
    file.write_bytes(content)
    params["source"]["files"] = [str(file)]  # type: ignore[index]
    from spark_jobs.errors import as_user_error

    with pytest.raises(Exception, match=r"trips\.parquet cannot be read") as raised:
        run(spark, {**params, "resolution": 6}, tmp_path / "out")
    told = as_user_error(raised.value)
    assert isinstance(told, UserError)
    assert str(told).endswith("Is it whole? Fetch it again.")
