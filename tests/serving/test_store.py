"""Answers to coordinates, from a small lake written as the pipeline writes it."""

import math
from pathlib import Path

import h3
import numpy as np
import pyarrow as pa
import pytest

from mora_pipeline.contract import schemas
from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.schemas import CellVectors
from mora_pipeline.distillation.coordinate_encoder import CoordinateEncoder, save_encoder
from mora_pipeline.lake import Lake
from mora_pipeline.serving import EmbeddingStore
from mora_pipeline.serving.store import cells_at

REGION, RESOLUTION, DIMENSION = "tiny", 7, 8
NAMES = sorted(h3.grid_disk(h3.latlng_to_cell(48.2, 16.4, RESOLUTION), 3))
INSIDE, OUTSIDE = h3.cell_to_latlng(NAMES[5]), (-33.4, -70.6)


def write_encoder(lake: Lake, encoder: CoordinateEncoder) -> None:
    """The encoder as one that was distilled from the current embeddings."""
    teacher = lake.read("embeddings", REGION)
    draft = lake.begin("distilled_encoder", REGION, {"embeddings": teacher})
    draft.write(teacher.table(["cell", "vector"]))
    save_encoder(encoder, draft.path)
    draft.commit()


def write_embeddings(lake: Lake, vectors: np.ndarray) -> None:
    centres = np.array([h3.cell_to_latlng(name) for name in NAMES])
    table = CellVectors(np.array([h3.str_to_int(name) for name in NAMES]), vectors).to_table()
    for position, (name, values) in enumerate(
        (("h3", NAMES), ("latitude", centres[:, 0]), ("longitude", centres[:, 1])), start=1
    ):
        table = table.add_column(position, name, pa.array(values))
    table = table.append_column("familiarity", pa.nulls(len(NAMES), pa.float32()))
    draft = lake.begin("embeddings", REGION)
    draft.write(table.cast(schemas.embeddings(vectors.shape[1])))
    draft.commit()


@pytest.fixture
def vectors() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(len(NAMES), DIMENSION)).astype(np.float32)


@pytest.fixture
def encoder() -> CoordinateEncoder:
    return CoordinateEncoder(degree=4, hidden=8, hidden_layers=1, dimension=DIMENSION)


@pytest.fixture
def lake(tmp_path: Path, vectors: np.ndarray, encoder: CoordinateEncoder) -> Lake:
    lake = Lake(tmp_path / "lake")
    write_embeddings(lake, vectors)
    write_encoder(lake, encoder)
    return lake


def test_a_coordinate_in_a_cell_gets_the_cells_vector(lake: Lake, vectors: np.ndarray) -> None:
    centres = np.array([h3.cell_to_latlng(name) for name in reversed(NAMES)])
    for source in ("cell", "auto"):
        np.testing.assert_array_equal(
            EmbeddingStore.open(REGION, lake).at(centres[:, 0], centres[:, 1], source), vectors[::-1]
        )


def test_a_coordinate_outside_gets_the_distilled_encoders(
    lake: Lake, vectors: np.ndarray, encoder: CoordinateEncoder
) -> None:
    found = EmbeddingStore.open(REGION, lake).at([INSIDE[0], OUTSIDE[0]], [INSIDE[1], OUTSIDE[1]])
    np.testing.assert_array_equal(found[0], vectors[5])
    np.testing.assert_array_equal(found[1], encoder.encode(*OUTSIDE)[0])
    assert found.dtype == np.float32


def test_distilled_can_be_asked_for_inside_too(lake: Lake, encoder: CoordinateEncoder) -> None:
    found = EmbeddingStore.open(REGION, lake).at(*INSIDE, source="distilled")
    np.testing.assert_array_equal(found, encoder.encode(*INSIDE))


def test_cells_alone_name_the_row_that_has_none(lake: Lake) -> None:
    with pytest.raises(UserError, match=r"Row 1 \(-33.4, -70.6\).*source='auto'"):
        EmbeddingStore.open(REGION, lake).at([INSIDE[0], OUTSIDE[0]], [INSIDE[1], OUTSIDE[1]], "cell")


def test_cells_alone_need_no_distilled_encoder(tmp_path: Path, vectors: np.ndarray) -> None:
    lake = Lake(tmp_path / "other")
    write_embeddings(lake, vectors)
    embeddings = EmbeddingStore.open(REGION, lake)
    np.testing.assert_array_equal(embeddings.at(*INSIDE)[0], vectors[5])
    with pytest.raises(UserError, match="`distilled_encoder` of region 'tiny' has not been made"):
        embeddings.at(*OUTSIDE)


@pytest.mark.parametrize("dimension", [DIMENSION, 6])
def test_vectors_of_two_versions_are_never_mixed(lake: Lake, vectors: np.ndarray, dimension: int) -> None:
    """Embeddings were made anew, of the same length or of another; the distilled encoder was not."""
    write_embeddings(lake, -vectors[:, :dimension])
    embeddings = EmbeddingStore.open(REGION, lake)
    np.testing.assert_array_equal(embeddings.at(*INSIDE, "cell")[0], -vectors[5, :dimension])
    np.testing.assert_array_equal(embeddings.at(*INSIDE)[0], -vectors[5, :dimension])
    for ask in (embeddings.at, embeddings.nearest):
        with pytest.raises(UserError, match=r"older than .*mora materialize tiny --select distilled_encoder"):
            ask(*OUTSIDE)
    with pytest.raises(UserError, match="distilled from version"):
        embeddings.at(*INSIDE, "distilled")


def test_an_encoder_of_newer_embeddings_says_so(lake: Lake, vectors: np.ndarray, encoder: CoordinateEncoder) -> None:
    """The store was opened before the run that made both anew: opened again, it answers."""
    embeddings = EmbeddingStore.open(REGION, lake)
    write_embeddings(lake, -vectors)
    write_encoder(lake, encoder)
    with pytest.raises(UserError, match=r"newer than .* Open the embeddings again\."):
        embeddings.at(*OUTSIDE)
    np.testing.assert_array_equal(EmbeddingStore.open(REGION, lake).at(*OUTSIDE), encoder.encode(*OUTSIDE))


def test_embeddings_that_were_restored_need_their_own_encoder(
    lake: Lake, vectors: np.ndarray, encoder: CoordinateEncoder
) -> None:
    write_embeddings(lake, -vectors)
    write_encoder(lake, encoder)
    lake.restore("embeddings", REGION, lake.versions("embeddings", REGION)[0].version)
    with pytest.raises(UserError, match=r"newer than .*--select distilled_encoder"):
        EmbeddingStore.open(REGION, lake).at(*OUTSIDE)


@pytest.mark.parametrize(
    ("latitude", "longitude", "message"),
    [
        ([0, 91], [0, 0], "Row 1: latitude is 91.0"),
        ([0, 0, math.nan], [0, 0, 0], "Row 2: latitude is nan"),
        ([0], [-180.5], "Row 0: longitude is -180.5"),
        ([0], [math.inf], "Row 0: longitude is inf"),
        ([0, 1], [0], "2 latitudes and 1 longitudes"),
        (["north"], [0], "must be numbers"),
    ],
)
def test_what_is_no_coordinate_is_named(lake: Lake, latitude: list, longitude: list, message: str) -> None:
    with pytest.raises(UserError, match=message):
        EmbeddingStore.open(REGION, lake).at(latitude, longitude)


def test_an_unknown_source_is_named(lake: Lake) -> None:
    with pytest.raises(UserError, match="auto, cell, distilled"):
        EmbeddingStore.open(REGION, lake).at(0, 0, "cells")  # type: ignore[arg-type]


def test_no_coordinates_no_vectors(lake: Lake) -> None:
    assert EmbeddingStore.open(REGION, lake).at([], []).shape == (0, DIMENSION)


def test_a_cell_is_found_by_hex_id_and_by_number(lake: Lake, vectors: np.ndarray) -> None:
    embeddings = EmbeddingStore.open(REGION, lake)
    for cell in (NAMES[5], NAMES[5].upper(), h3.str_to_int(NAMES[5]), np.int64(h3.str_to_int(NAMES[5]))):
        np.testing.assert_array_equal(embeddings.cell(cell), vectors[5])


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("nowhere", "is not an H3 cell"),
        (12, "is not an H3 cell"),
        (-1, "is not an H3 cell"),
        (h3.latlng_to_cell(*OUTSIDE, RESOLUTION), "has no embedding of cell"),
        (h3.latlng_to_cell(*INSIDE, 5), "have resolution 7, not 5"),
    ],
)
def test_a_cell_that_is_not_there_is_named(lake: Lake, cell: str | int, message: str) -> None:
    with pytest.raises(UserError, match=message):
        EmbeddingStore.open(REGION, lake).cell(cell)


def test_the_nearest_are_the_most_alike(lake: Lake, vectors: np.ndarray) -> None:
    found = EmbeddingStore.open(REGION, lake).nearest(*INSIDE, k=4)
    lengths = np.linalg.norm(vectors, axis=1)
    cosine = vectors @ vectors[5] / lengths / lengths[5]
    assert found["h3"].to_pylist() == [NAMES[row] for row in np.argsort(-cosine)[:4]]
    assert found["h3"][0].as_py() == NAMES[5]
    np.testing.assert_allclose(found["cosine"].to_numpy(), np.sort(cosine)[::-1][:4], rtol=1e-5)
    with pytest.raises(UserError, match="at least 1"):
        EmbeddingStore.open(REGION, lake).nearest(*INSIDE, k=0)


def test_a_region_without_embeddings_says_how_to_make_them(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="mora materialize"):
        EmbeddingStore.open(REGION, Lake(tmp_path))


def test_cells_are_those_of_h3_everywhere() -> None:
    draw = np.random.default_rng(0)
    latitude = np.concatenate([draw.uniform(-90, 90, 200), [90, -90, 0, 10, 10]])
    longitude = np.concatenate([draw.uniform(-180, 180, 200), [0, 50, 180, -180, 180]])
    expected = [h3.str_to_int(h3.latlng_to_cell(*point, 6)) for point in zip(latitude, longitude, strict=True)]
    assert cells_at(latitude, longitude, 6).tolist() == expected
