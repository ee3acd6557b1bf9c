"""`inputs` is every input of a cell, each column standardised and bounded, and nothing that was trained."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.utils.extmath import randomized_svd

from mora_pipeline.contract.sphere import kilometres_between
from mora_pipeline.evaluation.methods.catalogue import make_methods, shared_methods
from mora_pipeline.evaluation.methods.inputs import FACTORS, NEIGHBOURS, _standardised
from mora_pipeline.evaluation.methods.interface import MethodContext
from mora_pipeline.evaluation.protocol.models import linear_probe
from mora_pipeline.lake import Lake
from mora_pipeline.lake.reading import RegionReader
from mora_pipeline.modalities.blocks import BOUND
from mora_pipeline.region import RegionConfig

AGES = {"kind": "table", "path": "ages.csv", "place": "id", "groups": {"age": "age_*"}}
Amounts = tuple[list[str], np.ndarray, np.ndarray]


class WithAmounts(MethodContext):
    """A context whose amounts are given, by modality."""

    given: Mapping[str, Amounts]

    def amounts(self, name: str) -> Amounts:
        return self.given[name]


@pytest.fixture
def with_amounts(
    region: Callable[..., RegionConfig], write_lake: Callable[..., Lake], tmp_path: Any
) -> Callable[..., WithAmounts]:
    """Makes a region's context: two tables, of which some cells lack the second, and log counts of two categories."""

    def make(name: str = "test_city", own: pa.Table | None = None, seed: int = 0, lacking: int = 20) -> WithAmounts:
        config = region({}, region=name, modalities={"ages": AGES, "homes": {**AGES, "groups": {"home": "home_*"}}})
        lake = write_lake(config, seed, own)
        homes = lake.read("features/homes", name)
        draft = lake.begin("features/homes", name)
        draft.write(homes.table().slice(lacking))
        draft.commit(homes.details)
        context = WithAmounts(RegionReader(config, lake), 128, tmp_path / "cache")
        random, count = np.random.default_rng(seed), len(context.cells)
        counted = random.poisson(2, (count, 2)) * (random.random((count, 2)) < 0.5)
        everywhere = np.ones(count, dtype=bool)
        context.given = {
            "ages": (["young", "old"], np.log1p(counted).astype(np.float32), everywhere),
            "homes": (["people"], np.zeros((count, 1), np.float32), everywhere),  # counts of zero
        }
        return context

    return make


def naive(columns: np.ndarray, present: np.ndarray | None = None) -> np.ndarray:
    """Column by column: mean 0 and deviation 1 over the cells that have it, within ±3; absent or flat: 0."""
    shown = np.zeros(columns.shape)
    present = np.ones(len(columns), dtype=bool) if present is None else present
    for at, column in enumerate(columns.T.astype(np.float64)):
        known = column[present]
        if known.std() > 1e-6 * max(1, np.abs(known).max()):
            shown[present, at] = np.clip((known - known.mean()) / known.std(), -3, 3)
    return shown


def test_inputs_are_every_evidence_of_a_cell_side_by_side(with_amounts: Callable[..., WithAmounts]) -> None:
    context = with_amounts()
    cells, edges = context.cells, context.edges
    flows = np.zeros((len(cells), len(cells)))
    flows[edges.origin, edges.destination] = edges.flow
    (ages, _), (homes, has) = context.features("ages"), context.features("homes")
    sums = [flows.sum(1), flows.sum(0), (flows > 0).sum(1), (flows > 0).sum(0), np.zeros(len(cells))]
    both = np.hstack([np.log1p(flows), np.log1p(flows.T)])
    left, values, _ = randomized_svd(both, FACTORS, n_iter=7, random_state=0)
    expected = np.hstack(
        [
            naive(ages), naive(context.given["ages"][1]),
            naive(homes, has), naive(has[:, None].astype(float)), np.zeros((len(cells), 1)),
            naive(np.log1p(np.stack(sums, axis=1))), naive(left * values),
        ]
    )  # fmt: skip
    found = make_methods(["inputs"], {}, context)["inputs"]
    assert found.vectors.dtype == np.float32
    assert found.vectors.shape == (len(cells), 3 + 2 + 3 + 1 + 1 + 5 + FACTORS)
    near = np.isclose(found.vectors, expected, atol=2e-3)
    near[:, -FACTORS:] |= np.isclose(found.vectors[:, -FACTORS:], -expected[:, -FACTORS:], atol=2e-3)  # signs are free
    assert near[:, :-FACTORS].all()
    assert near[:, -FACTORS:].mean() > 0.9  # the spectrum of chance is flat: its last factors mix


def test_surroundings_are_the_weighted_means_over_partners_and_the_nearest(
    with_amounts: Callable[..., WithAmounts],
) -> None:
    context = with_amounts()
    found = make_methods(["inputs", "inputs_surroundings"], {}, context)
    own, both = found["inputs"].vectors, found["inputs_surroundings"].vectors
    width, (count, edges) = own.shape[1], (len(context.cells), context.edges)
    assert both.shape == (count, 3 * width)
    assert np.array_equal(both[:, :width], own)
    weights = np.zeros((count, count))
    for origin, destination, flow in zip(edges.origin, edges.destination, edges.flow, strict=True):
        weights[origin, destination] += np.log1p(flow)
        weights[destination, origin] += np.log1p(flow)
    moved = weights.sum(1) > 0
    over_partners = (weights / np.maximum(weights.sum(1, keepdims=True), 1e-12)) @ own
    assert np.allclose(both[:, width : 2 * width], naive(over_partners, moved), atol=2e-3)
    latitude, longitude = context.coordinates.T
    for row in (0, 100, count - 1):
        away = kilometres_between(latitude, longitude, np.full(count, row), np.arange(count))
        ranked = np.sort(away)
        if ranked[NEIGHBOURS + 1] - ranked[NEIGHBOURS] > 1e-9:  # no tie for the last place
            nearest = np.argsort(away)[1 : NEIGHBOURS + 1]
            mean = own[nearest].mean(axis=0)
            shown = both[row, 2 * width :]
            assert np.corrcoef(mean[shown != 0], shown[shown != 0])[0, 1] > 0.5
    assert np.abs(both).max() <= BOUND


@settings(max_examples=60, deadline=None)
@given(
    values=arrays(np.float32, (30, 3), elements=st.floats(-(2.0**66), 2.0**66, width=32)),
    present=arrays(np.bool_, 30),
    components=st.sampled_from([0, 2]),
)
def test_whatever_the_columns_are_they_are_finite_bounded_and_0_where_absent(
    values: np.ndarray, present: np.ndarray, components: int
) -> None:
    (found,) = _standardised([(values, present)], components)
    assert np.isfinite(found).all()
    assert np.abs(found).max(initial=0) <= BOUND
    assert (found[~present] == 0).all()


@pytest.mark.parametrize("predict_by", ["ridge", "probe"])
def test_a_column_that_explodes_outside_the_fitted_rows_does_not_explode_a_prediction(predict_by: str) -> None:
    """A number of one cell alone, 10,000 times all others: as it is, a linear model would say anything there."""
    random = np.random.default_rng(0)
    columns = random.normal(size=(400, 5)).astype(np.float32)
    target = columns[:, 0].astype(np.float64) + random.normal(size=400)
    columns[-1, 4] = 1e4 * np.abs(columns[:, 4]).max()
    train, test = np.arange(399), np.array([399])

    def error(features: np.ndarray) -> float:
        if predict_by == "probe":
            return float(np.abs(linear_probe(features, target)(train, test) - target[test])[0])
        model = Ridge(1.0).fit(features[train], target[train])
        return float(np.abs(model.predict(features[test]) - target[test])[0])

    (bounded,) = _standardised([(columns, np.ones(400, dtype=bool))])
    assert error(bounded) < 5
    if predict_by == "ridge":
        assert error(columns) > 100


def test_wide_vectors_are_their_principal_components_with_unit_variance() -> None:
    random = np.random.default_rng(3)
    wide = (random.normal(size=(217, 40)) @ np.diag(np.linspace(3, 0.1, 40))).astype(np.float32)
    present = random.random(217) < 0.8
    (found,) = _standardised([(wide, present)], components=6)
    assert found.shape == (217, 6)
    assert (found[~present] == 0).all()
    expected = naive(PCA(6, svd_solver="full").fit_transform(wide[present].astype(np.float64)))
    signs = np.sign((found[present] * expected).sum(axis=0))
    assert np.allclose(found[present] * signs, expected, atol=1e-3)


def test_a_region_of_twenty_cells_has_inputs_and_surroundings(
    with_amounts: Callable[..., WithAmounts], cells: pa.Table
) -> None:
    context = with_amounts(own=cells.slice(0, 20), lacking=3)
    for own in make_methods(["inputs", "inputs_surroundings"], {}, context).values():
        assert len(own.vectors) == 20
        assert np.isfinite(own.vectors).all()
        assert np.abs(own.vectors).max() <= BOUND


def test_equal_regions_have_equal_inputs(with_amounts: Callable[..., WithAmounts]) -> None:
    context = with_amounts()
    first, again = (make_methods(["inputs_surroundings"], {}, context)["inputs_surroundings"] for _ in range(2))
    assert np.array_equal(first.vectors, again.vectors)


def test_a_transfer_aligns_columns_by_name_on_the_scale_of_the_fitted_region(
    with_amounts: Callable[..., WithAmounts], cells: pa.Table
) -> None:
    here, there = with_amounts(), with_amounts("other_city", cells.slice(0, 150), seed=1, lacking=0)
    there.given = {
        "ages": (["old", "zoo", "young"], *there.given["ages"][1:]),
        "homes": (["people"], *there.given["homes"][1:]),
    }
    young = there.given["ages"][1][:, 1] + 1
    values = np.stack([there.given["ages"][1][:, 0], 7 * young, young], axis=1).astype(np.float32)
    there.given = {**there.given, "ages": (["old", "zoo", "young"], values, there.given["ages"][2])}
    methods = make_methods(["inputs", "inputs_surroundings"], {}, here)
    shared, told = shared_methods(methods, {}, here, there)
    ours, theirs = shared["inputs"]
    assert (len(ours), len(theirs)) == (217, 150)
    assert ours.shape[1] == theirs.shape[1] == 3 + 2 + 3 + 1 + 1 + 5
    assert told["inputs"] == (
        "without the factors of the flows, which belong to one region: 15 columns that both regions have"
    )
    assert np.allclose(theirs[:, 3:5], naive(values[:, [0, 2]]), atol=1e-4)
    own = here.given["ages"][1][:, [1, 0]]
    scaled = (own - values[:, [0, 2]].mean(0)) / values[:, [0, 2]].std(0)
    assert np.allclose(ours[:, 3:5], scaled.clip(-3, 3), atol=1e-4)
    assert (theirs[:, 8] == 0).all()  # the flag of presence: nobody lacks homes there, so that no model can use it
    wide = shared["inputs_surroundings"]
    assert wide[0].shape == (217, 45)
    assert np.array_equal(wide[0][:, :15], ours)


def test_a_region_without_mobility_has_its_modalities_amounts_and_nearest_cells(
    with_amounts: Callable[..., WithAmounts],
) -> None:
    context = with_amounts()
    context.reader.config = context.reader.config.model_copy(update={"mobility": None})
    found = make_methods(["inputs", "inputs_surroundings"], {}, context)
    assert found["inputs"].vectors.shape[1] == 3 + 2 + 3 + 1 + 1
    assert found["inputs_surroundings"].vectors.shape[1] == 2 * 10
