"""Steps that have made the same already: what makes one start again, and what does not."""

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pydantic import BaseModel

from mora_pipeline.evaluation.labels.files import label_digests
from mora_pipeline.lake import Lake
from mora_pipeline.steps import Session, StepResult, memoised, run_step
from mora_pipeline.steps.facts import Surroundings
from mora_pipeline.steps.interface import RegionRun, Step
from mora_pipeline.steps.memo import read_memo
from mora_pipeline.steps.results import Check, Markdown, Picture

TASK = """
tasks:
  jobs: {level: cell, path: labels.csv, column: jobs, place: id}
"""


class Settings(BaseModel):
    size: int = 1


def rows(*cells: int) -> pa.Table:
    return pa.table({"cell": pa.array(cells, pa.int64())})


class Work:
    """A step that counts how often it is at work."""

    def __init__(self, body: Callable[[RegionRun], Any], name: str = "thing", **declared: Any) -> None:
        self.times, self.body = 0, body
        declared = {"code_version": "1", "settings": Settings, **declared}
        self.step = Step(name, self._run, "A thing.", (), "test", frozenset(), **declared)

    def _run(self, region: RegionRun, *_: object) -> StepResult:
        self.times += 1
        result = self.body(region)
        return result if isinstance(result, StepResult) else region.finish()


def writes(dataset: str, *cells: int) -> Callable[[RegionRun], None]:
    return lambda region: region.begin(dataset).write(rows(*cells))


@pytest.fixture(autouse=True)
def old_files(session: Session) -> Path:
    """The raw files of the region, which were there long before any step began."""
    time.sleep(0.02)
    return session.home / "raw"


def made(work: Work, session: Session, settings: BaseModel | None = None) -> bool:
    """Run the step; whether it was at work."""
    before = work.times
    result = run_step(work.step, "tiny", session, settings)
    assert result.committed
    assert (result.unchanged is None) == (work.times > before)
    return work.times > before


def test_what_has_not_changed_is_made_once(session: Session, lake: Lake) -> None:
    work = Work(writes("thing", 1, 2))
    first = run_step(work.step, "tiny", session)
    again = run_step(work.step, "tiny", session)
    assert work.times == 1
    assert str(again.unchanged).startswith("Unchanged since ")
    assert (again.data_version, again.rows) == (first.data_version, 2)
    assert [version.version for version in again.versions] == [lake.read("thing", "tiny").version]


def test_force_makes_it_anew(session: Session, lake: Lake) -> None:
    work = Work(writes("thing", 1))
    assert made(work, session)
    before = lake.read("thing", "tiny").version
    assert made(work, replace(session, force=True))
    assert lake.read("thing", "tiny").version != before


def test_other_settings_code_or_libraries_make_it_anew(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    work = Work(writes("thing", 1))
    assert made(work, session)
    assert made(work, session, Settings(size=2))
    assert made(work, session)
    work.step = replace(work.step, code_version="2")
    assert made(work, session)
    assert not made(work, session)
    monkeypatch.setattr(memoised, "own_facts", lambda *_: {"library torch": "9.9"})
    assert made(work, session)


def test_a_step_without_a_code_version_is_made_by_every_run(session: Session) -> None:
    work = Work(writes("thing", 1), code_version=None)
    assert made(work, session)
    assert made(work, session)


def test_checks_and_what_people_see_are_told_again(session: Session) -> None:
    def body(region: RegionRun) -> StepResult:
        shown = {"text": Markdown("**x**"), "map": Picture(b"png", "map"), "page": Path("/p"), "n": 3}
        return region.finish([Check("no_nan", True, {"rows": 2})], shown)

    work = Work(body, checks=("no_nan",))
    assert made(work, session)
    again = run_step(work.step, "tiny", session)
    assert [(check.name, check.passed, dict(check.figures)) for check in again.checks] == [
        ("no_nan", True, {"rows": 2})
    ]
    told = again.metadata
    assert (told["text"], told["map"]) == (Markdown("**x**"), Picture(b"png", "map"))
    assert (told["page"], told["n"]) == (Path("/p"), 3)
    assert told["seconds"] >= 0
    assert "unchanged" in told


def test_a_failed_check_is_not_remembered(session: Session) -> None:
    work = Work(lambda region: region.finish([Check("no_nan", False)]), checks=("no_nan",))
    for times in (1, 2):
        assert not run_step(work.step, "tiny", session).committed
        assert work.times == times


def test_a_step_that_was_skipped_stays_so(session: Session) -> None:
    work = Work(lambda region: region.skip("no mobility"), checks=("no_nan",))
    assert made(work, session)
    assert not made(work, session)


def test_a_new_version_of_an_input_counts_even_if_the_input_was_missing(session: Session) -> None:
    source = Work(writes("source", 1), "source")
    reader = Work(lambda region: (region.read_if_made("source"), writes("thing", 9)(region)))
    assert made(reader, session)
    assert not made(reader, session)
    assert made(source, session)
    assert made(reader, session)
    assert not made(reader, session)
    source.body = writes("source", 1, 2)
    assert made(source, replace(session, force=True))
    assert made(reader, session)


def test_an_input_that_is_made_again_alike_keeps_its_version_and_all_that_follows(session: Session, lake: Lake) -> None:
    raw = session.home / "raw" / "flows.csv"
    source = Work(lambda region: (region.config.files("flows.csv"), writes("source", 1)(region)), "source")
    reader = Work(lambda region: (region.read("source"), writes("thing", 9)(region)))
    assert made(source, session)
    assert made(reader, session)
    before = lake.read("source", "tiny").version
    os.utime(raw)
    time.sleep(0.02)
    assert made(source, session)
    assert lake.read("source", "tiny").version == before
    assert not made(reader, session)
    assert not made(source, session)


def test_alike_means_all_outputs_inputs_and_what_the_record_says(session: Session, lake: Lake) -> None:
    seed = iter(range(9))
    told: dict[str, Any] = {"mlflow_run": "a", "kind": "x"}

    def body(region: RegionRun) -> StepResult:
        region.begin("other").write(rows(next(seed) // 2))
        region.begin("thing").write(rows(1))
        return region.finish(details=told)

    work = Work(body)

    def version(times: int) -> str:
        for number in range(times):
            made(work, session, Settings(size=100 + number * 7 + len(versions)))
        return lake.read("thing", "tiny").version

    versions: list[str] = []
    versions.append(version(1))
    told["mlflow_run"] = "b"
    versions.append(version(1))  # the same rows in both, by another run
    versions.append(version(1))  # other rows in one of the two
    told["kind"] = "y"
    versions.append(version(1))
    assert versions[0] == versions[1]
    assert len(set(versions)) == 3


def test_parts_of_region_yaml_that_are_not_read_do_not_count(session: Session) -> None:
    region_yaml = session.home / "raw" / "region.yaml"
    (session.home / "raw" / "labels.csv").write_text("id,jobs\na,1\nb,2\n")
    mobility = Work(lambda region: (region.config.mobility, region.config.resolution), "mobility")
    tasks = Work(lambda region: list(region.config.tasks), "tasks")
    assert made(mobility, session)
    assert made(tasks, session)
    region_yaml.write_text("# a comment\n" + region_yaml.read_text())
    assert not made(mobility, session)
    assert not made(tasks, session)
    region_yaml.write_text(region_yaml.read_text() + TASK)
    assert not made(mobility, session)
    assert made(tasks, session)
    region_yaml.write_text(region_yaml.read_text().replace("resolution: 8", "resolution: 7"))
    assert made(mobility, session)
    assert not made(tasks, session)


def test_modalities_of_another_kind_do_not_count(session: Session) -> None:
    region_yaml = session.home / "raw" / "region.yaml"
    text, images = (Work(lambda region, kind=kind: region.modalities(kind), kind) for kind in ("text", "image"))
    assert made(text, session)
    assert made(images, session)
    added = "modalities:\n  poi: {kind: text, path: flows.csv, columns: {place: from, category: to}}\n"
    region_yaml.write_text(region_yaml.read_text() + added)
    assert made(text, session)
    assert not made(images, session)


@pytest.mark.parametrize(
    "look",
    [
        lambda region: region.config.files("flows.csv"),
        lambda region: (region.config.base, region.config.mobility),
        lambda region: region.config.base_of(region.config.mobility),
    ],
)
def test_raw_files_that_are_opened_count_by_name_size_and_time(session: Session, old_files: Path, look: Any) -> None:
    work, raw = Work(look), old_files / "flows.csv"
    assert made(work, session)
    assert not made(work, session)
    raw.write_text(raw.read_text() + "b,a,1\n")
    time.sleep(0.02)
    assert made(work, session)
    os.utime(raw, ns=(1, 1))
    time.sleep(0.02)
    assert made(work, session)
    assert not made(work, session)
    (old_files / "elsewhere.csv").write_text("from,to,trips\n")
    assert not made(work, session)


def test_a_raw_file_that_changes_while_it_is_read_is_read_again(session: Session, old_files: Path) -> None:
    def body(region: RegionRun) -> None:
        region.config.files("flows.csv")
        if work.times == 1:
            (old_files / "flows.csv").write_text("from,to,trips\na,b,4\n")

    work = Work(body)
    assert made(work, session)
    time.sleep(0.02)
    assert made(work, session)
    assert not made(work, session)


def test_labels_count_for_who_reads_them(session: Session, old_files: Path) -> None:
    (old_files / "labels.csv").write_text("id,jobs\na,1\nb,2\n")
    (old_files / "region.yaml").write_text((old_files / "region.yaml").read_text() + TASK)
    time.sleep(0.02)
    work = Work(lambda region: label_digests(region.config))
    assert made(work, session)
    assert not made(work, session)
    (old_files / "labels.csv").write_text("id,jobs\na,1\nb,3\n")
    assert made(work, session)


def test_another_regions_settings_and_datasets_count(session: Session, lake: Lake) -> None:
    from mora_pipeline.lake.registry import Registry

    other = session.home / "other"
    other.mkdir()
    for name in ("places.csv", "flows.csv"):
        (other / name).write_text((session.home / "raw" / name).read_text())
    text = (session.home / "raw" / "region.yaml").read_text()
    (other / "region.yaml").write_text(text.replace("tiny", "west"))
    Registry(session.home).add(other / "region.yaml")
    work = Work(lambda region: (region.other("west").read_if_made("cells"), region.other("west").config.resolution))
    assert made(work, session)
    assert not made(work, session)
    draft = lake.begin("cells", "west")
    draft.write(rows(1))
    draft.commit()
    assert made(work, session)
    (other / "region.yaml").write_text(text.replace("tiny", "west").replace("resolution: 8", "resolution: 9"))
    assert made(work, session)


@pytest.mark.parametrize("damage", ["gone", "shorter", "restored", "dropped"])
def test_what_is_not_whole_or_not_what_readers_see_is_made_anew(session: Session, lake: Lake, damage: str) -> None:
    work = Work(writes("thing", 1, 2))
    assert made(work, session)
    first = lake.read("thing", "tiny")
    assert made(work, replace(session, force=True))
    current = lake.read("thing", "tiny")
    if damage == "gone":
        current.files()[0].unlink()
    elif damage == "shorter":
        current.files()[0].write_bytes(b"PAR1")
    elif damage == "restored":
        lake.restore("thing", "tiny", first.version)
    else:
        (lake.folder("thing", "tiny") / "current.json").unlink()
    assert made(work, session)
    assert lake.read("thing", "tiny").table().num_rows == 2
    assert not made(work, session)


def test_a_step_killed_between_its_work_and_its_memo_is_made_again(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    work = Work(writes("thing", 1))
    with monkeypatch.context() as patch:
        patch.setattr(memoised, "write_memo", die)
        with pytest.raises(KeyboardInterrupt):
            run_step(work.step, "tiny", session)
    assert made(work, session)
    assert not made(work, session)


def test_a_damaged_memo_is_none(session: Session) -> None:
    work = Work(writes("thing", 1))
    assert made(work, session)
    file = session.home / "lake" / "memo" / "region=tiny" / "thing.json"
    for text in ("", "[]", "{}", file.read_text()[:-20], file.read_text().replace('"format": 1', '"format": 99')):
        file.write_text(text)
        assert read_memo(session.home, "tiny", "thing") is None
    assert made(work, session)


def test_what_a_step_asks_counts_by_its_answer(session: Session) -> None:
    region_yaml = session.home / "raw" / "region.yaml"
    (session.home / "raw" / "labels.csv").write_text("id,jobs\na,1\nb,2\n")

    def many_tasks(region: RegionRun) -> bool:
        with region.answering():
            return len(region.config.tasks) > 1

    def body(region: RegionRun) -> None:
        region.answer = many_tasks(region)

    work = Work(body, answers_alike=lambda region, answer: many_tasks(region) == answer)
    now = lambda: Surroundings(session.home)  # noqa: E731
    assert made(work, session)
    region_yaml.write_text(region_yaml.read_text() + TASK)
    found = memoised.judged(work.step, "tiny", session, Settings(), now())
    assert (found.unchanged, found.asks, found.reason) == (False, True, "changed: tasks of region.yaml")
    assert not made(work, session)
    assert memoised.judged(work.step, "tiny", session, Settings(), now()).unchanged
    region_yaml.write_text(region_yaml.read_text() + TASK.replace("tasks:\n", "").replace("jobs:", "work:"))
    assert made(work, session)


def test_the_reason_names_what_has_changed(session: Session) -> None:
    work = Work(lambda region: (region.config.mobility, region.config.tasks))
    assert memoised.judged(work.step, "tiny", session, Settings(), Surroundings(session.home)).reason == (
        "not made yet, or nothing is remembered of how"
    )
    assert made(work, session)
    found = memoised.judged(work.step, "tiny", session, Settings(size=5), Surroundings(session.home))
    assert found.reason == "changed: settings"


def test_what_a_step_published_is_no_input_of_itself(session: Session) -> None:
    def body(region: RegionRun) -> None:
        region.read_if_made("thing")
        region.begin("thing").write(rows(1))

    work = Work(body)
    assert made(work, session)
    assert not made(work, session)
