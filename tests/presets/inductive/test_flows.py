import tracemalloc

import numpy as np
import pytest

from mora_pipeline.contract.schemas import Edges
from mora_pipeline.presets import merging
from mora_pipeline.presets.inductive import flows as flows_module
from mora_pipeline.presets.inductive import relations
from mora_pipeline.presets.inductive.flows import BANDS_KM, QUANTILES, flow_feature_names, flow_features
from mora_pipeline.presets.inductive.relations import partners

NAMES = flow_feature_names()


def described(town) -> dict[str, np.ndarray]:
    found = flow_features(town.flows, town.internal, town.latitude, town.longitude)
    assert found.dtype == np.float32
    return dict(zip(NAMES, found.T, strict=True))


def haversine(town, first: int, second: int) -> float:
    north, east = np.radians(town.latitude), np.radians(town.longitude)
    dot = np.sin(north[first]) * np.sin(north[second])
    dot += np.cos(north[first]) * np.cos(north[second]) * np.cos(east[first] - east[second])
    return 6371.0088 * np.arccos(dot)


@pytest.mark.parametrize("way", ["out", "in"])
def test_every_column_is_what_a_loop_over_the_partners_says(town, way):
    found = described(town)
    ends = (town.flows.origin, town.flows.destination) if way == "out" else (town.flows.destination, town.flows.origin)
    for cell in (0, 7, 31):
        mine = np.flatnonzero(ends[0] == cell)
        flow = town.flows.flow[mine]
        km = np.array([haversine(town, cell, other) for other in ends[1][mine]])
        share = flow / flow.sum()
        expected = {
            "strength": np.log1p(flow.sum()),
            "partners": np.log1p(len(mine)),
            "distance": (share * np.log1p(km)).sum(),
            "entropy": -(share * np.log(share)).sum(),
        }
        bounds = [0, *BANDS_KM, np.inf]
        for band in range(len(BANDS_KM) + 1):
            expected[f"band_{band}"] = np.log1p(flow[(km > bounds[band]) & (km <= bounds[band + 1])].sum())
        quantiles = np.quantile(np.log1p(flow), QUANTILES)
        expected |= {f"quantile_{rank}": value for rank, value in enumerate(quantiles)}
        for name, value in expected.items():
            assert found[f"{way}_{name}"][cell] == pytest.approx(value, rel=1e-5, abs=1e-6), name
        inside = town.internal[cell]
        assert found[f"internal_share_{way}"][cell] == pytest.approx(inside / (inside + flow.sum()), rel=1e-5)


def test_a_cell_without_flow_has_zeros(town):
    found = flow_features(town.flows, town.internal * 0, town.latitude, town.longitude)
    assert not (town.flows.origin == 3).any()
    np.testing.assert_array_equal(found[3], 0)


def test_a_region_without_flow_is_described_all_the_same():
    nothing = np.empty(0, np.int32)
    found = flow_features(Edges(nothing, nothing, np.empty(0)), np.ones(4), np.arange(4.0), np.arange(4.0))
    assert found.shape == (4, len(NAMES))
    assert np.isfinite(found).all()


def test_the_order_of_edges_does_not_matter(town):
    order = np.random.default_rng(0).permutation(len(town.flows.flow))
    flows = Edges(*(part[order] for part in (town.flows.origin, town.flows.destination, town.flows.flow)))
    shuffled = flow_features(flows, town.internal, town.latitude, town.longitude)
    np.testing.assert_allclose(shuffled, np.stack(list(described(town).values()), axis=1), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("make", "most"), [("features", 33), ("partners", 27)])
def test_memory_beside_the_flows_is_what_the_documentation_says(make, most, monkeypatch):
    """Bytes an edge: 32 for the features, 24 for the partners, and a batch (docs/training.md)."""
    edges, cells = 3_000_000, 2_000
    random = np.random.default_rng(0)
    origin = np.repeat(np.arange(cells, dtype=np.int32), edges // cells)
    destination = ((origin + np.tile(np.arange(1, edges // cells + 1), cells)) % cells).astype(np.int32)
    flows = Edges(origin, destination, random.exponential(5, edges))
    latitude, longitude = random.uniform(47, 48, cells), random.uniform(8, 9, cells)
    for module in (flows_module, merging, relations):
        monkeypatch.setattr(module, "ENTRIES_AT_A_TIME", 1 << 16)  # batches cost next to nothing
    tracemalloc.start()
    if make == "features":
        flow_features(flows, np.zeros(cells), latitude, longitude)
    else:
        partners(flows, cells)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < most * edges
