"""Rows are counted by what becomes of them, with what they carry: against a reader of one row at a time."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as draw

from mora_pipeline.raw.reader import SourceReader
from mora_pipeline.raw.rule_sets import MOBILITY_ROLES, trip_rules
from mora_pipeline.raw.rules import MALFORMED_ROW, Rule, is_true
from mora_pipeline.raw.shown_rows import as_json
from mora_pipeline.raw.source import NUMBER, TEXT
from mora_pipeline.raw.tallies import GOOD, Count, Tally, merged
from mora_pipeline.raw.validator import Validator

Reader = Callable[..., SourceReader]
Amounts = list[float | None]
ENDS = ("origin_latitude", "origin_longitude", "destination_latitude", "destination_longitude")
ROLES = {"id": TEXT, "flow": NUMBER}
WHOLE = Rule(MALFORMED_ROW, ("malformed",), is_true)
# Written amounts, what they are as plain numbers, and what they carry by goodwill where they are none.
WRITTEN: dict[str | None, tuple[float | None, float | None]] = {
    "1": (1.0, 1.0),
    "2.5": (2.5, 2.5),
    " 40 ": (40.0, 40.0),
    "0": (0.0, 0.0),
    "-3": (-3.0, None),  # whatever was meant, nothing is known of how much
    "1e13": (1e13, None),  # beyond 2^40
    "48,210": (None, 48210.0),
    "$75": (None, 75.0),
    "12d": (None, 12.0),
    "n/a": (None, None),
    None: (None, None),
}


def fate(row: dict[str, Any], amount: float | None) -> str:
    if row["id"] is None:
        return "no id"
    if amount is None:
        return "no number"
    if amount == 0:
        return "nothing"
    if amount < 0:
        return "negative"
    return "too large" if amount > 2.0**40 else GOOD


RULES = (
    WHOLE,
    Rule("no id", ("id",), lambda ids: ids.is_null().to_numpy(zero_copy_only=False)),
    Rule("no number", ("flow",), lambda flow: np.isnan(flow.to_numpy(zero_copy_only=False))),
    Rule("nothing", ("flow",), lambda flow: flow.to_numpy(zero_copy_only=False) == 0, apart=True),
    Rule("negative", ("flow",), lambda flow: flow.to_numpy(zero_copy_only=False) < 0),
    Rule("too large", ("flow",), lambda flow: flow.to_numpy(zero_copy_only=False) > 2.0**40),
)


def counted(amounts: list[float | None]) -> Count:
    """One row after the other."""
    count = Count()
    for amount in amounts:
        count.rows += 1
        if amount is None:
            count.unknown += 1
        else:
            count.amount += amount
            count.smallest, count.largest = min(count.smallest, amount), max(count.largest, amount)
    return count


def tallied(reader: SourceReader, validator: Validator) -> Tally:
    tally = Tally()
    for rows, raw in reader.read_all():
        validator.validated(reader, rows, raw, tally)
    return tally


rows_of_files = draw.lists(
    draw.fixed_dictionaries(
        {"id": draw.sampled_from(["a", "b", None]), "flow": draw.sampled_from(list(WRITTEN)), "file": draw.booleans()}
    ),
    max_size=60,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=rows_of_files, amount=draw.sampled_from(["flow", None]))
def test_every_row_is_counted_by_file_fate_and_what_it_carries(
    reader: Reader, tmp_path: Path, rows: list[dict[str, Any]], amount: str | None
) -> None:
    files = [tmp_path / "0.parquet", tmp_path / "1.parquet"]
    for number, file in enumerate(files):
        own = [{"id": row["id"], "flow": row["flow"]} for row in rows if row["file"] == bool(number)]
        schema = pa.schema([("id", pa.string()), ("flow", pa.string())])
        pq.write_table(pa.Table.from_pylist(own, schema), file, row_group_size=9)
    written = {"decimal": ".", "thousands": ""}
    tally = tallied(reader(*files, kinds=ROLES, csv=written), Validator(RULES, None, amount))
    expected: dict[tuple[str, str], Amounts] = {}
    for row in rows:
        plain, by_goodwill = WRITTEN[row["flow"]]
        reason = fate(row, plain)
        carried = by_goodwill if amount else 1.0
        expected.setdefault((str(files[row["file"]]), reason), []).append(carried)
    assert tally.counts == {key: counted(amounts) for key, amounts in expected.items()}
    assert sum(count.rows for count in tally.by_reason().values()) == len(rows)


@given(parts=draw.lists(draw.lists(draw.one_of(draw.none(), draw.integers(0, 1000).map(float))), max_size=5))
def test_counts_of_parts_add_up_to_those_of_all(parts: list[Amounts]) -> None:
    """Tasks count splits apart; whole amounts, so that the order of additions changes nothing."""
    tallies = []
    for part in parts:
        values = np.array([math.nan if value is None else value for value in part])
        tallies.append(Tally({("file", GOOD): Count.of(len(part), values)}))
    whole = counted([value for part in parts for value in part])
    assert merged(tallies).by_reason().get(GOOD, Count()) == whole
    assert merged(tallies).by_file().get("file", {}).get(GOOD, Count()) == whole


def test_the_first_rule_that_holds_gives_the_reason(reader: Reader, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,flow\n,x\n,-1\na,x\na,0\na,-1\na,1\na\n")
    read = reader(tmp_path / "a.csv", kinds=ROLES)
    validator = Validator(RULES, None, "flow")
    found = [number for rows, _ in read.read_all() for number in validator.broken(rows)[1].tolist()]
    assert sorted(found) == [0, 1, 1, 2, 3, 4, len(RULES)]
    assert validator.bad_reasons() == [MALFORMED_ROW, "no id", "no number", "negative", "too large"]
    assert validator.apart_reasons() == ["nothing"]
    count = tallied(read, validator).by_reason()[MALFORMED_ROW]
    assert (count.rows, count.unknown, count.amount) == (1, 1, 0.0)


def test_what_is_derived_can_be_validated(reader: Reader, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,flow\na,1\nb,2\n")

    def twice(rows: pa.RecordBatch) -> pa.RecordBatch:
        return rows.append_column("twice", pa.array(rows["flow"].to_numpy() * 2))

    rules = (Rule("too much", ("twice",), lambda values: values.to_numpy() > 3),)
    ((rows, _),) = reader(tmp_path / "a.csv", kinds=ROLES).read_all()
    derived, broken = Validator(rules, twice).broken(rows)
    assert derived["twice"].to_pylist() == [2.0, 4.0]
    assert broken.tolist() == [1, 0]


def of_number(value: float | None) -> str | None:
    if value is None or not math.isfinite(value):
        return "count missing or not a number"
    if value <= 0:
        return "count zero" if value == 0 else "count not positive"
    if value < 2.0**-40:
        return "count below 2^-40"
    return "count above 2^40" if value > 2.0**40 else None


def of_point(latitude: float | None, longitude: float | None) -> str | None:
    if latitude is None or longitude is None or not (math.isfinite(latitude) and math.isfinite(longitude)):
        return "coordinate missing or NaN"
    if latitude == 0 and longitude == 0:
        return "point at 0, 0"
    if not -90 <= latitude <= 90:
        return "latitude beyond ±90"
    return None if -180 <= longitude <= 180 else "longitude beyond ±180"


def of_trip(row: dict[str, Any]) -> str:
    points = [of_point(*(row[name] for name in pair)) for pair in (ENDS[:2], ENDS[2:])]
    user = None if row["user"] and row["user"].strip() else "user missing"
    time = None if row["time"] is not None else "time unparsable"
    return points[0] or points[1] or of_number(row["count"]) or user or time or GOOD


degrees = draw.one_of(
    draw.floats(-90, 90), draw.sampled_from([None, math.nan, 0.0, 90.0, -90.5, math.inf, 180.0, -181.0])
)
odd = draw.sampled_from([None, math.nan, 0.0, -1.0, math.inf, 2.0**40, 2.0**41, 2.0**-40, 2.0**-41])
trips = draw.fixed_dictionaries(
    {
        **dict.fromkeys(ENDS, degrees),
        "count": draw.one_of(draw.floats(0.01, 9), odd),
        "user": draw.sampled_from(["ann", " bob ", "", "  ", None]),
        "time": draw.one_of(draw.none(), draw.just(1_700_000_000_000_000)),
    }
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=draw.lists(trips, min_size=1, max_size=30))
def test_a_trip_has_the_fate_that_a_reader_of_one_row_gives(
    reader: Reader, tmp_path: Path, rows: list[dict[str, Any]]
) -> None:
    """A value that is not finite is no number now: it was bad for not being finite."""
    kinds = {role: MOBILITY_ROLES["trips"][role] for role in (*ENDS, "count", "user", "time")}
    floats = dict.fromkeys((*ENDS, "count"), pa.float64())
    types = {**floats, "user": pa.string(), "time": pa.timestamp("us", "UTC")}
    table = pa.Table.from_pylist(rows, pa.schema(list(types.items())))
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=7)
    rules = (WHOLE, *trip_rules(kinds, 7))
    validator = Validator(rules, None, "count")
    read = reader(tmp_path / "t.parquet", kinds=kinds)
    reasons = [*(rule.reason for rule in rules), GOOD]
    found = [reasons[number] for batch, _ in read.read_all() for number in validator.broken(batch)[1]]
    assert found == [of_trip(row) for row in rows]


@pytest.mark.parametrize("record", ["b", 'a,1,2,"x y"', "é;"])
def test_a_malformed_record_is_shown_as_it_is_written(reader: Reader, tmp_path: Path, record: str) -> None:
    (tmp_path / "a.csv").write_text("id,flow\n" + "a,1\n" * 9 + f"{record}\n", encoding="utf-8")
    shown = [
        text
        for _, raw in reader(tmp_path / "a.csv", kinds=ROLES, csv={"separator": ","}).read_all()
        for text in as_json(raw).to_pylist()
    ]
    assert [json.loads(text) for text in shown] == [{"id": "a", "flow": "1"}] * 9 + [{"record": record}]
    assert "\\u" not in shown[9]
