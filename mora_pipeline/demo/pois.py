"""Shops, pubs, offices and the like of the demo city: a name, a category and a point; some lack one of the texts.

What there is in a block follows its district, its density and, a little, the group that its small shops are made for.
"""

import numpy as np
import pyarrow as pa

from mora_pipeline.demo.city import City, scatter

# Category: the last word of its names, how common it is in each of DISTRICTS, and its clientele (-1: everybody).
CATEGORIES: tuple[tuple[str, str, tuple[float, ...], int], ...] = (
    ("supermarket", "Foods", (2, 2, 1, 0, 1, 2, 0, 1), -1),
    ("bakery", "Bakery", (3, 3, 1, 0, 1, 1, 0, 1), -1),
    ("pharmacy", "Pharmacy", (1, 1, 0, 0, 0, 0, 0, 5), -1),
    ("school", "School", (2, 0, 0, 0, 1, 0, 0, 0), -1),
    ("playground", "Playground", (2, 0, 0, 0, 0, 0, 3, 0), -1),
    ("hairdresser", "Hair", (2, 2, 0, 0, 0, 1, 0, 0), -1),
    ("wine bar", "Cellar", (1, 3, 3, 0, 0, 0, 0, 0), 0),
    ("gallery", "Gallery", (0.5, 4, 1, 0, 1, 0, 0, 0), 0),
    ("fitness studio", "Fitness", (1, 1, 3, 0, 1, 0, 0, 0), 0),
    ("hardware store", "Hardware", (1, 0, 0, 4, 0, 3, 0, 0), 1),
    ("betting shop", "Bets", (1, 0, 0, 1, 0, 3, 0, 0), 1),
    ("snack bar", "Grill", (1, 1, 0, 4, 1, 4, 1, 0), 1),
    ("copy shop", "Copies", (0.5, 0, 1, 0, 4, 0, 0, 0), 2),
    ("club", "Club", (0.5, 2, 0, 1, 4, 0, 0, 0), 2),
    ("cafe", "Café", (1, 4, 2, 0, 4, 0, 1, 1), 2),
    ("community centre", "House", (1, 0, 0, 0, 0, 0, 0, 2), 3),
    ("garden shop", "Gardens", (1, 0, 0, 0, 0, 1, 3, 1), 3),
    ("doctor", "Practice", (1, 0, 0, 0, 0, 0, 0, 8), 3),
    ("office", "Partners", (0.3, 1, 14, 1, 1, 0, 0, 1), -1),
    ("bank", "Bank", (0.2, 2, 5, 0, 0, 0, 0, 0), -1),
    ("factory", "Works", (0.1, 0, 0, 12, 0, 1, 0, 0), -1),
    ("warehouse", "Storage", (0.1, 0, 0, 8, 0, 3, 0, 0), -1),
    ("clothes shop", "Fashion", (0.3, 6, 0, 0, 0, 6, 0, 0), -1),
    ("university", "Institute", (0, 0, 0, 0, 12, 0, 0, 0), -1),
    ("park", "Garden", (0.3, 0, 0, 0, 1, 0, 12, 1), -1),
)
FIRST_WORDS = (
    "Aurora", "Blue", "Castle", "Corner", "Crown", "Delta", "Eagle", "Elm", "Fountain", "Golden", "Granite", "Green",
    "Heron", "Iron", "Island", "Jasmine", "Kestrel", "Lantern", "Lime", "Lion", "Maple", "Mill", "Moon", "New", "North",
    "Old", "Orchard", "Pearl", "Quay", "River", "Rose", "Saint Anne", "Silver", "South", "Star", "Sun", "Swan", "Tower",
    "Union", "White",
)  # fmt: skip
POIS_A_BLOCK = 7.0
CLIENTELE_FACTOR = 1.6  # how much more common a category is where the small shops are made for its clientele
NO_NAME_SHARE, NO_CATEGORY_SHARE, BAD_POINT_SHARE = 0.10, 0.03, 0.003


def make_pois(rng: np.random.Generator, city: City) -> pa.Table:
    """POIs: name, category, latitude, longitude; a few points are broken."""
    common = np.array([row[2] for row in CATEGORIES]).T[city.district]
    clientele = np.array([row[3] for row in CATEGORIES])
    common = common * np.where(clientele == city.style[:, None], CLIENTELE_FACTOR, 1.0)
    lively = 0.5 + city.population / max(city.population.mean(), 1) + 2 * (city.district > 0)
    expected = common / common.sum(axis=1, keepdims=True) * (POIS_A_BLOCK * lively / lively.mean())[:, None]
    counts = rng.poisson(expected)
    block, category = np.divmod(np.repeat(np.arange(counts.size), counts.ravel()), len(CATEGORIES))
    latitude, longitude = city.point(*scatter(rng, city, block))
    longitude = np.where(rng.uniform(0, 1, len(block)) < BAD_POINT_SHARE, 999.0, longitude)
    first, last = np.array(FIRST_WORDS), np.array([row[1] for row in CATEGORIES])
    names = np.char.add(np.char.add(first[rng.integers(0, len(first), len(block))], " "), last[category])
    unnamed = rng.uniform(0, 1, len(block)) < NO_NAME_SHARE
    uncategorised = ~unnamed & (rng.uniform(0, 1, len(block)) < NO_CATEGORY_SHARE)
    return pa.table(
        {
            "name": pa.array(names, pa.string(), mask=unnamed),
            "category": pa.array(np.array([row[0] for row in CATEGORIES])[category], pa.string(), mask=uncategorised),
            "latitude": latitude,
            "longitude": longitude,
        }
    )
