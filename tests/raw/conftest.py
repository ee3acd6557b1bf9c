"""Small raw files, read whole."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from mora_pipeline.raw.reader import SourceReader
from mora_pipeline.raw.shown_rows import as_json
from mora_pipeline.raw.source import Source

Reader = Callable[..., SourceReader]
Read = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def reader() -> Reader:
    """A reader of files of one form; a role is the column of its name unless `columns` says otherwise."""

    def make(
        *files: Path | str,
        kinds: Mapping[str, str],
        columns: Mapping[str, str] | None = None,
        time_zone: str | None = None,
        **options: Any,
    ) -> SourceReader:
        form = "parquet" if str(files[0]).endswith(".parquet") else "csv"
        source = Source(tuple(map(str, files)), form, columns or {role: role for role in kinds}, **options)
        return SourceReader.of(source, kinds, time_zone)

    return make


@pytest.fixture
def read(reader: Reader) -> Read:
    """The rows that such a reader gives, with what stands in the file for each as ``raw``."""

    def rows(*files: Path | str, **options: Any) -> list[dict[str, Any]]:
        found = []
        for typed, raw in reader(*files, **options).read_all():
            texts = as_json(raw).to_pylist()
            found += [{**row, "raw": text} for row, text in zip(typed.to_pylist(), texts, strict=True)]
        return found

    return rows
