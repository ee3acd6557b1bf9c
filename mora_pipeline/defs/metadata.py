"""What assets show in the UI: columns, tables, pictures, datasets."""

import base64
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa

from mora_pipeline.steps.results import Markdown, Picture, StepResult
from mora_pipeline.steps.tables import markdown_rows


def column_schema(schema: pa.Schema) -> dict[str, dg.MetadataValue]:
    """The definition metadata that makes the UI list an asset's columns."""
    columns = [
        dg.TableColumn(field.name, str(field.type), constraints=dg.TableColumnConstraints(nullable=field.nullable))
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
    """A value of a step's metadata as Dagster takes it; a picture needs no web server of ours."""
    if isinstance(value, Markdown):
        return dg.MetadataValue.md(value.text)
    if isinstance(value, Picture):
        return dg.MetadataValue.md(f"![{value.title}](data:image/png;base64,{base64.b64encode(value.png).decode()})")
    return dg.MetadataValue.path(str(value)) if isinstance(value, Path) else value
