"""Nights that add, correct and drop files end with the edges of a rebuild, to the byte, and read only what changed."""

import fcntl
import os
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import SparkSession

from spark_jobs import grid_mobility
from spark_jobs.errors import InputError
from spark_jobs.incremental import LEAVES_PER_BRANCH, grow
from spark_jobs.kernels import ENDS
from spark_jobs.output import part_files

OUTPUTS = ("edges", "self_flow", "quarantine")
FIRST = date(2024, 1, 1)


class Raw:
    """A folder of trips, a file a day."""

    def __init__(self, folder: Path, form: str = "parquet") -> None:
        self.folder, self.form = folder, form
        folder.mkdir()

    def file(self, day: int) -> Path:
        return self.folder / f"trips_{FIRST + timedelta(days=day)}.{self.form}"

    def write(self, day: int, seed: int, rows: int = 60) -> None:
        random = np.random.default_rng(seed)
        trips = pd.DataFrame(random.uniform(40.0, 40.3, (rows, 4)), columns=list(ENDS))
        trips = trips.assign(count=random.lognormal(size=rows), user=random.integers(0, 5, rows))
        trips.loc[0, "origin_latitude"] = 95.0
        if self.form == "csv":
            trips.to_csv(self.file(day), index=False)
        else:
            trips.to_parquet(self.file(day))

    def params(self, **change: Any) -> dict[str, Any]:
        files = sorted(map(str, self.folder.iterdir()))
        columns = {name: name for name in (*ENDS, "count", "user")}
        dates = {file: Path(file).stem.removeprefix("trips_") for file in files}
        source = {"files": files, "format": self.form, "columns": columns}
        return {"kind": "trips", "source": source, "dates": dates, "resolution": 6, "maximum_bad_share": 0.1, **change}


def run(spark: SparkSession, params: dict[str, Any], target: Path, kept: Path) -> tuple[Any, dict[str, list[bytes]]]:
    output = {name: str(target / name) for name in OUTPUTS}
    outcome = grid_mobility.run(spark, {**params, "kept": str(kept), "output": output})
    return outcome, {name: [Path(file).read_bytes() for file in part_files(output[name])] for name in OUTPUTS}


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_every_night_gives_what_a_rebuild_gives(spark: SparkSession, tmp_path: Path, form: str) -> None:
    raw, kept = Raw(tmp_path / "raw", form), tmp_path / "kept"
    for day in range(0, 75, 3):  # eleven weeks in three branches
        raw.write(day, day)

    def night(number: int, **change: Any) -> int:
        outcome, found = run(spark, raw.params(**change), tmp_path / f"night_{number}", kept)
        again, expected = run(spark, raw.params(**change), tmp_path / f"rebuild_{number}", tmp_path / f"new_{number}")
        assert found == expected
        assert outcome.read == again.read == 60 * len(list(raw.folder.iterdir()))
        assert outcome.quarantined == again.quarantined == {"latitude beyond ±90": outcome.read // 60}
        assert {folder.name for folder in kept.iterdir()} == {f.name for f in (tmp_path / f"new_{number}").iterdir()}
        return int(outcome.metadata["nodes_made"])

    nights = [night(0)]
    assert night(1) == 0  # nothing is new
    raw.write(76, 76)
    nights.append(night(2))  # a new day
    raw.write(40, 40)
    nights.append(night(3))  # a late one
    raw.write(30, 1000)
    nights.append(night(4))  # a corrected one
    raw.file(0).unlink()
    nights.append(night(5))  # one that left the window
    assert nights[0] >= 11
    assert all(1 <= made <= 2 for made in nights[1:])
    assert night(6, minimum_users=2) == 0  # what is published is decided at the end


def test_the_tree_of_a_year_changes_along_one_path(tmp_path: Path) -> None:
    raw = Raw(tmp_path / "raw")
    for day in range(54 * 7):
        raw.file(day).write_bytes(b"x")
    params = raw.params()

    def keys() -> set[str]:
        return {node.key for branch in grow(params, params["dates"], 8) for node in branch.all()}

    before = keys()
    weeks, branches = 55, 8  # the first day may lie within a week
    assert weeks - 1 + branches - 1 <= len(before) <= weeks + branches
    os.utime(raw.file(200), ns=(1, 1))
    assert len(keys() - before) == len(before - keys()) == 2
    assert LEAVES_PER_BRANCH == 8
    assert not before & {n.key for b in grow(raw.params(resolution=7), params["dates"], 8) for n in b.all()}
    assert not before & {n.key for b in grow(params, params["dates"], 16) for n in b.all()}


def test_what_a_killed_run_left_is_made_again(spark: SparkSession, tmp_path: Path) -> None:
    raw, kept = Raw(tmp_path / "raw"), tmp_path / "kept"
    raw.write(0, 0)
    draft = kept / f"draft-{'0' * 32}-{'1' * 8}"
    draft.mkdir(parents=True)
    (draft / "part-00000.parquet").write_bytes(b"half")
    _, found = run(spark, raw.params(), tmp_path / "first", kept)
    assert not draft.exists()
    (node,) = (folder for folder in kept.iterdir() if folder.is_dir())
    next(node.glob("part-*.parquet")).unlink()  # somebody tidied up
    outcome, again = run(spark, raw.params(), tmp_path / "second", kept)
    assert outcome.metadata["nodes_made"] == 1
    assert again == found


def test_two_runs_do_not_share_a_tree(spark: SparkSession, tmp_path: Path) -> None:
    raw, kept = Raw(tmp_path / "raw"), tmp_path / "kept"
    raw.write(0, 0)
    kept.mkdir()
    with (kept / "lock").open("a") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="Another run is at work"):
            run(spark, raw.params(), tmp_path / "first", kept)


def test_users_may_be_numbers_in_one_week_and_texts_in_another(spark: SparkSession, tmp_path: Path) -> None:
    raw = Raw(tmp_path / "raw")
    raw.write(0, 0)
    raw.write(10, 0)
    texts = pd.read_parquet(raw.file(10)).astype({"user": str})
    texts.to_parquet(raw.file(10))
    outcome, _ = run(spark, raw.params(), tmp_path / "out", tmp_path / "kept")
    edges = pd.concat(pd.read_parquet(file) for file in part_files(str(tmp_path / "out" / "edges")))
    assert outcome.read == 120
    assert edges["users"].max() <= 5  # the same users on both days


def test_bad_rows_of_kept_weeks_count(spark: SparkSession, tmp_path: Path) -> None:
    raw, kept = Raw(tmp_path / "raw"), tmp_path / "kept"
    for day in (0, 10):
        raw.write(day, day)
    for target in ("first", "second"):  # the second time all is kept
        with pytest.raises(
            InputError, match=r"2 of 120 rows \(1\.67%\) are bad.*For example .* \(latitude beyond ±90\)"
        ):
            run(spark, raw.params(maximum_bad_share=0.01), tmp_path / target, kept)


def test_events_have_no_window(spark: SparkSession, tmp_path: Path) -> None:
    file = tmp_path / "e.csv"
    file.write_text("user,time,latitude,longitude\nann,1700000000,1,1\n")
    source = {
        "files": [str(file)],
        "format": "csv",
        "columns": {n: n for n in ("user", "time", "latitude", "longitude")},
    }
    params = {"kind": "events", "source": source, "dates": {str(file): "2024-01-01"}, "resolution": 6}
    with pytest.raises(InputError, match="moves of events reach from file to file"):
        run(spark, params, tmp_path / "out", tmp_path / "kept")
