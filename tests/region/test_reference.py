"""docs/region.md says everything that a region.yaml takes, and nothing else."""

import re
from pathlib import Path

import pytest
import yaml

from mora_pipeline.modalities import kinds
from mora_pipeline.region import (
    CellTask,
    EmbeddingDefaults,
    EventsMobility,
    GroupTask,
    OdMobility,
    PointTask,
    RegionConfig,
    ReportedFolds,
    ReportedScores,
    TripsMobility,
)
from mora_pipeline.region.extent import ExtentCells, ExtentConfig, ExtentPolygons
from mora_pipeline.region.sections import CsvDialect, PlacesConfig

REFERENCE = (Path(__file__).resolve().parents[2] / "docs/region.md").read_text()
PARTS = [
    RegionConfig, OdMobility, TripsMobility, EventsMobility, CellTask, GroupTask, PointTask,
    EmbeddingDefaults, ReportedFolds, ReportedScores, *(kind.config for kind in kinds()),
    PlacesConfig, CsvDialect, ExtentConfig, ExtentPolygons, ExtentCells,
]  # fmt: skip


@pytest.mark.parametrize("part", PARTS)
def test_every_key_is_in_the_reference(part: type) -> None:
    named = set(re.findall(r"[a-z_]+", " ".join(re.findall(r"`[^`\n]+`", REFERENCE))))
    assert set(part.model_fields) <= named
    columns = part.model_fields.get("columns")
    if columns is not None and hasattr(columns.annotation, "model_fields"):
        assert set(columns.annotation.model_fields) <= named


def test_its_first_example_is_a_region() -> None:
    example = re.search(r"```yaml\n(region: .*?)```", REFERENCE, re.DOTALL)
    assert example is not None
    assert RegionConfig.model_validate(yaml.safe_load(example[1])).region == "us_east"


def test_its_other_examples_fit_into_it() -> None:
    examples = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", REFERENCE, re.DOTALL)]
    whole, *parts = examples
    for part in parts:
        RegionConfig.model_validate(whole | part)
