"""How one raw file is to be read: its columns, its dialect, and what each role is made of."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.names import did_you_mean
from mora_pipeline.raw.annotations import ANNOTATIONS, annotations_in
from mora_pipeline.raw.crs import DEGREES, parquet_crs, stated_crs
from mora_pipeline.raw.csv_files import MALFORMED, csv_batches
from mora_pipeline.raw.dialect import Dialect, detect, number_format
from mora_pipeline.raw.expressions import Expression, parse, parse_filter
from mora_pipeline.raw.numbers import as_numbers
from mora_pipeline.raw.path_columns import folder_columns, name_columns
from mora_pipeline.raw.source import GEOMETRY, NUMBER, Source
from mora_pipeline.raw.storage import opened
from mora_pipeline.raw.values import is_text
from mora_pipeline.raw.wide import DESTINATION, FLOW, destinations, lengthened, long_type

ROWS_PER_BATCH = 1 << 18
FLOWS_AT_ONCE = 1 << 18  # of a table in wide form
SAMPLE_ROWS = 1000  # of a Parquet file's texts, to tell how their numbers are written
MOMENT = pa.timestamp("us", "UTC")  # of INT96
ALWAYS_NULL = ("\\N",)  # how databases export it; no name and no id


@dataclass(frozen=True)
class FileForm:
    """One file.

    Attributes:
        columns: of the file and of its path, with their types.
        stated: the values of columns that only the file's path states.
        expressions: what each role is made of.
        filter: which rows are read, or None: all.
        dialect: of a CSV, else None.
        written: how numbers are written in texts.
        remarks: what was found and not declared, in sentences.
        wide: the destination of each column of flows, of a table in wide form.
    """

    format: str
    columns: Mapping[str, pa.DataType]
    stated: Mapping[str, str]
    expressions: Mapping[str, Expression]
    filter: Expression | None
    dialect: Dialect | None
    written: Dialect
    null_texts: tuple[str, ...]
    remarks: tuple[str, ...] = ()
    layer: str | None = None
    crs: str | None = None
    wide: Mapping[str, str] = field(default_factory=dict)

    def is_whole(self, role: str) -> bool:
        """Whether a role is a column of whole numbers that int64 holds."""
        kind = self.expressions[role].type
        if any(text.lstrip("-").isdecimal() for text in self.null_texts):  # some of them mean that there is none
            return False
        return self.expressions[role].is_plain and pa.types.is_integer(kind) and kind != pa.uint64()

    def values(self, role: str, batch: pa.RecordBatch) -> pa.Array:
        """What stands in the file for a role, row by row."""
        return self.expressions[role].evaluate(batch, self.written)

    def numbers(self, values: pa.Array) -> pa.Array:
        """float64 [n], null where there is no number."""
        return as_numbers(values, self.written, self.written.null)

    def needed(self) -> list[str]:
        """The columns of the file that roles and the filter are made of."""
        every = [*self.expressions.values(), *([self.filter] if self.filter else [])]
        names = dict.fromkeys([name for each in every for name in each.columns] + list(self.wide))
        return [name for name in names if name not in self.stated and name not in (DESTINATION, FLOW)]

    def batches(self, file: str, span: tuple[int, int | None]) -> Iterator[pa.RecordBatch]:
        """The columns of a piece of the file that are needed, where the filter holds; none empty.

        A malformed record says nothing that a filter could look at: it stays.
        """
        for batch in self._long(self._stored(file, span)):
            for name, value in self.stated.items():
                batch = batch.append_column(name, pa.repeat(pa.scalar(value), batch.num_rows))
            if self.filter is not None:
                chosen = self.filter.evaluate(batch, self.written)
                if MALFORMED in batch.schema.names:
                    chosen = pc.or_(chosen, batch[MALFORMED].is_valid())
                batch = batch.filter(chosen)
            if batch.num_rows:
                yield batch

    def _long(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Batches of a table in wide form, made long a few rows at a time: each may have thousands of flows."""
        if not self.wide:
            yield from batches
            return
        null = (*self.null_texts, *self.written.null)
        rows = max(1, FLOWS_AT_ONCE // len(self.wide))
        for batch in batches:
            for start in range(0, batch.num_rows, rows):
                yield lengthened(batch.slice(start, rows), self.wide, self.columns[FLOW], null)

    def _stored(self, file: str, span: tuple[int, int | None]) -> Iterator[pa.RecordBatch]:
        names = self.needed()
        if self.dialect is not None:
            yield from csv_batches(file, self.dialect, names, span)
        elif self.format == "vector":
            from mora_pipeline.raw.vector_files import vector_batches

            yield from vector_batches(file, names, self.layer)
        else:
            with parquet_file(file) as parquet:
                groups = range(span[0], parquet.metadata.num_row_groups if span[1] is None else span[1])
                if not names:  # rows are counted where the path alone says what they are
                    for group in groups:
                        rows = parquet.metadata.row_group(group).num_rows
                        yield pa.record_batch({"_row": pa.nulls(rows)})
                    return
                for batch in parquet.iter_batches(ROWS_PER_BATCH, groups, names, use_threads=False):
                    yield _checked(file, batch.select(names), self.columns)


def parquet_file(file: str) -> pq.ParquetFile:
    """A Parquet file, its footer read.

    Raises:
        UserError: if it is missing, damaged, or packed in a way that is unknown here.
    """
    try:
        return pq.ParquetFile(opened(file), coerce_int96_timestamp_unit="us")
    except (pa.ArrowException, OSError) as error:
        raise UserError(
            f"{file} cannot be read as Parquet ({str(error).splitlines()[0]}). It may be cut short or damaged; copy or "
            "write it again."
        ) from None


def form_of(source: Source, kinds: Mapping[str, str], file: str) -> FileForm:
    """Look at the head of a file.

    Args:
        kinds: of the roles that are to be read.

    Raises:
        UserError: if it cannot be read, lacks a column, or contradicts what is declared.
    """
    roles = {role: source.columns[role] for role in kinds}
    numbers = {column for role, column in roles.items() if kinds[role] == NUMBER}
    stated = dict(source.partitions[file]) if file in source.partitions else folder_columns(file)
    if source.name_pattern:
        stated |= name_columns(file, source.name_pattern)
    declared = {**source.csv}
    if source.null:
        declared["null"] = [*(declared.get("null") or [""]), *source.null]
    dialect, remarks, crs, wide = None, tuple[str, ...](), source.crs, dict[str, str]()
    annotations = tuple[str, ...]()
    if source.format == "csv":
        unproven = {"decimal": ".", "thousands": "", **declared}  # where no number is to be read
        detected = detect(file, unproven if source.wide or not numbers else declared, numbers - {FLOW})
        if source.wide:
            wide = destinations(source.wide, detected.columns, file)
            detected = detect(file, declared if numbers else unproven, set(wide))
        dialect, remarks = detected.dialect, detected.remarks
        columns: dict[str, pa.DataType] = dict.fromkeys(detected.columns, pa.string())
    elif source.format == "vector":
        from mora_pipeline.raw.vector_files import vector_schema

        columns, crs = vector_schema(file, source.layer)
    else:
        with parquet_file(file) as parquet:
            columns = _parquet_columns(file, parquet)
            if "null" not in declared:
                annotations = annotations_in(parquet, numbers)
    if source.wide and not wide:
        wide = destinations(source.wide, columns, file)
    stated = {name: value for name, value in stated.items() if name not in columns}
    every = {**columns, **dict.fromkeys(stated, pa.string()), **_long_columns(wide, columns)}
    expressions = {role: _parsed(file, text, every) for role, text in roles.items()}
    chosen = parse_filter(source.where, every) if source.where else None
    if dialect is not None and not source.wide:
        within = {role: each.number_columns(kinds[role] == NUMBER) for role, each in expressions.items()}
        proven = set().union(*within.values(), chosen.number_columns(False) if chosen else ()) - stated.keys()
        if proven != numbers:  # expressions read numbers as well
            detected = detect(file, declared if proven else unproven, proven)
            dialect, remarks = detected.dialect, detected.remarks
    written = dialect
    if written is None:
        written, remarks = _number_texts(file, source, declared, expressions, kinds)
    if "null" not in declared:  # the first may stand behind any sample
        written = replace(written, null=tuple(dict.fromkeys([*written.null, *ANNOTATIONS])))
    remarks += annotations
    nulls = tuple(dict.fromkeys([*ALWAYS_NULL, *(declared.get("null") or ())]))
    used = {name for each in [*expressions.values(), *([chosen] if chosen else [])] for name in each.columns}
    own = {name: value for name, value in stated.items() if name in used}
    located = [expressions[role] for role, kind in kinds.items() if kind == GEOMETRY]
    if located:
        crs = _crs_of(source, file, located[0], crs)
    return FileForm(
        source.format, every, own, expressions, chosen, dialect, written, nulls, remarks, source.layer, crs, wide
    )


def _long_columns(wide: Mapping[str, str], columns: Mapping[str, pa.DataType]) -> dict[str, pa.DataType]:
    if not wide:
        return {}
    return {DESTINATION: pa.string(), FLOW: long_type([columns[name] for name in wide])}


def _crs_of(source: Source, file: str, geometry: Expression, stated: str | None) -> str | None:
    """The coordinate system of a geometry; None where each value may state its own, and is in degrees if it does not.

    Raises:
        UserError: if the file says that it has none, and none is declared.
    """
    if source.crs is None and source.format == "csv":
        return None
    if source.format == "parquet":
        stated = parquet_crs(file, geometry.columns[0]) if geometry.is_plain else DEGREES
    return stated_crs(stated, source.crs, file)


def _parquet_columns(file: str, parquet: pq.ParquetFile) -> dict[str, pa.DataType]:
    """The columns, whose INT96 are moments: what writes such (Spark, Hive) counts them in UTC."""
    schema, stored = parquet.schema_arrow, parquet.schema
    leaves = [stored.column(number) for number in range(len(stored))]
    moments = {leaf.path for leaf in leaves if leaf.physical_type == "INT96"}
    twins = sorted(name for name, count in Counter(schema.names).items() if count > 1)
    if twins:
        raise UserError(f"{file} has the column '{twins[0]}' twice. Write it again with one name a column.")
    return {column.name: MOMENT if column.name in moments else column.type for column in schema}


def _checked(file: str, batch: pa.RecordBatch, columns: Mapping[str, pa.DataType]) -> pa.RecordBatch:
    """A batch of a Parquet file in the types that are known of it.

    Raises:
        UserError: if a text is not in UTF-8.
    """
    arrays = []
    for name, values in zip(batch.schema.names, batch.columns, strict=True):
        if not pa.types.is_primitive(values.type):
            try:
                values.validate(full=True)
            except pa.ArrowInvalid as error:
                raise UserError(
                    f"{file} holds text that is not UTF-8 in '{name}' ({error}). Write it again as UTF-8."
                ) from None
        arrays.append(values.cast(MOMENT) if columns[name] == MOMENT else values)
    return pa.record_batch(arrays, batch.schema.names)


def _parsed(file: str, text: str, columns: Mapping[str, pa.DataType]) -> Expression:
    if text not in columns and text.replace("_", "").isalnum():  # a name, not an expression
        near = did_you_mean(text, list(columns))
        raise UserError(f"{file} has no column '{text}'; it has {', '.join(columns)}.{near}")
    try:
        return parse(text, columns)
    except UserError as error:
        raise UserError(f"{file}: {error}") from None


def _number_texts(
    file: str,
    source: Source,
    declared: Mapping[str, Any],
    expressions: Mapping[str, Expression],
    kinds: Mapping[str, str],
) -> tuple[Dialect, tuple[str, ...]]:
    """How numbers are written in the texts of a file that is no CSV: as declared, else as a sample shows."""
    known = {name: declared[name] for name in ("decimal", "thousands", "null") if name in declared}
    null = tuple(map(str, known.get("null", ("",))))
    texts = [
        each
        for role, each in expressions.items()
        if kinds[role] == NUMBER and each.type is not None and is_text(each.type)
    ]
    if not texts or source.format != "parquet":
        return Dialect(decimal=known.get("decimal", "."), thousands=known.get("thousands", ""), null=null), ()
    values: list[str] = []
    with parquet_file(file) as parquet:
        names = list(dict.fromkeys(name for each in texts for name in each.columns))
        for batch in parquet.iter_batches(SAMPLE_ROWS, columns=names):
            batch = _checked(file, batch.select(names), dict(zip(names, batch.schema.types, strict=True)))
            for each in texts:
                values += [str(value) for value in each.evaluate(batch).to_pylist() if value is not None]
            break
    try:
        decimal, thousands, remarks = number_format(values, known)
    except UserError as error:
        raise UserError(f"{file}: {error}") from None
    return Dialect(decimal=decimal, thousands=thousands, null=null), tuple(remarks)


def sample(source: Source, column: str, kind: str, file: str, rows: int) -> tuple[pa.Array, FileForm]:
    """What a column or an expression holds in the first rows of a file, as it stands there, and how the file is read.

    Args:
        kind: NUMBER, TEXT or TIME: what is expected of it.
    """
    form = form_of(replace(source, columns={"value": column}), {"value": kind}, file)
    for batch in form.batches(file, (0, None)):
        values = form.values("value", batch.slice(0, rows))
        return (values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values), form
    return pa.nulls(0, pa.string()), form
