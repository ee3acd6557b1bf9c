"""A home with one region, and its session without a scheduler."""

from pathlib import Path

import pytest

from mora_pipeline.lake import Lake
from mora_pipeline.lake.registry import Registry
from mora_pipeline.steps import Session, local_session

REGION_YAML = """
region: tiny
resolution: 8
mobility:
  kind: od
  path: flows.csv
  columns: {origin: from, destination: to, flow: trips}
  places: {path: places.csv, id: id, latitude: latitude, longitude: longitude}
"""


@pytest.fixture
def session(mora_home: Path) -> Session:
    """The session of a home that knows the region `tiny`."""
    folder = mora_home / "raw"
    folder.mkdir()
    (folder / "region.yaml").write_text(REGION_YAML)
    (folder / "places.csv").write_text("id,latitude,longitude\na,47.3,8.4\nb,47.4,8.5\n")
    (folder / "flows.csv").write_text("from,to,trips\na,b,3\n")
    Registry(mora_home).add(folder / "region.yaml")
    return local_session(mora_home)


@pytest.fixture
def lake(session: Session) -> Lake:
    """The lake of that home."""
    return Lake(session.home / "lake")
