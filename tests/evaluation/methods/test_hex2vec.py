"""Hex2Vec: what it is trained on are the region's own counts, and neighbours come out alike."""

import sys
from collections.abc import Callable

import h3
import numpy as np
import pyarrow as pa
import pytest

from mora_pipeline.contract import schemas
from mora_pipeline.contract.errors import UserError
from mora_pipeline.evaluation.methods.catalogue import make_methods
from mora_pipeline.evaluation.methods.hex2vec import _Near, category_counts, trained_on_counts
from mora_pipeline.evaluation.methods.interface import MethodContext
from mora_pipeline.lake import Lake
from mora_pipeline.region import RegionConfig
from tests.evaluation.methods.processes import printed_in_two_processes

COLUMNS = {"latitude": "lat", "longitude": "lon", "category": "category", "count": "count"}


@pytest.fixture
def shops(
    region: Callable[..., RegionConfig], write_lake: Callable[..., Lake], make_inputs: Callable[..., MethodContext]
) -> MethodContext:
    """A region with three categories: two in the second cell, one in the last."""
    config = region({}, modalities={"poi": {"kind": "text", "path": "poi.csv", "columns": COLUMNS}})
    lake = write_lake(config)
    inputs = make_inputs(config, lake)
    found = {"cell": inputs.cells[[1, 1, -1]], "text_id": [0, 2, 1], "count": [4.0, 1.0, 2.0]}
    for name, table in (
        ("text_cells/poi", pa.table(found, schema=schemas.TEXT_CELLS)),
        (
            "texts/poi",
            pa.table(
                {"text_id": [2, 0, 1], "text": ["park", "café", "shop"], "category": [None] * 3}, schema=schemas.TEXTS
            ),
        ),
    ):
        draft = lake.begin(name, config.region)
        draft.write(table)
        draft.commit({})
    return inputs


def test_without_srai_it_says_how_to_get_it(inputs: MethodContext, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("srai", "pytorch_lightning"):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, module, None)
            with pytest.raises(UserError, match=r"pip install 'mora-pipeline\[hex2vec\]', or remove it"):
                make_methods(["hex2vec"], {}, inputs)


def test_counts_stand_in_the_rows_of_their_cells(shops: MethodContext) -> None:
    found = category_counts(shops, ["poi"])
    assert found.shape == (len(shops.cells), 3)
    assert found[1].tolist() == [4, 0, 1]
    assert found[-1].tolist() == [0, 2, 0]
    assert found.sum() == 7


def test_a_region_gets_a_vector_a_cell_and_one_without_texts_none(shops: MethodContext, inputs: MethodContext) -> None:
    pytest.importorskip("srai")
    pytest.importorskip("pytorch_lightning")
    found = make_methods(["hex2vec"], {}, shops)["hex2vec"].vectors
    assert found.shape == (len(shops.cells), 50)
    assert np.isfinite(found).all()
    assert make_methods(["hex2vec"], {}, inputs) == {}


def test_cells_of_one_quarter_are_alike_and_chance_elsewhere_is_left_alone() -> None:
    """West and east of a line cells have other categories."""
    pytest.importorskip("srai")
    pytest.importorskip("pytorch_lightning")
    cells = np.sort([h3.str_to_int(name) for name in h3.grid_disk(h3.latlng_to_cell(47.4, 8.5, 7), 8)])
    west = np.array([h3.cell_to_latlng(h3.int_to_str(int(cell)))[1] < 8.5 for cell in cells])
    rates = np.where(west[:, None], [9, 9, 1, 1], [1, 1, 9, 9])
    counts = np.random.default_rng(0).poisson(rates).astype(np.float32)
    np.random.seed(3)
    expected = np.random.random()
    np.random.seed(3)
    found = trained_on_counts(cells, counts)
    assert np.random.random() == expected
    scores = found @ found.T
    same = west[:, None] == west
    assert scores[same].mean() > scores[~same].mean() + 1
    assert np.array_equal(trained_on_counts(cells, counts), found)


def test_the_neighbours_are_srais_own() -> None:
    geopandas = pytest.importorskip("geopandas")
    neighbourhoods = pytest.importorskip("srai.neighbourhoods")
    names = sorted(h3.grid_disk(h3.latlng_to_cell(47.4, 8.5, 7), 3))[::2]
    expected = neighbourhoods.H3Neighbourhood(geopandas.GeoDataFrame(index=names))
    near = _Near(np.array([h3.str_to_int(name) for name in names]))
    for name in names:
        for distance in (1, 2):
            found = near.get_neighbours_up_to_distance(h3.str_to_int(name), distance)
            assert set(map(h3.int_to_str, found)) == expected.get_neighbours_up_to_distance(name, distance)


def test_another_process_gives_the_same_vectors() -> None:
    """Sets of texts have another order in each, which srai's pairs would take over."""
    pytest.importorskip("srai")
    pytest.importorskip("pytorch_lightning")
    script = (
        "import hashlib, h3, numpy as np\n"
        "from mora_pipeline.evaluation.methods.hex2vec import trained_on_counts\n"
        "cells = np.sort([h3.str_to_int(name) for name in h3.grid_disk(h3.latlng_to_cell(47.4, 8.5, 7), 6)])\n"
        "counts = np.random.default_rng(0).poisson(3, (len(cells), 4)).astype(np.float32)\n"
        "print(hashlib.sha256(trained_on_counts(cells, counts)).hexdigest())"
    )
    assert len(printed_in_two_processes(script)) == 1


def test_scattered_cells_are_refused() -> None:
    pytest.importorskip("srai")
    pytest.importorskip("pytorch_lightning")
    cells = np.sort([h3.str_to_int(h3.latlng_to_cell(latitude, 8.5, 7)) for latitude in (45.0, 46.0, 47.0)])
    with pytest.raises(UserError, match="there are none"):
        trained_on_counts(cells, np.ones((3, 2), dtype=np.float32))
