"""A preset from outside is trained, committed and transferred by the step of the embeddings like those inside."""

from pathlib import Path

import numpy as np
import pytest

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.schemas import CellVectors
from mora_pipeline.presets import register, unregister
from mora_pipeline.steps import local_session, run_step
from mora_pipeline.steps.embeddings import embeddings_step
from tests.presets.inductive.conftest import make_town
from tests.presets.toy_preset import PRESET, ToyParameters
from tests.test_materialize_encoder import HomeOfCells


@pytest.fixture
def home(tmp_path: Path):
    """Two towns with features of three modalities, and the preset `toy`."""
    home = HomeOfCells(tmp_path)
    home.add("east", make_town(1))
    home.add("west", make_town(2))
    register(PRESET)
    yield home
    unregister(PRESET.name)


def embed(home: HomeOfCells, region: str, **settings: object) -> np.ndarray:
    step = embeddings_step()
    result = run_step(step, region, local_session(home.path), step.settings(**settings))
    assert result.committed
    return CellVectors.from_table(home.lake.read("embeddings", region).table()).vectors


def test_it_embeds_the_region_that_it_is_trained_on_and_another_by_its_encoder(home: HomeOfCells) -> None:
    own = embed(home, "east", preset="toy", toy={"seed": 7})
    np.testing.assert_array_equal(own, PRESET.project(home.reader("east"), ToyParameters(seed=7)).vectors)
    other = embed(home, "west", preset="toy", encoder="east")
    np.testing.assert_array_equal(other, PRESET.project(home.reader("west"), ToyParameters(seed=7)).vectors)
    assert home.lake.read("embeddings", "west").details == {"preset": "toy", "dimension": 128, "seed": 7}


def test_the_default_presets_are_what_they_were(home: HomeOfCells) -> None:
    """The one beside it changes nothing; what trained an encoder leaves it beside the embeddings."""
    own = embed(home, "east", preset="inductive", inductive={"units": 40, "neighbours": 5})
    other = embed(home, "west", encoder="east")
    assert own.shape == other.shape == (60, 128)
    details = home.lake.read("embeddings", "west").details
    assert (details["preset"], details["encoder_region"]) == ("inductive", "east")
    assert details["encoder_version"] == home.lake.read("encoder", "east").version
    with pytest.raises(UserError, match="an encoder is of preset mora or inductive or toy"):
        embed(home, "west", preset="paper", encoder="east")
