"""A preset from outside the package takes a whole region from raw files to the champion, chosen by region.yaml."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml

from mora_pipeline.contract.schemas import CellVectors
from mora_pipeline.lake import Lake
from mora_pipeline.lake.reading import RegionReader
from mora_pipeline.lake.registry import Registry
from mora_pipeline.presets import Preset, register, unregister
from mora_pipeline.serving import EmbeddingStore
from mora_pipeline.steps import all_steps, local_session, run_region
from tests.presets.toy_preset import PRESET, ToyParameters


@pytest.fixture
def toy() -> Iterator[Preset]:
    register(PRESET)
    yield PRESET
    unregister(PRESET.name)


@pytest.mark.usefixtures("toy")
def test_a_toy_preset_embeds_a_whole_region(tmp_path: Path, write_region, tiny_settings) -> None:
    session = local_session(tmp_path / "home")
    settings = {name: item["config"] for name, item in tiny_settings["ops"].items() if name != "ablations"}
    settings |= {"embeddings": {"toy": {"seed": 3}}}
    settings["benchmark"] = {**settings["benchmark"], "methods": ["mora", "distilled", "raw"]}
    file = write_region(tmp_path / "raw", "toys")
    text = yaml.safe_load(file.read_text())
    one_modality = {"poi": text["modalities"]["poi"]}  # the other kinds have tests of their own
    file.write_text(yaml.safe_dump({**text, "modalities": one_modality, "embeddings": {"preset": "toy"}}))
    region = Registry(session.home).add(file).region
    results = dict(run_region(region, session, settings))
    assert set(results) == {step.name for step in all_steps() if step.in_chain}
    assert results["embeddings"].metadata["preset"] == "toy"

    lake = Lake(session.home / "lake")
    version = lake.read("embeddings", region)
    assert (version.details["preset"], version.details["seed"]) == ("toy", 3)
    embeddings = CellVectors.from_table(version.table())
    expected = PRESET.project(RegionReader(session.region(region), lake), ToyParameters(seed=3)).vectors
    np.testing.assert_array_equal(embeddings.vectors, expected)
    assert set(lake.read("benchmark", region).table()["method"].to_pylist()) >= {"mora", "distilled", "raw"}
    np.testing.assert_array_equal(EmbeddingStore.open(region, lake).cell(int(embeddings.cells[0])), expected[0])
