"""Counts by hour of the week against datetime and a loop; what thresholds, missing times and windows make of them."""

import itertools
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import h3
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as draw
from pyspark.sql import SparkSession

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.rhythm import BINS, RHYTHM_COLUMNS
from mora_pipeline.raw.rule_sets import ENDS
from spark_jobs import grid_mobility
from spark_jobs.mobility import rhythm as module
from spark_jobs.mobility.move_tables import added_up
from spark_jobs.mobility.rhythm import bins_of, counted
from spark_jobs.output import part_files

OUTPUTS = ("edges", "self_flow", "rhythm", "quarantine")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HOME, WORK, SHOP = (40.00, -74.0), (40.20, -74.0), (40.40, -74.0)
Counts = dict[int, dict[str, float]]
ZONES = ["UTC", "America/New_York", "Europe/Budapest", "America/Santiago", "Asia/Kolkata", "Pacific/Apia"]


def cell(latitude: float, longitude: float) -> int:
    return h3.str_to_int(h3.latlng_to_cell(latitude, longitude, 7))


def bin_by_datetime(time: datetime, zone: str) -> str:
    """The name of the bin of an instant, as a reader of the reference would say it."""
    local = time.astimezone(ZoneInfo(zone))
    day = "weekend" if local.strftime("%a") in ("Sat", "Sun") else "weekday"
    start, end = next((s, e) for s, e in ((0, 6), (6, 10), (10, 16), (16, 20), (20, 24)) if s <= local.hour < e)
    return f"{day}_{start:02d}_{end:02d}"


@given(
    draw.lists(draw.datetimes(datetime(1960, 1, 1), datetime(2080, 1, 1)), min_size=1),
    draw.sampled_from(ZONES),
)
def test_bins_are_those_of_datetime(times: list[datetime], zone: str) -> None:
    zoned = [time.replace(tzinfo=UTC) for time in times]
    found = bins_of(np.array([(time - EPOCH) // timedelta(microseconds=1) for time in zoned]), zone)
    assert [BINS[number] for number in found] == [bin_by_datetime(time, zone) for time in zoned]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("first", ["2024-03-08", "2024-03-29", "2024-11-01", "2023-12-29", "2011-12-28", "1969-12-26"])
def test_the_bounds_of_hours_weeks_and_years_are_met(zone: str, first: str) -> None:
    """Quarters of an hour, and the last microsecond of each, over weekends on which clocks or years change."""
    start = datetime.fromisoformat(first).replace(tzinfo=UTC)
    quarters = [start + timedelta(minutes=15 * number) for number in range(5 * 96)]
    times = [*quarters, *(time - timedelta(microseconds=1) for time in quarters)]
    found = bins_of(np.array([(time - EPOCH) // timedelta(microseconds=1) for time in times]), zone)
    assert [BINS[number] for number in found] == [bin_by_datetime(time, zone) for time in times]


def by_hand(trips: pd.DataFrame, zone: str) -> Counts:
    """The counts of trips by a loop: both ends in the bin of the start; a trip inside one cell is a stay."""
    counts: dict[int, Counter[str]] = {}
    for trip in trips.itertuples():
        origin, destination = cell(trip[1], trip[2]), cell(trip[3], trip[4])
        name, amount = bin_by_datetime(trip.time.to_pydatetime(), zone), getattr(trip, "count_", 1)
        if origin == destination:
            counts.setdefault(origin, Counter())[f"stays_{name}"] += amount
        else:
            counts.setdefault(origin, Counter())[f"departures_{name}"] += amount
            counts.setdefault(destination, Counter())[f"arrivals_{name}"] += amount
    return {place: dict(count) for place, count in counts.items()}


def written(folder: str) -> Counts:
    """The counts of a dataset that are not 0; its cells ascend."""
    (file,) = part_files(folder)
    table = pq.read_table(file)
    assert (np.diff(table["cell"].to_numpy()) > 0).all()
    return {row.pop("cell"): {name: count for name, count in row.items() if count} for row in table.to_pylist()}


def random_trips(number: int = 600, seed: int = 0) -> pd.DataFrame:
    """Trips of two years among a few cells, some of them inside one."""
    random = np.random.default_rng(seed)
    points = random.uniform(-33.48, -33.45, (number, 4)) - [0, 37.2, 0, 37.2]
    time = pd.Timestamp("2023-03-01", tz="UTC") + pd.to_timedelta(
        random.integers(0, 2 * 365 * 86_400, number), unit="s"
    )
    return pd.DataFrame(points, columns=list(ENDS)).assign(time=time.astype("datetime64[us, UTC]"))


def grid(spark: SparkSession, source: dict[str, Any], target: dict[str, str], **change: Any) -> Any:
    params = {"kind": "trips", "source": source, "resolution": 7, "partitions": 3, "output": target, **change}
    return grid_mobility.run(spark, params)


@pytest.mark.parametrize("name", ["trips.csv", "trips.parquet"])
@pytest.mark.parametrize("zone", [None, "America/Santiago"])
def test_trips_count_by_the_hour_of_their_start(
    spark: SparkSession, source: Any, output: Any, read: Any, name: str, zone: str | None
) -> None:
    trips, target = random_trips(), output(*OUTPUTS)
    outcome = grid(spark, source(trips, name), target, time_zone=zone)
    expected = by_hand(trips, zone or "UTC")
    assert written(target["rhythm"]) == expected
    assert outcome.rows["rhythm"] == outcome.metadata["cells_with_rhythm"] == len(expected)
    flow = read(target["edges"])["flow"].sum()
    hours = read(target["rhythm"])
    assert hours.filter(like="departures").to_numpy().sum() == hours.filter(like="arrivals").to_numpy().sum() == flow
    assert hours.filter(like="stays").to_numpy().sum() == read(target["self_flow"])["internal_flow"].sum()


@pytest.mark.parametrize("name", ["trips.csv", "trips.parquet"])
def test_times_without_a_zone_are_of_the_one_declared(spark: SparkSession, source: Any, output: Any, name: str) -> None:
    """Written in local time, trips count by the hour as written; nights on which the clock changes are left out."""
    trips = random_trips()
    local = trips["time"].dt.tz_convert("America/Santiago")
    trips, local = trips[local.dt.month.isin([1, 6])], local[local.dt.month.isin([1, 6])].dt.tz_localize(None)
    for zone in ("America/Santiago", None):
        target = output(*OUTPUTS)
        grid(spark, source(trips.assign(time=local.astype("datetime64[us]")), name), target, time_zone=zone)
        assert written(target["rhythm"]) == by_hand(trips, "America/Santiago")


def test_counts_of_a_row_weigh(spark: SparkSession, source: Any, output: Any) -> None:
    """Fractions are exact in binary, so that the loop's sums have no error."""
    trips, target = random_trips(), output(*OUTPUTS)
    amounts = np.random.default_rng(1).integers(1, 64, len(trips)) / 16
    grid(spark, source(trips.assign(count=amounts), "trips.parquet"), target)
    assert written(target["rhythm"]) == by_hand(trips.assign(count_=amounts), "UTC")


def test_the_order_of_rows_and_files_changes_no_byte(spark: SparkSession, source: Any, output: Any) -> None:
    trips = random_trips()
    trips = trips.assign(count=np.random.default_rng(1).lognormal(size=len(trips)), user=np.arange(len(trips)) % 7)
    found = []
    for seed in range(3):
        mixed, target = trips.sample(frac=1, random_state=seed), output(*OUTPUTS)
        raw = source(mixed, "all.parquet")
        if seed:
            halves = [source(mixed[:100], "one.csv"), source(mixed[100:], "two.csv")]
            raw = {**halves[0], "files": [file for half in halves for file in half["files"]]}
        grid(spark, raw, target, partitions=2 + seed)
        found.append(Path(part_files(target["rhythm"])[0]).read_bytes())
    assert found[0] == found[1] == found[2]


def test_a_trip_without_a_readable_time_is_bad_and_counts_nowhere(
    spark: SparkSession, source: Any, output: Any, read: Any
) -> None:
    trips, target = random_trips(), output(*OUTPUTS)
    trips.loc[range(5), "time"] = pd.NaT
    outcome = grid(spark, source(trips, "trips.parquet"), target)
    assert outcome.quarantined == {"time unparsable": 5}
    assert written(target["rhythm"]) == by_hand(trips[5:], "UTC")


def no_times(trips: pd.DataFrame) -> pd.DataFrame:
    return trips.drop(columns="time")


def dates(trips: pd.DataFrame) -> pd.DataFrame:
    return trips.assign(time=trips["time"].dt.strftime("%Y-%m-%d"))


@pytest.mark.parametrize("change", [no_times, dates])
def test_without_hours_there_is_no_rhythm(spark: SparkSession, source: Any, output: Any, change: Any) -> None:
    """Dates alone would all be at midnight."""
    target = output(*OUTPUTS)
    assert grid(spark, source(change(random_trips()), "trips.csv"), target).rows["rhythm"] == 0
    assert pq.read_table(part_files(target["rhythm"])[0]).column_names == ["cell", *RHYTHM_COLUMNS]


def test_a_zone_that_does_not_exist_is_told(spark: SparkSession, source: Any, output: Any) -> None:
    with pytest.raises(UserError, match="time_zone is 'America/Santigo', which is not a time zone"):
        grid(spark, source(random_trips(5), "trips.parquet"), output(*OUTPUTS), time_zone="America/Santigo")


MORNING, EVENING = pd.Timestamp("2024-03-04 08:00", tz="UTC"), pd.Timestamp("2024-03-09 17:00", tz="UTC")
WAYS = {"h": HOME, "w": WORK, "s": SHOP}


def moves(ways: list[tuple[str, str, pd.Timestamp]]) -> pd.DataFrame:
    """Trips of users from one of three places to another."""
    rows = [(*WAYS[way[0]], *WAYS[way[1]], user, time) for user, way, time in ways]
    return pd.DataFrame(rows, columns=[*ENDS, "user", "time"]).astype({"time": "datetime64[us, UTC]"})


def test_hours_are_written_where_the_moves_are(spark: SparkSession, source: Any, output: Any) -> None:
    """A direction of a cell appears only with an edge, or a flow inside, that is above the thresholds."""
    trips = moves(
        [
            ("ann", "hw", MORNING),
            ("bob", "hw", MORNING),  # home → work: two users
            ("ann", "hs", EVENING),  # one user: but the departure is one of several from home
            ("ann", "ws", EVENING),  # one user: neither work's departures nor the shop's arrivals
            ("ann", "hh", MORNING),
            ("bob", "hh", EVENING),  # inside home: two users
            ("ann", "ww", MORNING),  # inside work: one
        ]
    )
    home, work = cell(*HOME), cell(*WORK)
    for bound in ({"minimum_users": 2}, {"minimum_flow": 2}):
        target = output(*OUTPUTS)
        grid(spark, source(trips, "trips.parquet"), target, **bound)
        assert written(target["rhythm"]) == {
            home: {
                "departures_weekday_06_10": 2,
                "departures_weekend_16_20": 1,
                "stays_weekday_06_10": 1,
                "stays_weekend_16_20": 1,
            },
            work: {"arrivals_weekday_06_10": 2},
        }
    with pytest.raises(UserError, match="no edge above the thresholds"):
        grid(spark, source(trips, "trips.parquet"), output(*OUTPUTS), minimum_users=3)


@pytest.mark.parametrize("name", ["events.csv", "events.parquet"])
@pytest.mark.parametrize("zone", [None, "America/New_York"])
def test_events_leave_at_one_time_and_arrive_at_another(
    spark: SparkSession, source: Any, output: Any, name: str, zone: str | None
) -> None:
    """Random diaries against a loop over the records of each user."""
    random, places = np.random.default_rng(7), np.array([HOME, WORK, SHOP])
    place, minute = random.integers(0, 3, 2000), random.integers(0, 60 * 24 * 300, 2000)
    time = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(minute, unit="min")
    events = pd.DataFrame({"user": [f"u{n}" for n in random.integers(0, 20, 2000)], "time": time}).assign(
        latitude=places[place, 0], longitude=places[place, 1]
    )
    events = events.astype({"time": "datetime64[us, UTC]"})
    counts: dict[int, Counter[str]] = {cell(*point): Counter() for point in places}
    diaries = events.assign(cell=[cell(*places[number]) for number in place]).sort_values(["user", "time", "cell"])
    for _, diary in diaries.groupby("user"):
        steps = list(zip(diary["time"], diary["cell"], strict=True))
        for (before, start), (now, end) in itertools.pairwise(steps):
            if now - before > pd.Timedelta(hours=48):
                continue
            left, arrived = (bin_by_datetime(t.to_pydatetime(), zone or "UTC") for t in (before, now))
            if start == end:
                counts[start][f"stays_{left}"] += 1
            else:
                counts[start][f"departures_{left}"] += 1
                counts[end][f"arrivals_{arrived}"] += 1
    target = output(*OUTPUTS)
    grid(spark, source(events, name), target, kind="events", maximum_gap_hours=48, time_zone=zone)
    assert written(target["rhythm"]) == counts


@pytest.mark.parametrize("fractions", [True, False])
@pytest.mark.parametrize("slots", [[], [2**32 + 5, 2**33], range(1000)])
@pytest.mark.parametrize("resolution", [0, 6, 15])
def test_counts_are_added_up_as_moves_are(fractions: bool, slots: Any, resolution: int) -> None:
    """Cells of the finest resolution, all over the globe and on a thousand days, do not fit into one number."""
    random = np.random.default_rng(0)
    points = zip(random.uniform(-90, 90, 40), random.uniform(-180, 180, 40), strict=True)
    cells = [h3.str_to_int(h3.latlng_to_cell(*point, resolution)) for point in points]
    columns = {"origin": random.choice(cells, 5000), "destination": random.integers(0, module.WIDTH, 5000)}
    columns |= {"whole": random.integers(0, 9, 5000)}
    if fractions:
        columns |= {name: random.integers(0, 2**40, 5000) for name in ("upper", "lower")}
    if slots:
        columns = {"slot": random.choice(slots, 5000), **columns}
    counts = pa.table(columns)
    assert counted(counts).equals(added_up(counts))
    assert counted(counts.slice(0, 1)).equals(added_up(counts.slice(0, 1)))
    assert counted(counts.slice(0, 0)).num_rows == 0


FIRST = date(2024, 3, 1)


@pytest.mark.parametrize(("form", "dated"), [("parquet", True), ("csv", False)])
def test_a_window_ends_with_the_hours_of_a_whole_run(
    spark: SparkSession, tmp_path: Path, form: str, dated: bool
) -> None:
    """Files come, are corrected, and leave; each time the counts are those of the files in the window, to the byte."""
    raw, kept = tmp_path / "raw", tmp_path / "kept"
    raw.mkdir()
    zone = "America/New_York"

    def write(day: int, seed: int) -> Path:
        trips = random_trips(80, seed)
        trips["time"] = pd.Timestamp(FIRST, tz="UTC") + pd.to_timedelta(
            day * 86_400 + np.random.default_rng(seed).integers(0, 86_400, 80), unit="s"
        )
        trips = trips.assign(count=np.random.default_rng(seed).lognormal(size=80), user=np.arange(80) % 5)
        file = raw / f"trips_{FIRST + timedelta(days=day)}.{form}"
        trips = trips.astype({"time": "datetime64[us, UTC]"})
        trips.to_parquet(file) if form == "parquet" else trips.to_csv(file, index=False)
        return file

    def run(name: str, files: list[Path], cache: Path | None) -> bytes:
        columns = {column: column for column in (*ENDS, "count", "user", "time")}
        given = {"files": sorted(map(str, files)), "format": form, "columns": columns}
        days = {file: Path(file).stem.removeprefix("trips_") for file in given["files"]} if dated else None
        target = {output: str(tmp_path / name / output) for output in OUTPUTS}
        window = {"kept": str(cache), "dates": days, "weeks": 2} if cache else {}
        grid(spark, given, target, time_zone=zone, **window)
        return Path(part_files(target["rhythm"])[0]).read_bytes()

    files = {day: write(day, day) for day in (0, 5, 12)}
    nights = [(13, 13), (8, 8), (5, 500), (20, 20)]  # new, late, corrected, and one that ends the window of the first
    for number, (day, seed) in enumerate(nights):
        files[day] = write(day, seed)
        inside = [file for other, file in files.items() if other > max(files) - 14]
        assert run(f"night_{number}", list(files.values()), kept) == run(f"whole_{number}", inside, None)
