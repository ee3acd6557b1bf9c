"""A region without mobility goes through the whole chain, embedded by the encoder of a region that has some."""

from pathlib import Path

import dagster as dg
import numpy as np
import pytest
import yaml

from mora_pipeline.contract.errors import UserError
from mora_pipeline.presets.inductive.region import embed_region
from mora_pipeline.steps import local_session, run_step
from mora_pipeline.steps.ablation import ablations_step
from tests.end_to_end.conftest import ASSET_NAMES, Home
from tests.end_to_end.test_tiny_region import INDUCTIVE, NUM_CELLS, failures, message, metadata

REASON = "region.yaml has no mobility"
METHODS, OF_INPUTS = ("mora", "inductive", "distilled", "raw", "coordinates"), ("inputs", "inputs_surroundings")
TRAINED = (
    "raw_files", "edges", "text_cells", "table_cells", "cells", "image_cells", "raster_cells", "text_features",
    "table_features", "image_features", "raster_features", "graph", "line_vectors", "embeddings",
)  # fmt: skip


def rewrite(file: Path, without: tuple[str, ...] = (), **keys: object) -> Path:
    """A region.yaml with other keys, of two modalities: the third has tests of its own."""
    content = yaml.safe_load(file.read_text())
    content["modalities"] = {name: content["modalities"][name] for name in ("poi", "ages")}
    content = {name: value for name, value in (content | keys).items() if name not in without}
    file.write_text(yaml.safe_dump(content))
    return file


@pytest.fixture(scope="module")
def blank(home: Home, write_region) -> dg.ExecuteInProcessResult:
    """The main job on a region without mobility, after its encoder was trained on another region."""
    home.add(rewrite(write_region(home.path / "raw" / "teacher", "teacher")), "teacher")
    trained = home.materialize("teacher", *TRAINED, settings={"embeddings": INDUCTIVE})
    assert failures(trained) == []
    assert float(str(metadata(trained, "embeddings")["student_explained"])) > 0
    file = write_region(home.path / "raw" / "blank", "blank")
    home.add(rewrite(file, without=("mobility",), embeddings={"encoder": "teacher"}), "blank")
    asked = {**home.settings["ops"]["benchmark"]["config"], "methods": [*METHODS, *OF_INPUTS, "line", "flow_svd"]}
    return home.materialize("blank", settings={"embeddings": {}, "benchmark": asked})  # region.yaml names the encoder


def test_every_asset_is_made_and_every_check_passes(blank) -> None:
    assert failures(blank) == []
    made = {event.asset_key.to_user_string() for event in blank.get_asset_materialization_events() if event.asset_key}
    assert made == set(ASSET_NAMES)
    assert all(item.passed for item in blank.get_asset_check_evaluations())


def test_what_needs_flows_says_why_it_was_skipped(blank, home: Home) -> None:
    for name in ("graph", "line_vectors"):
        assert metadata(blank, name)["skipped"] == REASON
        assert not home.lake.has(name, "blank")
    assert metadata(blank, "edges")["edges"] == f"none: {REASON}"
    assert [home.lake.read(name, "blank").rows for name in ("edges", "self_flow", "rhythm")] == [0, 0, 0]


def test_its_cells_are_those_of_modalities_and_places(blank, home: Home) -> None:
    """Ten places have no ages and many no points of interest."""
    cells = home.lake.read("cells", "blank")
    assert cells.rows == NUM_CELLS
    assert set(cells.table()["internal_flow"].to_pylist()) == {0.0}
    assert cells.table()["cell"].equals(home.lake.read("cells", "teacher").table()["cell"])


def test_the_students_vectors_are_in_the_space_of_the_encoder(blank, home: Home) -> None:
    shown, version = metadata(blank, "embeddings"), home.lake.read("embeddings", "blank")
    assert shown["made_by"] == f"the student: {REASON}"
    assert shown["same space as the embeddings of teacher"] is True
    assert (version.details["encoder_region"], version.details["student"]) == ("teacher", True)
    student, teacher = home.vectors("embeddings", "blank"), home.vectors("embeddings", "teacher")
    np.testing.assert_array_equal(embed_region("blank", "teacher", home.path).vectors, student.vectors)
    # The raw files are the same but for the flows, so that the student is near what it was taught.
    error = np.square(student.vectors - teacher.vectors).sum()
    assert error < 0.8 * np.square(teacher.vectors - teacher.vectors.mean(axis=0)).sum()


def test_the_benchmark_leaves_out_what_is_of_flows_alone(blank, home: Home) -> None:
    benchmark = home.lake.read("benchmark", "blank")
    assert set(benchmark.table()["method"].to_pylist()) == {*METHODS, *OF_INPUTS}
    assert benchmark.details["facts"]["left out"] == {"line": REASON, "flow_svd": REASON}
    assert benchmark.details["facts"]["flows"] == "none"


def test_a_preset_that_trains_on_mobility_is_refused(blank, home: Home) -> None:
    done = home.materialize("blank", "embeddings", settings={"embeddings": {"preset": "paper"}})
    assert "has no mobility to train it on. Add mobility, or let another region's encoder" in message(done)
    with pytest.raises(UserError, match="has no mobility"):
        run_step(ablations_step(), "blank", local_session(home.path))


def test_a_table_of_places_with_bad_rows_fails_with_their_reason(blank, home: Home, write_region) -> None:
    file = write_region(home.path / "raw" / "spoilt", "spoilt")
    places = file.parent / "places.csv"
    places.write_text(places.read_text() + "".join(f"x{number},95,8.4,d0,1\n" for number in range(5)))
    home.add(rewrite(file, without=("mobility",), embeddings={"encoder": "teacher"}, modalities={}, tasks={}), "spoilt")
    done = home.materialize("spoilt", "edges", "cells")
    assert "5 of 105 rows (4.76%) are bad, more than places.maximum_bad_share = 0.01 allows" in message(done)
    assert home.lake.read("quarantine/cells", "spoilt").rows == 5
