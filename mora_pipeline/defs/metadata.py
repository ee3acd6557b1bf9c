"""What assets show in the UI: columns, tables, pictures, datasets; figures are short, the lake has them in full."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa

from mora_pipeline.contract.columns import description_of
from mora_pipeline.defs.pictures import shown_picture
from mora_pipeline.steps.results import Markdown, Picture, StepResult
from mora_pipeline.steps.tables import markdown_rows

DIGITS = 4


def column_schema(schema: pa.Schema) -> dict[str, dg.MetadataValue]:
    """The definition metadata that makes the UI list an asset's columns."""
    columns = [
        dg.TableColumn(
            field.name,
            str(field.type),
            description=description_of(field),
            constraints=dg.TableColumnConstraints(nullable=field.nullable),
        )
        for field in schema
    ]
    return {"dagster/column_schema": dg.MetadataValue.table_schema(dg.TableSchema(columns))}


def result_metadata(result: StepResult) -> dict[str, Any]:
    """A step's metadata, with the datasets that it committed."""
    rows = [(item.dataset, f"{item.rows:,}", item.version, f"`{item.path}`") for item in result.versions]
    metadata = {name: shown(value) for name, value in result.metadata.items()}
    if rows:
        metadata |= {"datasets": shown(markdown_rows(["dataset", "rows", "version", "folder"], rows))}
    if result.rows is not None:
        metadata |= {"dagster/row_count": result.rows}
    return {"committed": result.committed, **metadata}


def shown(value: Any) -> Any:
    """A value of a step's metadata as Dagster takes it."""
    if isinstance(value, Markdown):
        return dg.MetadataValue.md(value.text)
    if isinstance(value, Picture):
        return shown_picture(value)
    return dg.MetadataValue.path(str(value)) if isinstance(value, Path) else rounded(value)


def figures(measured: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of a check as Dagster takes them."""
    return {name: shown(value) for name, value in measured.items()}


def rounded(value: Any) -> Any:
    """Fractions to `DIGITS` digits that count, whole parts in full, also within lists and dictionaries."""
    if isinstance(value, float):
        return float(f"{value:.0f}" if 10**DIGITS <= abs(value) < 1e15 else f"{value:.{DIGITS}g}")
    if isinstance(value, Mapping):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, list | tuple) else value
