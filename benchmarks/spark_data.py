"""Mobility of an invented country for the Spark benchmarks: edges, raw trips and events; the same bytes every time.

Places weigh as a lognormal law says and flows as a Pareto law says; both are drawn piece by piece in little memory.
"""

import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from mora_pipeline.raw.places import cells_at
from spark_jobs.output import part_name

Indices = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
PARETO = 1.5  # exponent of the flows: the mean is three times the smallest
ROWS_PER_CHUNK = 1 << 20
EDGES_PER_ORIGIN = 5000  # as in the paper: 1.2 billion edges of about 200 k cells
DRAWS_PER_EDGE = 1.165  # what is left once twins are dropped is an edge for each of that many draws
PLACES = 400_000  # more cells than a billion edges have origins
RESOLUTION = 6
BOX = (25.0, 50.0, -125.0, -70.0)  # degrees: south, north, west, east
SPREAD_DEGREES = 0.01  # how far the trips of a place lie apart: within one to four cells of resolution 6
PLACES_OF_A_USER = 8
FIRST_TIME = np.datetime64("2024-01-01T00:00:00", "us")
WEEKS = 54
GENERATED = "_generated.json"
GENERATION = 2  # goes up with every change of what is generated: older files are made anew


@dataclass(frozen=True)
class Trips:
    """Which trips to draw.

    ``rows``: number of trips; ``trips_per_pair``: how many of them a pair of places has on average; ``hot_share``:
    share of all trips that leave from one place; ``files``: Parquet files.
    """

    rows: int
    trips_per_pair: int = 3
    hot_share: float = 0.0
    files: int = 8
    seed: int = 0


@dataclass(frozen=True)
class TimedTrips(Trips):
    """Trips with a start time."""


@dataclass(frozen=True)
class Events:
    """Which records of users to draw.

    ``rows``: number of records; ``users``: number of people, some of whom are seen far more often; ``hot_rows``: how
    many of the records are of one more person; ``files``: Parquet files.
    """

    rows: int
    users: int
    hot_rows: int = 0
    files: int = 8
    seed: int = 0


@dataclass(frozen=True)
class Edges:
    """Which edges to draw: about ``rows`` of them (twins are dropped), in ``files`` Parquet files."""

    rows: int
    files: int = 8
    seed: int = 0

    @property
    def origins(self) -> int:
        return max(1, self.rows // EDGES_PER_ORIGIN)


@dataclass(frozen=True)
class Country:
    """Places: latitude, longitude (degrees) and the running sum of their weights, [n], ending at 1."""

    latitude: Floats
    longitude: Floats
    running: Floats

    def places_at(self, level: Floats) -> Indices:
        """The place for each level in [0, 1): a place of twice the weight takes twice the levels."""
        return np.minimum(np.searchsorted(self.running, level, side="right"), len(self.running) - 1)


def make_country(seed: int, places: int = PLACES) -> Country:
    """Places all over the box, weighing lognormally."""
    random = np.random.default_rng([seed, 0])
    south, north, west, east = BOX
    weights = random.lognormal(0.0, 1.5, places)
    return Country(random.uniform(south, north, places), random.uniform(west, east, places), running_share(weights))


def running_share(weights: Floats) -> Floats:
    return np.cumsum(weights) / weights.sum()


def make_once(folder: Path, wanted: Trips | Events | Edges) -> Path:
    """The folder with these data: left as it is if it holds them already, else made anew."""
    record = folder / GENERATED
    description = json.dumps({"generation": GENERATION, "kind": type(wanted).__name__, **asdict(wanted)})
    if record.exists() and record.read_text() == description:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for number in range(wanted.files):
        write_chunks(folder / part_name(number), chunks_of_file(wanted, number))
    record.write_text(description)  # last: a folder without it is not whole
    return folder


def chunks_of_file(wanted: Trips | Events | Edges, number: int) -> Iterator[pa.Table]:
    if isinstance(wanted, Trips):
        return trips_of_file(wanted, number)
    return events_of_file(wanted, number) if isinstance(wanted, Events) else edges_of_file(wanted, number)


def write_chunks(file: Path, chunks: Iterator[pa.Table]) -> None:
    """Write tables as one Parquet file, in row groups of the size that Spark writes."""
    held = [next(chunks)]
    with pq.ParquetWriter(file, held[0].schema, compression="zstd") as writer:
        for chunk in chunks:
            held.append(chunk)
            if sum(part.num_rows for part in held) >= 4 * ROWS_PER_CHUNK:
                writer.write_table(pa.concat_tables(held), row_group_size=1 << 30)
                held = []
        if held:
            writer.write_table(pa.concat_tables(held), row_group_size=1 << 30)


def trips_of_file(wanted: Trips, number: int) -> Iterator[pa.Table]:
    """The trips of one file in no order.

    Columns:
        ``origin_latitude``, ``origin_longitude``, ``destination_latitude``, ``destination_longitude`` (degrees), and of
        timed trips ``time`` (UTC).
    """
    country = make_country(wanted.seed)
    random = np.random.default_rng([wanted.seed, 1, number])
    for rows in chunk_sizes(wanted, number):
        origin, destination = pairs(country, wanted, random, rows)
        columns = {}
        for name, place in (("origin", origin), ("destination", destination)):
            columns[f"{name}_latitude"] = country.latitude[place] + random.normal(0, SPREAD_DEGREES, rows)
            columns[f"{name}_longitude"] = country.longitude[place] + random.normal(0, SPREAD_DEGREES, rows)
        yield pa.table(columns | ({"time": times(random, rows)} if isinstance(wanted, TimedTrips) else {}))


def events_of_file(wanted: Events, number: int) -> Iterator[pa.Table]:
    """The records of one file in no order: everyone moves between a few places of their own.

    Columns:
        ``user`` (int64), ``time`` (UTC), ``latitude``, ``longitude`` (degrees).
    """
    country = make_country(wanted.seed)
    random = np.random.default_rng([wanted.seed, 4, number])
    for rows in chunk_sizes(wanted, number):
        # Users from 0, the first of whom come far more often.
        user = np.minimum((wanted.users * random.random(rows) ** 2).astype(np.int64), wanted.users - 1)
        user[random.random(rows) < wanted.hot_rows / wanted.rows] = wanted.users
        own = (PLACES_OF_A_USER * random.random(rows) ** 2).astype(np.int64)
        place = country.places_at(scattered((user * PLACES_OF_A_USER + own).astype(np.uint64), wanted.seed))
        yield pa.table(
            {
                "user": user,
                "time": times(random, rows),
                "latitude": country.latitude[place] + random.normal(0, SPREAD_DEGREES, rows),
                "longitude": country.longitude[place] + random.normal(0, SPREAD_DEGREES, rows),
            }
        )


def chunk_sizes(wanted: Trips | Events, number: int) -> Iterator[int]:
    """The rows of each chunk of a file."""
    left = wanted.rows * (number + 1) // wanted.files - wanted.rows * number // wanted.files
    while left:
        yield min(left, ROWS_PER_CHUNK)
        left -= min(left, ROWS_PER_CHUNK)


def times(random: np.random.Generator, rows: int) -> pa.Array:
    """Whole seconds of `WEEKS`."""
    seconds = random.integers(0, WEEKS * 7 * 86_400, rows)
    return pa.array(FIRST_TIME + seconds.astype("timedelta64[s]"), pa.timestamp("us", "UTC"))


def pairs(country: Country, wanted: Trips, random: np.random.Generator, rows: int) -> tuple[Indices, Indices]:
    """Origins and destinations of trips: pairs of places, the trips of a pair following a Pareto law.

    A pair is known by its rank. The trips of the first r of n pairs are the share (r / n)^(1 − 1 / PARETO) of all.
    """
    count = max(1, wanted.rows // wanted.trips_per_pair)
    rank = np.minimum((count * random.random(rows) ** (1 / (1 - 1 / PARETO))).astype(np.uint64), count - 1)
    origin = country.places_at(scattered(rank, 2 * wanted.seed))
    origin[random.random(rows) < wanted.hot_share] = 0
    return origin, country.places_at(scattered(rank, 2 * wanted.seed + 1))


def scattered(number: npt.NDArray[np.uint64], seed: int) -> Floats:
    """A level in [0, 1) for each number, always the same one.

    Source: the finaliser of splitmix64 (Steele, Lea and Flood 2014).
    """
    mixed = (number + np.uint64(seed * 0x632BE59BD9B4E019 & 0xFFFFFFFFFFFFFFFF)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (mixed ^ (mixed >> np.uint64(31))) / 2.0**64 * (1 - 2**-53)


def edges_of_file(wanted: Edges, number: int) -> Iterator[pa.Table]:
    """The edges of every origin whose number leaves this rest, sorted by origin and destination, each pair once.

    Columns:
        ``origin``, ``destination`` (H3 cells of resolution 6), ``flow`` (1 and more; a third of them whole numbers, so
        that ties occur), ``users`` (all null), as the job grid_mobility writes them.
    """
    country = make_country(wanted.seed)
    cells = np.unique(cells_at(pa.array(country.latitude), pa.array(country.longitude), RESOLUTION).to_numpy())
    if wanted.origins > len(cells):
        raise ValueError(f"{wanted.rows:,} edges need {wanted.origins:,} origins, but there are {len(cells):,} cells")
    weights = np.random.default_rng([wanted.seed, 2]).lognormal(0.0, 1.5, len(cells))
    running = running_share(weights)
    random = np.random.default_rng([wanted.seed, 3, number])
    own = np.arange(number, wanted.origins, wanted.files) * len(cells) // wanted.origins
    held: list[pa.Table] = []
    for origin in own:
        draws = DRAWS_PER_EDGE * EDGES_PER_ORIGIN * random.lognormal(-0.125, 0.5)  # of mean 1
        degree = int(np.clip(draws, 1, len(cells) // 2))
        # Running sums of exponential gaps are uniform levels in ascending order, without a sort.
        gaps = np.cumsum(random.standard_exponential(degree + 1))
        destination = np.searchsorted(running, gaps[:-1] / gaps[-1], side="right")
        destination = destination[np.concatenate([[True], destination[1:] != destination[:-1]])]
        destination = destination[destination != origin]
        flow = 1 + random.pareto(PARETO, len(destination))
        flow = np.where(random.random(len(flow)) < 1 / 3, np.floor(flow), flow)
        ends = {"origin": np.full(len(flow), cells[origin]), "destination": cells[destination]}
        held.append(pa.table({**ends, "flow": flow, "users": pa.nulls(len(flow), pa.int64())}))
        if sum(table.num_rows for table in held) >= ROWS_PER_CHUNK:
            yield pa.concat_tables(held).combine_chunks()
            held = []
    if held:
        yield pa.concat_tables(held).combine_chunks()
