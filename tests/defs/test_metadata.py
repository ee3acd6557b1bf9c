"""What the UI is given: columns with their meaning, figures of few digits, pictures that show at once."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest

from mora_pipeline.contract import schemas
from mora_pipeline.contract.columns import description_of
from mora_pipeline.defs.metadata import column_schema, figures, rounded
from mora_pipeline.defs.pictures import shown_picture
from mora_pipeline.steps import all_steps
from mora_pipeline.steps.results import Picture

SCHEMAS = [(name, value) for name, value in vars(schemas).items() if isinstance(value, pa.Schema)]
SCHEMAS += [(step.name, step.columns) for step in all_steps() if step.columns is not None]


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test(temp_dir=str(tmp_path)) as found:
        yield found


@pytest.mark.parametrize(("name", "schema"), SCHEMAS, ids=[name for name, _ in SCHEMAS])
def test_every_column_of_every_schema_says_what_it_holds(name: str, schema: pa.Schema) -> None:
    assert [field.name for field in schema if not description_of(field)] == []
    (shown,) = column_schema(schema).values()
    assert all(column.description for column in shown.schema.columns)


def test_numbers_are_short_and_whole_parts_are_full() -> None:
    assert rounded(0.123456789) == 0.1235
    assert rounded(1234567.891) == 1234568.0
    assert rounded(1.23456e-7) == 1.235e-7
    assert rounded({"a": [0.333333, 7], "b": "text", "c": True}) == {"a": [0.3333, 7], "b": "text", "c": True}
    assert str(rounded(float("nan"))) == "nan"
    assert figures({"share": 2 / 3, "cells": 123456789}) == {"share": 0.6667, "cells": 123456789}


def test_a_picture_of_a_run_lies_among_its_output(instance: dg.DagsterInstance) -> None:
    """Dagster's webserver hands it out; the text is short, so the UI does not hide it behind a button."""
    texts: list[str] = []

    @dg.op
    def draw() -> None:
        texts.append(str(shown_picture(Picture(b"png", "A map")).value))

    @dg.job
    def drawing() -> None:
        draw()

    run_id = drawing.execute_in_process(instance=instance).run_id
    assert texts == [f"![A map](/logs/{run_id}/pictures/draw_a_map/png)"]
    (file,) = Path(instance.storage_directory()).rglob("draw_a_map.png")
    assert file.read_bytes() == b"png"


def test_a_picture_outside_of_a_run_is_all_in_its_text() -> None:
    assert shown_picture(Picture(b"png", "map")).value == "![map](data:image/png;base64,cG5n)"
