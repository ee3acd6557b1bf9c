"""Nights that add, correct and drop files end with the edges of a rebuild, to the byte, and read only what changed."""

import fcntl
import json
import os
import subprocess
import sys
import time
import zipfile
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as draw
from pyspark.errors import PythonException
from pyspark.sql import SparkSession

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.rule_sets import ENDS
from mora_pipeline.raw.tallies import GOOD, Count, Tally
from spark_jobs import grid_mobility
from spark_jobs.errors import as_user_error
from spark_jobs.mobility import batches, sums_cache
from spark_jobs.mobility.daily_sums import FIRST_SLOT_DAY, Days, read_slots, write_slots
from spark_jobs.mobility.incremental import change_from, smallest_change, window_of
from spark_jobs.mobility.sums_cache import CachedFile, Total
from spark_jobs.mobility.window import steady
from spark_jobs.output import part_files
from spark_jobs.session import code_archive

pytestmark = pytest.mark.usefixtures("mora_home")  # the quarantine names users by the key of a home
OUTPUTS = ("edges", "self_flow", "rhythm", "quarantine")
FIRST = date(2024, 1, 1)


class Raw:
    """A folder of trips, a file a day."""

    def __init__(self, folder: Path, form: str = "parquet") -> None:
        self.folder, self.form = folder, form
        folder.mkdir()

    def file(self, day: int) -> Path:
        return self.folder / f"trips_{FIRST + timedelta(days=day)}.{self.form}"

    def write(self, day: int, seed: int, rows: int = 60, days: tuple[int, ...] = ()) -> None:
        """Trips of a file; `days` are those that their times tell, beside the file's own."""
        random = np.random.default_rng(seed)
        trips = pd.DataFrame(random.uniform(40.0, 40.3, (rows, 4)), columns=list(ENDS))
        trips = trips.assign(count=random.lognormal(size=rows), user=random.integers(0, 5, rows))
        told = random.choice([day, *days], rows)
        seconds = random.integers(0, 86_400, rows)
        trips["time"] = [
            datetime(2024, 1, 1) + timedelta(days=int(d), seconds=int(s)) for d, s in zip(told, seconds, strict=True)
        ]
        trips["time"] = trips["time"].astype("datetime64[us]")
        trips.loc[0, "origin_latitude"] = 95.0
        self.store(day, trips)

    def store(self, day: int, trips: pd.DataFrame) -> None:
        if self.form == "csv":
            trips.to_csv(self.file(day), index=False)
        else:
            trips.to_parquet(self.file(day))

    def read(self, day: int) -> pd.DataFrame:
        if self.form == "csv":
            return pd.read_csv(self.file(day), parse_dates=["time"], float_precision="round_trip")
        return pd.read_parquet(self.file(day))

    def params(self, **change: Any) -> dict[str, Any]:
        files = sorted(map(str, self.folder.iterdir()))
        columns = {name: name for name in (*ENDS, "count", "user", "time")}
        dates = {file: Path(file).stem.removeprefix("trips_") for file in files}
        source = {"files": files, "format": self.form, "columns": columns}
        return {"kind": "trips", "source": source, "dates": dates, "resolution": 6, "maximum_bad_share": 0.1, **change}


def run(
    spark: SparkSession, params: dict[str, Any], target: Path, kept: Path | None
) -> tuple[Any, dict[str, list[bytes]]]:
    output = {name: str(target / name) for name in OUTPUTS}
    outcome = grid_mobility.run(spark, {**params, "kept": str(kept) if kept else None, "output": output})
    return outcome, {name: [Path(file).read_bytes() for file in part_files(output[name])] for name in OUTPUTS}


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_every_night_gives_what_a_rebuild_gives(spark: SparkSession, tmp_path: Path, form: str) -> None:
    raw, kept = Raw(tmp_path / "raw", form), tmp_path / "kept"
    for day in range(0, 75, 5):
        raw.write(day, day)

    def night(number: int, **change: Any) -> int:
        outcome, found = run(spark, raw.params(**change), tmp_path / f"night_{number}", kept)
        again, expected = run(spark, raw.params(**change), tmp_path / f"rebuild_{number}", tmp_path / f"new_{number}")
        assert found == expected
        assert outcome.read == again.read == 60 * len(list(raw.folder.iterdir()))
        assert outcome.quarantined == again.quarantined == {"latitude beyond ±90": outcome.read // 60}
        return int(outcome.metadata["files_read"])

    assert night(0) == 15
    assert night(1) == 0  # nothing is new
    raw.write(76, 76)
    assert night(2) == 1  # a new day
    raw.write(41, 41)
    assert night(3) == 1  # a late one
    raw.write(30, 1000)
    assert night(4) == 1  # a corrected one
    raw.file(0).unlink()
    assert night(5) == 0  # one that left the window
    assert night(6, minimum_users=2) == 0  # what is published is decided at the end
    assert len(list(kept.glob("total-*"))) == 1
    assert len(list(kept.glob("batch-*"))) == 4  # of the first night, and one for each night with a new file


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_rows_count_by_their_own_day(spark: SparkSession, tmp_path: Path, form: str) -> None:
    """The files tell no day, and hold rows of several; a window of two weeks takes the rows of the last 14 days."""
    raw, kept = Raw(tmp_path / "raw", form), tmp_path / "kept"
    for day in (0, 9, 12):
        raw.write(day, day, days=(day - 3, day + 1))
    nights = [(15, ()), (16, (2, 10)), (25, ())]
    for number, (newest, others) in enumerate(nights):
        raw.write(newest, newest, days=others)
        outcome, found = run(spark, raw.params(dates=None, weeks=2), tmp_path / f"night_{number}", kept)
        _, rebuilt = run(spark, raw.params(dates=None, weeks=2), tmp_path / f"again_{number}", tmp_path / f"n{number}")
        assert found == rebuilt
        assert outcome.metadata["files_read"] == (4 if number == 0 else 1)
        inside = Raw(tmp_path / f"inside_{number}", form)
        first = datetime(2024, 1, 1) + timedelta(days=newest - 13)
        for file in sorted(raw.folder.iterdir()):
            day = (date.fromisoformat(file.stem.removeprefix("trips_")) - FIRST).days
            trips = raw.read(day)
            inside.store(day, trips[trips["time"] >= first])
        params = inside.params(maximum_bad_share=1)
        _, expected = run(spark, params, tmp_path / f"plain_{number}", None)
        assert found["edges"] == expected["edges"]
        assert found["self_flow"] == expected["self_flow"]
        assert outcome.metadata["first_day"] >= str(FIRST + timedelta(days=newest - 13))


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_a_clock_that_is_wrong_does_not_empty_the_window(spark: SparkSession, tmp_path: Path, form: str) -> None:
    raw = Raw(tmp_path / "raw", form)
    for day in (0, 1):
        raw.write(day, day)
    trips = raw.read(1)
    trips.loc[5, "time"] = datetime(2111, 1, 1)
    raw.store(1, trips)
    outcome, _ = run(spark, raw.params(dates=None, weeks=2), tmp_path / "out", tmp_path / "kept")
    assert outcome.quarantined == {"latitude beyond ±90": 2, "time after the file was written": 1}
    assert outcome.metadata["last_day"] == "2024-01-02"


def test_a_listing_tells_a_changed_file_whatever_its_time_of_change(spark: SparkSession, tmp_path: Path) -> None:
    """Where rows tell their day, the time of change bounds what they may tell, but no file is read again for it."""
    raw, kept = Raw(tmp_path / "raw"), tmp_path / "kept"
    for day in (0, 1):
        raw.write(day, day)
    listed = dict.fromkeys(raw.params()["source"]["files"], "first")
    _, before = run(spark, raw.params(dates=None, weeks=2, versions=listed), tmp_path / "one", kept)
    os.utime(raw.file(1), (1_800_000_000, 1_800_000_000))
    outcome, after = run(spark, raw.params(dates=None, weeks=2, versions=listed), tmp_path / "two", kept)
    assert outcome.metadata["files_read"] == 0
    assert after == before
    listed[str(raw.file(1))] = "second"
    outcome, _ = run(spark, raw.params(dates=None, weeks=2, versions=listed), tmp_path / "three", kept)
    assert outcome.metadata["files_read"] == 1


def test_sums_outlive_an_edit_of_the_code_and_a_new_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process has the code with a line more in every module, and libraries of another version."""
    raw, edited = Raw(tmp_path / "raw"), tmp_path / "edited"
    raw.write(0, 0)
    keys = sums_cache.keys_of(raw.params())
    with zipfile.ZipFile(code_archive(tmp_path)) as archive:
        archive.extractall(edited)
    for module in edited.rglob("*.py"):
        module.write_text(module.read_text() + "\n# edited\n")
    for library in ("h3ronpy", "numpy", "pyarrow", "pyspark"):
        metadata = edited / f"{library}-99.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {library}\nVersion: 99.0\n")
    code = """
import importlib.metadata, json, sys
import h3ronpy, numpy, pyarrow, pyspark
for library in (h3ronpy, numpy, pyarrow, pyspark):
    library.__version__ = importlib.metadata.version(library.__name__)
from spark_jobs.mobility import sums_cache
print(json.dumps([numpy.__version__, sums_cache.__file__, sums_cache.keys_of(json.load(sys.stdin))]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(raw.params()),
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(edited)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == ["99.0", str(edited / "spark_jobs" / "mobility" / "sums_cache.py"), keys]
    assert sums_cache.keys_of(raw.params(resolution=7)) != keys
    monkeypatch.setattr(sums_cache, "FORMAT", sums_cache.FORMAT + 1)
    assert sums_cache.keys_of(raw.params()) != keys


days_of = draw.tuples(draw.integers(0, 40), draw.integers(0, 40)).map(lambda pair: (min(pair), max(pair)))


@given(draw.dictionaries(draw.sampled_from("abcdef"), days_of, min_size=1), draw.integers(1, 4), draw.integers(1, 4))
def test_a_change_leads_from_any_days_to_those_wanted(spans: dict[str, Days], before: int, weeks: int) -> None:
    """Day by day: what was held, and what comes, less what is taken away, is what the window asks for."""
    files = [CachedFile(key, key, 9, {}, days, "batch", number) for number, (key, days) in enumerate(spans.items())]
    known, newest = {file.key: file for file in files}, max(last for _, last in spans.values())
    wanted = window_of(files, weeks)
    every = [(key, day) for key, (first, last) in spans.items() for day in range(first, last + 1)]
    expected = sorted((key, day) for key, day in every if day > newest - 7 * weeks)
    total = Total("total-1", window_of(files[:-1] or files, before))

    def days(spans_of: Any) -> set[tuple[str, int]]:
        return {(key, day) for key, (first, last) in spans_of for day in range(first, last + 1)}

    for change, held in ((change_from(total, wanted, known), total.held), (smallest_change(wanted, [], known), {})):
        added, taken = (
            days((files[number].key, span) for of_batch in side.values() for number, span in of_batch.items())
            for side in (change.added, change.taken)
        )
        assert not added & days(held.items())
        assert taken <= days(held.items())
        assert sorted((days(held.items()) | added) - taken) == expected == sorted(days(wanted.items()))


def test_a_first_run_that_was_stopped_goes_on_behind_the_last_batch(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw, kept = Raw(tmp_path / "raw"), tmp_path / "kept"
    for day in range(4):
        raw.write(day, day)
    monkeypatch.setattr(batches, "BYTES_PER_BATCH", 2 * raw.file(0).stat().st_size - 500)
    grid, calls = batches.grid, []

    def stopped(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return grid(*arguments)

    monkeypatch.setattr(batches, "grid", stopped)
    with pytest.raises(KeyboardInterrupt):
        run(spark, raw.params(), tmp_path / "stopped", kept)
    outcome, found = run(spark, raw.params(), tmp_path / "again", kept)
    assert outcome.metadata["files_read"] == 2
    assert found == run(spark, raw.params(), tmp_path / "new", tmp_path / "other")[1]


def test_what_a_killed_run_left_is_made_again(spark: SparkSession, tmp_path: Path) -> None:
    raw, kept = Raw(tmp_path / "raw"), tmp_path / "kept"
    raw.write(0, 0)
    draft = kept / f"draft-{'0' * 32}-{'1' * 8}"
    draft.mkdir(parents=True)
    (draft / "part-00000.parquet").write_bytes(b"half")
    _, found = run(spark, raw.params(), tmp_path / "first", kept)
    assert not draft.exists()
    for kind in ("batch", "total"):
        (folder,) = kept.glob(f"{kind}-*")
        next(folder.glob("part-*.parquet")).unlink()  # somebody tidied up
        outcome, again = run(spark, raw.params(), tmp_path / kind, kept)
        assert outcome.metadata["files_read"] == (1 if kind == "batch" else 0)
        assert again == found


def test_kept_sums_that_somebody_changed_are_told(spark: SparkSession, tmp_path: Path) -> None:
    raw, kept = Raw(tmp_path / "raw"), tmp_path / "kept"
    for day in range(3):
        raw.write(day, day)
    run(spark, raw.params(), tmp_path / "first", kept)
    for part in next(kept.glob("total-*")).glob("*.parquet"):
        pq.write_table(pq.read_table(part).slice(0, 1), part)
    raw.file(0).unlink()
    with pytest.raises(PythonException) as caught:
        run(spark, raw.params(), tmp_path / "second", kept)
    told = f"{kept} was changed or is damaged (more is taken away than was added). Delete that folder."
    assert told in str(as_user_error(caught.value))


@pytest.mark.parametrize("kind", ["batch", "total"])
def test_a_damaged_part_of_what_is_kept_is_told(spark: SparkSession, tmp_path: Path, kind: str) -> None:
    raw, kept = Raw(tmp_path / "raw"), tmp_path / "kept"
    for day in range(3):
        raw.write(day, day)
    run(spark, raw.params(), tmp_path / "first", kept)
    for part in next(kept.glob(f"{kind}-*")).glob("*.parquet"):
        part.write_bytes(part.read_bytes()[:-30])
    raw.file(0).unlink()
    with pytest.raises((PythonException, UserError)) as caught:
        run(spark, raw.params(), tmp_path / "second", kept)
    assert f"{kept}" in str(as_user_error(caught.value))


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_settings_that_change_make_everything_anew_and_weeks_do_not(
    spark: SparkSession, tmp_path: Path, form: str
) -> None:
    raw, kept = Raw(tmp_path / "raw", form), tmp_path / "kept"
    for day in (0, 8, 16):
        raw.write(day, day)
    changes = [({}, 3), ({"weeks": 2}, 0), ({"weeks": 1}, 0), ({"weeks": 3}, 0), ({"resolution": 7}, 3)]
    changes.append(({"partitions": 3}, 3))
    for number, (change, read) in enumerate(changes):
        outcome, found = run(spark, raw.params(**change), tmp_path / f"night_{number}", kept)
        assert outcome.metadata["files_read"] == read
        assert outcome.metadata["files"] == min(3, change.get("weeks", 3))
        assert found == run(spark, raw.params(**change), tmp_path / f"new_{number}", tmp_path / f"kept_{number}")[1]


def test_the_number_of_partitions_does_not_waver() -> None:
    assert steady(5, set(), None) == 8
    assert steady(9, {8}, None) == steady(4, {8}, None) == 8
    assert (steady(17, {8}, None), steady(3, {8}, None)) == (32, 4)
    assert steady(5, {8}, 3) == 3


def test_two_runs_do_not_share_a_folder(spark: SparkSession, tmp_path: Path) -> None:
    raw, kept = Raw(tmp_path / "raw"), tmp_path / "kept"
    raw.write(0, 0)
    kept.mkdir()
    with (kept / "lock").open("a") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="Another run is using"):
            run(spark, raw.params(), tmp_path / "first", kept)


def test_a_listing_decides_what_has_changed(spark: SparkSession, tmp_path: Path) -> None:
    raw, kept = Raw(tmp_path / "raw"), tmp_path / "kept"
    for day in (0, 1):
        raw.write(day, day)
    versions = dict.fromkeys(raw.params()["source"]["files"], "1")
    run(spark, raw.params(versions=versions), tmp_path / "first", kept)
    os.utime(raw.file(0))
    for name, version, read in (("touched", "1", 0), ("changed", "2", 1)):
        versions[str(raw.file(0))] = version
        outcome, _ = run(spark, raw.params(versions=versions), tmp_path / name, kept)
        assert outcome.metadata["files_read"] == read


def test_users_may_be_numbers_in_one_file_and_texts_in_another(spark: SparkSession, tmp_path: Path) -> None:
    raw = Raw(tmp_path / "raw")
    raw.write(0, 0)
    run(spark, raw.params(), tmp_path / "first", tmp_path / "kept")
    raw.write(10, 0)
    raw.store(10, raw.read(10).astype({"user": str}))
    outcome, _ = run(spark, raw.params(), tmp_path / "out", tmp_path / "kept")
    users = []
    for target in ("first", "out"):
        edges = pd.concat(pd.read_parquet(file) for file in part_files(str(tmp_path / target / "edges")))
        users.append(edges.set_index(["origin", "destination"])["users"].sort_index())
    assert outcome.read == 120
    pd.testing.assert_series_equal(*users)  # the same users on both days


def test_bad_rows_of_kept_files_count(spark: SparkSession, tmp_path: Path) -> None:
    raw, kept = Raw(tmp_path / "raw"), tmp_path / "kept"
    for day in (0, 10):
        raw.write(day, day)
    for target in ("first", "second"):  # the second time all is kept
        with pytest.raises(
            UserError, match=r"2 of 120 rows \(1\.67%\) are bad.*For example .* \(latitude beyond ±90; 9: a digit"
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
    with pytest.raises(UserError, match="moves of events reach from file to file"):
        run(spark, params, tmp_path / "out", tmp_path / "kept")


def test_a_window_needs_a_day_and_files_on_a_disk(spark: SparkSession, tmp_path: Path) -> None:
    raw = Raw(tmp_path / "raw")
    raw.write(0, 0)
    params = raw.params(dates=None)
    del params["source"]["columns"]["time"]
    with pytest.raises(UserError, match=r"mobility\.window needs a day"):
        run(spark, params, tmp_path / "dayless", tmp_path / "kept")
    params = raw.params()
    params["source"]["files"] = ["s3a://bucket/trips.parquet"]
    with pytest.raises(UserError, match=r"needs files on a disk: s3a://bucket/trips\.parquet is at an address"):
        run(spark, params, tmp_path / "remote", tmp_path / "kept")


def test_only_the_files_and_days_asked_for_are_read(tmp_path: Path) -> None:
    slots = [(file << 32) + day - FIRST_SLOT_DAY for file in (0, 2) for day in (-1, 5, 6)]
    sums = {"slot": slots, "origin": range(6), "destination": range(6), "whole": range(6)}
    write_slots(pa.table({name: pa.array(values, pa.int64()) for name, values in sums.items()}), tmp_path / "part")
    found = [table["origin"].to_pylist() for table in read_slots(tmp_path / "part", {2: (5, 9), 7: (0, 9)})]
    assert found == [[4, 5]]
    assert [t["origin"].to_pylist() for t in read_slots(tmp_path / "part", {0: (-1, -1)})] == [[0]]


def test_the_figures_of_many_files_cost_no_more_for_each() -> None:
    """10,000 files, each looked for among the counts of all, would keep the driver busy for minutes."""
    files = [f"{number}.csv" for number in range(10_000)]
    tally = Tally({(file, reason): Count(1, 1.0) for file in files for reason in (GOOD, "flow zero")})
    before = time.process_time()
    figures = batches.figures_of(files, [], tally, "csv")
    assert time.process_time() - before < 10
    assert [set(each["counts"]) for each in figures] == [{GOOD, "flow zero"}] * len(files)
