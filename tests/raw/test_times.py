"""Raw values as moments, against datetime, strptime and zoneinfo; which columns can be read in one way alone."""

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as draw

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.time_readings import readings_of
from mora_pipeline.raw.times import as_moments, checked_time_format

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
TOMORROW = datetime.now(UTC) + timedelta(days=1)
OLDEST = datetime(1990, 1, 1, tzinfo=UTC)
plausible = draw.datetimes(datetime(1990, 1, 1), TOMORROW.replace(tzinfo=None))
anytime = draw.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30))


def micros(moment: datetime) -> int:
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - EPOCH) // MICROSECOND


def read(
    values: Any, time_format: str | None = None, time_zone: str | None = None
) -> list[tuple[datetime | None, bool]]:
    """Moments as datetimes of UTC, and whether they lack a zone."""
    array = values if isinstance(values, pa.Array) else pa.array(values)
    moments, zoneless = as_moments(array, time_format, time_zone)
    assert moments.type == pa.int64()
    assert zoneless.dtype == bool
    assert len(moments) == len(zoneless) == len(array)
    assert not (zoneless & moments.is_null().to_numpy(zero_copy_only=False)).any(), "what is not read lacks no zone"
    times = [None if moment is None else EPOCH + moment * MICROSECOND for moment in moments.to_pylist()]
    return list(zip(times, zoneless.tolist(), strict=True))


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type,misc]


@pytest.mark.parametrize(
    ("text", "expected", "zoneless"),
    [
        ("2020-01-02", utc(2020, 1, 2), True),
        ("2020-1-2", utc(2020, 1, 2), True),
        ("2020/01/02 3:04", utc(2020, 1, 2, 3, 4), True),
        ("2020.01.02", utc(2020, 1, 2), True),
        ("2020-01-02T03", utc(2020, 1, 2, 3), True),
        ("2020-01-02 3:4:5", utc(2020, 1, 2, 3, 4, 5), True),
        (" 2020-01-02T03:04:05.5 ", utc(2020, 1, 2, 3, 4, 5, 500_000), True),
        ("2020-01-02T03:04:05,123456789", utc(2020, 1, 2, 3, 4, 5, 123_456), True),
        ("2020-01-02T03:04:05Z", utc(2020, 1, 2, 3, 4, 5), False),
        ("2020-01-02t03:04:05z", utc(2020, 1, 2, 3, 4, 5), False),
        ("2020-01-02 03:04:05 UTC", utc(2020, 1, 2, 3, 4, 5), False),
        ("2020-01-02 03:04:05 gmt", utc(2020, 1, 2, 3, 4, 5), False),
        ("2020-01-02 03:04:05+01", utc(2020, 1, 2, 2, 4, 5), False),
        ("2020-01-02 03:04:05+1", utc(2020, 1, 2, 2, 4, 5), False),
        ("2020-01-02 03:04:05-0330", utc(2020, 1, 2, 6, 34, 5), False),
        ("2020-01-02 03:04:05 -03:30", utc(2020, 1, 2, 6, 34, 5), False),
        ("2020-01-02 03:04:05 GMT+0100", utc(2020, 1, 2, 2, 4, 5), False),
        ("2024-03-04T08+01:00", utc(2024, 3, 4, 7), False),
        ("2020-07-02 03:04:05 Europe/Berlin", utc(2020, 7, 2, 1, 4, 5), False),
        ("2020-07-02 03:04:05 America/Argentina/Buenos_Aires", utc(2020, 7, 2, 6, 4, 5), False),
        ("2020-07-02 03:04:05 Etc/GMT+5", utc(2020, 7, 2, 8, 4, 5), False),
        ("2020-07-02T03:04:05+02:00[Europe/Berlin]", utc(2020, 7, 2, 1, 4, 5), False),
        ("20200102T030405Z", utc(2020, 1, 2, 3, 4, 5), False),
        ("20200102T0304", utc(2020, 1, 2, 3, 4), True),
        ("1577836800", utc(2020, 1, 1), False),
        (" 1577836800.5 ", datetime(2020, 1, 1, 0, 0, 0, 500_000, tzinfo=UTC), False),
        ("1577836800123", datetime(2020, 1, 1, 0, 0, 0, 123_000, tzinfo=UTC), False),
        ("1577836800123456", datetime(2020, 1, 1, 0, 0, 0, 123_456, tzinfo=UTC), False),
        ("1577836800123456789", datetime(2020, 1, 1, 0, 0, 0, 123_456, tzinfo=UTC), False),
        ("1.577e+09", EPOCH + timedelta(seconds=1_577_000_000), False),
        ("1.5778368E12", utc(2020, 1, 1), False),
        ("20240131", utc(2024, 1, 31), True),
        ("2024013108", utc(2024, 1, 31, 8), True),
        ("202401310859", utc(2024, 1, 31, 8, 59), True),
        ("20240131085958", utc(2024, 1, 31, 8, 59, 58), True),
        ("20240131085958123", datetime(2024, 1, 31, 8, 59, 58, 123_000, tzinfo=UTC), True),
        ("9999-12-31 23:59:59", utc(9999, 12, 31, 23, 59, 59), True),
        ("1500-01-01", utc(1500, 1, 1), True),
    ],
)
def test_texts_with_one_reading_are_read(text: str, expected: datetime, zoneless: bool) -> None:
    """Alone, so that Arrow's parser may take it, and among others."""
    assert read([text]) == [(expected, zoneless)]
    mixed = read(["2019-1-1 UTC?", text, None, text, "5"])
    assert [mixed[1], mixed[3]] == [(expected, zoneless)] * 2
    zone = read([text, None], time_zone="Asia/Tokyo")
    assert zone == [
        (expected - timedelta(hours=9) if zoneless and expected.year > 1900 else zone[0][0], False),
        (None, False),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "x", "2020", "2020-01", "01/02/2020", "2020-13-01", "2020-02-30", "2019-02-29", "2020-01-02 24:00",
        "2020-01-02 03:60", "2020-01-02 03:04:60", "2020-01-02 03:04:05 Mars/Base", "2020-01-02 03:04:05 CET",
        "2020-01-02 03:04:05+24:00", "2020-01-02x", "2020-01/02", "0000-01-01", "12:00", "now", "today", "NaT", "nan",
        "1", "100000", "20241301", "20240132", "20200230", "19891231", "20991231", "99999999999999", "-1577836800",
        "0x5e0be100", "1577836800s", "1_577_836_800", "1e400", "٢٠٢٠-٠١-٠٢", "2020-01-02 03:04:05 UTC+", "inf",
        "99999999999999999999", "2020-01-02T", "2020-01-02 03:04:05 ../../etc/passwd", "../" * 99,
    ],
)  # fmt: skip
def test_texts_without_a_certain_reading_are_null(text: str) -> None:
    for values in ([text], ["2020-01-01", text], ["1577836800", text]):
        assert read(values)[-1] == (None, False)


@pytest.mark.parametrize(
    ("values", "expected", "zoneless"),
    [
        (pa.array([1_577_836_800], pa.int32()), utc(2020, 1, 1), False),
        (pa.array([1_577_836_800], pa.uint32()), utc(2020, 1, 1), False),
        (pa.array([1_577_836_800_000_000_000], pa.uint64()), utc(2020, 1, 1), False),
        (pa.array([1_577_836_800.25]), datetime(2020, 1, 1, 0, 0, 0, 250_000, tzinfo=UTC), False),
        (pa.array([20240131], pa.int32()), utc(2024, 1, 31), True),
        (pa.array([20240131.0]), utc(2024, 1, 31), True),
        (pa.array([20191231080000]), utc(2019, 12, 31, 8), True),
        (pa.array([1_577_836_800]).cast(pa.decimal128(20, 0)), utc(2020, 1, 1), False),
        (pa.array([date(2020, 1, 2)]), utc(2020, 1, 2), True),
        (pa.array([date(2020, 1, 2)], pa.date64()), utc(2020, 1, 2), True),
        (pa.array([1_577_836_800_123_456_789], pa.timestamp("ns")), utc(2020, 1, 1, 0, 0, 0, 123_456), True),
        (pa.array([-1], pa.timestamp("ns", "UTC")), EPOCH - MICROSECOND, False),
        (pa.array([1_577_836_800], pa.timestamp("s", "Asia/Tokyo")), utc(2020, 1, 1), False),
        (pa.array([1_577_836_800_000], pa.timestamp("ms")), utc(2020, 1, 1), True),
        (pa.array(["2020-01-02"], pa.large_string()), utc(2020, 1, 2), True),
        (pa.array(["2020-01-02"], pa.string_view()), utc(2020, 1, 2), True),
        (pa.array(["2020-01-02", "x"]).dictionary_encode(), utc(2020, 1, 2), True),
        (pa.array([True]), None, False),
        (pa.array([20240131.5]), None, False),
        (pa.array([float("nan"), float("inf")]), None, False),
        (pa.array([2**63], pa.uint64()), None, False),
        (pa.array([2**62], pa.timestamp("s")), None, False),
        (pa.nulls(2), None, False),
        (pa.array([5], pa.time32("s")), None, False),
    ],
)
def test_values_of_any_type_are_read(values: pa.Array, expected: datetime | None, zoneless: bool) -> None:
    assert read(values)[0] == (expected, zoneless)
    assert read(values[:0]) == []
    assert read(pa.concat_arrays([values, pa.nulls(2, values.type)]))[-1] == (None, False)
    if zoneless:
        assert read(values, time_zone="UTC")[0] == (expected, False)
        assert expected is not None
        assert read(values, time_zone="Asia/Tokyo")[0] == (expected - timedelta(hours=9), False)


def test_a_day_as_a_number_is_no_moment_of_1970() -> None:
    """20240131 seconds are August 1970; 20191231080000 milliseconds are the year 2609."""
    assert [time for time, _ in read([20240131, 20191231080000])] == [utc(2024, 1, 31), utc(2019, 12, 31, 8)]


@given(draw.lists(plausible, min_size=1), draw.sampled_from([1_000_000, 1000, 1]))
def test_epochs_are_read_by_their_unit(times: list[datetime], scale: int) -> None:
    numbers = [micros(time) // scale for time in times]
    expected = [(EPOCH + number * scale * MICROSECOND, False) for number in numbers]
    assert read(numbers) == read(list(map(str, numbers))) == expected
    assert read([number * 1000 for number in numbers] if scale == 1 else numbers) == expected
    close = read(pa.array(numbers, pa.float64()))
    assert close == expected


@given(draw.lists(plausible, min_size=1), draw.sampled_from(["%Y%m%d", "%Y%m%d%H", "%Y%m%d%H%M", "%Y%m%d%H%M%S"]))
def test_compact_digits_are_read(times: list[datetime], form: str) -> None:
    """Ten digits that are seconds since 1970 as well are not: by 2033, the first of them."""
    texts = [time.strftime(form) for time in times]
    assume(not any(len(text) == 10 and OLDEST <= EPOCH + timedelta(seconds=int(text)) <= TOMORROW for text in texts))
    expected = [(datetime.strptime(text, form).replace(tzinfo=UTC), True) for text in texts]
    assert read(texts) == read(list(map(int, texts))) == expected


@given(draw.integers(0, 10**19) | draw.integers(19_000_000_000, 21_000_000_000) | draw.integers(19_000_000, 21_000_000))
def test_a_number_is_read_only_if_plausible(number: int) -> None:
    time, _ = read([str(number)])[0]
    assert time is None or OLDEST <= time <= TOMORROW + timedelta(days=1)


@given(
    draw.lists(anytime, min_size=1), draw.sampled_from(["T", " "]),
    draw.sampled_from(["auto", "seconds", "minutes", "milliseconds", "hours"]),
)  # fmt: skip
def test_iso_texts_are_what_datetime_wrote(times: list[datetime], mark: str, precision: str) -> None:
    texts = [time.isoformat(mark, precision) for time in times]
    assert read(texts) == [(datetime.fromisoformat(text).replace(tzinfo=UTC), True) for text in texts]


@given(draw.lists(draw.tuples(anytime, draw.integers(-1079, 1079)), min_size=1), draw.sampled_from(["", ":"]))
def test_offsets_are_what_datetime_wrote(drawn: list[tuple[datetime, int]], colon: str) -> None:
    times = [time.replace(tzinfo=timezone(timedelta(minutes=minutes))) for time, minutes in drawn]
    texts = [time.isoformat(" ")[:-3] + colon + time.isoformat()[-2:] for time in times]
    assert read(texts) == [(time.astimezone(UTC), False) for time in times]


@given(draw.lists(draw.datetimes(datetime(1975, 1, 1), datetime(2050, 1, 1)), min_size=1))
def test_local_times_are_those_of_zoneinfo(times: list[datetime]) -> None:
    """Those that are skipped or there twice too: as `to_instants` has them."""
    zone = ZoneInfo("America/New_York")
    expected = [time.replace(tzinfo=zone).astimezone(UTC) for time in times]
    texts = [time.isoformat() for time in times]
    for values in (texts, [f"{text} America/New_York" for text in texts], pa.array(times, pa.timestamp("us"))):
        assert [time for time, _ in read(values, None, "America/New_York")] == expected


FORMATS = [
    "%d/%m/%Y %H:%M", "%m/%d/%Y %I:%M:%S %p", "%Y%m%d%H%M%S", "%d.%m.%Y %H:%M:%S%z", "%d%m%Y", "%d-%b-%y %H.%M",
    "%b %d, %Y", "%a, %d %b %Y %H:%M:%S", "%Y-%j", "%Y%j%H", "%y%m%d", "%H:%M %d/%m/%Y", "%d/%m/%Y %H:%M:%S.%f",
    "%A %d %B %Y", "%Y年%m月%d日", "%%%Y|%m|%d", "%Y%m%d%H%M%S%f", "[%Y] (%m) {%d}", "%d\\%m\\%Y", "%d.%m.%Y.%H",
]  # fmt: skip


@given(draw.lists(plausible, min_size=1), draw.sampled_from(FORMATS), draw.booleans())
def test_a_format_reads_what_strptime_reads(times: list[datetime], form: str, short: bool) -> None:
    texts = [time.replace(tzinfo=timezone(timedelta(hours=-3, minutes=-30))).strftime(form) for time in times]
    if short and "/" in form:  # 1/2/2020 for 01/02/2020
        texts = [text.replace("/0", "/").removeprefix("0") for text in texts]
    expected = [datetime.strptime(text, form) for text in texts]
    assert read(texts, form) == [
        (time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC), time.tzinfo is None) for time in expected
    ]
    junk = ["x", "", None, *(text + "1x" for text in texts), *(text[:-1] + "?" for text in texts)]
    assert [time for time, _ in read(pa.array([*texts, *junk]), form)][len(texts) :] == [None] * len(junk)


@given(draw.lists(draw.text(alphabet="0123456789/: -APM", max_size=20), min_size=1))
def test_a_format_never_reads_what_strptime_refuses(texts: list[str]) -> None:
    form = "%d/%m/%Y %H:%M"
    for text, (time, _) in zip(texts, read(texts, form), strict=True):
        try:
            expected = datetime.strptime(text.strip(), form).replace(tzinfo=UTC)
        except ValueError:
            expected = None
        assert time == expected


@pytest.mark.parametrize(
    ("values", "form", "expected", "zoneless"),
    [
        (["31/12/2019 08:00"], "%d/%m/%Y %H:%M", utc(2019, 12, 31, 8), True),
        (["20191231080000"], "%Y%m%d%H%M%S", utc(2019, 12, 31, 8), True),
        ([20191231080000], "%Y%m%d%H%M%S", utc(2019, 12, 31, 8), True),
        ([1022020], "%d%m%Y", utc(2020, 2, 1), True),
        ([1022020.0], "%d%m%Y", utc(2020, 2, 1), True),
        (["31.12.2019 08:00:00+0130"], "%d.%m.%Y %H:%M:%S%z", utc(2019, 12, 31, 6, 30), False),
        (["31.12.2019 08:00 Asia/Tokyo"], "%d.%m.%Y %H:%M %Z", utc(2019, 12, 30, 23), False),
        (["12/31/2019 12:00:00 AM"], "%m/%d/%Y %I:%M:%S %p", utc(2019, 12, 31), True),
        (["12/31/2019 12:00\u202fp.m."], "%m/%d/%Y %I:%M %p", utc(2019, 12, 31, 12), True),
        (["Sept. 5, 2020"], "%b %d, %Y", utc(2020, 9, 5), True),
        (["5 MAY 2020"], "%d %B %Y", utc(2020, 5, 5), True),
        (["2019-12-31"], "%F", utc(2019, 12, 31), True),
        ([1577836800], "epoch_s", utc(2020, 1, 1), False),
        ([5], "epoch_s", utc(1970, 1, 1, 0, 0, 5), False),
        ([-5], "epoch_s", EPOCH - timedelta(seconds=5), False),
        (["1577836800"], "epoch_s", utc(2020, 1, 1), False),
        (["1577836800.5"], "epoch_s", utc(2020, 1, 1, 0, 0, 0, 500_000), False),
        ([1577836800000], "epoch_ms", utc(2020, 1, 1), False),
        ([1577836800000.0], "epoch_ms", utc(2020, 1, 1), False),
        ([1577836800000000], "epoch_us", utc(2020, 1, 1), False),
        ([1577836800123456789], "epoch_ns", utc(2020, 1, 1, 0, 0, 0, 123_456), False),
        (["1577836800123456789"], "epoch_ns", utc(2020, 1, 1, 0, 0, 0, 123_456), False),
        ([18262], "epoch_days", utc(2020, 1, 1), True),
        ([43831], "excel_days", utc(2020, 1, 1), True),
        ([43831.3333333333], "excel_days", utc(2020, 1, 1, 8), True),
        (["43831.75"], "excel_days", utc(2020, 1, 1, 18), True),
        ([2**62], "epoch_s", None, False),
        ([float("nan")], "epoch_ms", None, False),
        ([1e300], "epoch_days", None, False),
        ([0.5], "%Y%m%d", None, False),
        ([-20200101], "%Y%m%d", None, False),
        (["x"], "excel_days", None, False),
        (pa.array([utc(2020, 1, 1)]), "%d/%m/%Y", utc(2020, 1, 1), False),
    ],
)
def test_a_declared_format_is_followed(values: Any, form: str, expected: datetime | None, zoneless: bool) -> None:
    assert read(values, form)[0] == (expected, zoneless)


def test_excel_days_are_the_days_of_a_spreadsheet() -> None:
    days = [datetime(1990, 1, 1) + timedelta(days=number) for number in range(0, 14_000, 7)]
    serial = [(day - datetime(1899, 12, 30)).days for day in days]
    assert [time for time, _ in read(serial, "excel_days")] == [day.replace(tzinfo=UTC) for day in days]


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ("%d/%m %H:%M", "lacks the year"),
        ("%H:%M", "lacks the year and the month and the day"),
        ("%Y-%m", "lacks the day"),
        ("%d/%m/%Y %H:%m", "month twice .*%M the minute"),
        ("%Y-%m-%d %q", "'%q' is unknown. There are %Y"),
        ("%Y-%m-%d %", "'%' is unknown"),
        ("%s", "Say epoch_s"),
        ("%c", "'%c' is unknown"),
        ("dd/MM/yyyy HH:mm", r"Say %d/%m/%Y %H:%M\."),
        ("epoch", "epoch_s, epoch_ms"),
        ("", "say it as in"),
        ("%Y-%m-%d %I:%M", "%I .* and %p .* go together"),
        ("%Y-%m-%d %H:%M %p", "go together"),
        ("%Y-%m-%d %M", "minute but not the hour"),
        ("%Y-%j %d", "excludes"),
        ("%Y %y %m %d", "year twice"),
    ],
)
def test_a_format_without_a_date_is_refused(form: str, message: str) -> None:
    with pytest.raises(UserError, match=f"time_format is '.*{message}"):
        checked_time_format(form)


def test_formats_that_are_right_are_kept() -> None:
    for form in [
        *FORMATS,
        "epoch_s",
        "epoch_ms",
        "epoch_us",
        "epoch_ns",
        "epoch_days",
        "excel_days",
        "%F %T",
        "%e %B %Y",
    ]:
        assert checked_time_format(form) == form


def test_a_column_of_many_shapes_is_read_as_one_by_one() -> None:
    """More shapes than are looked for one after the other; slices and nulls too."""
    texts = [f"2020-{month}-{day} {hour}:{'0' * (hour % 2)}{minute}{zone}" for month in (1, 11) for day in (1, 10)
             for hour in (3, 12) for minute in (1, 20) for zone in ("", "Z", " UTC", "+1", "+01:00", "x")]  # fmt: skip
    values = pa.array([None, *texts, "2020-01-01"])
    for part in (values, values[3:50]):
        assert read(part) == [read(pa.array([text], pa.string()))[0] for text in part.to_pylist()]


@pytest.mark.parametrize(
    ("values", "certain"),
    [
        (["31/12/2019 08:00", "01/02/2020 09:00"], "%d/%m/%Y %H:%M"),
        (["12/31/2019 8:00:00 PM", "01/02/2020 9:00:00 AM"], "%m/%d/%Y %I:%M:%S %p"),
        (["13.02.2020"], "%d.%m.%Y"),
        (["Jan 5, 2020 3:04 PM"], "%b %d, %Y %I:%M %p"),
        (["5-Jan-20", "6-Feb-20"], "%d-%b-%y"),
        (["Thu, 02 Jan 2020 03:04:05 GMT"], "%a, %d %b %Y %H:%M:%S %z"),
        (["31.12.2019 08:00:00+0100"], "%d.%m.%Y %H:%M:%S%z"),
        (["31-12-2019 08.05"], "%d-%m-%Y %H.%M"),
        (["43831.5", "43832"], "excel_days"),
        (pa.array([43831.5, 43832]), "excel_days"),
        (pa.array([18262, 18263]), "epoch_days"),
        (["31122019", "01022020"], "%d%m%Y"),
        (["2020-01-02 03:04:05"], ""),
        (["2020-1-2", "x"] * 1 + ["2020-1-3"] * 20, ""),
        (["20240131"], ""),
        (["1577836800"], ""),
        (pa.array([utc(2020, 1, 1)]), ""),
        (pa.array(["31/12/2019"]).dictionary_encode(), "%d/%m/%Y"),
        (["x", "y"], None),
        (["2020", "2021"], None),
        ([], None),
        (["", None], None),
    ],
)  # fmt: skip
def test_what_proves_a_format_makes_it_certain(values: Any, certain: str | None) -> None:
    found = readings_of(values)
    assert found.certain == certain
    if certain:
        checked_time_format(certain)
        array = values if isinstance(values, pa.Array) else pa.array(values)
        assert as_moments(array, certain)[0].null_count == 0
        assert certain in found.describe()


def test_what_only_its_owner_knows_is_shown_side_by_side() -> None:
    found = readings_of(["03/03/2020", "01/02/2020", "03/04/2020"])
    assert found.certain is None
    assert found.example == "01/02/2020", "of all values, one that is read differently"
    assert found.readings == {"%d/%m/%Y": "2020-02-01 00:00:00", "%m/%d/%Y": "2020-01-02 00:00:00"}
    assert found.describe() == ("'01/02/2020' is 2020-02-01 00:00:00 by %d/%m/%Y, or 2020-01-02 00:00:00 by %m/%d/%Y")


def test_values_that_prove_opposites_make_nothing_certain() -> None:
    """Two exports, one of either kind, put into one file."""
    found = readings_of(["31/12/2019", "12/31/2019", "01/02/2020", "01/03/2020"])
    assert found.certain is None
    assert set(found.readings) == {"%d/%m/%Y", "%m/%d/%Y"}


@settings(max_examples=30)
@given(
    draw.lists(plausible, min_size=1, max_size=30),
    draw.sampled_from(["%d/%m/%Y %H:%M", "%m/%d/%Y", "%d.%m.%y %H:%M:%S"]),
)
def test_a_certain_format_is_the_one_that_wrote(times: list[datetime], form: str) -> None:
    """If it is not certain, it is among those that are shown."""
    texts = [time.strftime(form) for time in times]
    found = readings_of(texts)
    if found.certain is None:
        assert form in found.readings
    else:
        assert as_moments(pa.array(texts), found.certain, "UTC")[0] == as_moments(pa.array(texts), form, "UTC")[0]


def test_a_column_of_one_form_is_read_fast() -> None:
    """A row a microsecond is what a loaded machine does; a loop in Python takes ten times as long."""
    from time import process_time

    numbers = np.arange(200_000) * 61_000_000 + micros(utc(2020, 1, 1))
    texts = pa.array(numbers, pa.int64()).cast(pa.timestamp("us")).cast(pa.string())
    for values, form in ((texts, None), (pa.compute.binary_join_element_wise(texts, " UTC", ""), None)):
        start = process_time()
        assert as_moments(values, form, "UTC")[0].null_count == 0
        assert process_time() - start < 1.0
