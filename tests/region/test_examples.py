"""The regions in examples/ describe the real data as it lies there."""

from pathlib import Path

import pytest

from mora_pipeline.region import RegionConfig

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.mark.parametrize("name", sorted(path.parent.name for path in EXAMPLES.glob("*/region.yaml")))
def test_an_example_is_right_about_its_files(shared_data: Path, name: str) -> None:
    config = RegionConfig.load(EXAMPLES / name)
    assert config.region == name
    assert config.check_files()
    config.mobility_job()
    for modality, described in config.modalities.items():
        if described.kind == "table":
            assert all(config.table_job(modality)["groups"].values())


def test_the_groups_of_us_east_are_its_histograms(shared_data: Path) -> None:
    groups = RegionConfig.load(EXAMPLES / "us_east").table_job("demographics")["groups"]
    assert {name: len(columns) for name, columns in groups.items()} == {"age_sex": 36, "vehicles": 4}
