"""A lived-in home, made once and copied for every test; the copy is told its new place when it is first opened."""

import shutil
from pathlib import Path
from types import ModuleType

import pytest

from mora_pipeline.lake import opened
from tests.upkeep import lived_in


@pytest.fixture(scope="session")
def lived_in_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("template") / "home"
    home.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MORA_HOME", str(home))
        patch.delenv("DAGSTER_HOME", raising=False)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        lived_in.live_in(home)
    return home


@pytest.fixture
def lived_in_home(lived_in_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the regions town and city, at a place of its own; $MORA_HOME names it."""
    home = tmp_path / "home"
    shutil.copytree(lived_in_template, home, symlinks=True)
    monkeypatch.setenv("MORA_HOME", str(home))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return opened(home)


@pytest.fixture(name="lived_in")
def _lived_in_fixture() -> ModuleType:
    """What makes a lived-in home, and further runs in it."""
    return lived_in
