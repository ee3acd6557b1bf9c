"""Raw features say what is missing, and wide ones keep what varies."""

import numpy as np
import pyarrow as pa
import pytest
from sklearn.decomposition import PCA

from mora_pipeline.contract import schemas
from mora_pipeline.evaluation.methods.catalogue import make_methods
from mora_pipeline.evaluation.methods.interface import MethodContext
from mora_pipeline.evaluation.methods.raw import raw_features


def test_a_missing_modality_is_zeros_and_a_flag() -> None:
    vectors = np.arange(12, dtype=np.float32).reshape(4, 3)
    present = np.array([True, False, True, True])
    features = raw_features([(vectors, present), (vectors, np.ones(4, dtype=bool))])
    assert features.shape == (4, 7)
    assert features[1].tolist() == [0, 0, 0, 0, 3, 4, 5]
    assert features[:, 3].tolist() == [1, 0, 1, 1]


@pytest.mark.parametrize("width", [20, 60])
def test_a_wide_modality_becomes_principal_components_of_the_cells_that_have_it(width: int) -> None:
    vectors = np.random.default_rng(0).normal(size=(50, width)).astype(np.float32)
    present = np.arange(50) % 5 > 0
    features = raw_features([(vectors, present)], components=4)
    expected = PCA(4, svd_solver="full").fit_transform(vectors[present].astype(np.float64))
    assert features.shape == (50, 5)
    assert np.allclose(np.abs(features[present, :4]), np.abs(expected), atol=1e-4)
    assert not features[~present].any()
    assert raw_features([(vectors, present)], components=0).shape == (50, width + 1)


def test_no_modality_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one modality"):
        raw_features([])


def test_amounts_are_columns_behind_the_vectors_of_their_modality(inputs: MethodContext) -> None:
    """Those that fewer cells know than have the vectors bring a flag; their names are part of what the numbers mean."""
    counts = np.log1p(np.arange(len(inputs.cells), dtype=float))
    before = make_methods(["raw", "raw:homes"], {}, inputs)

    def write(rows: slice, name: str) -> None:
        draft = inputs.reader.lake.begin("amounts/ages", inputs.reader.region)
        draft.write(pa.table([inputs.cells[rows], counts[rows]], schema=schemas.amounts([name])))
        draft.commit()

    write(slice(0, None), "people")
    found = make_methods(["raw", "raw:ages", "raw:homes", "pca"], {}, inputs)
    expected = np.insert(before["raw"].vectors, 3, counts.astype(np.float32), axis=1)
    np.testing.assert_array_equal(found["raw"].vectors, expected)
    np.testing.assert_array_equal(found["raw:ages"].vectors, expected[:, :4])
    assert found["raw:homes"].space == before["raw:homes"].space
    assert found["raw"].space != before["raw"].space
    assert found["pca"].vectors.shape[1] == 5  # two directions of each three shares, and the amount
    write(slice(0, None), "pupils")
    assert make_methods(["raw"], {}, inputs)["raw"].space != found["raw"].space
    write(slice(9, None), "people")
    flagged = make_methods(["raw:ages"], {}, inputs)["raw:ages"].vectors
    assert flagged.shape[1] == 5
    assert flagged[:, 4].tolist() == [0] * 9 + [1] * (len(counts) - 9)
