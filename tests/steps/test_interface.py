"""What all steps share: committing after the checks, clearing up after failures, plain messages."""

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.schemas import CellVectors
from mora_pipeline.lake import Lake
from mora_pipeline.steps import Session, StepResult, run_step
from mora_pipeline.steps.interface import RegionRun, Step
from mora_pipeline.steps.results import Check
from mora_pipeline.steps.spark import StepError

ROWS = pa.table({"cell": pa.array([1, 2], pa.int64())})


def step_of(work: Callable[[RegionRun], StepResult | None], *checks: str) -> Step:
    return Step("thing", lambda region, *_: work(region), "A thing.", (), "test", frozenset(), checks=checks)  # type: ignore[arg-type,return-value]


def thing(passes: dict[str, bool], error: BaseException | None = None) -> Step:
    """A step that writes a dataset and quarantine, reports these checks, and may break down before."""

    def work(region: RegionRun) -> StepResult:
        quarantine, target = region.begin("quarantine/thing", evidence=True), region.begin("thing")
        target.write(ROWS)
        (quarantine.path / "poi").mkdir()
        pa.parquet.write_table(ROWS, quarantine.path / "poi" / "part-00000.parquet")
        if isinstance(error, StepError):
            raise StepError(f"{error} All are in {quarantine.path / 'poi'}.")
        if error:
            raise error
        return region.finish([Check(name, value) for name, value in passes.items()], {"colour": "red"})

    return step_of(work, "no_nan", "cells_known")


def drafts(lake: Lake) -> list[str]:
    return [path.name for path in lake.root.rglob("draft-*")]


def test_a_version_is_committed_after_its_checks_passed(lake: Lake, session: Session) -> None:
    result = run_step(thing({"no_nan": True, "cells_known": True}), "tiny", session)
    assert result.committed
    assert lake.read("thing", "tiny").rows == 2
    assert result.data_version == lake.read("thing", "tiny").version
    assert drafts(lake) == []
    assert result.metadata["colour"] == "red"
    assert result.metadata["seconds"] >= 0
    assert result.metadata["peak_memory_gib"] > 0.01


@pytest.mark.parametrize("passes", [{"no_nan": True, "cells_known": False}, {"no_nan": True}, {}])
def test_a_failed_or_unreported_check_keeps_the_version_before(lake: Lake, session: Session, passes) -> None:
    run_step(thing({"no_nan": True, "cells_known": True}), "tiny", session)
    before = lake.read("thing", "tiny").version
    result = run_step(thing(passes), "tiny", session)
    assert not result.committed
    assert lake.read("thing", "tiny").version == before
    assert drafts(lake) == []
    assert {check.name: check.passed for check in result.checks} == {"no_nan": bool(passes), "cells_known": False}
    assert result.data_version is None


def test_a_users_mistake_fails_with_its_message_and_leaves_nothing(lake: Lake, session: Session) -> None:
    with pytest.raises(UserError, match=r"^flows\.csv: no column 'jobs'\.$"):
        run_step(thing({}, UserError("flows.csv: no column 'jobs'.")), "tiny", session)
    assert not lake.has("thing", "tiny")
    assert drafts(lake) == []


@pytest.mark.parametrize("error", [ValueError("a bug"), KeyboardInterrupt()])
def test_nothing_is_left_of_a_step_that_breaks_down(lake: Lake, session: Session, error: BaseException) -> None:
    with contextlib.suppress(ValueError, KeyboardInterrupt):
        run_step(thing({}, error), "tiny", session)
    assert not lake.has("thing", "tiny")
    assert drafts(lake) == []


def test_quarantine_outlives_the_failure_that_it_explains(lake: Lake, session: Session) -> None:
    with pytest.raises(StepError) as failure:
        run_step(thing({}, StepError("Half of the rows are bad.")), "tiny", session)
    kept = lake.read("quarantine/thing", "tiny")
    assert [file.name for file in kept.files()] == ["poi-part-00000.parquet"]
    assert str(failure.value) == f"Half of the rows are bad. All are in {kept.path}."
    assert not lake.has("thing", "tiny")
    assert drafts(lake) == []


def test_rows_are_those_of_the_main_dataset_not_of_quarantine(lake: Lake, session: Session) -> None:
    def work(region: RegionRun) -> StepResult:
        region.begin("quarantine/thing", evidence=True).write(ROWS)
        return region.finish()

    result = run_step(step_of(work), "tiny", session)
    assert ([version.dataset for version in result.versions], result.rows) == (["quarantine/thing"], None)
    assert run_step(thing({"no_nan": True, "cells_known": True}), "tiny", session).rows == 2


def test_a_failed_step_says_what_it_has_cost(session: Session) -> None:
    with pytest.raises(StepError) as failure:
        run_step(thing({}, StepError("The machine killed it.")), "tiny", session)
    assert failure.value.costs["seconds"] >= 0
    assert failure.value.costs["peak_memory_gib"] > 0.01


def test_outputs_record_the_versions_of_their_inputs(lake: Lake, session: Session) -> None:
    draft = lake.begin("cells", "tiny")
    draft.write(ROWS)
    cells = draft.commit()

    def work(region: RegionRun) -> StepResult:
        assert region.cells().tolist() == [1, 2]
        region.begin("thing").write(ROWS)
        return region.finish()

    assert run_step(step_of(work), "tiny", session).committed
    assert lake.read("thing", "tiny").inputs == {"cells": cells.version}


def test_vectors_of_other_cells_are_refused(lake: Lake, session: Session) -> None:
    draft = lake.begin("line_vectors", "tiny")
    draft.write(CellVectors(np.array([1, 2]), np.zeros((2, 3), np.float32)).to_table())
    draft.commit()

    def work(region: RegionRun) -> Any:
        assert region.vectors("line_vectors", np.array([1, 2])).shape == (2, 3)
        region.vectors("line_vectors", np.array([1, 2, 3]))

    with pytest.raises(UserError, match="was made for other cells"):
        run_step(step_of(work), "tiny", session)


def test_features_made_before_region_yaml_changed_are_refused(lake: Lake, session: Session) -> None:
    region_yaml = session.home / "raw" / "region.yaml"
    modality = "{kind: text, path: flows.csv, columns: {place: from, category: to}, encoder: ENCODER}"
    region_yaml.write_text(region_yaml.read_text() + "modalities:\n  poi: " + modality)
    draft = lake.begin("features/poi", "tiny")
    draft.write(CellVectors(np.array([1, 2]), np.zeros((2, 3), np.float32)).to_table())
    draft.commit({"kind": "text", "encoder": "default"})

    def work(region: RegionRun) -> StepResult:
        assert region.features("poi").cells.tolist() == [1, 2]
        return region.finish()

    region_yaml.write_text(region_yaml.read_text().replace("ENCODER", "default"))
    assert run_step(step_of(work), "tiny", session).committed
    region_yaml.write_text(region_yaml.read_text().replace("default", "BAAI/bge-m3"))
    with pytest.raises(UserError, match=r"modalities\.poi has changed"):
        run_step(step_of(work), "tiny", session)


def test_an_unknown_region_is_named(session: Session) -> None:
    (session.home / "regions.json").unlink()
    with pytest.raises(UserError, match="Region 'tiny' is not known"):
        run_step(thing({}), "tiny", session)
