"""Flows in wide form, against the loop that anyone would write."""

import csv
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as draw

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw import forms
from mora_pipeline.raw.reader import SourceReader
from mora_pipeline.raw.rule_sets import MOBILITY_ROLES
from mora_pipeline.raw.shown_rows import as_json
from mora_pipeline.raw.source import Source
from mora_pipeline.raw.wide import DESTINATION, FLOW

COLUMNS = {"origin": "zone", "destination": DESTINATION, "flow": FLOW}


def flows(path: Path, form: str, wide: str = "to_*") -> list[tuple[str, str, float]]:
    reader = SourceReader.of(Source((str(path),), form, COLUMNS, wide=wide), MOBILITY_ROLES["od"])
    rows = [row for batch, _ in reader.read_all() for row in batch.select(list(COLUMNS)).to_pylist()]
    return [(row["origin"], row["destination"], row["flow"]) for row in rows]


@settings(max_examples=30, deadline=None)
@given(
    draw.lists(
        draw.lists(draw.one_of(draw.none(), draw.integers(0, 9)), min_size=3, max_size=3), min_size=1, max_size=6
    )
)
def test_a_matrix_is_its_values_that_are_there(
    tmp_path_factory: pytest.TempPathFactory, values: list[list[int | None]]
) -> None:
    folder = tmp_path_factory.mktemp("wide")
    ids = ["A", "B 1", "007"]
    truth = [
        (f"Z{number}", name, float(value))
        for number, row in enumerate(values)
        for name, value in zip(ids, row, strict=True)
        if value is not None
    ]
    with (folder / "m.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["zone", *(f"to_{name}" for name in ids), "note"])
        writer.writerows(
            [[f"Z{number}", *("" if v is None else v for v in row), "x"] for number, row in enumerate(values)]
        )
    columns = {f"to_{name}": pa.array([row[at] for row in values], pa.int64()) for at, name in enumerate(ids)}
    pq.write_table(pa.table({"zone": [f"Z{number}" for number in range(len(values))], **columns}), folder / "m.parquet")
    assert flows(folder / "m.csv", "csv") == truth
    assert flows(folder / "m.parquet", "parquet") == truth


def test_a_bad_value_is_shown_with_its_destination(tmp_path: Path) -> None:
    """And a record of too few fields stays one row."""
    (tmp_path / "m.csv").write_text("zone,to_A,to_B\nZ1,3,many\nZ2\nZ3,1,2\n")
    reader = SourceReader.of(Source((str(tmp_path / "m.csv"),), "csv", COLUMNS, wide="to_*"), MOBILITY_ROLES["od"])
    shown = [text for _, raw in reader.read_all() for text in as_json(raw).to_pylist()]
    assert '{"zone": "Z1", "(destination)": "B", "(flow)": "many"}' in shown
    assert '{"record": "Z2"}' in shown
    assert len(shown) == 5


def test_decimal_commas_are_proven_on_the_columns_of_flows(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("zone;to_A;to_B\nZ1;1,5;2,25\nZ2;;0,75\n")
    assert flows(tmp_path / "m.csv", "csv") == [("Z1", "A", 1.5), ("Z1", "B", 2.25), ("Z2", "B", 0.75)]


def test_a_pattern_that_matches_nothing_is_told(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("zone,to_A\nZ1,1\n")
    with pytest.raises(UserError, match=r"has no column like 'from_\*'; it has zone, to_A"):
        flows(tmp_path / "m.csv", "csv", "from_*")


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_matrix_is_made_long_a_few_rows_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    """A batch of all rows of 10,000 zones would have 100 million flows."""
    ids = [f"to_{number}" for number in range(5)]
    table = pa.table({"zone": [f"Z{row}" for row in range(40)], **{name: list(range(40)) for name in ids}})
    path = tmp_path / f"m.{form}"
    pq.write_table(table, path) if form == "parquet" else table.to_pandas().to_csv(path, index=False)
    whole = flows(path, form)
    monkeypatch.setattr(forms, "FLOWS_AT_ONCE", 15)
    reader = SourceReader.of(Source((str(path),), form, COLUMNS, wide="to_*"), MOBILITY_ROLES["od"])
    assert max(batch.num_rows for batch, _ in reader.read_all()) == 15
    assert flows(path, form) == whole
