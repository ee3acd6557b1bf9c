"""Which embeddings a region gets: the run config says, else region.yaml, else they are the paper's."""

from pathlib import Path

import pytest

from mora_pipeline.contract.errors import UserError
from mora_pipeline.region import RegionConfig
from mora_pipeline.steps.embeddings import choice
from tests.steps.conftest import REGION_YAML


@pytest.fixture
def declared(tmp_path: Path):
    """A region whose region.yaml ends with the given line."""

    def make(line: str) -> RegionConfig:
        (tmp_path / "region.yaml").write_text(REGION_YAML + line)
        return RegionConfig.load(tmp_path)

    return make


@pytest.mark.parametrize(
    ("preset", "encoder", "line", "expected", "why"),
    [
        ("declared", None, "", ("paper", None), "neither the run config nor"),
        ("declared", None, "embeddings: {preset: inductive}", ("inductive", None), "region.yaml says so"),
        ("declared", None, "embeddings: {encoder: us_east}", ("inductive", "us_east"), "region.yaml says so"),
        ("declared", None, "embeddings: {preset: paper}", ("paper", None), "region.yaml says so"),
        ("paper", None, "embeddings: {encoder: us_east}", ("paper", None), "the run config says so"),
        ("inductive", None, "embeddings: {encoder: us_east}", ("inductive", None), "the run config says so"),
        ("declared", "us_west", "embeddings: {encoder: us_east}", ("inductive", "us_west"), "the run config says so"),
        ("declared", "us_west", "embeddings: {preset: paper}", ("inductive", "us_west"), "the run config says so"),
    ],
)
def test_the_run_config_wins_over_region_yaml_and_that_over_the_paper(
    declared, preset, encoder, line, expected, why
) -> None:
    found = choice(preset, encoder, declared(line))
    assert (found.preset, found.encoder) == expected
    assert why in str(found)


def test_an_encoder_of_the_preset_paper_is_refused(declared) -> None:
    with pytest.raises(UserError, match=r"preset is 'paper' and embeddings\.encoder is 'us_east'.*Set one of the two"):
        choice("paper", "us_east", declared(""))
