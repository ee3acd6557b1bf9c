"""Files as users have them: several, mixed, broken, oddly named; and what the user is told."""

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as sql
from spark_jobs.sources import NUMBER, TEXT, TIME, Source, read_source

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.times import WRITTEN_EPOCH, WRITTEN_ZONE
from spark_jobs.errors import as_user_error


def described(*files: Path, **columns: str) -> Source:
    form = "parquet" if files[0].suffix == ".parquet" else "csv"
    return Source(tuple(map(str, files)), form, columns)


def test_files_may_order_their_columns_differently(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("place,flow\n007,1\n")
    (tmp_path / "b.csv").write_text("\ufeffflow,note,place\n2,x,008\n", encoding="utf-8")
    source = described(tmp_path / "a.csv", tmp_path / "b.csv", place="place", flow="flow")
    rows = read_source(spark, source, {"place": TEXT, "flow": NUMBER}).collect()
    assert [(row["place"], row["flow"]) for row in rows] == [("007", 1.0), ("008", 2.0)]
    assert [Path(row["source"]).name for row in rows] == ["a.csv", "b.csv"]


def test_files_may_differ_in_the_types_of_their_columns(spark: SparkSession, tmp_path: Path) -> None:
    frames = [pd.DataFrame({"place": ["7"], "flow": [1]}), pd.DataFrame({"place": [8], "flow": [2.5]})]
    for number, frame in enumerate(frames):
        frame.to_parquet(tmp_path / f"{number}.parquet")
    source = described(tmp_path / "0.parquet", tmp_path / "1.parquet", place="place", flow="flow")
    rows = read_source(spark, source, {"place": TEXT, "flow": NUMBER}).collect()
    assert [(row["place"], row["flow"]) for row in rows] == [("7", 1.0), ("8", 2.5)]


def test_odd_names_are_read_as_they_are(spark: SparkSession, tmp_path: Path) -> None:
    folder = tmp_path / "day=1 [x]{y}"
    folder.mkdir()
    (folder / "a b+c%41.csv").write_text('"a.b `c`",d\n"say ""hi"", twice",1\n')
    row = read_source(spark, described(folder / "a b+c%41.csv", name="a.b `c`"), {"name": TEXT}).collect()[0]
    assert row["name"] == 'say "hi", twice'
    assert row["source"] == str(folder / "a b+c%41.csv")
    assert row["row"] == '{"a.b `c`":"say \\"hi\\", twice"}'


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_an_address_is_read_as_the_file_is(spark: SparkSession, tmp_path: Path, name: str) -> None:
    """`file://` stands for the addresses of a store: they go through the same code of Hadoop."""
    frame, path = pd.DataFrame({"place": ["7", "8"], "flow": [1.0, 2.5]}), tmp_path / name
    if name.endswith("csv"):
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path)
    kinds, columns = {"place": TEXT, "flow": NUMBER}, {"place": "place", "flow": "flow"}
    there, here = (Source((file,), path.suffix[1:], columns) for file in (path.as_uri(), str(path)))
    assert read_source(spark, there, kinds).collect() == read_source(spark, here, kinds).collect()
    assert there.size_in_bytes(spark) == here.size_in_bytes(spark) == path.stat().st_size
    (tmp_path / "u.csv").write_text("flow\n1\n")
    other = Source(((tmp_path / "u.csv").as_uri(),), "csv", columns)
    with pytest.raises(UserError, match="has no column 'place'"):
        read_source(spark, other, kinds)


def test_nanoseconds_at_an_address_have_no_zone_either(spark: SparkSession, tmp_path: Path) -> None:
    """Spark's schema calls them whole numbers, which would pass for seconds since 1970, UTC."""
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"time": pa.array([1_719_820_800_000_000_000], pa.timestamp("ns"))}), path)
    for file in (str(path), path.as_uri()):
        source = Source((file,), "parquet", {"time": "time"})
        assert read_source(spark, source, {"time": TIME}).first()["time_zoneless"]
        local = read_source(spark, source, {"time": TIME}, "America/Santiago").first()
        assert local["time"] == 1719835200_000_000


def test_an_address_without_its_library_is_told(spark: SparkSession) -> None:
    source = Source(("s3a://bucket/t.parquet",), "parquet", {"flow": "flow"})
    with pytest.raises(Exception, match="S3AFileSystem") as raised:
        read_source(spark, source, {"flow": NUMBER}).collect()
    told = as_user_error(raised.value)
    assert told is not None
    assert "hadoop-aws" in str(told)


def broken_files(folder: Path) -> dict[str, Path]:
    table = pa.table({"place": ["x"] * 1000, "flow": list(range(1000))})
    pq.write_table(table, folder / "whole.parquet", compression="none", use_dictionary=False)
    whole = (folder / "whole.parquet").read_bytes()
    (folder / "truncated.parquet").write_bytes(whole[: len(whole) // 2])
    (folder / "text.parquet").write_text("place,flow\n")
    (folder / "nothing.parquet").write_bytes(b"")
    (folder / "nothing.csv").write_bytes(b"")
    (folder / "not_gzip.csv.gz").write_text("place,flow\n1,2\n")
    return {path.name: path for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("truncated.parquet", "cannot be read as Parquet"),
        ("text.parquet", "cannot be read as Parquet"),
        ("nothing.parquet", "cannot be read as Parquet"),
        ("absent.parquet", "does not exist"),
        ("nothing.csv", "is empty"),
        ("not_gzip.csv.gz", "cannot be read as CSV"),
        ("absent.csv", "does not exist"),
    ],
)
def test_a_broken_file_is_named(spark: SparkSession, tmp_path: Path, name: str, message: str) -> None:
    path = broken_files(tmp_path).get(name, tmp_path / name)
    with pytest.raises(UserError, match=message) as raised:
        read_source(spark, described(path, place="place"), {"place": TEXT})
    assert str(path) in str(raised.value)


def test_a_parquet_file_broken_inside_is_named(spark: SparkSession, tmp_path: Path) -> None:
    path = broken_files(tmp_path)["whole.parquet"]
    content = bytearray(path.read_bytes())
    content[4:400] = b"\xff" * 396  # the footer stays whole
    path.write_bytes(content)
    with pytest.raises(Exception, match="FAILED_READ_FILE") as raised:
        read_source(spark, described(path, place="place", flow="flow"), {"place": TEXT, "flow": NUMBER}).collect()
    assert str(as_user_error(raised.value)).startswith(f"{path} cannot be read")


def test_the_check_of_region_yaml_and_spark_agree_on_which_written_times_have_a_zone(
    spark: SparkSession, tmp_path: Path
) -> None:
    """Spark's patterns are Java's: the same text must mean the same to both."""
    zones = ["Z", "z", " UTC", "+01", "+1", "-0300", "+01:00", " Europe/Berlin", "", " somewhere", "+01:0", "٣"]
    times = [f"2024-03-04 08:00:00{zone}{end}" for zone in zones for end in ("", " ")]
    times += ["1709539200", " 1709539200.5 ", "20240304", "2024-03-04", "١٧٠٩٥٣٩٢٠٠", "2024-03-04T08+01:00"]
    columns = [sql.col("time").rlike(pattern) for pattern in (WRITTEN_ZONE, WRITTEN_EPOCH)]
    rows = spark.createDataFrame([(time,) for time in times], "time string").select("time", *columns).collect()
    for time, *of_spark in rows:
        of_check = [bool(re.search(pattern, time, re.ASCII)) for pattern in (WRITTEN_ZONE, WRITTEN_EPOCH)]
        assert (time, of_check) == (time, of_spark)
    assert {tuple(row[1:]) for row in rows} == {(True, False), (False, True), (False, False)}


def test_an_unknown_zone_is_told(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("t\n1\n")
    with pytest.raises(UserError, match="time_zone is 'Mars/Base', which is not a time zone"):
        read_source(spark, described(tmp_path / "a.csv", time="t"), {"time": TIME}, "Mars/Base")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (RuntimeError("java.io.IOException: No space left on device"), "The disk is full"),
        (RuntimeError("Traceback …\nspark_jobs.errors.UserError: x.parquet is odd.\n\tat org"), "x.parquet is odd."),
        (RuntimeError("[PATH_NOT_FOUND] Path does not exist: file:/data/a%20b.csv."), "/data/a b.csv cannot be read"),
    ],
)
def test_the_users_mistake_is_found_in_an_exception_of_spark(error: Exception, told: str) -> None:
    assert str(as_user_error(error)).startswith(told)


def test_our_own_mistake_is_no_mistake_of_the_user() -> None:
    assert as_user_error(KeyError("flow")) is None


def test_parameters_need_a_dataset(spark: SparkSession, source: Any) -> None:
    with pytest.raises(UserError, match="places must name at least one file"):
        Source.parse(None, {"id"}, "places")
