"""The lake: readers see the old version or the new one, whatever happens to the writers."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.files import replacing
from mora_pipeline.contract.names import checked_region_name
from mora_pipeline.lake import Lake, Version
from mora_pipeline.lake.commits import CURRENT, RECORD, VERSION_NAME

KILLER = Path(__file__).with_name("commit_and_die.py")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def commit(lake: Lake, value: int, dataset: str = "edges") -> Version:
    draft = lake.begin(dataset, "town")
    for part in range(2):
        draft.write(pa.table({"cell": [value] * 5}), f"part-{part:05d}.parquet")
    return draft.commit({"value": value})


def values(version: Version) -> list[int]:
    return version.table()["cell"].to_pylist()


def test_what_was_committed_is_read_back(lake: Lake) -> None:
    cells = commit(lake, 7, "cells")
    draft = lake.begin("features/poi", "town", {"cells": cells})
    draft.write(pa.table({"cell": [1, 2], "vector": [[0.5], [1.5]]}))
    draft.commit({"encoder": "none"})
    read = lake.read("features/poi", "town")
    assert read.table()["cell"].to_pylist() == [1, 2]
    assert (read.rows, read.inputs, read.details) == (2, {"cells": cells.version}, {"encoder": "none"})
    assert read.schema == {"cell": "int64", "vector": "list<element: double>"}


def test_a_draft_is_not_read_before_it_is_committed(lake: Lake) -> None:
    commit(lake, 1)
    lake.begin("edges", "town").write(pa.table({"cell": [2]}))
    assert values(lake.read("edges", "town")) == [1] * 10


def test_a_discarded_draft_leaves_nothing(lake: Lake) -> None:
    commit(lake, 1)
    before = names(lake)
    draft = lake.begin("edges", "town")
    draft.write(pa.table({"cell": [2]}))
    draft.discard()
    assert names(lake) == before


def test_discarding_after_committing_changes_nothing(lake: Lake) -> None:
    draft = lake.begin("edges", "town")
    draft.write(pa.table({"cell": [2]}))
    draft.commit()
    draft.discard()
    assert values(lake.read("edges", "town")) == [2]


def test_the_last_three_versions_are_kept(lake: Lake) -> None:
    committed = [commit(lake, value) for value in range(5)]
    assert [version.version for version in lake.versions("edges", "town")] == [v.version for v in committed[2:]]
    assert [values(version)[0] for version in lake.versions("edges", "town")] == [2, 3, 4]


def test_going_back_and_forward(lake: Lake) -> None:
    first, second = commit(lake, 1), commit(lake, 2)
    lake.restore("edges", "town", first.version)
    assert values(lake.read("edges", "town")) == [1] * 10
    lake.restore("edges", "town", second.version)
    assert values(lake.read("edges", "town")) == [2] * 10


def test_the_version_that_readers_see_is_never_dropped(lake: Lake) -> None:
    """It was restored, so newer ones exist; committing more must not take it away before readers move on."""
    first = commit(lake, 0)
    for value in (1, 2):
        commit(lake, value)
    slow = lake.begin("edges", "town")
    slow.write(pa.table({"cell": [50]}))
    for value in (3, 4, 5):
        commit(lake, value)
    slow.commit()
    assert values(lake.read("edges", "town")) == [50]
    with pytest.raises(UserError, match="has no version"):
        lake.restore("edges", "town", first.version)


def test_restoring_an_unknown_version_names_the_kept_ones(lake: Lake) -> None:
    kept = commit(lake, 1)
    with pytest.raises(UserError, match=kept.version):
        lake.restore("edges", "town", "../../etc")


def test_reading_what_was_never_made_says_how_to_make_it(lake: Lake) -> None:
    with pytest.raises(UserError, match="mora materialize town"):
        lake.read("edges", "town")


def test_a_corrupted_file_is_one_clear_message(lake: Lake) -> None:
    version = commit(lake, 1)
    file = version.files()[1]
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(UserError, match=rf"{file.name} cannot be read as Parquet.*Materialise its asset again"):
        version.table()


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", "null"])
def test_a_damaged_record_is_one_clear_message_and_does_not_hinder_the_next_version(lake: Lake, content: str) -> None:
    commit(lake, 1)
    (lake.folder("edges", "town") / CURRENT).write_text(content)
    with pytest.raises(UserError, match=r"current.json is damaged"):
        lake.read("edges", "town")
    assert values(commit(lake, 2)) == [2] * 10
    assert len(lake.versions("edges", "town")) == 2


def test_a_cut_off_part_is_not_committed(lake: Lake) -> None:
    """Such as a Spark child leaves when it is killed while it writes."""
    commit(lake, 1)
    draft = lake.begin("edges", "town")
    draft.write(pa.table({"cell": [2]}))
    whole = (draft.path / "part-00000.parquet").read_bytes()
    (draft.path / "part-00001.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="Nothing was committed"):
        draft.commit()
    assert values(lake.read("edges", "town")) == [1] * 10


def test_a_job_may_replace_the_drafts_folder(lake: Lake) -> None:
    """Spark's overwrite mode deletes the folder first; the draft must stay its process's all the same."""
    draft = lake.begin("edges", "town")
    draft.path.rmdir()
    draft.path.mkdir()
    lake.begin("edges", "town").discard()
    draft.write(pa.table({"cell": [3]}))
    assert values(draft.commit()) == [3]


def test_a_process_killed_at_any_step_leaves_the_old_version_or_the_new(lake: Lake, tmp_path: Path) -> None:
    for value in (1, 2, 3):
        commit(lake, value)
    copies = tmp_path / "copies"
    subprocess.run([sys.executable, str(KILLER), str(lake.root), str(copies)], check=True, timeout=120)
    left = [Lake(path) for path in sorted(copies.iterdir())]
    seen = [values(each.read("edges", "town")) for each in left]
    assert len(left) > 25, "fewer steps than committing has"
    assert all(found in ([3] * 10, [99] * 10) for found in seen)
    assert seen == sorted(seen), "a later step must not take the new version back"
    assert seen[0] == [3] * 10
    assert seen[-1] == [99] * 10
    for each in left:
        kept = [values(version) for version in each.versions("edges", "town")]
        assert all(len(set(found)) == 1 and len(found) == 10 for found in kept), "half a version is listed"
        for version in each.versions("edges", "town"):
            each.restore("edges", "town", version.version)
        assert values(commit(each, 100)) == [100] * 10
        assert len(each.versions("edges", "town")) == 3
        assert_tidy(each)


def test_a_version_that_was_seen_stays_kept_though_its_process_died_before_recording_it(lake: Lake) -> None:
    seen = commit(lake, 1)
    (seen.path / RECORD).unlink()
    commit(lake, 2)
    assert [values(version)[0] for version in lake.versions("edges", "town")] == [1, 2]


def test_a_living_process_keeps_its_draft(lake: Lake) -> None:
    draft = lake.begin("edges", "town")
    command = [sys.executable, "-c", PUBLISH_OFTEN, str(lake.root), "100"]
    subprocess.run(command, check=True, timeout=60)
    draft.write(pa.table({"cell": [8]}))
    assert values(draft.commit()) == [8]


PUBLISH_OFTEN = """
import sys
from pathlib import Path
import pyarrow as pa
from mora_pipeline.lake import Lake

for value in range(int(sys.argv[2]), int(sys.argv[2]) + 15):
    draft = Lake(Path(sys.argv[1])).begin("edges", "town")
    for part in range(2):
        draft.write(pa.table({"cell": [value] * 5}), f"part-{part:05d}.parquet")
    draft.commit({"value": value})
"""


def test_several_writers_at_once_always_leave_a_whole_version_to_read(lake: Lake) -> None:
    commit(lake, 0)
    command = [sys.executable, "-c", PUBLISH_OFTEN, str(lake.root)]
    writers = [subprocess.Popen([*command, str(start)]) for start in (100, 200, 300)]
    reads, deadline = 0, time.monotonic() + 90
    while any(writer.poll() is None for writer in writers) and time.monotonic() < deadline:
        version = lake.read("edges", "town")
        recorded = version.details["value"]
        try:
            assert values(version) == [recorded] * 10
        except UserError:
            assert version.version not in {kept.version for kept in lake.versions("edges", "town")}
        reads += 1
    assert [writer.wait(timeout=30) for writer in writers] == [0, 0, 0]
    assert reads > 10
    final = lake.read("edges", "town")
    assert values(final) == [final.details["value"]] * 10
    assert len(lake.versions("edges", "town")) in (3, 4)  # 4: the current one was begun before three others
    lake.begin("edges", "town").discard()
    assert_tidy(lake)


@given(st.text(max_size=80) | st.from_regex(r"[a-z./_0-9]{1,20}", fullmatch=True))
def test_no_name_leads_out_of_the_lake(name: str) -> None:
    root = Path("/lake")
    for dataset, region in ((name, "town"), ("edges", name)):
        try:
            folder = Lake(root).folder(dataset, region)
        except (UserError, ValueError):
            continue
        inside = folder.resolve().relative_to(root).parts
        assert len(inside) in (2, 3)
        assert inside[-1] == f"region={region}"


@pytest.mark.parametrize("name", ["../x", "", "A", "1a", "a-b", "a/b", "a\n", "a" * 64, ".", "ünit", "a b"])
def test_a_name_that_is_no_folder_name_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="cannot name a region"):
        checked_region_name(name)


def names(lake: Lake) -> set[str]:
    return {str(path.relative_to(lake.root)) for path in lake.root.rglob("*")}


def assert_tidy(lake: Lake) -> None:
    """There is nothing but versions, their files, the record of the current one, and the lock."""
    folder = lake.folder("edges", "town")
    for path in folder.iterdir():
        assert path.name in (CURRENT, ".lock") or VERSION_NAME.fullmatch(path.name), path
    for path in folder.glob("*/*"):
        assert path.name == RECORD or path.suffix == ".parquet" or path.name.startswith("_"), path
    assert json.loads((folder / CURRENT).read_text())["version"]


def test_a_version_that_lost_a_file_is_not_read_as_if_it_were_whole(lake: Lake) -> None:
    committed = commit(lake, 1)
    committed.files()[0].unlink()
    found = lake.read("edges", "town")
    for read in (found.table, lambda: list(found.batches())):
        with pytest.raises(UserError, match=f"{found.path} holds 5 rows, but 10 were committed.*Materialise `edges`"):
            read()


def test_a_file_that_goes_after_it_was_listed_is_missed(lake: Lake) -> None:
    found = commit(lake, 1)
    assert len(list(found.batches())) == 2
    found.files()[1].unlink()
    with pytest.raises(UserError, match=r"part-00001.parquet is gone.*Run it again"):
        list(found.batches())


def test_a_writer_that_fails_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    target = tmp_path / "state"
    target.write_text("old")

    def write_half() -> None:
        with replacing(target) as partial:
            partial.write_text("half")
            raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError, match="full"):
        write_half()
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("state", "old")]
