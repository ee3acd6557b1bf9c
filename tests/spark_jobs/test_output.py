"""Files that tasks write: whole or not there, however often and however badly the task runs."""

import errno
from pathlib import Path

import pytest

from mora_pipeline.contract.errors import UserError
from spark_jobs.output import WORKING, in_one_step, written_by_tasks


@pytest.fixture(autouse=True)
def working(tmp_path: Path) -> Path:
    """What the job has made before its tasks begin."""
    folder = tmp_path / WORKING
    folder.mkdir()
    return folder


def test_a_job_that_fails_leaves_none_of_its_tasks_files(tmp_path: Path) -> None:
    """Else the job could not be run again into the same folder."""

    def fail() -> None:
        with written_by_tasks(tmp_path):
            with in_one_step(tmp_path / "part-00000.parquet") as draft:
                draft.write_text("whole")
            raise UserError("one of the others failed")

    with pytest.raises(UserError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_a_copy_of_a_task_that_ends_after_the_job_changes_nothing(tmp_path: Path) -> None:
    target = tmp_path / "part-00000.parquet"
    with written_by_tasks(tmp_path), in_one_step(target) as draft:
        draft.write_text("whole")

    def come_late() -> None:
        with in_one_step(target) as late:
            late.write_text("late")

    with pytest.raises(FileNotFoundError):
        come_late()
    assert target.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [target]


def test_a_task_that_breaks_down_leaves_no_file_and_its_repetition_a_whole_one(tmp_path: Path) -> None:
    target = tmp_path / "part-00000.parquet"

    def break_down() -> None:
        with in_one_step(target) as draft:
            draft.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        break_down()
    assert [path.name for path in tmp_path.iterdir()] == [WORKING]
    assert list((tmp_path / WORKING).iterdir()) == []
    with in_one_step(target) as draft:
        draft.write_text("whole")
        assert not target.exists()
    assert target.read_text() == "whole"


def test_two_copies_of_a_task_do_not_write_into_one_file(tmp_path: Path) -> None:
    target = tmp_path / "part-00000.parquet"
    with in_one_step(target) as slow:
        slow.write_text("wh")
        with in_one_step(target) as fast:
            fast.write_text("whole")
        assert target.read_text() == "whole"
        slow.write_text("whole")
    assert target.read_text() == "whole"
    assert list((tmp_path / WORKING).iterdir()) == []


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(UserError, match=f"The disk of {tmp_path} is full.*MORA_HOME"),
        in_one_step(tmp_path / "part-00000.parquet"),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")
