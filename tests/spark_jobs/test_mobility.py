"""Edges of the three kinds of mobility against naive oracles: pandas, h3 and a diary kept by hand."""

import itertools
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h3
import numpy as np
import pandas as pd
import pytest
from pyspark.sql import SparkSession

from mora_pipeline.contract.errors import UserError
from spark_jobs import grid_mobility
from spark_jobs.mobility.arrow_shuffle import shuffled
from spark_jobs.mobility.readers import read_events, read_od, read_trips
from spark_jobs.output import part_files
from spark_jobs.validation import ValidatedRows

OUTPUTS = ("edges", "self_flow", "rhythm", "quarantine")
ENDS = ["origin_latitude", "origin_longitude", "destination_latitude", "destination_longitude"]


def cell(latitude: float, longitude: float, resolution: int = 7) -> int:
    return h3.str_to_int(h3.latlng_to_cell(latitude, longitude, resolution))


def random_places(number: int = 60) -> pd.DataFrame:
    """Ids with leading zeros, close enough that several share a cell."""
    random = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "id": [f"{index:05d}" for index in range(number)],
            "latitude": random.uniform(40.0, 40.1, number),
            "longitude": random.uniform(-74.1, -74.0, number),
        }
    )


def random_flows(places: pd.DataFrame, number: int = 3000) -> pd.DataFrame:
    random = np.random.default_rng(2)
    ids = places["id"].to_numpy()
    flow = random.lognormal(size=number)  # fractions whose sum depends on the order
    return pd.DataFrame({"origin": random.choice(ids, number), "destination": random.choice(ids, number), "flow": flow})


def naive_edges(moves: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Edges and self flow of moves with the columns origin, destination (cells) and flow."""
    summed = moves.groupby(["origin", "destination"], as_index=False)["flow"].sum()
    between = summed[summed["origin"] != summed["destination"]].reset_index(drop=True)
    inside = summed[summed["origin"] == summed["destination"]]
    return between, pd.DataFrame({"cell": inside["origin"], "internal_flow": inside["flow"]}).reset_index(drop=True)


def assert_same(target: dict[str, str], read: Any, moves: pd.DataFrame) -> pd.DataFrame:
    between, inside = naive_edges(moves)
    edges = read(target["edges"])
    ordered = edges.sort_values(["origin", "destination"], ignore_index=True)
    pd.testing.assert_frame_equal(ordered[["origin", "destination", "flow"]], between)
    pd.testing.assert_frame_equal(read(target["self_flow"]), inside)
    return ordered


def od_params(source: Any, target: dict[str, str], flows: pd.DataFrame, places: pd.DataFrame, **change: Any) -> dict:
    return {
        "kind": "od",
        "source": source(flows, "flows.parquet"),
        "places": source(places, "places.csv"),
        "resolution": 7,
        "output": target,
        **change,
    }


def test_od_flows_add_up_between_the_cells_of_their_places(
    spark: SparkSession, source: Any, output: Any, read: Any
) -> None:
    places, target = random_places(), output(*OUTPUTS)
    flows = random_flows(places)
    outcome = grid_mobility.run(spark, od_params(source, target, flows, places))
    at = {row.id: cell(row.latitude, row.longitude) for row in places.itertuples()}
    moves = flows.assign(origin=flows["origin"].map(at), destination=flows["destination"].map(at))
    edges = assert_same(target, read, moves)
    assert edges["users"].isna().all()
    assert read(target["quarantine"]).empty
    assert outcome.read == len(flows)
    inside = len(read(target["self_flow"]))
    assert outcome.rows == {"edges": len(edges), "self_flow": inside, "rhythm": 0, "quarantine": 0}
    assert all(check.passed for check in outcome.checks.values())
    assert set(outcome.checks) == {
        "edges_positive", "edges_clustered", "flow_conserved", "places_shares_sum_to_one", "bad_rows_within_limit",
    }  # fmt: skip
    assert outcome.checks["flow_conserved"].metadata["flow_of_rows"] == pytest.approx(flows["flow"].sum())


def test_every_file_holds_whole_origins_in_order(spark: SparkSession, source: Any, output: Any) -> None:
    places, target = random_places(), output(*OUTPUTS)
    grid_mobility.run(spark, od_params(source, target, random_flows(places), places, partitions=3))
    seen: set[int] = set()
    for file in part_files(target["edges"]):
        edges = pd.read_parquet(file)
        assert edges.equals(edges.sort_values(["origin", "destination"], ignore_index=True))
        assert not edges.duplicated(["origin", "destination"]).any()
        assert not seen & set(edges["origin"])
        seen |= set(edges["origin"])


@pytest.mark.parametrize("roles", [{}, {"count": 2}, {"user": "ann"}, {"count": 2, "user": "ann"}])
def test_counted_trips_are_as_ordered_as_flows(
    spark: SparkSession, source: Any, output: Any, roles: dict[str, Any]
) -> None:
    raw = source(random_trips(2000).assign(**roles), "trips.parquet")
    outcome = grid_mobility.run(spark, {"kind": "trips", "source": raw, "resolution": 8, "output": output(*OUTPUTS)})
    assert outcome.checks["edges_clustered"].metadata["files_out_of_order"] == 0
    assert outcome.checks["edges_clustered"].passed


def test_the_order_of_rows_and_files_changes_no_byte(
    spark: SparkSession, source: Any, output: Any, tmp_path: Path
) -> None:
    places = random_places()
    flows = random_flows(places)
    written = []
    for seed in range(3):
        target, mixed = output(*OUTPUTS), flows.sample(frac=1, random_state=seed)
        params = od_params(source, target, mixed, places.sample(frac=1, random_state=seed))
        if seed:
            halves = [source(mixed[:1000], "first.csv"), source(mixed[1000:], "second.csv")]
            params["source"] = {**halves[0], "files": [path for half in halves for path in half["files"]]}
        grid_mobility.run(spark, params)
        written.append([Path(file).read_bytes() for name in OUTPUTS for file in part_files(target[name])])
    assert written[0] == written[1] == written[2]


def test_whole_number_ids_match_written_ones(spark: SparkSession, source: Any, output: Any, read: Any) -> None:
    """A column of ids with one gap becomes float in pandas: 17 turns into 17.0."""
    places = random_places().assign(id=[str(index) for index in range(60)])
    flows = random_flows(places)
    target = output(*OUTPUTS)
    grid_mobility.run(spark, od_params(source, target, flows.astype({"origin": int, "destination": float}), places))
    at = {row.id: cell(row.latitude, row.longitude) for row in places.itertuples()}
    assert_same(target, read, flows.assign(origin=flows["origin"].map(at), destination=flows["destination"].map(at)))


def test_users_of_od_add_up(spark: SparkSession, source: Any, output: Any, read: Any) -> None:
    places, target = random_places(2).assign(latitude=[0.0, 1.0]), output(*OUTPUTS)
    flows = pd.DataFrame({"origin": ["00000"] * 3, "destination": ["00001"] * 3, "flow": [1, 2, 3], "users": [4, 5, 6]})
    grid_mobility.run(spark, od_params(source, target, flows, places))
    assert read(target["edges"])[["flow", "users"]].to_numpy().tolist() == [[6, 15]]


def random_trips(number: int = 500) -> pd.DataFrame:
    random = np.random.default_rng(3)
    points = {
        name: random.uniform(-33.5, -33.45, number) if "lat" in name else random.uniform(-70.7, -70.65, number)
        for name in ENDS
    }
    return pd.DataFrame(points)


def moves_of(trips: pd.DataFrame, flow: Any) -> pd.DataFrame:
    ends = [[cell(*point) for point in trips[pair].to_numpy()] for pair in (ENDS[:2], ENDS[2:])]
    return pd.DataFrame({"origin": ends[0], "destination": ends[1], "flow": flow})


@pytest.mark.parametrize("name", ["trips.csv", "trips.csv.gz", "trips.parquet"])
def test_trips_are_counted_between_their_cells(
    spark: SparkSession, source: Any, output: Any, read: Any, name: str
) -> None:
    trips, target = random_trips(), output(*OUTPUTS)
    grid_mobility.run(spark, {"kind": "trips", "source": source(trips, name), "resolution": 7, "output": target})
    assert_same(target, read, moves_of(trips, 1.0))


def test_trips_of_named_users_count_each_user_once(spark: SparkSession, source: Any, output: Any, read: Any) -> None:
    trips, target = random_trips(), output(*OUTPUTS)
    random = np.random.default_rng(4)
    trips = trips.assign(count=random.integers(1, 5, len(trips)), user=random.integers(0, 4, len(trips)))
    grid_mobility.run(spark, {"kind": "trips", "source": source(trips, "trips.csv"), "resolution": 7, "output": target})
    moves = moves_of(trips, trips["count"].astype(float)).assign(user=trips["user"])
    edges = assert_same(target, read, moves)
    users = moves.groupby(["origin", "destination"])["user"].nunique()
    assert edges["users"].tolist() == [users[row.origin, row.destination] for row in edges.itertuples()]


HOME, WORK, SHOP = (40.00, -74.0), (40.20, -74.0), (40.40, -74.0)
DIARY = [  # user, time, place; written out of order
    ("ann", "2024-03-01T08:00:00Z", HOME),
    ("ann", "2024-03-01T18:00:00Z", HOME),  # work → home
    ("ann", "2024-03-01T09:00:00Z", WORK),  # home → work
    ("ann", "2024-03-01T12:00:00Z", WORK),  # stays at work: internal
    ("ann", "2024-03-02T18:00:00Z", WORK),  # exactly 24 h later: home → work
    ("ann", "2024-03-03T18:00:01Z", SHOP),  # one second too late
    ("bob", "2024-03-01T10:00:00+02:00", HOME),  # 08:00 UTC
    ("bob", "2024-03-01 09:00:00 UTC", WORK),  # home → work, a second user
    ("bob", "2024-03-01T09:00:00Z", SHOP),  # the same instant: ordered by cell
    ("eve", "1709280000", SHOP),  # once only: no move
]


def diary_moves() -> Counter[tuple[int, int]]:
    """The moves that the comments above promise."""
    home, work, shop = cell(*HOME), cell(*WORK), cell(*SHOP)
    first, second = sorted([work, shop])
    steps = [(home, work), (work, work), (work, home), (home, work), (home, first), (first, second)]
    return Counter(steps)


def test_events_become_the_moves_of_the_diary(spark: SparkSession, source: Any, output: Any, read: Any) -> None:
    events = pd.DataFrame(
        [(user, time, *place) for user, time, place in DIARY], columns=["user", "time", "latitude", "longitude"]
    )
    target = output(*OUTPUTS)
    params = {"kind": "events", "source": source(events, "events.csv"), "resolution": 7, "maximum_gap_hours": 24.0}
    outcome = grid_mobility.run(spark, {**params, "output": target})
    assert all(check.passed for check in outcome.checks.values())
    expected = diary_moves()
    edges = read(target["edges"])
    found = {(row.origin, row.destination): row.flow for row in edges.itertuples()}
    assert found == {pair: count for pair, count in expected.items() if pair[0] != pair[1]}
    inside = {row.cell: row.internal_flow for row in read(target["self_flow"]).itertuples()}
    assert inside == {pair[0]: count for pair, count in expected.items() if pair[0] == pair[1]}
    users = {(row.origin, row.destination): row.users for row in edges.itertuples()}
    first = min(cell(*WORK), cell(*SHOP))
    assert users[cell(*HOME), first] == (2 if first == cell(*WORK) else 1)  # ann twice and bob: two users


def test_times_of_one_instant_are_equal_in_every_form(spark: SparkSession, source: Any) -> None:
    instant = pd.Timestamp("2024-07-01T12:00:00Z")
    forms = {
        "zoned.parquet": pd.Series([instant]),
        "nanoseconds.parquet": pd.Series([instant]).astype("datetime64[ns, UTC]"),
        "local.parquet": pd.Series([instant.tz_convert("America/Santiago").tz_localize(None)]),
        "local_nanoseconds.parquet": pd.Series([pd.Timestamp("2024-07-01T08:00:00")]).astype("datetime64[ns]"),
        "seconds.parquet": pd.Series([1719835200]),
        "milliseconds.parquet": pd.Series([1719835200000.0]),
        "written.csv": pd.Series(["2024-07-01 08:00:00"]),
        "written_zone.csv": pd.Series(["2024-07-01T14:00:00.000+0200"]),
        "written_epoch.csv": pd.Series(["1719835200"]),
    }
    for name, time in forms.items():
        frame = pd.DataFrame({"user": ["ann"], "time": time, "latitude": [1.0], "longitude": [1.0]})
        params = {"source": source(frame, name), "resolution": 7, "time_zone": "America/Santiago"}
        (row,) = read_events(spark, params).sources[0].good("time").collect()
        assert (name, row["time"]) == (name, 1719835200_000_000)


BAD_OD = [
    ({"origin": None}, "id missing"),
    ({"flow": -1.5}, "flow not positive"),
    ({"flow": None}, "flow missing or not a number"),
    ({"flow": "many"}, "flow missing or not a number"),
    ({"flow": "NaN"}, "flow missing or not a number"),
    ({"flow": "Infinity"}, "flow missing or not a number"),
    ({"users": 0}, "users not positive"),
    ({"users": -1}, "users not positive"),
    ({"users": 1.5}, "users not a whole number"),
    ({"flow": 1e-13}, "flow below 2^-40"),
    ({"flow": 1e13}, "flow above 2^40"),
]
BAD_TRIPS = [
    ({"origin_latitude": 90.001}, "latitude beyond ±90"),
    ({"destination_latitude": -91}, "latitude beyond ±90"),
    ({"origin_longitude": 180.5}, "longitude beyond ±180"),
    ({"destination_longitude": "NaN"}, "coordinate missing or NaN"),
    ({"origin_latitude": "north"}, "coordinate missing or NaN"),
    ({"origin_latitude": None}, "coordinate missing or NaN"),
    ({"count": -2}, "count not positive"),
    ({"user": " "}, "user missing"),
    ({"time": "yesterday"}, "time unparsable"),
    ({"time": "12:30"}, "time unparsable"),
    ({"time": "2024-02-30 12:00:00"}, "time unparsable"),
]
APART_OD = [
    ({"destination": "elsewhere"}, "unknown place"),
    ({"flow": 0}, "flow zero"),
]
APART_TRIPS = [
    ({"count": 0}, "count zero"),
    ({"origin_latitude": 0, "origin_longitude": 0}, "point at 0, 0"),
    ({"destination_latitude": 0, "destination_longitude": "-0.0"}, "point at 0, 0"),
]
BAD_EVENTS = [
    ({"user": None}, "user missing"),
    ({"time": None}, "time unparsable"),
    ({"time": "2024-03-01 10:00:00"}, "time without a zone (say mobility.time_zone)"),
    ({"latitude": 95}, "latitude beyond ±90"),
    ({"longitude": None}, "coordinate missing or NaN"),
]


def assert_reasons(
    moves: Any,
    bad: list[tuple[dict[str, Any], str]],
    read: Any,
    folder: str,
    apart: Sequence[tuple[dict[str, Any], str]] = (),
) -> None:
    """The reasons of the bad rows, in order, and the quarantine that is written; one row is good."""
    from spark_jobs.validation import quarantine_and_check

    validated = moves.sources[0]
    assert validated.good(next(iter(validated.kinds))).count() == 1
    assert [row["reason"] for row in validated.bad().collect()] == [reason for _, reason in bad]
    bad_rows = quarantine_and_check(moves.sources, 1.0, "mobility.maximum_bad_share", folder)
    assert bad_rows.quarantined == Counter(reason for _, reason in bad)
    assert bad_rows.apart == Counter(reason for _, reason in apart)
    kept = read(folder)
    assert Counter(kept["reason"]) == bad_rows.quarantined
    assert all(json.loads(row) for row in kept["row"])
    assert kept["source"].str.endswith("raw ünit+%20.csv").all()


def rows(good: dict[str, Any], bad: list[tuple[dict[str, Any], str]]) -> pd.DataFrame:
    return pd.DataFrame([good, *({**good, **change} for change, _ in bad)], dtype=object)


def test_bad_od_rows_are_kept_with_their_reasons(spark: SparkSession, source: Any, read: Any, tmp_path: Path) -> None:
    """Flows of zero and unknown places were bad; they are of no use here, and no fault: apart."""
    raw = rows({"origin": "00000", "destination": "00001", "flow": 1, "users": 1}, APART_OD + BAD_OD)
    params = {"source": source(raw, "raw ünit+%20.csv"), "places": source(random_places(), "p.csv"), "resolution": 7}
    assert_reasons(read_od(spark, params), BAD_OD, read, str(tmp_path / "quarantine"), APART_OD)


def test_bad_trips_are_kept_with_their_reasons(spark: SparkSession, source: Any, read: Any, tmp_path: Path) -> None:
    good = {**dict.fromkeys(ENDS, 1.0), "count": 1, "user": "ann", "time": "2024-03-01 10:00:00"}
    params = {"source": source(rows(good, BAD_TRIPS + APART_TRIPS), "raw ünit+%20.csv"), "resolution": 7}
    assert_reasons(read_trips(spark, params), BAD_TRIPS, read, str(tmp_path / "quarantine"), APART_TRIPS)


def test_bad_events_are_kept_with_their_reasons(spark: SparkSession, source: Any, read: Any, tmp_path: Path) -> None:
    good = {"user": "ann", "time": "2024-03-01T10:00:00Z", "latitude": 1.0, "longitude": 1.0}
    params = {"source": source(rows(good, BAD_EVENTS), "raw ünit+%20.csv"), "resolution": 7}
    assert_reasons(read_events(spark, params), BAD_EVENTS, read, str(tmp_path / "quarantine"))


def test_bad_places_are_kept_and_unknown(spark: SparkSession, source: Any, output: Any, read: Any) -> None:
    """A flow from or to them is apart, as that of any place that is not listed; it was bad."""
    places = random_places(100)
    places.loc[3, "latitude"] = 99.0
    twin = places.iloc[[5]].assign(latitude=10.0)
    target = output(*OUTPUTS)
    flows = pd.concat(
        [random_flows(places[10:], 500), pd.DataFrame({"origin": ["00003"], "destination": ["00005"], "flow": [1]})]
    )
    params = od_params(source, target, flows, pd.concat([places, twin]), maximum_bad_share=0.05)
    outcome = grid_mobility.run(spark, params)
    expected = {"latitude beyond ±90": 1, "place listed at several points": 2}
    assert outcome.quarantined == expected
    assert outcome.metadata["rows_apart"] == {"unknown place": 1}
    assert Counter(read(target["quarantine"])["reason"]) == expected


def test_more_bad_rows_than_allowed_stop_the_job_with_their_reasons(
    spark: SparkSession, source: Any, output: Any, read: Any
) -> None:
    trips, target = random_trips(100), output(*OUTPUTS)
    trips.loc[[1, 2], "origin_latitude"] = 123.0
    trips.loc[3, "destination_longitude"] = None
    params = {"kind": "trips", "source": source(trips, "trips.csv"), "resolution": 7, "output": target}
    with pytest.raises(UserError) as raised:
        grid_mobility.run(spark, params)
    message = str(raised.value)
    assert "trips.csv: 3 of 100 rows (3.00%)" in message
    assert "latitude beyond ±90: 2, coordinate missing or NaN: 1" in message
    assert "raise mobility.maximum_bad_share" in message
    assert len(read(target["quarantine"])) == 3
    again = {**params, "output": output(*OUTPUTS), "maximum_bad_share": 0.03}
    assert sum(grid_mobility.run(spark, again).quarantined.values()) == 3


def exchanges(frame: Any) -> list[str]:
    plan = frame._jdf.queryExecution().executedPlan().toString()
    return [line.strip(" :+-") for line in plan.splitlines() if "Exchange" in line and "BroadcastExchange" not in line]


def test_od_and_trips_are_shuffled_once(spark: SparkSession, source: Any) -> None:
    places = random_places()
    params = {"source": source(random_flows(places), "f.parquet"), "places": source(places, "p.csv"), "resolution": 7}
    for movement in (
        read_od(spark, params),
        read_od(spark, {**params, "source": source(random_flows(places), "f.csv")}),
        read_trips(spark, {"source": source(random_trips(), "t.csv"), "resolution": 7}),
        read_trips(spark, {"source": source(random_trips().assign(user="u"), "t.parquet"), "resolution": 7}),
    ):
        found = exchanges(shuffled(movement.packed(3), 3))
        assert len(found) == 1
        assert "bucket" in found[0]


def test_events_are_shuffled_by_user_and_then_by_origin(spark: SparkSession, source: Any) -> None:
    events = pd.DataFrame({"user": ["a"], "time": ["2024-03-01T08:00:00Z"], "latitude": [1.0], "longitude": [1.0]})
    movement = read_events(spark, {"source": source(events, "events.csv"), "resolution": 7})
    assert len(exchanges(movement.packed(3))) == 1
    assert len(exchanges(shuffled(movement.packed(3), 3))) == 2


def moves_between(ways: list[tuple[str, str, float]]) -> pd.DataFrame:
    """Trips of users from one of three places to another, with their count."""
    at = dict(zip("hws", (HOME, WORK, SHOP), strict=True))
    rows = [(*at[way[0]], *at[way[1]], user, count) for user, way, count in ways]
    return pd.DataFrame(rows, columns=[*ENDS, "user", "count"])


@pytest.mark.parametrize("name", ["trips.csv", "trips.parquet"])
def test_edges_of_too_few_users_or_too_little_flow_are_held_back(
    spark: SparkSession, source: Any, output: Any, read: Any, name: str
) -> None:
    trips = moves_between(
        [
            ("ann", "hw", 1.5),
            ("bob", "hw", 1.5),
            ("ann", "hw", 1.0),  # home → work: two users, 4
            ("ann", "ws", 9.0),  # one user alone
            ("ann", "sh", 1.0),
            ("bob", "sh", 0.5),  # two users, too little
            ("ann", "hh", 5.0),
            ("bob", "hh", 5.0),  # inside home: two users
            ("ann", "ww", 5.0),  # inside work: one
        ]
    )
    target = output(*OUTPUTS)
    params = {"kind": "trips", "source": source(trips, name), "resolution": 7, "output": target}
    outcome = grid_mobility.run(spark, {**params, "minimum_users": 2, "minimum_flow": 2.0})
    assert read(target["edges"]).to_dict("records") == [
        {"origin": cell(*HOME), "destination": cell(*WORK), "flow": 4.0, "users": 2}
    ]
    assert read(target["self_flow"]).to_dict("records") == [{"cell": cell(*HOME), "internal_flow": 10.0}]
    assert (outcome.metadata["edges_suppressed"], outcome.metadata["cells_suppressed"]) == (2, 1)
    with pytest.raises(UserError, match="no edge above the thresholds: 3 have fewer users"):
        grid_mobility.run(spark, {**params, "output": output(*OUTPUTS), "minimum_users": 3})


@pytest.mark.parametrize("name", ["events.csv", "events.parquet"])
def test_diaries_give_the_moves_that_a_pen_gives(
    spark: SparkSession, source: Any, output: Any, read: Any, name: str
) -> None:
    """Random events against a loop over each user's sorted records, users counted by a set; several partitions."""
    random, places = np.random.default_rng(7), np.array([HOME, WORK, SHOP])
    place, minute = random.integers(0, 3, 3000), random.integers(0, 60 * 24 * 40, 3000)
    events = pd.DataFrame(
        {
            "user": [f"user {number}" for number in random.integers(0, 40, 3000)],
            "time": pd.Timestamp("2024-03-01", tz="UTC") + pd.to_timedelta(minute, unit="min"),
            "latitude": places[place, 0],
            "longitude": places[place, 1],
        }
    ).astype({"time": "datetime64[us, UTC]"})
    flow, users = Counter[tuple[int, int]](), dict[tuple[int, int], set[str]]()
    diaries = events.assign(cell=[cell(*places[number]) for number in place]).sort_values(["user", "time", "cell"])
    for user, diary in diaries.groupby("user"):
        steps = list(zip(diary["time"], diary["cell"], strict=True))
        for (before, start), (now, end) in itertools.pairwise(steps):
            if now - before <= pd.Timedelta(hours=6):
                flow[start, end] += 1
                users.setdefault((start, end), set()).add(str(user))
    target = output(*OUTPUTS)
    params = {"kind": "events", "source": source(events, name), "resolution": 7, "maximum_gap_hours": 6}
    outcome = grid_mobility.run(spark, {**params, "partitions": 5, "minimum_users": 30, "output": target})
    assert outcome.read == 3000
    kept = {pair for pair in flow if len(users[pair]) >= 30}
    found = {(row.origin, row.destination): (row.flow, row.users) for row in read(target["edges"]).itertuples()}
    assert found == {pair: (flow[pair], len(users[pair])) for pair in kept if pair[0] != pair[1]}
    inside = {row.cell: row.internal_flow for row in read(target["self_flow"]).itertuples()}
    assert inside == {pair[0]: flow[pair] for pair in kept if pair[0] == pair[1]}


def test_users_of_flows_hold_edges_back(spark: SparkSession, source: Any, output: Any, read: Any) -> None:
    places, target = random_places(3).assign(latitude=[0.0, 1.0, 2.0]), output(*OUTPUTS)
    ids = {"origin": ["00000", "00000", "00001"], "destination": ["00001", "00001", "00002"]}
    flows = pd.DataFrame({**ids, "flow": 1, "users": [2, 3, 4]})
    grid_mobility.run(spark, od_params(source, target, flows, places, minimum_users=5))
    assert read(target["edges"])["users"].tolist() == [5]


@pytest.mark.parametrize("bad_rows", [0, 7])
def test_files_are_read_once_and_once_more_where_rows_are_bad(
    spark: SparkSession, source: Any, output: Any, monkeypatch: pytest.MonkeyPatch, bad_rows: int
) -> None:
    """A billion rows are not read a third time to say what was wrong with seven."""
    reads: list[Sequence[int]] = []
    splits = ValidatedRows._splits

    def counted(rows: ValidatedRows, numbers: Sequence[int]) -> Any:
        reads.append(numbers)
        return splits(rows, numbers)

    monkeypatch.setattr(ValidatedRows, "_splits", counted)
    trips = random_trips(2000)
    trips.loc[range(bad_rows), "origin_latitude"] = 91.0
    for name in ("trips.csv", "trips.parquet"):
        params = {"kind": "trips", "source": source(trips, name), "resolution": 7, "output": output(*OUTPUTS)}
        outcome = grid_mobility.run(spark, params)
        assert outcome.quarantined == ({"latitude beyond ±90": bad_rows} if bad_rows else {})
    assert len(reads) == (4 if bad_rows else 2)


def test_users_that_nobody_told_cannot_hold_edges_back(spark: SparkSession, source: Any, output: Any) -> None:
    params = {"kind": "trips", "source": source(random_trips(9), "t.csv"), "resolution": 7, "output": output(*OUTPUTS)}
    with pytest.raises(UserError, match=r"t\.csv has no users\. Name their column"):
        grid_mobility.run(spark, {**params, "minimum_users": 2})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "walks"}, "kind is 'walks': say od, trips, events"),
        ({"resolution": 16}, "resolution is 16"),
        ({"output": {}}, "lack 'output.edges'"),
        ({"source": {"files": [], "format": "csv"}}, "must name at least one file"),
        ({"source": {"files": ["x.csv"], "format": "excel"}}, "say csv, parquet, vector"),
        (
            {"source": {"files": ["x.csv"], "format": "csv", "columns": {}}},
            "lacks origin_latitude and origin_longitude, or origin_cell",
        ),
    ],
)
def test_wrong_parameters_are_told(
    spark: SparkSession,
    source: Any,
    output: Any,
    change: dict[str, Any],
    message: str,
    monkeypatch: Any,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    good = {"kind": "trips", "source": source(random_trips(5), "t.csv"), "resolution": 7, "output": output(*OUTPUTS)}
    with pytest.raises(UserError, match=message):
        grid_mobility.run(spark, {**good, **change})


def test_moves_inside_one_cell_alone_give_no_graph(spark: SparkSession, source: Any, output: Any) -> None:
    trips = random_trips(5).assign(**dict.fromkeys(ENDS, 1.0))
    params = {"kind": "trips", "source": source(trips, "t.csv"), "resolution": 7, "output": output(*OUTPUTS)}
    with pytest.raises(UserError, match="gives no edge"):
        grid_mobility.run(spark, params)


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_a_file_without_rows_is_told(spark: SparkSession, source: Any, output: Any, name: str) -> None:
    params = {"kind": "trips", "source": source(random_trips(0), name), "resolution": 7, "output": output(*OUTPUTS)}
    with pytest.raises(UserError, match=f"{name} holds no rows"):
        grid_mobility.run(spark, params)


def test_rows_that_are_all_bad_are_told(spark: SparkSession, source: Any, output: Any) -> None:
    trips = random_trips(5).assign(origin_latitude=91.0)
    params = {"kind": "trips", "source": source(trips, "t.csv"), "resolution": 7, "output": output(*OUTPUTS)}
    with pytest.raises(UserError, match="5 of 5 rows"):
        grid_mobility.run(spark, params)
    with pytest.raises(UserError, match=r"none of its 5 rows can be used\. latitude beyond ±90: 5"):
        grid_mobility.run(spark, {**params, "output": output(*OUTPUTS), "maximum_bad_share": 1.0})


def test_a_dataset_is_never_overwritten(spark: SparkSession, source: Any, output: Any) -> None:
    params = {"kind": "trips", "source": source(random_trips(), "t.csv"), "resolution": 7, "output": output(*OUTPUTS)}
    grid_mobility.run(spark, params)
    with pytest.raises(UserError, match="holds Parquet files already"):
        grid_mobility.run(spark, params)
