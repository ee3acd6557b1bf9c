"""When a folder under the watched root counts as a complete new region."""

import json
import re
import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import dagster as dg
import pytest

from mora_pipeline.commands.instance import REGIONS
from mora_pipeline.defs import automation
from mora_pipeline.defs.automation import new_regions, nightly
from mora_pipeline.lake.arrivals import Arrivals, look
from mora_pipeline.lake.registry import Registry

WriteRegion = Callable[..., Path]


class Watch:
    """Looks at a root again and again, as the sensor does: what one look saw is handed to the next."""

    def __init__(self, root: Path) -> None:
        self.root, self.registry = root, Registry.at_home()
        self.partitions: set[str] = set()
        self.seen: dict[str, str] = {}

    def __call__(self) -> Arrivals:
        found = look(self.root, self.registry, self.partitions, self.seen)
        self.seen = found.seen
        self.partitions |= set(found.regions)
        return found


@pytest.fixture
def watch(mora_home: Path) -> Watch:
    return Watch(mora_home / "regions")


def test_a_folder_is_taken_once_it_has_stopped_changing(watch: Watch, write_region: WriteRegion) -> None:
    town = write_region(watch.root / "town")
    assert watch().problems == ["town: waiting until its files stop changing."]
    town.with_name("trips.csv").write_text("a,b,c,d\n40.7,-74.0,40.8,-73.9\n40.7,-74.0,40.8,-73.9\n")
    assert not watch().regions
    assert list(watch().regions) == ["town"]
    assert watch().regions == {}
    assert watch.registry.all() == {"town": town}


def test_a_folder_whose_file_is_still_missing_waits_and_says_which(watch: Watch, write_region: WriteRegion) -> None:
    data = write_region(watch.root / "town").with_name("trips.csv")
    content = data.read_text()
    data.unlink()
    assert "trips.csv" in watch().problems[0]
    assert "trips.csv" in watch().problems[0]
    data.write_text(content)
    watch()
    assert list(watch().regions) == ["town"]


def test_data_outside_the_folder_counts_too(
    watch: Watch, write_region: WriteRegion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MORA_DATA_ROOTS", str(tmp_path))
    town = write_region(watch.root / "town")
    outside = town.with_name("trips.csv").rename(tmp_path / "trips.csv")
    town.write_text(town.read_text().replace("path: trips.csv", f"path: {outside}"))
    watch()
    outside.write_text(outside.read_text() + "40.7,-74.0,40.8,-73.9\n")
    assert not watch().regions
    assert list(watch().regions) == ["town"]


def test_a_linked_folder_is_waited_for_too(
    watch: Watch, write_region: WriteRegion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its files change, one is added, and a link in it leads nowhere until its file is fetched."""
    monkeypatch.setenv("MORA_DATA_ROOTS", f"{tmp_path / 'disk'}:{tmp_path}")
    town, disk = write_region(watch.root / "town"), tmp_path / "disk"
    disk.mkdir()
    first = town.with_name("trips.csv").rename(disk / "first.csv")
    town.with_name("trips").symlink_to(disk)
    town.write_text(town.read_text().replace("path: trips.csv", "path: trips"))
    watch()
    first.write_text(first.read_text() + "40.7,-74.0,40.8,-73.9\n")
    assert not watch().regions
    (disk / "second.csv").symlink_to(tmp_path / "store.csv")
    assert "second.csv is a link to" in watch().problems[0]
    (tmp_path / "store.csv").write_text("a,b,c,d\n40.7,-74.0,40.9,-73.9\n")
    assert not watch().regions
    assert list(watch().regions) == ["town"]


def test_a_folder_that_is_wrong_is_named_and_the_others_go_on(watch: Watch, write_region: WriteRegion) -> None:
    write_region(watch.root / "misnamed", name="other")
    (watch.root / "garbled").mkdir(parents=True)
    (watch.root / "garbled" / "region.yaml").write_text("region: [")
    (watch.root / "empty").mkdir()
    write_region(watch.root / ".hidden", name="hidden")
    write_region(watch.root / "town")
    watch()
    found = watch()
    assert list(found.regions) == ["town"]
    garbled, misnamed = found.problems
    assert garbled.startswith("garbled: ")
    assert "region is 'other', but the folder is 'misnamed'" in misnamed


def test_a_known_region_is_passed_over(watch: Watch, write_region: WriteRegion) -> None:
    watch.registry.add(write_region(watch.root / "town"))
    watch.partitions.add("town")
    assert watch() == Arrivals(seen=watch.seen)
    assert watch() == Arrivals(seen=watch.seen)


def test_a_name_known_from_elsewhere_is_not_taken_over(watch: Watch, write_region: WriteRegion, tmp_path: Path) -> None:
    elsewhere = write_region(tmp_path / "town")
    watch.registry.add(elsewhere)
    watch.partitions.add("town")
    write_region(watch.root / "town")
    watch()
    assert "already known from" in watch().problems[0]
    assert watch.registry.all() == {"town": elsewhere}


def test_a_removed_region_does_not_come_back_until_its_files_change(watch: Watch, write_region: WriteRegion) -> None:
    town = write_region(watch.root / "town")
    watch.registry.add(town)
    watch.partitions.add("town")
    watch()
    watch.registry.remove("town")
    watch.partitions.clear()
    assert [watch().regions for _ in range(3)] == [{}, {}, {}]
    town.write_text(town.read_text().replace("resolution: 7", "resolution: 8"))
    watch()
    assert list(watch().regions) == ["town"]


def test_a_region_registered_by_a_tick_that_was_lost_is_taken_again(watch: Watch, write_region: WriteRegion) -> None:
    """Killed after registering and before Dagster added the partition: the cursor is the old one."""
    write_region(watch.root / "town")
    watch()
    before = dict(watch.seen)
    assert watch().regions
    watch.seen, watch.partitions = before, set()
    assert list(watch().regions) == ["town"]


def test_no_watched_folder_is_no_error(watch: Watch) -> None:
    assert watch() == Arrivals()


@pytest.mark.parametrize("cursor", [None, "", "{", "[]", "7"])
def test_the_sensor_starts_anew_from_a_cursor_it_cannot_read(instance: dg.DagsterInstance, cursor: str | None) -> None:
    result = new_regions(dg.build_sensor_context(instance, cursor=cursor))
    assert isinstance(result, dg.SensorResult)
    assert json.loads(result.cursor or "") == {}


def test_one_night_has_one_run_key_a_region(instance: dg.DagsterInstance, known_regions: list[str]) -> None:
    """Dagster starts no second run for a key, so a repeated tick does nothing."""
    instance.add_dynamic_partitions(REGIONS, known_regions)

    def keys(moment: str) -> list[str | None]:
        context = dg.build_schedule_context(instance, scheduled_execution_time=datetime.fromisoformat(moment))
        return [request.run_key for request in nightly(context) if isinstance(request, dg.RunRequest)]

    assert keys("2026-03-01T02:00+00:00") == ["2026-03-01-north", "2026-03-01-south"]
    assert keys("2026-03-01T02:01+00:00") == keys("2026-03-01T02:00+00:00")
    assert keys("2026-03-02T02:00+00:00") == ["2026-03-02-north", "2026-03-02-south"]


def test_a_night_without_regions_is_skipped_with_a_reason(instance: dg.DagsterInstance) -> None:
    context = dg.build_schedule_context(instance, scheduled_execution_time=datetime.fromisoformat("2026-03-01T02:00Z"))
    (only,) = nightly(context)
    assert isinstance(only, dg.SkipReason)


def test_a_night_passes_over_a_partition_that_is_no_region(
    instance: dg.DagsterInstance, known_regions: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    instance.add_dynamic_partitions(REGIONS, [*known_regions, "nroth"])
    context = dg.build_schedule_context(instance, scheduled_execution_time=datetime.fromisoformat("2026-03-01T02:00Z"))
    requests = [request for request in nightly(context) if isinstance(request, dg.RunRequest)]
    assert [request.partition_key for request in requests] == ["north", "south"]
    assert "'nroth' is no region and is passed over. Did you mean 'north'?" in capfd.readouterr().err


def test_the_sensor_shows_what_it_refuses_once_and_that_it_was_mended(
    instance: dg.DagsterInstance, write_region: WriteRegion, home: Path
) -> None:
    """A refusal is an event of a check, whether or not other folders start runs; the same one is not told again."""
    root = home / "regions"
    write_region(root / "town", "city")
    write_region(root / "north")
    first = new_regions(dg.build_sensor_context(instance))
    (told,) = first.asset_events
    assert isinstance(told, dg.AssetCheckEvaluation)
    assert not told.passed
    assert "the folder is 'town'" in str(told.metadata["town"].value)
    second = new_regions(dg.build_sensor_context(instance, cursor=first.cursor))
    assert [request.partition_key for request in second.run_requests or []] == ["north"]
    (told,) = second.asset_events
    assert (told.passed, set(told.metadata)) == (False, {"town"})
    instance.add_dynamic_partitions(REGIONS, ["north"])
    third = new_regions(dg.build_sensor_context(instance, cursor=second.cursor))
    assert third.asset_events == []
    shutil.rmtree(root / "town")
    (told,) = new_regions(dg.build_sensor_context(instance, cursor=third.cursor)).asset_events
    assert told.passed


def test_a_night_runs_what_has_changed_or_failed_and_names_the_reasons(
    tmp_path: Path, instance: dg.DagsterInstance, write_region: WriteRegion, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["failed", "new_day", "odd", "same"]
    for name in names:
        Registry.at_home().add(write_region(tmp_path / name))
    instance.add_dynamic_partitions(REGIONS, names)
    found = {"new_day": "edges: changed: raw files"}

    def what_has_changed(region: str, *_: object) -> str | None:
        if region == "odd":
            raise RuntimeError("a bug")
        return found.get(region)

    monkeypatch.setattr(automation, "what_has_changed", what_has_changed)
    tags = {"dagster/partition": "failed"}
    instance.add_run(dg.DagsterRun("materialize_region", status=dg.DagsterRunStatus.FAILURE, tags=tags))

    def night() -> list[dg.RunRequest | dg.SkipReason]:
        moment = datetime.fromisoformat("2026-03-01T02:00Z")
        return list(nightly(dg.build_schedule_context(instance, scheduled_execution_time=moment)))

    asked = {item.partition_key: item.tags["mora/reason"] for item in night() if isinstance(item, dg.RunRequest)}
    assert set(asked) == {"failed", "new_day", "odd"}
    assert asked["new_day"] == "edges: changed: raw files"
    assert re.fullmatch(r"its last run, [0-9a-f]{8}, failed", asked["failed"])
    for name in ("failed", "new_day", "odd"):
        instance.delete_dynamic_partition(REGIONS, name)
    (only,) = night()
    assert isinstance(only, dg.SkipReason)
    assert only.skip_message == "Nothing has changed since it was made (files, region.yaml, code): same."
