"""Every example is named after its folder, has its downloads in data/, and is in the table of docs/sources.md."""

import pytest

from mora_pipeline.region import RegionConfig
from tests.examples.loading import EXAMPLES

READY = sorted(
    path.parent.name for path in EXAMPLES.glob("*/region.yaml") if "../shared/" not in path.read_text(encoding="utf-8")
)
SOURCES = (EXAMPLES.parent / "docs" / "sources.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", READY)
def test_an_example_is_complete(name: str) -> None:
    config = RegionConfig.load(EXAMPLES / name)
    assert (config.region, config.root) == (name, "data")
    assert f"[{name}](../examples/{name}/region.yaml)" in SOURCES
    text = config.file.read_text(encoding="utf-8")
    assert "# Download" in text or "# Make" in text
    assert "# Another area" in text or "# Other fleets" in text
    assert max(map(len, text.splitlines())) <= 127
