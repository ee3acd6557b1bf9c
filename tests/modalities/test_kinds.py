"""A kind of modality is one object: the built-in ones, and one from outside the package."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h3.api.basic_str as h3
import numpy as np
import pandas as pd
import pytest
import yaml
from torch import nn

from mora_pipeline.contract.errors import UserError
from mora_pipeline.lake.registry import Registry
from mora_pipeline.modalities import kind_of, kinds, register, unregister
from mora_pipeline.presets.paper.alignment import make_head
from mora_pipeline.region import RegionConfig
from mora_pipeline.region.checks import check_files
from mora_pipeline.steps import all_steps, local_session, run_region, run_step
from tests.end_to_end.conftest import RESOLUTION, places, written_region
from tests.modalities.toy_kind import KIND

SETTINGS: dict[str, Any] = {
    "graph": {"share": 0.3},
    "line_vectors": {"samples_per_cell": 20.0, "samples_per_edge": 1.0},
    "embeddings": {"preset": "paper", "paper": {"maximum_epochs": 3}},
    "distilled_encoder": {"epochs": 10, "degree": 4, "hidden": 16, "hidden_layers": 1},
    "benchmark": {
        "methods": ["mora", "distilled", "raw:visits", "coordinates"],
        "trees": 10, "fast_trees": 10, "seeds": [42], "folds": 3, "cell_minimum_child": 5,
    },
}  # fmt: skip


@pytest.fixture
def counter() -> Iterator[None]:
    register(KIND)
    yield
    unregister("counter")


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes a region of a hundred cells, with the numbers of eighty of them, as a modality and as a label."""

    def write(**edited: object) -> Path:
        path = written_region(tmp_path / "raw", "tiny", with_modalities=False)
        towns = places()[:80]
        cells = [h3.latlng_to_cell(*point, RESOLUTION) for point in towns[["latitude", "longitude"]].to_numpy()]
        number = np.random.default_rng(5).poisson(9, len(cells))
        pd.DataFrame({"cell": cells, "number": number}).to_csv(path.parent / "visits.csv", index=False)
        towns.assign(number=number).to_csv(path.parent / "copied.csv", index=False)
        region = yaml.safe_load(path.read_text())
        region["modalities"] = {"visits": {"kind": "counter", "path": "visits.csv", **edited}}
        region["tasks"]["copied"] = {"level": "cell", "path": "copied.csv", "place": "id", "column": "number"}
        path.write_text(yaml.safe_dump(region))
        return path

    return write


def test_the_built_in_kinds_come_first_and_are_light_to_import() -> None:
    assert [kind.name for kind in kinds()] == ["text", "image", "table", "raster"]
    heavy = ["torch", "pyspark", "rasterio", "dagster", "sklearn", "scipy", "PIL"]
    code = f"import sys; from mora_pipeline.modalities import kinds; kinds(); print(set({heavy}) & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"


def test_a_name_that_is_taken_is_refused(counter: None) -> None:
    with pytest.raises(ValueError, match="There is a kind of modality 'counter' already"):
        register(KIND)


def test_a_kind_of_another_package_is_found_by_its_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "counter-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: counter\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text("[mora_pipeline.modalities]\ncounter = tests.modalities.toy_kind:KIND\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert kind_of("counter").name == "counter"
    assert [kind.name for kind in kinds()] == ["text", "image", "table", "raster", "counter"]


@pytest.mark.parametrize(
    ("edited", "message"),
    [
        (
            {"kind": "counts"},
            "modalities.visits.kind is 'counts'; it must be one of text, image, table, raster, counter. ",
        ),
        (
            {"numbr": "n"},
            "Unknown key modalities.visits.numbr; modalities.visits takes kind, temperature, path, ",
        ),
        ({"number": "numbers"}, "modalities.visits.number is 'numbers', but visits.csv has cell, number. Did you mean"),
        ({"number": "cell"}, "modalities.visits.number is 'cell', which holds text such as '"),
        ({"temperature": 0}, "modalities.visits.temperature is 0; it must be > 0."),
    ],
)
def test_a_mistake_is_one_sentence_in_it_too(
    counter: None, write: Callable[..., Path], edited: dict[str, object], message: str
) -> None:
    with pytest.raises(UserError) as caught:
        check_files(RegionConfig.load(write(**edited)))
    assert str(caught.value).startswith(f"region.yaml: {message}")


def test_what_region_yaml_says_of_a_modality_survives_a_dump(counter: None, write: Callable[..., Path]) -> None:
    """The field is declared by the base of all kinds, which has fewer keys."""
    dumped = RegionConfig.load(write()).model_dump(exclude_none=True)["modalities"]
    assert dumped == {
        "visits": {"kind": "counter", "temperature": 0.4, "path": "visits.csv", "cell": "cell", "number": "number"}
    }


def test_a_kind_without_a_head_of_its_own_has_one_layer(counter: None) -> None:
    assert [type(layer) for layer in make_head("counter", 2, 128).children()] == [nn.Linear]


def test_a_kind_from_outside_goes_through_a_whole_region(
    counter: None, write: Callable[..., Path], tmp_path: Path
) -> None:
    """Checks, cells, features, both presets, and a benchmark that knows its columns: no other file changes for it."""
    session = local_session(tmp_path / "home")
    Registry(session.home).add(write())
    results = dict(run_region("tiny", session, SETTINGS))
    order = list(results)
    assert order.index("cells") < order.index("counter_cells") < order.index("counter_features")
    assert order.index("counter_features") < order.index("embeddings")
    assert [version.dataset for version in results["counter_features"].versions] == [
        "amounts/visits",
        "features/visits",
    ]
    assert results["counter_features"].versions[0].table().column_names == ["cell"]  # it defines none
    assert "features/visits" in results["embeddings"].versions[-1].inputs
    scores = results["benchmark"].versions[-1]
    assert scores.dataset == "benchmark"
    assert set(scores.table()["method"].to_pylist()) == {"mora", "distilled", "raw:visits", "coordinates"}
    refused = results["benchmark"].metadata["refused"]
    assert set(refused) == {"copied"}
    assert "with the input column number of visits is 1.000" in refused["copied"]
    step = next(step for step in all_steps() if step.name == "embeddings")
    inductive = run_step(step, "tiny", session, step.settings(preset="inductive"))
    assert [version.dataset for version in inductive.versions] == ["encoder", "embeddings"]
