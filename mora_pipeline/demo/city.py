"""The ground of the demo city: its blocks, its districts, and who lives where.

A block is one H3 cell, so that what is true of a block is true of a cell. Around an old town are districts that people
go to: offices at the harbour, a foundry, a campus, a cheap market, a moor, a spa. Everywhere else people live. Four
social groups do so, and which one dominates a block is drawn block by block: neighbours look the same on the map and in
the picture, but go to different districts.
"""

from dataclasses import dataclass

import h3
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

CENTRE = (47.35, 19.10)  # latitude, longitude: somewhere in the Pannonian plain
RESOLUTION = 9  # cells about 350 m apart
METRES_PER_DEGREE = 111_320.0
BLOCK_RADIUS_M = 120.0  # a circle of this radius is inside every block

CLERKS, MAKERS, STUDENTS, PENSIONERS = range(4)
NUM_GROUPS = 4
GROUP_FREQUENCY = (0.34, 0.34, 0.16, 0.16)
DOMINANCE = 0.75  # share of a block's residents who belong to its dominant group, at least


@dataclass(frozen=True)
class District:
    """A part of the city that people go to; distances and radii are shares of the city's radius."""

    name: str
    land_use: str
    bearing_degrees: float
    distance: float
    radius: float
    wage: float  # what a year of work there pays
    jobs: float  # jobs a block, relative


HOMES = 0  # index of the residential quarters in DISTRICTS
DISTRICTS = (
    District("Quarters", "residential", 0, 0, 2, wage=24_000, jobs=0.02),
    District("Old Town", "retail", 0, 0.0, 0.16, wage=28_000, jobs=1.0),
    District("Harbour", "office", 60, 0.35, 0.15, wage=64_000, jobs=2.0),
    District("Foundry", "industry", 200, 0.60, 0.18, wage=33_000, jobs=1.5),
    District("Campus", "campus", 130, 0.55, 0.13, wage=15_000, jobs=1.5),
    District("Market", "retail", 280, 0.45, 0.10, wage=22_000, jobs=1.0),
    District("Greenmoor", "park", 340, 0.60, 0.17, wage=20_000, jobs=0.1),
    District("Spa", "clinic", 20, 0.70, 0.10, wage=42_000, jobs=1.0),
)


@dataclass(frozen=True)
class City:
    """The city's blocks, in rows: position, district, residents by group, and how much each block attracts.

    Attributes:
        latitude, longitude: centre in degrees [n].
        x, y: metres east and north of the city's centre [n].
        district: row of DISTRICTS [n].
        residents: people by social group [n, 4]; zero outside the quarters.
        size: how large a block is as a destination, relative to others of its district [n]; few are large.
        style: the social group that the small shops and pubs of a block are made for [n].
    """

    latitude: Floats
    longitude: Floats
    x: Floats
    y: Floats
    district: Ints
    residents: Floats
    size: Floats
    style: Ints

    @property
    def population(self) -> Floats:
        """Residents of all groups [n]."""
        return self.residents.sum(axis=1)

    @property
    def radius(self) -> float:
        """Metres from the centre to the farthest block."""
        return float(np.hypot(self.x, self.y).max())

    @property
    def distances(self) -> Floats:
        """Metres between all pairs of blocks [n, n]."""
        return np.hypot(self.x[:, None] - self.x, self.y[:, None] - self.y)

    def point(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Latitude and longitude, degrees [k], of metres east and north of the centre, [k]."""
        return CENTRE[0] + y / METRES_PER_DEGREE, CENTRE[1] + x / _metres_per_degree_east()


def lay_out_city(rng: np.random.Generator, rings: int) -> City:
    """Draw a city of `rings` rings of blocks around one: n = 3 · rings · (rings + 1) + 1 blocks."""
    cells = sorted(h3.grid_disk(h3.latlng_to_cell(*CENTRE, RESOLUTION), rings))
    latitude, longitude = np.array([h3.cell_to_latlng(cell) for cell in cells]).T
    y = (latitude - CENTRE[0]) * METRES_PER_DEGREE
    x = (longitude - CENTRE[1]) * _metres_per_degree_east()
    district = _districts(x, y)
    return City(
        latitude, longitude, x, y, district,
        residents=_residents(rng, x, y, district),
        size=rng.pareto(1.5, len(x)) + 0.2,
        style=rng.integers(0, NUM_GROUPS, len(x)),
    )  # fmt: skip


def scatter(rng: np.random.Generator, city: City, blocks: Ints) -> tuple[Floats, Floats]:
    """A random point inside each of the blocks (rows of the city's, [k]): metres east and north of the centre, [k]."""
    angle = rng.uniform(0, 2 * np.pi, len(blocks))
    radius = BLOCK_RADIUS_M * np.sqrt(rng.uniform(0, 1, len(blocks)))
    return city.x[blocks] + radius * np.cos(angle), city.y[blocks] + radius * np.sin(angle)


def _districts(x: Floats, y: Floats) -> Ints:
    """The row of DISTRICTS of each block [n]; every district has one block at least."""
    city_radius = np.hypot(x, y).max()
    district = np.full(len(x), HOMES, dtype=np.int64)
    for row, place in enumerate(DISTRICTS[1:], start=1):
        bearing = np.radians(place.bearing_degrees)
        east, north = np.sin(bearing) * place.distance, np.cos(bearing) * place.distance
        distance = np.hypot(x / city_radius - east, y / city_radius - north)
        district[(distance <= place.radius) | (distance == distance.min())] = row
    return district


def _residents(rng: np.random.Generator, x: Floats, y: Floats, district: Ints) -> Floats:
    """People by block and social group [n, 4]."""
    from_centre = np.hypot(x, y) / np.hypot(x, y).max()
    population = 1400 * np.exp(-1.2 * from_centre) * rng.lognormal(0, 0.35, len(x))
    dominant = rng.choice(NUM_GROUPS, len(x), p=GROUP_FREQUENCY)
    shares = DOMINANCE * np.eye(NUM_GROUPS)[dominant]
    shares += (1 - DOMINANCE) * rng.dirichlet(np.ones(NUM_GROUPS), len(x))
    return np.where(district == HOMES, population, 0)[:, None] * shares


def _metres_per_degree_east() -> float:
    return METRES_PER_DEGREE * float(np.cos(np.radians(CENTRE[0])))
