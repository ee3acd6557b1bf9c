"""The regions in examples/ describe the real data as it is."""

from pathlib import Path

import pytest

from mora_pipeline.region import RegionConfig
from mora_pipeline.region.checks import check_files
from mora_pipeline.region.jobs import mobility_job
from tests.region.conftest import job_of

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
# The others take what a user downloads: see tests/examples.
WITH_SHARED_DATA = sorted(
    path.parent.name for path in EXAMPLES.glob("*/region.yaml") if "root: ../../../shared/" in path.read_text()
)


@pytest.mark.parametrize("name", WITH_SHARED_DATA)
def test_an_example_is_right_about_its_files(shared_data: Path, name: str) -> None:
    config = RegionConfig.load(EXAMPLES / name)
    assert config.region == name
    assert check_files(config)
    mobility_job(config)
    for modality, described in config.modalities.items():
        if described.kind == "table":
            assert all(job_of(config, modality)["groups"].values())


def test_the_groups_of_us_east_are_its_histograms(shared_data: Path) -> None:
    groups = job_of(RegionConfig.load(EXAMPLES / "us_east"), "demographics")["groups"]
    assert {name: len(columns) for name, columns in groups.items()} == {"age_sex": 36, "vehicles": 4}
