"""What stands in raw rows is in no message, log, record or quarantine, as far as it may be a person's."""

import json
import logging
import stat
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.pseudonyms import home_key, pseudonym
from mora_pipeline.raw.rule_sets import MOBILITY_ROLES, event_rules
from mora_pipeline.raw.source import Source
from spark_jobs import grid_mobility
from spark_jobs.errors import as_user_error
from spark_jobs.output import part_files
from spark_jobs.validation import ValidatedRows

MARKER = "Marker7f3a"
ROWS = [
    "user,time,lat,lon",
    *(f"{MARKER}-u{number},2024-03-04 08:{number:02}:00,{1 + number / 100},{2 + number / 100}" for number in range(40)),
    f"{MARKER}-u1,{MARKER} at noon,1.0,2.0",
    f"{MARKER}-u1,2024-03-04 09:00:00,{MARKER},2.0",
    f"{MARKER}-u2,2024-03-04 09:00:00,,2.0",
    f"{MARKER}-u2,2024-03-04 09:00:00,1.0,2.0,{MARKER} is too many",
    ",2024-03-04 09:00:00,1.0,2.0",
]


@pytest.fixture
def source(tmp_path: Path) -> Source:
    (tmp_path / "events.csv").write_text("\n".join(ROWS) + "\n")
    columns = {"user": "user", "time": "time", "latitude": "lat", "longitude": "lon"}
    return Source((str(tmp_path / "events.csv"),), "csv", columns)


def of_logs(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> str:
    shown = capfd.readouterr()
    return f"{caplog.text}{shown.out}{shown.err}"


def test_bad_rows_of_users_are_kept_under_pseudonyms_for_their_owner_alone(
    spark: SparkSession,
    source: Source,
    mora_home: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The message shows how rows are written, and the quarantine which file and what of it, and no id of a user."""
    caplog.set_level(logging.DEBUG)
    folder = tmp_path / "lake" / "quarantine"
    output = {name: str(tmp_path / "lake" / name) for name in ("edges", "self_flow", "rhythm", "quarantine")}
    params = {
        "kind": "events",
        "source": {"files": source.files, "format": "csv", "columns": source.columns},
        "resolution": 8,
        "time_zone": "UTC",
        "maximum_gap_hours": 8.0,
        "maximum_bad_share": 0.01,
        "minimum_users": 1,
        "minimum_flow": 0.0,
        "output": output,
    }
    with pytest.raises(UserError, match=r"5 of 45 rows \(11\.11%\) are bad") as raised:
        grid_mobility.run(spark, params)
    told = str(raised.value)
    assert MARKER not in told
    assert f"All of them are in {folder}" in told
    assert MARKER not in of_logs(caplog, capfd)

    kept = [row for file in part_files(str(folder)) for row in pq.read_table(file).to_pylist()]
    assert {row["source"] for row in kept} == set(source.files)
    by_reason = {row["reason"]: json.loads(row["row"]) for row in kept}
    assert by_reason["coordinate missing or NaN"]["lon"] == "2.0"
    assert by_reason["user missing"] == {"user": "", "time": "2024-03-04 09:00:00", "lat": "1.0", "lon": "2.0"}
    key = home_key(mora_home)
    assert by_reason["time unparsable"]["user"] == pseudonym(key, f"{MARKER}-u1")
    users = [row for row in kept if f"{MARKER}-u" in row["row"]]
    assert users == []
    malformed = by_reason["another number of fields than the header"]
    assert set(malformed) == {"record"}
    assert MARKER not in malformed["record"]

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(Path(file).stat().st_mode) for file in part_files(str(folder))} == {0o600}
    assert stat.S_IMODE((mora_home / "pseudonyms.key").stat().st_mode) == 0o600
    everywhere = b"".join(path.read_bytes() for path in (tmp_path / "lake").rglob("*") if path.is_file())
    assert key not in everywhere
    assert key.hex().encode() not in everywhere


def quoting(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """A kernel that fails as one of ours might: its error quotes a row."""
    for batch in batches:
        raise ValueError(f"could not convert {batch['user'][0]}")
    yield from ()


def test_a_task_that_breaks_down_quotes_no_row(
    spark: SparkSession, source: Source, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Not in the error that reaches the driver, which is what Spark's workers write to their logs."""
    rows = ValidatedRows(spark, source, MOBILITY_ROLES["events"], event_rules(), "UTC")
    with pytest.raises(Exception, match=r"TaskError: ValueError at test_privacy\.py:\d+, in quoting") as raised:
        rows.mapped(quoting, "user string").count()
    assert as_user_error(raised.value) is None
    assert MARKER not in str(raised.value)
    assert MARKER not in of_logs(caplog, capfd)
