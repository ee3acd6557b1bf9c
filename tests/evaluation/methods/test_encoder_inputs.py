"""The method `encoder_inputs` is what the inductive encoder reads, no more and no less."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.schemas import CellVectors
from mora_pipeline.evaluation.methods.catalogue import make_methods
from mora_pipeline.evaluation.methods.interface import MethodContext
from mora_pipeline.evaluation.methods.raw import principal_axes
from mora_pipeline.lake import Lake
from mora_pipeline.presets.inductive.parameters import InductiveParameters
from mora_pipeline.presets.inductive.region import read_evidence
from mora_pipeline.presets.inductive.states import fit_states


def test_the_states_are_the_encoders_inputs_as_principal_components(inputs: MethodContext) -> None:
    parameters = InductiveParameters()
    _, evidence = read_evidence(inputs.reader, ["ages", "homes"], parameters.neighbours)
    seen = fit_states(evidence, parameters).apply(evidence).astype(float)
    expected = PCA(128, svd_solver="full").fit_transform(seen)
    found = make_methods(["encoder_inputs"], {}, inputs)["encoder_inputs"].vectors
    assert 100 < found.shape[1] <= 128
    np.testing.assert_allclose(np.abs(found), np.abs(expected[:, : found.shape[1]]), atol=1e-4)
    assert np.square(expected[:, found.shape[1] :]).sum() < 1e-8 * np.square(expected).sum()


def test_the_states_have_nothing_of_the_published_vectors(inputs: MethodContext, lake: Lake) -> None:
    before = make_methods(["encoder_inputs"], {}, inputs)["encoder_inputs"].vectors
    for name in ("embeddings", "line_vectors", "distilled_encoder"):
        draft = lake.begin(name, inputs.reader.region)
        draft.write(CellVectors(inputs.cells, np.ones((len(inputs.cells), 128), dtype=np.float32)).to_table())
        draft.commit({})
    assert np.array_equal(make_methods(["encoder_inputs"], {}, inputs)["encoder_inputs"].vectors, before)


def test_a_feature_that_is_not_finite_is_refused(inputs: MethodContext, lake: Lake) -> None:
    whole = lake.read("features/ages", inputs.reader.region)
    own = CellVectors.from_table(whole.table())
    draft = lake.begin("features/ages", inputs.reader.region)
    draft.write(CellVectors(own.cells, np.full_like(own.vectors, np.nan)).to_table())
    draft.commit(whole.details)
    with pytest.raises(UserError, match="features of ages hold NaN"):
        make_methods(["encoder_inputs"], {}, inputs)


def test_directions_that_are_only_rounding_are_left_out() -> None:
    random = np.random.default_rng(0)
    plane = random.normal(size=(50, 2)) @ random.normal(size=(2, 9))
    assert principal_axes(plane.astype(np.float32)).shape == (50, 2)
    assert principal_axes(random.normal(size=(50, 9)), 4).shape == (50, 4)
    assert not principal_axes(np.ones((50, 9))).any()


@pytest.fixture
def lake(inputs: MethodContext) -> Lake:
    return inputs.reader.lake
