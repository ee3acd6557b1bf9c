"""The first rows of a raw table, by column and by part of nested columns."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.expressions import parse
from mora_pipeline.raw.forms import FileForm, form_of, parquet_file
from mora_pipeline.raw.numbers import amounts
from mora_pipeline.raw.source import NUMBER, TEXT, Source
from mora_pipeline.raw.values import as_texts, is_text
from mora_pipeline.region.draft.column_sample import ColumnSample

ROWS = 2000  # that are looked at
MOST_PARTS = 60  # parts of nested columns that are looked at
LOWEST = -1e8  # below, numbers often stand for a missing value
LIKE_A_NUMBER = re.compile(r"[+-]?(\d[\d.,'’ \u00a0\u202f]*|\.\d+)([eE][+-]?\d+)?")
_NAME = re.compile(r"[^\W\d]\w*")


def sample_columns(source: Source, file: str) -> tuple[FileForm, dict[str, ColumnSample]]:
    """The first rows of a file by column, and how the file is read.

    Raises:
        UserError: if it cannot be read.
    """
    form = form_of(source, {}, file)
    rows = _first_rows(replace(source, columns={name: name for name in form.columns}), file, form)
    values: dict[str, pa.Array] = {}
    for name, kind in form.columns.items():
        for text in _parts(name, kind):
            try:
                values[text] = _whole(parse(text, form.columns).evaluate(rows))
            except (UserError, pa.ArrowException):
                continue
    texts = {name: _texts(each, form) for name, each in values.items()}
    form, unclear = _numbers_form(source, file, form, texts)
    samples = {}
    for name, each in values.items():
        numbers = amounts(texts[name]) if name in unclear else form.numbers(each)
        decoded = numbers.cast(pa.float64()).to_numpy(zero_copy_only=False).astype(np.float64)
        samples[name] = ColumnSample(name, each.type, texts[name], decoded, each, unclear.get(name, ""))
    return form, samples


def read_columns(source: Source, names: Mapping[str, str], rows: int) -> Iterator[dict[str, pa.Array]]:
    """Values of columns or expressions by role, from as many files as hold so many rows.

    Args:
        names: column or expression by role.
    """
    left = rows
    for file in source.files:
        own = form_of(replace(source, columns=dict(names)), dict.fromkeys(names, TEXT), file)
        for batch in own.batches(file, (0, None)):
            yield {role: _whole(own.expressions[role].evaluate(batch.slice(0, left))) for role in names}
            left -= batch.num_rows
            if left <= 0:
                return


def _whole(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values


def _texts(values: pa.Array, form: FileForm) -> pa.Array:
    try:
        return as_texts(values, form.null_texts)
    except pa.ArrowException:  # bytes, or of a type without texts
        return pa.nulls(len(values), pa.string())


def _first_rows(source: Source, file: str, form: FileForm) -> pa.RecordBatch:
    every = form_of(source, dict.fromkeys(source.columns, TEXT), file)
    if source.format != "parquet":
        for batch in every.batches(file, (0, None)):
            return batch.slice(0, ROWS)
    else:
        with parquet_file(file) as parquet:
            for batch in parquet.iter_batches(ROWS, columns=every.needed(), use_threads=False):
                for name, value in every.stated.items():
                    batch = batch.append_column(name, pa.repeat(pa.scalar(value), batch.num_rows))
                return batch
    empty = pa.schema([pa.field(name, kind) for name, kind in form.columns.items()])
    return pa.RecordBatch.from_pylist([], empty)


def _parts(name: str, kind: pa.DataType, depth: int = 0) -> list[str]:
    """A column, or the parts of a nested one that hold values, as expressions."""
    if pa.types.is_struct(kind):
        if depth > 3:
            return []
        start = name if depth or _NAME.fullmatch(name) else _quoted(name)
        nested = [
            _parts(f"{start}.{each.name if _NAME.fullmatch(each.name) else _quoted(each.name)}", each.type, depth + 1)
            for each in kind
        ]
        return [part for parts in nested for part in parts][:MOST_PARTS]
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        start = name if depth or _NAME.fullmatch(name) else _quoted(name)
        return [] if pa.types.is_nested(kind.value_type) else [f"{start}[0]"]
    return [] if pa.types.is_map(kind) else [name]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _numbers_form(
    source: Source, file: str, form: FileForm, texts: Mapping[str, pa.Array]
) -> tuple[FileForm, dict[str, str]]:
    """How the file is read once the columns that look like numbers are said to be, and which of them are unclear."""
    names = [
        name
        for name, each in texts.items()
        if is_text(parse(name, form.columns).type) and _like_numbers(each) and not _is_plain(each)
    ]
    if not names:
        return form, {}
    found, problem = _form_with(source, file, names)
    if found is not None:
        return found, {}
    alone = {name: _form_with(source, file, [name]) for name in names}
    unclear = {name: text for name, (each, text) in alone.items() if each is None}
    clear = [name for name in names if name not in unclear]
    found, _ = _form_with(source, file, clear)
    return (found or form), (unclear or dict.fromkeys(names, problem))


def _form_with(source: Source, file: str, names: list[str]) -> tuple[FileForm | None, str]:
    roles = {f"{number}": name for number, name in enumerate(names)}
    try:
        return form_of(replace(source, columns=roles), dict.fromkeys(roles, NUMBER), file), ""
    except UserError as error:
        return None, str(error)


def _is_plain(texts: pa.Array) -> bool:
    """Whether texts are plain decimal numbers and nothing else: then nothing is to be found of how they are written.

    ``1.234`` may be a thousand, and a very negative number may mean that there is none: these are looked at closely.
    """
    values = texts.drop_null()
    try:
        numbers = values.cast(pa.float64())
    except pa.ArrowInvalid:
        return False
    dots = pc.match_substring(values, ".")
    marks = pc.match_substring_regex(values, r"^[+-]?[0-9]{1,3}(\.[0-9]{3})+$")
    clear = not pc.any(dots).as_py() or pc.any(pc.and_not(dots, marks)).as_py()
    return bool(clear and (pc.min(numbers).as_py() or 0) > LOWEST)


def _like_numbers(texts: pa.Array) -> bool:
    values = texts.drop_null()[:500].to_pylist()
    return bool(values) and sum(bool(LIKE_A_NUMBER.fullmatch(text)) for text in values) >= 0.8 * len(values)
