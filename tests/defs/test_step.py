"""What all assets share: publishing after the checks, clearing up after failures, plain messages."""

import contextlib

import dagster as dg
import numpy as np
import pyarrow as pa
import pytest

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.schemas import CellVectors
from mora_pipeline.defs.checks import by_name, result
from mora_pipeline.defs.partitions import regions
from mora_pipeline.defs.resources import LakeResource
from mora_pipeline.defs.step import blocking, step
from mora_pipeline.lake import Lake

ROWS = pa.table({"cell": pa.array([1, 2], pa.int64())})


def thing(passes: dict[str, bool], error: Exception | None = None) -> dg.AssetsDefinition:
    """An asset that writes a dataset and quarantine, reports these checks, and may break down before."""

    @dg.asset(partitions_def=regions, check_specs=blocking("thing", "no_nan", "cells_known"))
    def thing(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:
        with step(context, lake) as work:
            quarantine, target = work.begin("quarantine/thing", evidence=True), work.begin("thing")
            target.write(ROWS)
            (quarantine.path / "poi").mkdir()
            pa.parquet.write_table(ROWS, quarantine.path / "poi" / "part-00000.parquet")
            if isinstance(error, dg.Failure):
                raise dg.Failure(description=f"{error.description} All are in {quarantine.path / 'poi'}.")
            if error:
                raise error
            return work.finish(by_name(*(result(name, value) for name, value in passes.items())), {"colour": "red"})

    return thing


def drafts(lake: Lake) -> list[str]:
    return [path.name for path in lake.root.rglob("draft-*")]


def metadata(done: dg.ExecuteInProcessResult) -> dict[str, object]:
    (event,) = done.asset_materializations_for_node("thing")
    return {name: value.value for name, value in event.metadata.items()}


def message(done: dg.ExecuteInProcessResult) -> str:
    (failure,) = [event for event in done.all_events if event.is_step_failure]
    return str(failure.step_failure_data.user_failure_data.description)


def test_a_version_is_published_after_its_checks_passed(lake, run) -> None:
    done = run(thing({"no_nan": True, "cells_known": True}))
    assert done.success
    assert lake.read("thing", "tiny").rows == 2
    assert drafts(lake) == []
    told = metadata(done)
    assert told["dagster/row_count"] == 2
    assert told["colour"] == "red"
    assert told["published"] is True
    assert told["seconds"] >= 0
    assert told["peak_memory_gib"] > 0.01


@pytest.mark.parametrize("passes", [{"no_nan": True, "cells_known": False}, {"no_nan": True}, {}])
def test_a_failed_or_unreported_check_keeps_the_version_before(lake, run, passes) -> None:
    run(thing({"no_nan": True, "cells_known": True}))
    before = lake.read("thing", "tiny").version
    done = run(thing(passes))
    assert not done.success
    assert lake.read("thing", "tiny").version == before
    assert drafts(lake) == []
    evaluations = {item.check_name: item.passed for item in done.get_asset_check_evaluations()}
    assert evaluations == {"no_nan": bool(passes), "cells_known": False}
    assert metadata(done)["published"] is False


def test_a_users_mistake_fails_with_its_message_and_leaves_nothing(lake, run) -> None:
    done = run(thing({}, UserError("flows.csv: no column 'jobs'. Did you mean 'trips'?")))
    assert message(done) == "flows.csv: no column 'jobs'. Did you mean 'trips'?"
    assert not lake.has("thing", "tiny")
    assert drafts(lake) == []


@pytest.mark.parametrize("error", [ValueError("a bug"), KeyboardInterrupt()])
def test_nothing_is_left_of_a_step_that_breaks_down(lake, run, error) -> None:
    with contextlib.suppress(KeyboardInterrupt):
        assert not run(thing({}, error)).success
    assert not lake.has("thing", "tiny")
    assert drafts(lake) == []


def test_quarantine_outlives_the_failure_that_it_explains(lake, run) -> None:
    done = run(thing({}, dg.Failure(description="Half of the rows are bad.")))
    kept = lake.read("quarantine/thing", "tiny")
    assert [file.name for file in kept.files()] == ["poi-part-00000.parquet"]
    assert message(done) == f"Half of the rows are bad. All are in {kept.path}."
    assert not lake.has("thing", "tiny")
    assert drafts(lake) == []


def test_outputs_record_the_versions_of_their_inputs(lake, run) -> None:
    draft = lake.begin("cells", "tiny")
    draft.write(ROWS)
    cells = draft.publish()

    @dg.asset(partitions_def=regions)
    def reader(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:
        with step(context, lake) as work:
            assert work.cells().tolist() == [1, 2]
            work.begin("thing").write(ROWS)
            return work.finish({})

    assert run(reader).success
    assert lake.read("thing", "tiny").inputs == {"cells": cells.version}


def test_vectors_of_other_cells_are_refused(lake, run) -> None:
    draft = lake.begin("line_vectors", "tiny")
    draft.write(CellVectors(np.array([1, 2]), np.zeros((2, 3), np.float32)).to_table())
    draft.publish()

    @dg.asset(partitions_def=regions)
    def reader(context: dg.AssetExecutionContext, lake: LakeResource) -> None:
        with step(context, lake) as work:
            assert work.vectors("line_vectors", np.array([1, 2])).shape == (2, 3)
            work.vectors("line_vectors", np.array([1, 2, 3]))

    assert "was made for other cells" in message(run(reader))


def test_features_made_before_region_yaml_changed_are_refused(lake, run, mora_home) -> None:
    region_yaml = mora_home / "raw" / "region.yaml"
    modality = "{kind: text, path: flows.csv, columns: {place: from, category: to}, encoder: ENCODER}"
    region_yaml.write_text(region_yaml.read_text() + "modalities:\n  poi: " + modality)
    draft = lake.begin("features/poi", "tiny")
    draft.write(CellVectors(np.array([1, 2]), np.zeros((2, 3), np.float32)).to_table())
    draft.publish({"kind": "text", "encoder": "default"})

    @dg.asset(partitions_def=regions)
    def reader(context: dg.AssetExecutionContext, lake: LakeResource) -> None:
        with step(context, lake) as work:
            assert work.features("poi").cells.tolist() == [1, 2]

    region_yaml.write_text(region_yaml.read_text().replace("ENCODER", "default"))
    assert run(reader).success
    region_yaml.write_text(region_yaml.read_text().replace("default", "BAAI/bge-m3"))
    assert "modalities.poi has changed" in message(run(reader))


def test_an_unknown_region_is_named(mora_home, run) -> None:
    (mora_home / "regions.json").unlink()
    assert "Region 'tiny' is not known" in message(run(thing({})))
