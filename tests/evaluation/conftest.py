"""A small region of a few hundred cells and what the tests of the benchmark make from it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h3
import numpy as np
import pyarrow as pa
import pytest
import yaml

from mora_pipeline import schemas
from mora_pipeline.region import RegionConfig

RESOLUTION = 7


@pytest.fixture(scope="session")
def cells() -> pa.Table:
    """217 cells around Santiago."""
    names = h3.grid_disk(h3.latlng_to_cell(-33.45, -70.66, RESOLUTION), 8)
    values = np.sort([h3.str_to_int(name) for name in names])
    centres = np.array([h3.cell_to_latlng(h3.int_to_str(int(value))) for value in values])
    columns = {
        "cell": values,
        "node": np.arange(len(values)),
        "latitude": centres[:, 0],
        "longitude": centres[:, 1],
        "internal_flow": np.zeros(len(values)),
        "population": np.ones(len(values)),
    }
    return pa.table(columns, schema=schemas.CELLS)


@pytest.fixture
def region(tmp_path: Path) -> Callable[..., RegionConfig]:
    """Makes a RegionConfig with the given tasks, in a folder where the test puts its files."""

    def make(tasks: dict[str, Any], **more: Any) -> RegionConfig:
        content = {
            "region": "test_city",
            "resolution": RESOLUTION,
            "places": {"path": "places.csv", "id": "id", "latitude": "lat", "longitude": "lon"},
            "mobility": {
                "kind": "od",
                "path": "flows.csv",
                "columns": {"origin": "origin", "destination": "destination", "flow": "flow"},
            },
            "tasks": tasks,
            **more,
        }
        (tmp_path / "region.yaml").write_text(yaml.safe_dump(content))
        return RegionConfig.load(tmp_path / "region.yaml")

    return make
