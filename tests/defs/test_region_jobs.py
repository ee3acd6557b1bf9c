"""Regions by the UI's forms: added with a check, removed, and a partition that was mistyped taken away."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from mora_pipeline.contract.errors import UserError
from mora_pipeline.defs.partitions import regions
from mora_pipeline.defs.region_jobs import add_region, remove_region
from mora_pipeline.defs.resources import LakeResource
from mora_pipeline.lake.registry import Registry
from tests.region_yaml import REGION_YAML

PARTITIONS = str(regions.name)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as found:
        yield found


@pytest.fixture
def town(mora_home: Path, tmp_path: Path) -> Path:
    (tmp_path / "trips.csv").write_text("a,b,c,d\n40.7,-74.0,40.8,-73.9\n")
    (tmp_path / "region.yaml").write_text(REGION_YAML.format(name="town"))
    return tmp_path / "region.yaml"


def ended(job: dg.JobDefinition, instance: dg.DagsterInstance, op: str, **settings: Any) -> str:
    """The failure's description, or nothing after a success."""
    done = job.execute_in_process(
        {"ops": {op: {"config": settings}}},
        instance,
        resources={"lake": LakeResource()},
        raise_on_error=False,
    )
    failures = [event for event in done.all_events if event.is_step_failure]
    return str(failures[0].step_failure_data.user_failure_data.description) if failures else ""


def test_a_region_is_added_and_removed(instance: dg.DagsterInstance, town: Path) -> None:
    assert ended(add_region, instance, "add", path=f" {town.parent} ") == ""
    assert instance.get_dynamic_partitions(PARTITIONS) == ["town"]
    assert Registry.at_home().all() == {"town": town}
    assert ended(remove_region, instance, "remove", name="town") == ""
    assert instance.get_dynamic_partitions(PARTITIONS) == []
    assert Registry.at_home().all() == {}


def test_a_region_that_is_wrong_fails_with_the_cause_and_changes_nothing(
    instance: dg.DagsterInstance, town: Path
) -> None:
    town.write_text(town.read_text().replace("origin_latitude: a", "origin_latitude: nowhere"))
    assert "nowhere" in ended(add_region, instance, "add", path=str(town))
    assert "Give the whole path" in ended(add_region, instance, "add", path="region.yaml")
    assert instance.get_dynamic_partitions(PARTITIONS) == []
    assert Registry.at_home().all() == {}


def test_the_form_refuses_what_it_has_no_field_for(instance: dg.DagsterInstance, town: Path) -> None:
    with pytest.raises(dg.DagsterInvalidConfigError):
        ended(add_region, instance, "add", file=str(town))


def test_a_mistyped_partition_is_removed_and_a_name_that_is_none_is_told(
    instance: dg.DagsterInstance, town: Path
) -> None:
    ended(add_region, instance, "add", path=str(town))
    instance.add_dynamic_partitions(PARTITIONS, ["twon"])
    with pytest.raises(UserError, match="Did you mean 'town'"):  # what a run of the partition ends with
        Registry.at_home().load("twon")
    assert ended(remove_region, instance, "remove", name="twon") == ""
    assert instance.get_dynamic_partitions(PARTITIONS) == ["town"]
    assert "Did you mean 'town'" in ended(remove_region, instance, "remove", name="twon")
