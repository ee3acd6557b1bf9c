"""`pca` is what its name says: components of the frozen features, standardised as the encoders made them."""

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.decomposition import PCA

from mora_pipeline.contract.schemas import CellVectors
from mora_pipeline.evaluation.methods.catalogue import make_methods
from mora_pipeline.evaluation.methods.interface import MethodContext
from mora_pipeline.evaluation.methods.raw import standard_components
from mora_pipeline.lake import Lake
from mora_pipeline.region import RegionConfig

TEXTS = {
    "kind": "text",
    "path": "poi.csv",
    "columns": {"latitude": "lat", "longitude": "lon", "category": "category", "count": "count"},
}


def standardised(columns: np.ndarray) -> np.ndarray:
    spread = columns.std(axis=0)
    return (columns - columns.mean(axis=0)) / np.where(spread > 0, spread, 1)


@pytest.mark.parametrize("num_cells", [400, 90])
def test_it_is_scikit_learns_pca_of_the_standardised_columns(num_cells: int) -> None:
    """Of columns on scales a thousand apart, one without spread, and a modality that some cells lack."""
    random = np.random.default_rng(0)
    wide = (random.normal(size=(num_cells, 200)) * np.geomspace(1e-2, 10, 200) + 3).astype(np.float32)
    narrow = random.normal(size=(num_cells, 5)).astype(np.float32)
    narrow[:, 2] = 7
    present = np.arange(num_cells) % 4 > 0
    features = np.concatenate([wide, np.where(present[:, None], narrow, 0), present[:, None]], axis=1).astype(float)
    found = standard_components([(wide, np.ones(num_cells, dtype=bool)), (narrow, present)])
    components = min(128, num_cells - 1)
    expected = PCA(components, svd_solver="full").fit_transform(standardised(features))
    assert found.shape == (num_cells, components)
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-4)


def test_the_width_that_raw_is_cut_to_changes_nothing(
    region: Callable[..., RegionConfig], write_lake: Callable[..., Lake], make_inputs: Callable[..., MethodContext]
) -> None:
    config = region({}, modalities={"poi": TEXTS})
    lake = write_lake(config)
    made = lake.read("features/poi", config.region)
    cells = made.table()["cell"].to_numpy()
    vectors = np.random.default_rng(0).normal(size=(len(cells), 40)) * np.geomspace(1e-3, 1, 40)
    draft = lake.begin("features/poi", config.region)
    draft.write(CellVectors(cells, vectors.astype(np.float32)).to_table())
    draft.commit(made.details)
    whole, cut = (make_methods(["pca"], {}, make_inputs(config, lake, width))["pca"].vectors for width in (0, 8))
    assert whole.shape == (len(cells), 40)
    assert np.array_equal(whole, cut)
