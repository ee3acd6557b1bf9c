"""The truth of the demo city: what its areas earn, spend, pay and how far they go, all of it from how people move.

- income of a cell: what its residents' places of work pay. Ages and the map explain a part of it; the rest is whether
  they go to the harbour or to the foundry.
- consumption of a cell: who comes to shop there, and what they earn.
- commute of a ward: how far its residents work.
- rent at a point: income of the block, the moor nearby, the way to the old town.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from mora_pipeline.demo.city import DISTRICTS, City, Floats, scatter
from mora_pipeline.demo.places import ward_names
from mora_pipeline.demo.travel import SHOP, WORK, destination_chances

SPENDING_SHARE = 0.2  # of income, in shops away from home
INCOME_NOISE, CONSUMPTION_NOISE, COMMUTE_NOISE, RENT_NOISE = 0.05, 0.10, 0.03, 0.06  # standard deviations, relative
FLATS_A_BLOCK = 2  # flats whose rent is known, on average
RENT_OF_INCOME, RENT_OF_MOOR, RENT_OF_DISTANCE = 0.7, 0.15, 0.3
MOOR_REACH_M = 1_500.0
GREENMOOR, OLD_TOWN = 6, 1


@dataclass(frozen=True)
class Truth:
    """What is true of the blocks [n]: income of residents, spending in shops, km to work; nan where nobody lives."""

    income: Floats
    consumption: Floats
    commute_km: Floats


def expected_truth(city: City) -> Truth:
    """Follows from where people go, without noise."""
    wages = np.array([district.wage for district in DISTRICTS])[city.district]
    work, shop = destination_chances(city, WORK), destination_chances(city, SHOP)
    earned = work @ wages  # [4, n]
    kilometres = np.einsum("gij,ij->gi", work, city.distances) / 1000
    with np.errstate(invalid="ignore"):
        shares = (city.residents / city.population[:, None]).T
    spent = SPENDING_SHARE * city.residents.T * earned
    return Truth((shares * earned).sum(axis=0), np.einsum("gi,gij->j", spent, shop), (shares * kilometres).sum(axis=0))


def make_labels(rng: np.random.Generator, city: City) -> dict[str, pa.Table]:
    """The tables of labels: `cells`, `wards` and `flats`."""
    truth = expected_truth(city)
    return {
        "cells": pa.table(
            {
                "latitude": city.latitude,
                "longitude": city.longitude,
                "income": _noisy(rng, truth.income, INCOME_NOISE),
                "consumption": _noisy(rng, truth.consumption, CONSUMPTION_NOISE),
            }
        ),
        "wards": _wards(rng, city, truth),
        "flats": _flats(rng, city, truth),
    }


def _wards(rng: np.random.Generator, city: City, truth: Truth) -> pa.Table:
    lived_in = city.population > 0
    names, ward = np.unique(ward_names(city)[lived_in], return_inverse=True)
    population = city.population[lived_in]
    kilometres = np.bincount(ward, population * truth.commute_km[lived_in]) / np.bincount(ward, population)
    return pa.table({"ward": names, "commute_km": _noisy(rng, kilometres, COMMUTE_NOISE)})


def _flats(rng: np.random.Generator, city: City, truth: Truth) -> pa.Table:
    block = rng.choice(len(city.x), FLATS_A_BLOCK * len(city.x), p=city.population / city.population.sum())
    to_moor = city.distances[:, city.district == GREENMOOR].min(axis=1)
    to_old_town = city.distances[:, city.district == OLD_TOWN].min(axis=1)
    rent = 900 * (truth.income / np.nanmean(truth.income)) ** RENT_OF_INCOME
    rent *= np.exp(RENT_OF_MOOR * np.exp(-to_moor / MOOR_REACH_M) - RENT_OF_DISTANCE * to_old_town / city.radius)
    latitude, longitude = city.point(*scatter(rng, city, block))
    return pa.table({"latitude": latitude, "longitude": longitude, "rent": _noisy(rng, rent[block], RENT_NOISE)})


def _noisy(rng: np.random.Generator, values: Floats, share: float) -> Floats:
    """Values [n] times log-normal noise of this standard deviation."""
    return np.asarray(values * np.exp(rng.normal(0, share, len(values))))
