"""Files as users have them: several, mixed, oddly named and typed; all give columns of the same few types."""

import json
import pickle
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as draw

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.reader import SourceReader
from mora_pipeline.raw.source import NUMBER, TEXT, TIME, Source
from mora_pipeline.raw.storage import size_of

Reader = Callable[..., SourceReader]
Read = Callable[..., list[dict[str, Any]]]
FLOW = {"place": TEXT, "flow": NUMBER}
NOON = 1_719_835_200_000_000  # 2024-07-01 12:00 UTC, microseconds; 08:00 in Santiago


def parquet(folder: Path, **columns: pa.Array) -> Path:
    pq.write_table(pa.table(columns), folder / "t.parquet")
    return folder / "t.parquet"


def test_files_may_order_their_columns_differently(read: Read, tmp_path: Path) -> None:
    """A byte order mark is no part of a name."""
    (tmp_path / "a.csv").write_text("place,flow\n007,1\n")
    (tmp_path / "b.csv").write_text("\ufeffflow,note,place\n2,x,008\n", encoding="utf-8")
    rows = read(tmp_path / "a.csv", tmp_path / "b.csv", kinds=FLOW)
    assert [(row["place"], row["flow"]) for row in rows] == [("007", 1.0), ("008", 2.0)]
    assert [Path(row["source"]).name for row in rows] == ["a.csv", "b.csv"]


def test_files_may_differ_in_the_types_of_their_columns(read: Read, tmp_path: Path) -> None:
    frames = [pd.DataFrame({"place": ["7"], "flow": [1]}), pd.DataFrame({"place": [8], "flow": [2.5]})]
    for number, frame in enumerate(frames):
        frame.to_parquet(tmp_path / f"{number}.parquet")
    rows = read(tmp_path / "0.parquet", tmp_path / "1.parquet", kinds=FLOW)
    assert [(row["place"], row["flow"]) for row in rows] == [("7", 1.0), ("8", 2.5)]


def test_odd_names_are_read_as_they_are(read: Read, tmp_path: Path) -> None:
    folder = tmp_path / "day=1 [x]{y}"
    folder.mkdir()
    (folder / "a b+c%41.csv").write_text('"a.b `c`",d\n"say ""hi"", twice",1\n')
    (row,) = read(folder / "a b+c%41.csv", kinds={"name": TEXT}, columns={"name": "a.b `c`"})
    assert row["name"] == 'say "hi", twice'
    assert row["source"] == str(folder / "a b+c%41.csv")
    assert row["raw"] == '{"a.b `c`": "say \\"hi\\", twice"}'


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.csv.zip", "t.parquet"])
def test_an_address_is_read_as_the_file_is(reader: Reader, read: Read, tmp_path: Path, name: str) -> None:
    """`file://` stands for the addresses of a store: they go through the same code."""
    frame, path = pd.DataFrame({"place": ["7", "8"], "flow": [1.0, 2.5]}), tmp_path / name
    if name.endswith("parquet"):
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False)
    there, here = ([{**row, "source": ""} for row in read(file, kinds=FLOW)] for file in (path.as_uri(), str(path)))
    assert there == here
    assert [(row["place"], row["flow"]) for row in here] == [("7", 1.0), ("8", 2.5)]
    assert size_of(path.as_uri()) == reader(path, kinds=FLOW).source.size_in_bytes() == path.stat().st_size


def test_what_is_wrong_at_an_address_is_told(reader: Reader, tmp_path: Path) -> None:
    (tmp_path / "u.csv").write_text("flow\n1\n")
    with pytest.raises(UserError, match=r"file:.*u\.csv has no column 'place'"):
        reader((tmp_path / "u.csv").as_uri(), kinds=FLOW)
    with pytest.raises(UserError, match=r"file:.*no\.parquet does not exist"):
        reader((tmp_path / "no.parquet").as_uri(), kinds=FLOW)
    with pytest.raises(UserError, match=r"ftp://host/t\.csv is at an address that cannot be opened.*begin with s3://"):
        reader("ftp://host/t.csv", kinds=FLOW)


@pytest.mark.parametrize(
    ("values", "numbers"),
    [
        (pa.array([1, None, -3], pa.int8()), [1.0, None, -3.0]),
        (pa.array([2**63], pa.uint64()), [2.0**63]),
        (pa.array([2**53 + 1], pa.int64()), [2.0**53]),  # the last digit is lost, and not the row
        (pa.array([1.5, None, float("nan"), float("inf")], pa.float32()), [1.5, None, None, None]),
        (pa.array(np.array([1.5, 65504], np.float16)), [1.5, 65504.0]),
        (pa.array([Decimal("1.25"), None], pa.decimal128(5, 2)), [1.25, None]),
        (pa.array([Decimal("1e20")], pa.decimal256(40, 2)), [1e20]),
        (pa.array(["1", " 2.5 ", "-3e2", "+.5", "", None]), [1.0, 2.5, -300.0, 0.5, None, None]),
        (pa.array(["4", "x", "4"]).dictionary_encode(), [4.0, None, 4.0]),
        (pa.array(["5", None], pa.large_string()), [5.0, None]),
        (pa.array([True]), [None]),
        (pa.array([date(2024, 1, 1)]), [None]),
    ],
)
def test_numbers_of_every_type(read: Read, tmp_path: Path, values: pa.Array, numbers: list[float | None]) -> None:
    rows = read(parquet(tmp_path, flow=values), kinds={"flow": NUMBER})
    assert [row["flow"] for row in rows] == numbers


@pytest.mark.parametrize("text", ["12d", "1f", "0x10", "inf", "NaN", "1_000", "1 2", "--1", "1e", ".", "٣", "1,000"])
def test_only_plain_decimal_numbers_are_numbers(read: Read, tmp_path: Path, text: str) -> None:
    """Java reads 12d, 1f and 0x10 as numbers, and so did Spark; a flow with a letter in it is no number now."""
    written = {"decimal": ".", "thousands": ""}
    rows = read(parquet(tmp_path, flow=pa.array(["1", text])), kinds={"flow": NUMBER}, csv=written)
    assert [row["flow"] for row in rows] == [1.0, None]


def test_texts_of_numbers_that_can_be_read_in_two_ways_are_told_with_their_file(reader: Reader, tmp_path: Path) -> None:
    file = parquet(tmp_path, flow=pa.array(["1,000", "2,500"]))
    with pytest.raises(UserError, match=r"t\.parquet: '1,000' may be 1 .*or 1000 .*Declare which it is"):
        reader(file, kinds={"flow": NUMBER})


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        (pa.array([7, None], pa.int64()), [7, None]),  # whole numbers in all files stay numbers
        (pa.array([2**64 - 1], pa.uint64()), [str(2**64 - 1)]),
        (pa.array([7.0, 7.5, None, float("nan"), 1e300]), ["7", "7.5", None, None, "1e+300"]),
        (pa.array([12345678901.0], pa.float64()), ["12345678901"]),
        (pa.array(np.array([7, 2], np.float16)), ["7", "2"]),
        (pa.array(["007", " 7 ", "", "  ", None, "\\N"]), ["007", "7", None, None, None, None]),
        (pa.array(["a", None, "a"]).dictionary_encode(), ["a", None, "a"]),
        (pa.array(["a"], pa.large_string()), ["a"]),
        (pa.array([b"a"], pa.binary()), ["a"]),
        (pa.array([Decimal("7")], pa.decimal128(5, 0)), ["7"]),
        (pa.array([date(2024, 1, 2)]), ["2024-01-02"]),
    ],
)
def test_texts_of_every_type(read: Read, tmp_path: Path, values: pa.Array, texts: list[Any]) -> None:
    rows = read(parquet(tmp_path, user=values), kinds={"user": TEXT})
    assert [row["user"] for row in rows] == texts


def test_one_id_is_one_however_files_store_it(read: Read, tmp_path: Path) -> None:
    """7, 7.0 and '7 ' are one user; '007' is another."""
    stored = [pa.array([7]), pa.array([7.0]), pa.array(["7 "]), pa.array(["7"]).dictionary_encode(), pa.array(["007"])]
    files = [tmp_path / f"{number}.parquet" for number in range(len(stored))]
    for file, values in zip(files, stored, strict=True):
        pq.write_table(pa.table({"user": values}), file)
    assert [row["user"] for row in read(*files, kinds={"user": TEXT})] == ["7"] * 4 + ["007"]


def test_a_number_that_means_no_value_is_no_id(read: Read, tmp_path: Path) -> None:
    file = parquet(tmp_path, user=pa.array([5, -999]), flow=pa.array([-999.0, 2.0]))
    rows = read(file, kinds={"user": TEXT, "flow": NUMBER}, null=("-999",))
    assert [(row["user"], row["flow"]) for row in rows] == [("5", None), (None, 2.0)]


@pytest.mark.parametrize(
    ("values", "zoneless"),
    [
        (pa.array([NOON // 1000], pa.timestamp("ms", "UTC")), False),
        (pa.array([NOON], pa.timestamp("us", "America/Santiago")), False),
        (pa.array([NOON // 1_000_000], pa.timestamp("s")), True),
        (pa.array([NOON], pa.timestamp("us")), True),
        (pa.array([NOON * 1000], pa.timestamp("ns")), True),
        (pa.array([NOON * 1000], pa.timestamp("ns", "UTC")), False),
        (pa.array([NOON // 1_000_000]), False),
        (pa.array([NOON // 1000]), False),
        (pa.array([NOON]), False),
        (pa.array([NOON * 1000]), False),
        (pa.array([NOON / 1e6]), False),
        (pa.array([20240701120000]), True),
        (pa.array([str(NOON // 1000)]), False),
        (pa.array(["2024-07-01T12:00:00Z"]), False),
        (pa.array(["2024-07-01 12:00:00.000+0000"]), False),
        (pa.array(["2024-07-01 08:00:00-04:00"]), False),
        (pa.array(["2024-07-01 12:00"]), True),
        (pa.array(["20240701120000"]), True),
    ],
)
def test_times_of_every_written_form(read: Read, tmp_path: Path, values: pa.Array, zoneless: bool) -> None:
    """Digits such as 20240701120000 are a time on the wall clock now; they were no time at all."""
    file = parquet(tmp_path, time=values)
    (row,) = read(file, kinds={"time": TIME})
    assert (row["time"], row["time_zoneless"]) == (NOON, zoneless)
    (row,) = read(file, kinds={"time": TIME}, time_zone="America/Santiago")
    assert (row["time"], row["time_zoneless"]) == (NOON + zoneless * 4 * 3_600_000_000, False)


@pytest.mark.parametrize("seconds", [631_151_999, 4_102_444_800, -5, 0])
def test_numbers_are_times_from_1990_to_tomorrow_only(read: Read, tmp_path: Path, seconds: int) -> None:
    """Any number was a time before, so that a column of ids could pass for one."""
    file = parquet(tmp_path, time=pa.array([seconds, NOON // 1_000_000]))
    assert [row["time"] for row in read(file, kinds={"time": TIME})] == [None, NOON]
    declared = read(file, kinds={"time": TIME}, time_format="epoch_s")
    assert [row["time"] for row in declared] == [seconds * 1_000_000, NOON]


@pytest.mark.parametrize("remote", [False, True])
def test_nanoseconds_without_a_zone_have_none(read: Read, tmp_path: Path, remote: bool) -> None:
    """To the JVM they are whole numbers, which would pass for moments since 1970, UTC."""
    path = parquet(tmp_path, time=pa.array([NOON * 1000], pa.timestamp("ns")))
    file = path.as_uri() if remote else str(path)
    assert read(file, kinds={"time": TIME})[0]["time_zoneless"]
    assert read(file, kinds={"time": TIME}, time_zone="America/Santiago")[0]["time"] == NOON + 4 * 3_600_000_000


def test_int96_are_moments_in_utc(read: Read, tmp_path: Path) -> None:
    """As Spark and Hive write them, also of years that nanoseconds cannot hold."""
    times = [datetime(2024, 7, 1, 12, tzinfo=UTC), datetime(2500, 1, 1, tzinfo=UTC), None]
    table = pa.table({"time": pa.array([each and each.replace(tzinfo=None) for each in times], pa.timestamp("us"))})
    pq.write_table(table, tmp_path / "t.parquet", use_deprecated_int96_timestamps=True)
    assert pq.ParquetFile(tmp_path / "t.parquet").schema.column(0).physical_type == "INT96"
    rows = read(tmp_path / "t.parquet", kinds={"time": TIME}, time_zone="America/Santiago")
    assert [row["time"] for row in rows] == [each and round(each.timestamp() * 1e6) for each in times]
    assert not any(row["time_zoneless"] for row in read(tmp_path / "t.parquet", kinds={"time": TIME}))


def test_an_unknown_zone_is_told(reader: Reader, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("time\n1\n")
    with pytest.raises(UserError, match="time_zone is 'Mars/Base', which is not a time zone"):
        reader(tmp_path / "a.csv", kinds={"time": TIME}, time_zone="Mars/Base")


def test_a_column_may_play_two_roles(read: Read, tmp_path: Path) -> None:
    file = parquet(tmp_path, a=pa.array(["5"]))
    (row,) = read(file, kinds={"id": TEXT, "flow": NUMBER}, columns={"id": "a", "flow": "a"})
    assert (row["id"], row["flow"], row["raw"]) == ("5", 5.0, '{"a": "5"}')


def test_folders_and_names_of_files_carry_columns(read: Read, tmp_path: Path) -> None:
    folder = tmp_path / "day=2024-01-02"
    folder.mkdir()
    pq.write_table(pa.table({"flow": [1.0, 2.0]}), folder / "od_7.parquet")
    columns = {"flow": "flow", "day": "day", "origin": "zone"}
    kinds = {"flow": NUMBER, "day": TEXT, "origin": TEXT}
    rows = read(folder / "od_7.parquet", kinds=kinds, columns=columns, name_pattern="od_{zone}.parquet")
    assert [(row["flow"], row["day"], row["origin"]) for row in rows] == [
        (1, "2024-01-02", "7"),
        (2, "2024-01-02", "7"),
    ]


def test_a_filter_leaves_out_rows_but_no_malformed_record(read: Read, tmp_path: Path) -> None:
    """What a record of too few fields would have said is not known: it stays, to be counted as bad."""
    (tmp_path / "a.csv").write_text("place,flow,kind\na,1,x\nb,2,y\nc\n")
    rows = read(tmp_path / "a.csv", kinds=FLOW, where="kind = 'y'")
    assert [(row["place"], row["flow"], row["malformed"]) for row in rows] == [("b", 2.0, False), (None, None, True)]
    assert rows[1]["raw"] == '{"record": "c"}'


def test_rows_are_shown_as_they_stand_in_the_file(read: Read, tmp_path: Path) -> None:
    """Whatever was not understood can be found again, and every type can be shown."""
    file = parquet(tmp_path, flow=pa.array([b"\xe1"]), place=pa.array([date(2024, 1, 2)]), other=pa.array([1]))
    (row,) = read(file, kinds=FLOW)
    assert json.loads(row["raw"]) == {"place": "2024-01-02", "flow": "e1"}


def test_a_reader_can_be_sent_to_a_task(reader: Reader, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("place;n\n7;1.234,5\n")
    kinds, columns = {"place": TEXT, "flow": NUMBER}, {"place": "place", "flow": "n * 2"}
    csv = {"decimal": ",", "thousands": ".", "separator": ";"}
    sent = pickle.loads(pickle.dumps(reader(tmp_path / "a.csv", kinds=kinds, columns=columns, csv=csv)))  # noqa: S301
    ((typed, _),) = sent.read_all()
    assert (typed["place"].to_pylist(), typed["flow"].to_pylist()) == (["7"], [2469.0])


cells = draw.fixed_dictionaries(
    {
        "place": draw.one_of(draw.none(), draw.text("ab 7\t\u00e9,;\"'", max_size=4), draw.integers(-9, 99).map(str)),
        "flow": draw.one_of(draw.none(), draw.floats(allow_nan=False), draw.integers(-(10**17), 10**17)),
    }
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=draw.lists(cells, min_size=1, max_size=30))
def test_a_csv_and_a_parquet_file_of_one_table_are_read_alike(read: Read, tmp_path: Path, rows: list[Any]) -> None:
    frame = pd.DataFrame({"place": [row["place"] for row in rows], "flow": [row["flow"] for row in rows], "end": 0})
    frame["flow"] = frame["flow"].astype(object).where(frame["flow"].notna(), None)
    written = [None if value is None else repr(value) for value in frame["flow"]]
    frame.assign(flow=pd.Series(written)).to_csv(tmp_path / "t.csv", index=False, quoting=1)
    table = {"place": pa.array(frame["place"].tolist(), pa.string()), "flow": pa.array(written, pa.string())}
    pq.write_table(pa.table(table), tmp_path / "t.parquet", row_group_size=7)
    csv = {"separator": ",", "decimal": ".", "thousands": "", "encoding": "utf-8", "null": [""]}
    by_csv, by_parquet = (
        [(row["place"], row["flow"]) for row in read(tmp_path / name, kinds=FLOW, csv=declared)]
        for name, declared in (("t.csv", csv), ("t.parquet", {"null": [""]}))
    )
    numbers = [value if value is None or abs(value) < np.inf else None for value in frame["flow"]]
    texts = [(value and value.strip()) or None for value in frame["place"]]
    assert (
        by_csv == by_parquet == [(text, n if n is None else float(n)) for text, n in zip(texts, numbers, strict=True)]
    )


def test_parameters_need_a_dataset() -> None:
    with pytest.raises(UserError, match="places must name at least one file"):
        Source.parse(None, {"id"}, "places")
    with pytest.raises(UserError, match=r"source\.format is 'xlsx': say csv, parquet"):
        Source.parse({"files": ["a.xlsx"], "format": "xlsx", "columns": {}}, set())
    with pytest.raises(UserError, match=r"source\.columns lacks flow; it has id\."):
        Source.parse({"files": ["a.csv"], "format": "csv", "columns": {"id": "a"}}, {"id", "flow"})


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_annotations_of_the_census_are_no_numbers_wherever_they_stand(tmp_path: Path, form: str) -> None:
    """Not only those that a sample shows: the one that stands behind it would be a label of −666,666,666."""
    values = [float(number) for number in range(40_000)]
    values[-1] = -666666666.0
    path = tmp_path / f"labels.{form}"
    if form == "csv":
        path.write_text("y\n" + "".join(f"{value:.1f}\n" for value in values))
    else:
        pq.write_table(pa.table({"y": values}), path)
    reader = SourceReader.of(Source((str(path),), form, {"y": "y"}), {"y": NUMBER})
    read = pa.chunked_array([batch["y"] for batch, _ in reader.read_all()])
    assert read.null_count == 1
    assert pc.min(read).as_py() == 0.0
    declared = SourceReader.of(Source((str(path),), form, {"y": "y"}, null=("5.0",)), {"y": NUMBER})
    kept = pa.chunked_array([batch["y"] for batch, _ in declared.read_all()])
    assert pc.min(kept).as_py() == -666666666.0
