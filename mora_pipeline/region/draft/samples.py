"""What the first rows of a raw table hold, a column at a time: numbers, ids, times, cells, geometries."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.cells import as_cells, resolutions_of
from mora_pipeline.raw.expressions import parse
from mora_pipeline.raw.forms import FileForm, form_of, parquet_file
from mora_pipeline.raw.numbers import amounts
from mora_pipeline.raw.source import NUMBER, TEXT, Source
from mora_pipeline.raw.time_readings import TimeReadings, readings_of
from mora_pipeline.raw.times import as_moments
from mora_pipeline.raw.values import as_texts, is_text

ROWS = 2000  # that are looked at
MOST_TIMES = 500  # values of a column whose forms as times are tried
MOST_PARTS = 60  # parts of nested columns that are looked at
ENOUGH = 0.9  # of the values must be numbers, for a column to hold numbers
LOWEST = -1e8  # below, numbers often stand for a missing value
DAY = 86_400_000_000  # microseconds
LIKE_A_NUMBER = re.compile(r"[+-]?(\d[\d.,'’ \u00a0\u202f]*|\.\d+)([eE][+-]?\d+)?")
_NAME = re.compile(r"[^\W\d]\w*")
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ColumnSample:
    """A column, or a part of a nested one, in the first rows.

    Attributes:
        name: as region.yaml names it: a column or an expression.
        texts: trimmed, null where there is none, [n].
        numbers: NaN where there is none, [n].
        unclear: why its numbers cannot be read without a word of their owner.
    """

    name: str
    type: pa.DataType
    texts: pa.Array
    numbers: Floats
    values: pa.Array = field(repr=False)
    unclear: str = ""

    @property
    def known(self) -> int:
        """How many values there are."""
        return len(self.texts) - self.texts.null_count

    @cached_property
    def distinct(self) -> frozenset[str]:
        return frozenset(pc.unique(self.texts.drop_null()).to_pylist())

    @cached_property
    def share_of_numbers(self) -> float:
        return float(np.isfinite(self.numbers).sum()) / max(self.known, 1)

    @property
    def is_number(self) -> bool:
        return self.known > 0 and self.share_of_numbers >= ENOUGH

    @cached_property
    def given(self) -> Floats:
        """The numbers that are there."""
        return self.numbers[np.isfinite(self.numbers)]

    @cached_property
    def is_whole(self) -> bool:
        return self.is_number and bool((self.given == np.floor(self.given)).all())

    @cached_property
    def is_fraction(self) -> bool:
        """Whether it holds numbers that name nothing: some have decimals."""
        return self.is_number and not self.is_whole

    @property
    def is_unique(self) -> bool:
        return self.known > 1 and len(self.distinct) == self.known == len(self.texts)

    @property
    def may_be_id(self) -> bool:
        """Whether its values may name things."""
        plain = is_text(self.type) or pa.types.is_integer(self.type) or pa.types.is_floating(self.type)
        return plain and self.known > 0 and not self.is_fraction

    @cached_property
    def has_codes(self) -> bool:
        """Whether its values are no plain numbers, so that having them in common is no chance."""
        return not self.is_number or any(len(text) > 1 and text[0] == "0" for text in self.distinct)

    @cached_property
    def is_geometry(self) -> bool:
        if pa.types.is_binary(self.type) or pa.types.is_large_binary(self.type):
            first = next((value for value in self.values[:100].to_pylist() if value), b"")
            return first[:1] in (b"\x00", b"\x01") and len(first) >= 21
        return is_text(self.type) and self.known > 0 and all(
            re.match(r"(SRID=\d+;)?(MULTI)?(POINT|POLYGON)\b", text, re.IGNORECASE)
            for text in self.texts.drop_null()[:20].to_pylist()
        )  # fmt: skip

    @cached_property
    def cell_resolution(self) -> int | None:
        """The resolution of the H3 cells that it holds, the finest; None if it holds others."""
        if not (is_text(self.type) or pa.types.is_integer(self.type)) or not self.known:
            return None
        cells = as_cells(self.texts if is_text(self.type) else self.values)
        if len(cells) - cells.null_count < ENOUGH * self.known:
            return None
        return int(resolutions_of(cells.drop_null().to_numpy()).max())

    @cached_property
    def times(self) -> TimeReadings | None:
        """What it is as times, if it may be one."""
        if pa.types.is_temporal(self.type):
            return readings_of(self.values[:MOST_TIMES])
        if not self.known or not (is_text(self.type) or self.is_whole):
            return None
        if is_text(self.type) and not all(
            re.search(r"\d{2}", text) for text in self.texts.drop_null()[:20].to_pylist()
        ):
            return None
        readings = readings_of((self.texts if is_text(self.type) else self.values)[:MOST_TIMES])
        return readings if readings.certain is not None or readings.readings else None

    @cached_property
    def is_zoned(self) -> bool:
        """Whether its times carry a zone, or need none."""
        form = (self.times.certain or next(iter(self.times.readings), None)) if self.times else None
        values = self.texts if is_text(self.type) else self.values
        return not as_moments(values[:MOST_TIMES], form, None)[1].any()

    @cached_property
    def has_clock(self) -> bool:
        """Whether its times are more than days."""
        form = (self.times.certain or next(iter(self.times.readings), None)) if self.times else None
        values = self.texts if is_text(self.type) else self.values
        moments = as_moments(values[:MOST_TIMES], form, "UTC")[0].drop_null()
        return bool((moments.to_numpy(zero_copy_only=False) % DAY != 0).any())


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
