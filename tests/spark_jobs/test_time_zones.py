"""Offsets of whole arrays of times against zoneinfo, one time after the other."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as draw
from pyspark.sql import SparkSession
from pyspark.sql import functions as sql

from mora_pipeline.contract.time_zones import HOUR, to_instants, to_wall_clock

ZONES = [
    "UTC", "America/New_York", "America/Santiago", "Europe/Budapest", "Asia/Kolkata", "Asia/Kathmandu",
    "Australia/Lord_Howe", "Africa/Casablanca", "Africa/Monrovia", "Pacific/Apia",
]  # fmt: skip
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
moments = draw.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1))


def local_by_zoneinfo(time: int, zone: str) -> int:
    local = (EPOCH + time * MICROSECOND).astimezone(ZoneInfo(zone)).replace(tzinfo=UTC)
    return (local - EPOCH) // MICROSECOND


@given(draw.lists(moments, min_size=1), draw.sampled_from(ZONES))
def test_local_times_are_those_of_zoneinfo(times: list[datetime], zone: str) -> None:
    instants = [(time.replace(tzinfo=UTC) - EPOCH) // MICROSECOND for time in times]
    assert to_wall_clock(np.array(instants), zone).tolist() == [local_by_zoneinfo(time, zone) for time in instants]


@given(draw.lists(moments, min_size=1), draw.sampled_from(ZONES))
def test_instants_are_those_of_zoneinfo(times: list[datetime], zone: str) -> None:
    wall_clock = np.array([(time.replace(tzinfo=UTC) - EPOCH) // MICROSECOND for time in times])
    expected = [(time.replace(tzinfo=ZoneInfo(zone)) - EPOCH) // MICROSECOND for time in times]
    assert to_instants(wall_clock, zone).tolist() == expected


def changes_of_2024() -> np.ndarray:
    """Every five minutes of the days of 2024 on which clocks change somewhere, microseconds."""
    days = ["2024-03-10", "2024-03-31", "2024-04-07", "2024-09-08", "2024-10-06", "2024-10-27", "2024-11-03"]
    starts = np.array(days, dtype="datetime64[us]").astype(np.int64)
    return (starts[:, None] + np.arange(-288, 576) * 300_000_000).ravel()


@pytest.mark.parametrize("zone", ZONES)
def test_a_change_of_clocks_is_met_to_the_minute(zone: str) -> None:
    """Lord Howe puts its clocks forward by half an hour, half an hour after a full one."""
    instants = changes_of_2024()
    assert to_wall_clock(instants, zone).tolist() == [local_by_zoneinfo(int(time), zone) for time in instants]


def test_an_instant_is_the_one_that_spark_reads(spark: SparkSession) -> None:
    """Times that are skipped or there twice included, so that both readers of raw files agree."""
    wall_clock = changes_of_2024()
    frame = spark.createDataFrame([(int(time),) for time in wall_clock], "time long")
    local = sql.timestamp_micros("time")
    for zone in ZONES:
        read = frame.select(sql.unix_micros(sql.to_utc_timestamp(local, zone)).alias("instant")).toArrow()
        assert to_instants(wall_clock, zone).tolist() == read["instant"].to_pylist()


def test_times_of_any_size_have_an_offset() -> None:
    """A clock that is wrong by a hundred thousand years stops nothing."""
    times = np.array([-(2**61), 0, 1_719_835_200_000_000, 2**61])
    for convert in (to_wall_clock, to_instants):
        assert np.abs(convert(times, "America/Santiago") - times).max() < 6 * HOUR
        assert len(convert(times[:0], "America/Santiago")) == 0
