"""The registry: only regions that are right come in, and no two processes lose each other's."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mora_pipeline.contract.errors import UserError
from mora_pipeline.lake.registry import Registry
from tests.region_yaml import REGION_YAML

WriteRegion = Callable[..., Path]


@pytest.fixture
def write_region(tmp_path: Path) -> WriteRegion:
    def write(name: str, folder: str | None = None) -> Path:
        target = tmp_path / (folder or name)
        target.mkdir(exist_ok=True)
        (target / "trips.csv").write_text("a,b,c,d\n40.7,-74.0,40.8,-73.9\n")
        (target / "region.yaml").write_text(REGION_YAML.format(name=name))
        return target / "region.yaml"

    return write


@pytest.fixture
def registry(mora_home: Path) -> Registry:
    return Registry.at_home()


def test_added_regions_are_known_by_name_and_absolute_path(
    registry: Registry, write_region: WriteRegion, monkeypatch: pytest.MonkeyPatch
) -> None:
    town, city = write_region("town"), write_region("city")
    monkeypatch.chdir(town.parent.parent)
    assert registry.add(Path("town/region.yaml")).region == "town"
    registry.add(Path("city"))
    assert registry.all() == {"city": city, "town": town}
    assert registry.load("town").resolution == 7


def test_adding_again_changes_nothing(registry: Registry, write_region: WriteRegion) -> None:
    town = write_region("town")
    registry.add(town)
    registry.add(town)
    assert registry.all() == {"town": town}


def test_a_region_with_a_missing_file_stays_out(registry: Registry, write_region: WriteRegion) -> None:
    town = write_region("town")
    town.with_name("trips.csv").unlink()
    with pytest.raises(UserError, match=r"trips.csv"):
        registry.add(town)
    assert registry.all() == {}


def test_another_file_does_not_take_a_name_by_accident(registry: Registry, write_region: WriteRegion) -> None:
    old, new = write_region("town"), write_region("town", "elsewhere")
    registry.add(old)
    with pytest.raises(UserError, match="already known from"):
        registry.add(new)
    assert registry.all() == {"town": old}
    registry.add(new, replace=True)
    assert registry.all() == {"town": new}


def test_a_region_may_be_added_again_after_its_folder_moved(registry: Registry, write_region: WriteRegion) -> None:
    old = write_region("town")
    registry.add(old)
    old.parent.rename(old.parent.with_name("moved"))
    registry.add(old.parent.with_name("moved"))
    assert registry.all()["town"].parent.name == "moved"


def test_an_unknown_region_names_the_known_ones(registry: Registry, write_region: WriteRegion) -> None:
    registry.add(write_region("town"))
    with pytest.raises(UserError, match=r"'twon' is not known; known are town\. .*mora region add"):
        registry.load("twon")


def test_a_region_renamed_in_its_file_is_not_taken_for_the_old_one(
    registry: Registry, write_region: WriteRegion
) -> None:
    registry.add(write_region("town"))
    write_region("village", "town")
    with pytest.raises(UserError, match="region is 'village' by now"):
        registry.load("town")


def test_a_removed_region_is_forgotten_and_its_files_stay(registry: Registry, write_region: WriteRegion) -> None:
    town = write_region("town")
    registry.add(town)
    registry.remove("town")
    assert registry.all() == {}
    assert town.exists()
    with pytest.raises(UserError, match="not known"):
        registry.remove("town")


@pytest.mark.parametrize("content", ["{", "[]", "null", "\xff"])
def test_a_damaged_registry_is_one_clear_message(registry: Registry, content: str) -> None:
    registry.path.write_bytes(content.encode("latin-1"))
    with pytest.raises(UserError, match=r"regions.json cannot be read"):
        registry.all()


def test_two_processes_adding_at_once_lose_nothing(registry: Registry, write_region: WriteRegion) -> None:
    files = [write_region(f"town{number}") for number in range(20)]
    add = "import sys; from pathlib import Path; from mora_pipeline.lake.registry import Registry\n"
    add += "for path in sys.argv[1:]: Registry.at_home().add(Path(path))"
    halves = [[str(path) for path in files[half::2]] for half in (0, 1)]
    processes = [subprocess.Popen([sys.executable, "-c", add, *half]) for half in halves]
    assert [process.wait(timeout=60) for process in processes] == [0, 0]
    assert set(json.loads(registry.path.read_text())) == {f"town{number}" for number in range(20)}
