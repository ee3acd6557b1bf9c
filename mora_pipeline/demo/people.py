"""The people of the demo city and a diary of their days, as events: user, time, latitude, longitude.

Everybody has a home, one place of work (or a daily haunt), and a few favourite shops and pubs. On a weekday they leave
home for work, may shop on the way back, may go out in the evening, and come home; at weekends they do not work. Each
social group keeps its own hours: makers begin before six, students come home after midnight, pensioners before dark. So
the hours of a district say who goes there, and those of a block who lives there.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from mora_pipeline.contract.rhythm import FIRST_WEEKEND_DAY
from mora_pipeline.demo.city import City, Floats, Ints, scatter
from mora_pipeline.demo.travel import LEISURE, SHOP, WORK, Purpose, destination_chances

MONDAY = np.datetime64("2024-03-04T00:00:00", "s")  # the first day of the diaries, UTC
FAVOURITES = 2  # shops and pubs that a person goes to
GPS_NOISE_M = 15.0
BAD_ROW_SHARE = 0.004  # broken records, as any real source has them


@dataclass(frozen=True)
class Haunts:
    """Where users go for one purpose: blocks [n, k], and the spots in them, metres east and north of the centre."""

    block: Ints
    x: Floats
    y: Floats


@dataclass(frozen=True)
class People:
    """Users, in rows: their social group [n], their home and where they go."""

    group: Ints
    home: Haunts
    work: Haunts
    shops: Haunts
    pubs: Haunts


@dataclass(frozen=True)
class Stop:
    """One entry of the daily routine.

    Attributes:
        where: attribute of People.
        weekday_hours, weekend_hours: of each social group; 25 is one o'clock in the next night.
        weekday_chance, weekend_chance: that somebody goes.
    """

    where: str
    weekday_hours: tuple[float, float, float, float]
    weekend_hours: tuple[float, float, float, float]
    weekday_chance: float
    weekend_chance: float


# Hours of clerks, makers, students, pensioners; those of a group are two spreads apart, so that none overtakes another.
ROUTINE = (
    Stop("home", (7.4, 5.0, 8.6, 9.0), (9.0, 8.4, 10.4, 8.8), 1.0, 0.7),
    Stop("work", (9.0, 6.6, 10.4, 10.8), (10.6, 10.2, 12.2, 10.6), 0.95, 0.05),
    Stop("shops", (17.2, 15.2, 17.0, 13.2), (13.0, 13.0, 15.0, 12.6), 0.45, 0.7),
    Stop("pubs", (19.8, 18.0, 21.4, 15.6), (20.8, 20.8, 22.2, 15.8), 0.30, 0.5),
    Stop("home", (22.5, 20.6, 23.2, 18.6), (22.9, 22.9, 25.6, 18.8), 1.0, 1.0),
)
HOUR_SPREAD = 0.4  # standard deviation of a stop's hour
WIDEST_SPREAD = 0.8


def draw_people(rng: np.random.Generator, city: City, users: int) -> People:
    """Draw users: homes in proportion to residents, destinations from the chances of their group and home."""
    chance = city.residents.ravel() / city.residents.sum()
    home, group = np.divmod(rng.choice(chance.size, users, p=chance), city.residents.shape[1])

    def choose(purpose: Purpose, count: int) -> Haunts:
        cumulative = destination_chances(city, purpose).cumsum(axis=2)[group, home]
        draws = [(cumulative < rng.uniform(0, 1, (users, 1))).sum(axis=1) for _ in range(count)]
        return _haunts(rng, city, np.minimum(np.stack(draws, axis=1), len(city.x) - 1))

    return People(
        group, _haunts(rng, city, home[:, None]), choose(WORK, 1), choose(SHOP, FAVOURITES), choose(LEISURE, FAVOURITES)
    )


def _haunts(rng: np.random.Generator, city: City, block: Ints) -> Haunts:
    x, y = scatter(rng, city, block.ravel())
    return Haunts(block, x.reshape(block.shape), y.reshape(block.shape))


def write_diaries(rng: np.random.Generator, city: City, people: People, day: int) -> pa.Table:
    """The events of one day, and of the night after it, in the order of time; BAD_ROW_SHARE of them are broken."""
    users, weekend = len(people.group), day % 7 >= FIRST_WEEKEND_DAY
    who, hours, spots = [], [], []
    for stop in ROUTINE:
        goes = rng.uniform(0, 1, users) < (stop.weekend_chance if weekend else stop.weekday_chance)
        haunts: Haunts = getattr(people, stop.where)
        picked = np.arange(users), rng.integers(0, haunts.block.shape[1], users)
        who.append(np.flatnonzero(goes))
        usual = np.array(stop.weekend_hours if weekend else stop.weekday_hours)[people.group]
        hours.append((usual + rng.normal(0, HOUR_SPREAD, users).clip(-WIDEST_SPREAD, WIDEST_SPREAD))[goes])
        spots.append(np.stack([haunts.x[picked], haunts.y[picked]])[:, goes])
    user, (x, y) = np.concatenate(who), np.concatenate(spots, axis=1)
    seconds = np.round((np.concatenate(hours) + 24 * day) * 3600).astype(np.int64)
    noise = rng.normal(0, GPS_NOISE_M, (2, len(user))).clip(-2 * GPS_NOISE_M, 2 * GPS_NOISE_M)
    latitude, longitude = city.point(x + noise[0], y + noise[1])
    order = np.lexsort((user, seconds))
    return _with_bad_rows(rng, user[order], seconds[order], latitude[order], longitude[order])


def _with_bad_rows(
    rng: np.random.Generator, user: Ints, seconds: Ints, latitude: Floats, longitude: Floats
) -> pa.Table:
    """The events [n] as a table; seconds are since MONDAY."""
    damage = np.where(rng.uniform(0, 1, len(user)) < BAD_ROW_SHARE, rng.integers(1, 5, len(user)), 0)
    latitude = np.where(damage == 1, latitude + 90, latitude)
    longitude = np.where(damage == 2, np.nan, longitude)
    names = np.char.add("u", np.char.zfill(user.astype(str), 6))
    times = (MONDAY + seconds.astype("timedelta64[s]")).astype("datetime64[ms]")
    return pa.table(
        {
            "user_id": pa.array(names, pa.string(), mask=damage == 3),
            "time": pa.array(times, pa.timestamp("ms"), mask=damage == 4).cast(pa.timestamp("ms", tz="UTC")),
            "latitude": latitude,
            "longitude": longitude,
        }
    )
