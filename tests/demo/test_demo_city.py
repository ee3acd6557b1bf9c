"""The demo city is the same for the same seed, is a region as any other, and is true to how its people move."""

from pathlib import Path

import h3
import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import rasterio
from sklearn.decomposition import TruncatedSVD
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from mora_pipeline.demo import make_demo_city
from mora_pipeline.demo.city import CLERKS, DISTRICTS, HOMES, MAKERS, NUM_GROUPS, RESOLUTION, City, lay_out_city
from mora_pipeline.demo.people import BAD_ROW_SHARE, ROUTINE, WIDEST_SPREAD
from mora_pipeline.demo.pois import CATEGORIES
from mora_pipeline.demo.tasks import expected_truth
from mora_pipeline.demo.travel import PURPOSES, destination_chances
from mora_pipeline.region import RegionConfig
from mora_pipeline.region.checks import check_files
from tests.region.conftest import job_of


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The city as `make demo` makes it, with half its people."""
    return make_demo_city(tmp_path_factory.mktemp("demo"), users=6_000).parent


@pytest.fixture(scope="module")
def city() -> City:
    return lay_out_city(np.random.default_rng(0), rings=10)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_city(tmp_path: Path) -> None:
    for name, seed in (("one", 5), ("two", 5), ("three", 6)):
        make_demo_city(tmp_path / name, seed, rings=4, users=200, days=2)
    one, two, three = (contents(tmp_path / name) for name in ("one", "two", "three"))
    assert one == two
    assert one.keys() == three.keys()
    assert [name for name in one if one[name] == three[name]] == ["region.yaml"]


def test_a_city_made_again_with_fewer_days_forgets_the_old_ones(tmp_path: Path) -> None:
    make_demo_city(tmp_path, rings=3, users=50, days=3)
    make_demo_city(tmp_path, rings=3, users=50, days=1)
    assert [path.name for path in (tmp_path / "events").iterdir()] == ["day_01.parquet"]


@pytest.mark.parametrize("too_small", [{"rings": 2}, {"users": 0}, {"days": 0}])
def test_a_city_without_room_or_people_is_refused(tmp_path: Path, too_small: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="a city needs 3 rings, a user and a day at least"):
        make_demo_city(tmp_path, **too_small)


def test_its_region_yaml_is_right_about_its_files(demo: Path) -> None:
    config = RegionConfig.load(demo)
    files = check_files(config)
    assert sum(file.rows or 0 for file in files if "events" in str(file.path)) > 100_000
    assert {modality.kind for modality in config.modalities.values()} == {"text", "image", "table"}
    assert {task.level for task in config.tasks.values()} == {"cell", "group", "point"}
    assert job_of(config, "demographics")["groups"].keys() == {"age", "household"}


def test_events_carry_a_zone_and_a_few_of_them_are_broken_in_every_way(demo: Path) -> None:
    events = pq.read_table(demo / "events")
    assert str(events.schema.field("time").type) == "timestamp[ms, tz=UTC]"
    broken = {
        "user": events["user_id"].null_count,
        "time": events["time"].null_count,
        "latitude": pc.sum(pc.greater(events["latitude"], 90)).as_py(),
        "longitude": pc.sum(pc.is_nan(events["longitude"])).as_py(),
    }
    assert min(broken.values()) > 0
    assert BAD_ROW_SHARE / 2 < sum(broken.values()) / events.num_rows < 0.01


def test_people_sleep_at_home_and_move_through_the_day(demo: Path) -> None:
    events = pq.read_table(demo / "events").to_pandas().dropna()
    events = events[events.latitude <= 90]
    night = events[events.time.dt.hour < 5]
    assert night.user_id.nunique() > 1_000  # makers, who rise early, and students, who come home late
    spread = night.groupby("user_id")[["latitude", "longitude"]].agg(lambda degrees: degrees.max() - degrees.min())
    assert (spread * 111_000).to_numpy().max() < 200  # metres: one home, and the noise of a phone
    workdays = events[events.time.dt.dayofweek < 5].groupby(["user_id", events.time.dt.date]).size()
    assert 2.5 < workdays.mean() < 5
    assert 900 < len(used_cells(events)) <= 1_141


def used_cells(events) -> set[str]:
    points = zip(events.latitude, events.longitude, strict=True)
    return {h3.latlng_to_cell(latitude, longitude, RESOLUTION) for latitude, longitude in points}


def test_most_pois_have_a_name_some_have_only_one_of_the_texts(demo: Path) -> None:
    pois = pq.read_table(demo / "pois.parquet").to_pandas()
    assert 0.05 < pois.name.isna().mean() < 0.15
    assert 0.01 < pois.category.isna().mean() < 0.05
    assert not (pois.name.isna() & pois.category.isna()).any()
    assert 0 < (pois.longitude.abs() > 180).mean() < 0.01


def test_every_poi_category_knows_all_districts_and_a_group_or_nobody() -> None:
    assert all(len(row[2]) == len(DISTRICTS) and -1 <= row[3] < NUM_GROUPS for row in CATEGORIES)


def test_histograms_are_percentages(demo: Path) -> None:
    places = pq.read_table(demo / "places.parquet").to_pandas()
    assert np.allclose(places.filter(like="age_").sum(axis=1), 100)
    assert np.allclose(places.filter(like="household_").sum(axis=1), 100)
    assert places.place_id.is_unique


def test_the_two_pictures_join_and_cover_the_city(demo: Path) -> None:
    events = pq.read_table(demo / "labels/cells.parquet").to_pandas()
    with rasterio.open(demo / "imagery/west.tif") as west, rasterio.open(demo / "imagery/east.tif") as east:
        assert west.bounds.right == pytest.approx(east.bounds.left, abs=1e-9)
        assert (west.bounds.top, west.bounds.bottom) == (east.bounds.top, east.bounds.bottom)
        assert west.bounds.left < events.longitude.min() < events.longitude.max() < east.bounds.right
        assert west.bounds.bottom < events.latitude.min() < events.latitude.max() < west.bounds.top
        assert west.count == east.count == 3


def test_chances_are_chances(city: City) -> None:
    for purpose in PURPOSES:
        chances = destination_chances(city, purpose)
        assert np.allclose(chances.sum(axis=2), 1)
        assert (chances >= 0).all()
        assert not np.einsum("gii->gi", chances).any()


def test_neighbours_differ_in_income_by_their_groups(city: City) -> None:
    """Moran's I, a correlation of neighbours, near 0: coordinates cannot tell income."""
    lived_in = city.district == HOMES
    income = expected_truth(city).income[lived_in]
    near = city.distances[np.ix_(lived_in, lived_in)]
    near = ((near > 0) & (near < 450)).astype(float)
    centred = income - income.mean()
    moran = len(income) / near.sum() * (centred @ near @ centred) / (centred @ centred)
    assert abs(moran) < 0.15
    dominant = city.residents[lived_in].argmax(axis=1)
    assert income[dominant == CLERKS].mean() > 1.3 * income[dominant == MAKERS].mean()


def flow_features(demo: Path, labels) -> np.ndarray:
    """The leading directions of log flows out of and into each cell, by an oracle of a few lines."""
    row = {h3.latlng_to_cell(*point, RESOLUTION): i for i, point in enumerate(labels[["latitude", "longitude"]].values)}
    events = pq.read_table(demo / "events").to_pandas().dropna()
    events = events[events.latitude <= 90].sort_values(["user_id", "time"])
    at = np.array([row[h3.latlng_to_cell(*point, RESOLUTION)] for point in events[["latitude", "longitude"]].values])
    user = events.user_id.to_numpy()
    moves = (user[1:] == user[:-1]) & (at[1:] != at[:-1])
    flows = np.zeros((len(row), len(row)))
    np.add.at(flows, (at[:-1][moves], at[1:][moves]), 1)
    return TruncatedSVD(48, random_state=0).fit_transform(np.log1p(np.hstack([flows, flows.T])))


def test_movement_explains_income_and_coordinates_do_not(demo: Path) -> None:
    labels = pq.read_table(demo / "labels/cells.parquet").to_pandas()
    known = labels.income.notna().to_numpy()
    ridge = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-1, 4, 11)))
    smooth = make_pipeline(StandardScaler(), PolynomialFeatures(6), StandardScaler(), RidgeCV(np.logspace(-1, 4, 11)))
    income = labels.income[known]

    def score(model, features: np.ndarray) -> float:
        return float(np.mean(cross_val_score(model, features[known], income, cv=5, scoring="r2")))

    assert known.sum() >= 800
    assert score(ridge, flow_features(demo, labels)) > 0.4
    assert score(smooth, labels[["latitude", "longitude"]].to_numpy()) < 0.1


def test_nobody_is_at_two_stops_at_once() -> None:
    for hours in np.array([(*stop.weekday_hours, *stop.weekend_hours) for stop in ROUTINE]).T:
        assert np.diff(hours).min() >= 2 * WIDEST_SPREAD - 1e-9
        assert hours[-1] + WIDEST_SPREAD < 24 + 5.0 - WIDEST_SPREAD  # before anybody rises


def hours_of_cells(demo: Path, labels) -> np.ndarray:
    """Shares of the events of each cell by hour of the week, by an oracle of a few lines."""
    row = {h3.latlng_to_cell(*point, RESOLUTION): i for i, point in enumerate(labels[["latitude", "longitude"]].values)}
    events = pq.read_table(demo / "events").to_pandas().dropna()
    events = events[events.latitude <= 90]
    at = [row[h3.latlng_to_cell(*point, RESOLUTION)] for point in events[["latitude", "longitude"]].values]
    counts = np.ones((len(row), 48))
    weekend = (events.time.dt.dayofweek >= 5).to_numpy()
    np.add.at(counts, (at, events.time.dt.hour.to_numpy() + 24 * weekend), 1)
    return counts / counts.sum(axis=1, keepdims=True)


def test_hours_tell_who_lives_in_a_block_and_what_a_district_is_for(demo: Path) -> None:
    labels = pq.read_table(demo / "labels/cells.parquet").to_pandas()
    hours, known = hours_of_cells(demo, labels), labels.income.notna().to_numpy()
    ridge = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-1, 4, 11)))
    assert np.mean(cross_val_score(ridge, hours[known], labels.income[known], cv=5, scoring="r2")) > 0.4
    assert known.mean() < 1  # the others are districts, where nobody lives
    morning, evening = hours[:, 7:11].sum(axis=1), hours[:, 20:24].sum(axis=1)
    assert evening[known].mean() > 1.5 * evening[~known].mean()
    assert morning[known].mean() > 0.1
