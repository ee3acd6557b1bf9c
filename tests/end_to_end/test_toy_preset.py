"""A preset from outside the package takes a whole region from raw files to the champion, chosen by region.yaml."""

from pathlib import Path

import numpy as np
import yaml

from mora_pipeline.contract.schemas import CellVectors
from mora_pipeline.lake import Lake
from mora_pipeline.lake.reading import RegionReader
from mora_pipeline.lake.registry import Registry
from mora_pipeline.presets import register, unregister
from mora_pipeline.serving import EmbeddingStore
from mora_pipeline.steps import all_steps, local_session, run_region
from tests.presets.toy_preset import PRESET, ToyParameters


def test_a_toy_preset_embeds_a_whole_region(tmp_path: Path, write_region, tiny_settings) -> None:
    session = local_session(tmp_path / "home")
    settings = {name: item["config"] for name, item in tiny_settings["ops"].items() if name != "ablations"}
    settings |= {"embeddings": {"toy": {"seed": 3}}}
    settings["benchmark"] = {**settings["benchmark"], "methods": ["mora", "distilled", "raw"]}
    register(PRESET)
    try:
        file = write_region(tmp_path / "raw", "toys")
        file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), "embeddings": {"preset": "toy"}}))
        region = Registry(session.home).add(file).region
        results = dict(run_region(region, session, settings))
    finally:
        unregister(PRESET.name)
    assert set(results) == {step.name for step in all_steps() if step.in_chain}
    assert results["embeddings"].metadata["preset"] == "toy"

    lake = Lake(session.home / "lake")
    made = lake.read("embeddings", region)
    assert (made.details["preset"], made.details["seed"]) == ("toy", 3)
    embeddings = CellVectors.from_table(made.table())
    expected = PRESET.project(RegionReader(session.region(region), lake), ToyParameters(seed=3)).vectors
    np.testing.assert_array_equal(embeddings.vectors, expected)
    scores = lake.read("benchmark", region).table()
    assert set(scores["method"].to_pylist()) >= {"mora", "distilled", "raw"}
    assert EmbeddingStore.open(region, lake).cell(int(embeddings.cells[0])).tobytes() == expected[0].tobytes()
