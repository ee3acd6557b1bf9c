"""Raw rows in Spark's tasks: each is counted once, however often a task runs, and the bad ones are kept."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.schemas import QUARANTINE
from mora_pipeline.raw import reader
from mora_pipeline.raw.rules import Rule, flow_rules, missing
from mora_pipeline.raw.source import NUMBER, TEXT, Source
from mora_pipeline.raw.tallies import GOOD, Count, Tally
from spark_jobs.by_split import BySplit
from spark_jobs.errors import as_user_error
from spark_jobs.output import part_files
from spark_jobs.validation import ValidatedRows, quarantine, quarantine_and_check

KINDS = {"place": TEXT, "flow": NUMBER}
RULES = [Rule("no place", ("place",), missing), *flow_rules("flow")]
Raw = Callable[..., ValidatedRows]


def frame(rows: int = 1000) -> pd.DataFrame:
    """Every 10th row has no place, every 7th of the others no flow, the 3rd of each hundred a flow of zero."""
    number = np.arange(rows)
    place = np.where(number % 10 == 0, "", "p")
    flow = np.where(number % 7 == 0, "x", np.where(number % 100 == 3, "0", "2"))
    return pd.DataFrame({"place": place, "flow": flow, "row": number.astype(str)})


NO_PLACE = {number for number in range(1000) if number % 10 == 0}
NO_FLOW = {number for number in range(1000) if number % 7 == 0} - NO_PLACE
ZERO = {number for number in range(1000) if number % 100 == 3} - NO_FLOW
REASONS = {"no place": len(NO_PLACE), "flow missing or not a number": len(NO_FLOW)}
NUM_GOOD = 1000 - len(NO_PLACE) - len(NO_FLOW) - len(ZERO)


@pytest.fixture
def raw(spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Raw:
    """The rows of `frame`, in three files of one form and more splits than cores."""
    monkeypatch.setattr(reader, "ROWS_PER_SPLIT", 120)
    monkeypatch.setattr(reader, "BYTES_PER_SPLIT", 1200)

    def make(form: str = "parquet", rows: pd.DataFrame | None = None, name: str = "t") -> ValidatedRows:
        files = []
        whole = frame() if rows is None else rows
        for number, own in enumerate(np.array_split(np.arange(len(whole)), 3)):
            part = whole.iloc[own]
            files.append(tmp_path / f"{name}{number}.{form}")
            if form == "parquet":
                pq.write_table(pa.Table.from_pandas(part, preserve_index=False), files[-1], row_group_size=50)
            else:
                part.to_csv(files[-1], index=False)
        columns = {"place": "place", "flow": "flow"}
        return ValidatedRows(spark, Source(tuple(map(str, files)), form, columns), KINDS, RULES, amount="flow")

    return make


def check_counts(rows: ValidatedRows) -> None:
    assert rows.num_read == 1000
    assert rows.reasons == REASONS
    assert rows.num_bad == sum(REASONS.values())
    assert rows.apart == {"flow zero": len(ZERO)}
    counts = rows.tally.by_reason()
    assert counts[GOOD] == Count(NUM_GOOD, 2.0 * NUM_GOOD, 0, 2.0, 2.0)
    assert counts["flow missing or not a number"].unknown == len(NO_FLOW)
    assert sorted(rows.tally.by_file()) == sorted(rows.source.files)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_rows_are_counted_on_the_way(raw: Raw, form: str) -> None:
    rows = raw(form)
    assert len(rows.reader.splits) > 2
    assert rows.good("flow").toArrow()["flow"].to_pylist() == [2.0] * NUM_GOOD
    check_counts(rows)


def failing_once(batches: Iterator[pa.RecordBatch], folder: str) -> Iterator[pa.RecordBatch]:
    """Give all rows; the first task fails when it has given, and counted, all of its."""
    for batch in batches:
        yield pa.record_batch({"flow": batch["flow"]})
    flag = Path(folder) / "failed"
    if not flag.exists():
        flag.touch()
        raise RuntimeError("lost, as a worker can be")


def test_a_task_that_is_repeated_counts_once(spark: SparkSession, raw: Raw, tmp_path: Path) -> None:
    assert spark.sparkContext.master == "local[2,2]", "a task must be repeated where it fails"
    rows = raw()
    found = rows.mapped(partial(failing_once, folder=str(tmp_path)), "flow double")
    assert found.count() == NUM_GOOD
    assert (tmp_path / "failed").exists()
    check_counts(rows)


def test_counts_of_a_split_that_come_twice_are_those_of_one() -> None:
    """As those of a task do that Spark starts on a second machine, because the first is slow."""
    tally, other = Tally({("f", GOOD): Count(3, 3.0)}), Tally({("f", GOOD): Count(2, 2.0)})
    param = BySplit()
    total = param.addInPlace(param.addInPlace(param.zero({}), {0: tally}), {0: tally})
    assert param.addInPlace(total, {1: other}) == {0: tally, 1: other}


def test_rows_that_are_asked_for_twice_count_once(raw: Raw) -> None:
    rows = raw()
    good = rows.good("place", "flow")
    assert good.count() == NUM_GOOD
    check_counts(rows)
    assert good.where("flow > 1").groupBy("place").count().collect()[0]["count"] == NUM_GOOD
    check_counts(rows)


@pytest.mark.parametrize(
    "action",
    [
        lambda good: good.limit(1).collect(),
        lambda good: good.where("1 = 0").count(),
        lambda good: good.isEmpty(),
        lambda good: None,
    ],
    ids=["one row", "none", "whether there is one", "nothing"],
)
def test_all_rows_are_counted_whatever_spark_leaves_out(raw: Raw, action: Callable[[Any], Any]) -> None:
    """Spark ends tasks whose rows it needs no more, or runs none."""
    rows = raw()
    action(rows.good("flow"))
    check_counts(rows)


@pytest.mark.parametrize("form", ["csv", "parquet"])
@pytest.mark.parametrize("read_before", [False, True])
def test_the_quarantine_holds_the_bad_rows_and_no_others(
    raw: Raw, tmp_path: Path, form: str, read_before: bool
) -> None:
    """Each with its file, its reason and what stands in the file; rows apart are not in it."""
    rows = raw(form)
    if read_before:
        rows.good("flow").limit(1).collect()
    quarantine([rows], str(tmp_path / "quarantine"))
    (part,) = part_files(str(tmp_path / "quarantine"))
    kept = pq.read_table(part)
    assert kept.schema.equals(QUARANTINE)
    source = {
        number: file
        for file, own in zip(rows.source.files, np.array_split(np.arange(1000), 3), strict=True)
        for number in own
    }
    records = frame().to_dict("records")
    expected = []
    for numbers, reason in ((NO_PLACE, "no place"), (NO_FLOW, "flow missing or not a number")):
        for number in numbers:
            place, flow = records[number]["place"], records[number]["flow"]
            expected.append((source[number], reason, f'{{"place": "{place}", "flow": "{flow}"}}'))
    found = [(row["source"], row["reason"], row["row"]) for row in kept.to_pylist()]
    assert found == sorted(expected)


def test_malformed_records_are_quarantined_as_they_are_written(raw: Raw, tmp_path: Path) -> None:
    rows = raw("csv")
    file = Path(rows.source.files[1])
    file.write_text(file.read_text() + "lonely\na,1,2,3\n")
    rows = ValidatedRows(rows.spark, rows.source, KINDS, RULES)
    quarantine([rows], str(tmp_path / "quarantine"))
    kept = pq.read_table(part_files(str(tmp_path / "quarantine"))[0]).to_pylist()
    malformed = [row for row in kept if row["reason"] == "another number of fields than the header"]
    assert [(row["source"], row["row"]) for row in malformed] == [
        (str(file), '{"record": "a,1,2,3"}'),
        (str(file), '{"record": "lonely"}'),
    ]


def test_a_source_without_bad_rows_leaves_an_empty_quarantine(raw: Raw, tmp_path: Path) -> None:
    rows = raw(rows=pd.DataFrame({"place": ["a"] * 9, "flow": ["1"] * 8 + ["0"]}))
    report = quarantine_and_check([rows], 0.0, "maximum_bad_share", str(tmp_path / "quarantine"))
    (part,) = part_files(str(tmp_path / "quarantine"))
    assert pq.read_table(part).equals(QUARANTINE.empty_table())
    assert (report.read, report.quarantined, report.share, report.apart) == (9, {}, 0.0, {"flow zero": 1})


def test_sources_of_one_job_do_not_mix(raw: Raw, tmp_path: Path) -> None:
    """Nor do two jobs in one session: their rows may even be read at the same time."""
    mine, other = raw(), raw("csv", frame().head(300), "u")
    both = mine.good("place", "flow").union(other.good("place", "flow"))
    both.count()
    check_counts(mine)
    assert other.num_read == 300
    report = quarantine_and_check([mine, other], 0.5, "maximum_bad_share", str(tmp_path / "quarantine"))
    kept = pd.concat([pq.read_table(part).to_pandas() for part in part_files(str(tmp_path / "quarantine"))])
    assert kept["source"].isin(mine.source.files).sum() == mine.num_bad == sum(REASONS.values())
    assert kept["source"].isin(other.source.files).sum() == other.num_bad
    assert len(kept) == mine.num_bad + other.num_bad
    assert report.quarantined == {reason: mine.reasons[reason] + other.reasons[reason] for reason in REASONS}
    assert (report.read, report.share) == (1000, mine.num_bad / 1000)


def test_too_many_bad_rows_are_refused_with_examples_of_them(raw: Raw, tmp_path: Path) -> None:
    folder = str(tmp_path / "quarantine")
    with pytest.raises(UserError, match=r"t0\.parquet and 2 more: 228 of 992 rows \(22\.98%\) are bad") as raised:
        quarantine_and_check([raw()], 0.2, "mobility.maximum_bad_share", folder)
    told = str(raised.value)
    assert "flow missing or not a number: 128, no place: 100" in told
    assert f'For example {{"place": "a", "flow": "a"}} of {tmp_path}/t0.parquet (flow missing or not a number; ' in told
    assert f"All of them are in {folder}" in told
    assert "Apart from these: flow zero: 8." in told


def test_a_file_that_changes_while_it_is_read_is_told(raw: Raw, tmp_path: Path) -> None:
    rows = raw()
    rows.good("flow").count()
    first = rows.source.files[0]
    other = pq.read_table(first).set_column(1, "flow", pa.array(["x"] * 334))
    pq.write_table(other, first, row_group_size=50)
    with pytest.raises(UserError, match=r"t0\.parquet and 2 more changed while it was read\. Run the job again\."):
        quarantine([rows], str(tmp_path / "quarantine"))


def test_a_damaged_file_is_named(raw: Raw) -> None:
    """A page in the middle is spoilt: the footer is whole, so that only the task notices."""
    rows = raw(rows=pd.DataFrame({"place": "a", "flow": np.random.default_rng(0).uniform(size=30_000)}))
    file = Path(rows.source.files[1])
    content = bytearray(file.read_bytes())
    content[1000 : len(content) // 2] = bytes(len(content) // 2 - 1000)
    file.write_bytes(content)
    with pytest.raises(Exception, match=r"t1\.parquet cannot be read") as raised:
        rows.good("flow").count()
    told = as_user_error(raised.value)
    assert isinstance(told, UserError)
    assert str(told).startswith(f"{file} cannot be read (")
    assert str(told).endswith("Is it whole? Fetch it again.")
