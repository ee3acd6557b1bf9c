import numpy as np
import pytest

from mora_pipeline.presets.inductive.relations import neighbours, partners


def test_partners_are_averages_by_log_flow_of_both_directions(town):
    count = len(town.latitude)
    flow = np.zeros((count, count))
    flow[town.flows.origin, town.flows.destination] = np.log1p(town.flows.flow)
    both = flow + flow.T
    expected = np.divide(
        both, both.sum(1, keepdims=True), out=np.zeros_like(both), where=both.sum(1, keepdims=True) > 0
    )
    found = partners(town.flows, count)
    np.testing.assert_allclose(found.toarray(), expected, rtol=1e-12)
    assert found.indptr[4] == found.indptr[3]  # cell 3 has no flow


@pytest.mark.parametrize("count", [1, 5, 1000])
def test_neighbours_are_the_nearest_cells_of_the_region(town, count):
    points = np.stack([town.latitude, town.longitude * np.cos(np.radians(47.15))], axis=1)
    apart = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    found = neighbours(town.latitude, town.longitude, count).toarray()
    wanted = min(count, len(points) - 1)
    for cell in (0, 11, 59):
        rows = np.flatnonzero(found[cell])
        assert len(rows) == wanted
        # The plane of degrees is not the sphere: a neighbour may be farther by a thousandth.
        assert apart[cell][rows].max() <= np.sort(apart[cell])[wanted - 1] * 1.002
        np.testing.assert_allclose(found[cell][rows], 1 / wanted)


def test_no_neighbours_are_empty_rows(town):
    assert neighbours(town.latitude, town.longitude, 0).nnz == 0
    assert neighbours(town.latitude[:1], town.longitude[:1], 3).nnz == 0
