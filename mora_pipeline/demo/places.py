"""Housing estates of the demo city: how many live in each, how old they are, and how many share a flat.

Ages tell students and pensioners apart from the rest, but clerks and makers are of the same age: only where they go
tells them apart.
"""

import numpy as np
import pyarrow as pa

from mora_pipeline.demo.city import City, scatter

AGES = ("0_14", "15_24", "25_34", "35_44", "45_54", "55_64", "65_plus")
AGE_PERCENT = np.array(
    [
        [18, 8, 18, 22, 18, 12, 4],
        [18, 8, 18, 22, 18, 12, 4],
        [3, 62, 24, 6, 3, 1, 1],
        [3, 3, 4, 6, 12, 24, 48],
    ]
)  # rows: clerks, makers, students, pensioners
HOUSEHOLDS = ("1", "2", "3", "4_plus")
HOUSEHOLD_PERCENT = np.array([[22, 28, 22, 28], [22, 28, 22, 28], [45, 25, 20, 10], [48, 44, 5, 3]])
CONCENTRATION = 60.0  # of the Dirichlet draw of an estate's histogram around its groups' mean
MAXIMUM_ESTATES = 3  # estates a block
WARD_M = 1_000.0  # wards are squares of this side


def make_places(rng: np.random.Generator, city: City) -> pa.Table:
    """Estates: place_id, latitude, longitude, ward, population, and percentages by age and household."""
    lived_in = np.flatnonzero(city.population > 0)
    block = np.repeat(lived_in, rng.integers(1, MAXIMUM_ESTATES + 1, len(lived_in)))
    part = rng.uniform(0.5, 1.5, len(block))
    part /= np.bincount(block, part, len(city.x))[block]
    shares = city.residents[block] / city.population[block, None]
    latitude, longitude = city.point(*scatter(rng, city, block))
    columns = {
        "place_id": pa.array([f"estate_{row:05d}" for row in range(len(block))]),
        "latitude": latitude,
        "longitude": longitude,
        "ward": ward_names(city)[block],
        "population": np.round(city.population[block] * part),
    }
    for prefix, bins, percent in (("age", AGES, AGE_PERCENT), ("household", HOUSEHOLDS, HOUSEHOLD_PERCENT)):
        drawn = rng.standard_gamma(CONCENTRATION * shares @ percent / 100)
        drawn *= 100 / drawn.sum(axis=1, keepdims=True)
        columns |= {f"{prefix}_{name}": drawn[:, column] for column, name in enumerate(bins)}
    return pa.table(columns)


def ward_names(city: City) -> np.ndarray:
    """The ward of each block [n]."""
    column = np.floor((city.x - city.x.min()) / WARD_M).astype(int).astype(str)
    row = np.floor((city.y - city.y.min()) / WARD_M).astype(int).astype(str)
    return np.char.add(np.char.add("ward_", np.char.zfill(row, 2)), np.char.add("_", np.char.zfill(column, 2)))
