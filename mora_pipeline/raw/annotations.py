"""Numbers that mean no value wherever they stand: the US Census's annotations."""

from collections.abc import Collection

import pyarrow.parquet as pq

from mora_pipeline.raw.number_format import CENSUS

ANNOTATIONS = tuple(f"{number}{ending}" for number in CENSUS for ending in ("", ".0"))  # as texts of whole numbers
_GROUPS = 16  # row groups whose statistics are looked at


def annotations_in(parquet: pq.ParquetFile, columns: Collection[str]) -> tuple[str, ...]:
    """Sentences about annotations that a file's columns of numbers begin with, as its statistics tell: a hint."""
    found: dict[tuple[str, int], None] = {}
    metadata, schema = parquet.metadata, parquet.schema
    numbers = [number for number in range(len(schema)) if schema.column(number).path in columns]
    for group in range(min(metadata.num_row_groups, _GROUPS) if numbers else 0):
        row_group = metadata.row_group(group)
        for number in numbers:
            statistics = row_group.column(number).statistics
            least = statistics.min if statistics is not None and statistics.has_min_max else None
            if isinstance(least, int | float) and least in CENSUS:
                found[schema.column(number).path, int(least)] = None
    return tuple(f"'{least}' in '{name}' is an annotation of the Census: {CENSUS[least]}" for name, least in found)
