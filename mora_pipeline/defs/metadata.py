"""What assets show in the UI: columns, tables, pictures, datasets."""

import base64
from collections.abc import Iterable, Mapping, Sequence

import dagster as dg
import pyarrow as pa

from mora_pipeline.lake import Version

VECTORS = pa.schema(
    [pa.field("cell", pa.int64(), nullable=False), pa.field("vector", pa.list_(pa.float32()), nullable=False)]
)


def column_schema(schema: pa.Schema) -> dict[str, dg.MetadataValue]:
    """The definition metadata that makes the UI list an asset's columns."""
    columns = [
        dg.TableColumn(field.name, str(field.type), constraints=dg.TableColumnConstraints(nullable=field.nullable))
        for field in schema
    ]
    return {"dagster/column_schema": dg.MetadataValue.table_schema(dg.TableSchema(columns))}


def picture(png: bytes, name: str) -> dg.MarkdownMetadataValue:
    """A picture that the UI shows without a web server of ours."""
    return dg.MetadataValue.md(f"![{name}](data:image/png;base64,{base64.b64encode(png).decode()})")


def markdown_rows(header: Sequence[str], rows: Iterable[Sequence[object]]) -> dg.MarkdownMetadataValue:
    """A small table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return dg.MetadataValue.md("\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines))


def datasets_table(versions: Iterable[Version]) -> dg.MarkdownMetadataValue:
    """Which datasets a step published, with their rows and folders."""
    rows = [(item.dataset, f"{item.rows:,}", item.version, f"`{item.path}`") for item in versions]
    return markdown_rows(["dataset", "rows", "version", "folder"], rows)


def count_table(what: str, counts: Mapping[str, int]) -> dg.MarkdownMetadataValue:
    """Counts by name, largest first."""
    rows = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return markdown_rows([what, "rows"], [(name, f"{count:,}") for name, count in rows])
