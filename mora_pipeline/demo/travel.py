"""Where people of each social group go: the chance of every destination from every home, by purpose.

The chances are the demo's truth: the diaries are drawn from them, and the tasks' labels are computed from them.
"""

from dataclasses import dataclass

import numpy as np

from mora_pipeline.demo.city import DISTRICTS, HOMES, City, Floats


@dataclass(frozen=True)
class Purpose:
    """Why people leave home.

    Attributes:
        reach_m: distance at which a destination attracts a person 1/e as much.
        taste: for each group (clerks, makers, students, pensioners), how much it likes each of DISTRICTS.
        by_jobs: whether a district's jobs count, as they do for work.
        style_matters: whether a block's small shops draw the group they are made for.
    """

    name: str
    reach_m: float
    taste: tuple[tuple[float, ...], ...]
    by_jobs: bool = False
    style_matters: bool = False


# Columns: Quarters, Old Town, Harbour, Foundry, Campus, Market, Greenmoor, Spa
WORK = Purpose(
    "work", 9_000, by_jobs=True,
    taste=(
        (1.0, 0.3, 1.0, 0.02, 0.05, 0.02, 0.1, 0.5),
        (1.0, 0.2, 0.05, 1.0, 0.02, 0.7, 0.1, 0.05),
        (1.0, 0.4, 0.05, 0.05, 1.0, 0.2, 0.1, 0.05),
        (1.0, 0.5, 0.02, 0.02, 0.02, 0.3, 3.0, 1.0),
    ),
)  # fmt: skip
SHOP = Purpose(
    "shop", 1_800, style_matters=True,
    taste=(
        (0.3, 5.0, 1.0, 0.1, 0.3, 0.3, 0.0, 0.3),
        (0.3, 0.5, 0.1, 0.8, 0.1, 8.0, 0.0, 0.1),
        (0.3, 1.0, 0.1, 0.1, 5.0, 3.0, 0.0, 0.1),
        (0.3, 2.0, 0.1, 0.1, 0.1, 3.0, 0.0, 3.0),
    ),
)  # fmt: skip
LEISURE = Purpose(
    "leisure", 3_000, style_matters=True,
    taste=(
        (0.2, 3.0, 3.0, 0.0, 0.1, 0.1, 0.5, 1.0),
        (0.2, 0.7, 0.1, 2.0, 0.1, 3.0, 1.0, 0.1),
        (0.2, 2.0, 0.3, 0.1, 5.0, 0.5, 0.5, 0.0),
        (0.2, 0.7, 0.1, 0.0, 0.1, 0.5, 3.0, 4.0),
    ),
)  # fmt: skip
PURPOSES = (WORK, SHOP, LEISURE)
STYLE_FACTOR = 6.0  # how much more a group likes small shops that are made for it


def destination_chances(city: City, purpose: Purpose) -> Floats:
    """The chance that a resident of block i of group g goes to block j: [4, n, n], rows sum to 1; never j = i."""
    taste = np.asarray(purpose.taste)[:, city.district] * city.size
    if purpose.by_jobs:
        taste = taste * np.array([district.jobs for district in DISTRICTS])[city.district]
    if purpose.style_matters:
        fits = city.style == np.arange(len(taste))[:, None]
        taste = taste * np.where(fits & (city.district == HOMES), STYLE_FACTOR, 1.0)
    near = np.exp(-city.distances / purpose.reach_m)
    np.fill_diagonal(near, 0)
    chances = taste[:, None, :] * near
    return np.asarray(chances / chances.sum(axis=2, keepdims=True))
