"""A region of sixty scattered cells with every kind of modality, some missing, and flows that decay with distance."""

import dataclasses

import numpy as np
import pytest

from mora_pipeline.contract.schemas import Edges
from mora_pipeline.modalities import LoadedModality
from mora_pipeline.presets.inductive.flows import flow_feature_names, flow_features
from mora_pipeline.presets.inductive.parameters import InductiveParameters
from mora_pipeline.presets.inductive.relations import neighbours, partners
from mora_pipeline.presets.inductive.schema import Input, Schema
from mora_pipeline.presets.inductive.states import Evidence

NUM_CELLS = 60


@dataclasses.dataclass(frozen=True)
class Town:
    """Raw inputs of a region, so that tests can change or reorder them."""

    latitude: np.ndarray
    longitude: np.ndarray
    internal: np.ndarray
    flows: Edges
    modalities: tuple[LoadedModality, ...]

    def evidence(self, count: int = 5) -> Evidence:
        return Evidence(
            self.modalities,
            flow_features(self.flows, self.internal, self.latitude, self.longitude),
            partners(self.flows, len(self.latitude)),
            neighbours(self.latitude, self.longitude, count),
        )

    def reordered(self, order: np.ndarray) -> "Town":
        """The same cells in another order of rows: row i of the result is row order[i] of this."""
        position = np.argsort(order)
        flows = Edges(position[self.flows.origin], position[self.flows.destination], self.flows.flow)
        modalities = tuple(rows_of(one, order) for one in self.modalities)
        return Town(self.latitude[order], self.longitude[order], self.internal[order], flows, modalities)


def rows_of(one: LoadedModality, rows: np.ndarray) -> LoadedModality:
    """A modality on chosen rows of its cells."""
    parts = {name: getattr(one, name)[rows] for name in ("vectors", "present", "amounts", "amounts_present")}
    return dataclasses.replace(one, **parts)


COUNTS = ("count: (total)", "count: cafe", "count: (rest)")


def make_town(seed: int, num_cells: int = NUM_CELLS) -> Town:
    random = np.random.default_rng(seed)
    latitude, longitude = 47 + random.uniform(0, 0.3, num_cells), 8 + random.uniform(0, 0.4, num_cells)
    origin, destination = np.divmod(np.arange(num_cells**2), num_cells)
    kept = (origin != destination) & (random.random(num_cells**2) < 0.3) & (origin != 3) & (destination != 3)
    flows = Edges(origin[kept], destination[kept], random.exponential(20, kept.sum()) + 0.1)
    share = random.dirichlet(np.ones(5), num_cells).astype(np.float32)
    known, everywhere = np.arange(num_cells) % 7 != 0, np.ones(num_cells, bool)
    people = np.where(known[:, None], np.log1p(random.exponential(900, (num_cells, 1))), 0).astype(np.float32)
    parts = random.poisson(3, (num_cells, 2))
    counts = np.log1p(np.column_stack([parts.sum(axis=1), parts])).astype(np.float32)
    modalities = (
        LoadedModality("ages", "table", share, known, 0.7, people, ("people",), known),
        LoadedModality(
            "poi",
            "text",
            random.normal(size=(num_cells, 12)).astype(np.float32),
            everywhere,
            0.5,
            counts,
            COUNTS,
            everywhere,
        ),
        LoadedModality(
            "sky", "image", random.normal(size=(num_cells, 9)).astype(np.float32), np.arange(num_cells) > 4, 0.2
        ),
    )
    return Town(latitude, longitude, random.exponential(5, num_cells), flows, modalities)


@pytest.fixture(scope="session")
def town() -> Town:
    return make_town(1)


@pytest.fixture(scope="session")
def other_town() -> Town:
    """Another region: other cells, as many modalities, of another size."""
    return make_town(2, 35)


@pytest.fixture(scope="session")
def schema() -> Schema:
    inputs = (
        Input("ages", "table", 5, columns=("a", "b", "c", "d", "e"), amounts=("people",)),
        Input("poi", "text", 12, backbone="default", amounts=COUNTS),
        Input("sky", "image", 9, backbone="default"),
    )
    return Schema("town", 8, 5, inputs, tuple(flow_feature_names()))


@pytest.fixture(scope="session")
def small() -> InductiveParameters:
    return InductiveParameters(dimension=16, components=6, neighbours=5, units=40)
