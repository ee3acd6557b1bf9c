"""Erasing a region leaves nothing that names it, and does not touch the others."""

from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner

from mora_pipeline.cli import main
from mora_pipeline.commands.instance import REGIONS, dagster_instance
from mora_pipeline.lake import Lake
from mora_pipeline.lake.registry import Registry
from mora_pipeline.lake.verify import verify
from mora_pipeline.runs.locks import RegionLock
from mora_pipeline.tracking import TrackingSettings, connect
from mora_pipeline.upkeep.history import whole_word
from mora_pipeline.upkeep.traces import traces_of


def test_nothing_names_an_erased_region_and_the_others_are_whole(lived_in_home: Path, lived_in: ModuleType) -> None:
    cells = lived_in.CELLS["town"]
    assert len(traces_of(lived_in_home, "town", cells, ["city"])) > 20
    before = files_of(lived_in_home, "city")
    result = CliRunner().invoke(main, ["region", "erase", "town", "--yes"])
    assert result.exit_code == 0, result.output
    assert "Nothing else in" in result.stdout
    raw = lived_in_home / "regions" / "town"
    assert f"Its raw files stay: {raw}" in result.stdout
    assert [
        trace for trace in traces_of(lived_in_home, "town", cells, ["city"]) if not trace.startswith(str(raw))
    ] == []
    assert files_of(lived_in_home, "city") == before
    assert list(Registry(lived_in_home).all()) == ["city"]
    assert verify(Lake(lived_in_home / "lake")).damages == []
    client = connect(TrackingSettings.of(lived_in_home))
    assert client.get_experiment_by_name("mora/town") is None
    assert len(client.search_model_versions("name = 'mora_city'")) == 2
    with dagster_instance() as instance:
        assert list(instance.get_dynamic_partitions(REGIONS)) == ["city"]
        assert {run.tags["dagster/partition"] for run in instance.get_runs()} == {"city"}


def files_of(home: Path, region: str) -> dict[str, bytes]:
    word = whole_word(region)
    files = (path for path in home.rglob("*") if path.is_file() and path.suffix != ".db")
    return {str(path): path.read_bytes() for path in files if word.search(path.relative_to(home).as_posix())}


def test_a_region_that_is_being_made_is_not_erased(lived_in_home: Path) -> None:
    lock = RegionLock.take(lived_in_home, "town", "a test")
    try:
        result = CliRunner().invoke(main, ["region", "erase", "town", "--yes"])
    finally:
        lock.release()
    assert result.exit_code == 2
    assert "is being made by" in result.stderr
    assert Lake(lived_in_home / "lake").has("edges", "town")


def test_without_a_yes_nothing_is_erased(lived_in_home: Path) -> None:
    assert CliRunner().invoke(main, ["region", "erase", "town"], input="n\n").exit_code == 1
    assert Lake(lived_in_home / "lake").has("edges", "town")


@pytest.mark.parametrize(
    ("text", "named"),
    [("region=town/x", True), ("mora_town", True), ("town-2026.log", True), ("town_2", False), ("my_town", False)],
)
def test_a_longer_name_is_another_region(text: str, named: bool) -> None:
    assert bool(whole_word("town").search(text)) == named
