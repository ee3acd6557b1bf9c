"""Files of edges cut into spans of row groups that hold whole origins, and read piece by piece."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.schemas import GRAPH
from spark_jobs.output import open_parquet

COLUMNS = {column.name: column.type for column in GRAPH}
ROWS_PER_SPAN = 16 << 20  # fixed, not by cores: the spans, and so the output's files, are the same on every machine
ROWS_PER_PIECE = 1 << 20
REMEDY = "Make the edges with the job grid_mobility."


@dataclass(frozen=True)
class Span:
    """The edges of some origins of a file.

    Those in the row groups from ``first`` to before ``last`` whose origin is above ``after`` and at most ``through``
    (None: no bound).
    """

    file: str
    first: int
    last: int
    after: int | None = None
    through: int | None = None


def spans_of(files: Sequence[str], rows_per_span: int = ROWS_PER_SPAN) -> list[Span]:
    """Cut files into spans of about so many edges each, no origin parted; in the order of the rows.

    A file whose footer does not say where its row groups begin and end remains one span.
    """
    return [span for file in files for span in _spans_of_file(file, open_parquet(file), rows_per_span)]


def _spans_of_file(file: str, parquet: pq.ParquetFile, rows_per_span: int) -> list[Span]:
    check_columns(file, parquet.schema_arrow)
    groups, bounds = parquet.metadata.num_row_groups, _bounds(parquet.metadata)
    spans: list[Span] = []
    first, after, rows = 0, None, 0
    for group in range(len(bounds)):
        if group < first:
            continue
        rows += parquet.metadata.row_group(group).num_rows
        through = bounds[group][1]
        if rows < rows_per_span or through == bounds[-1][1]:
            continue
        following = next(later for later in range(group + 1, groups) if bounds[later][1] > through)
        runs_on = bounds[following][0] <= through  # the origin's last edges are in that row group
        spans.append(Span(file, first, following + runs_on, after, through))
        first, after, rows = following, through, 0
    return [*spans, Span(file, first, groups, after)]


def _bounds(metadata: pq.FileMetaData) -> list[tuple[int, int]]:
    """The smallest and largest origin of each row group; nothing if the footer lacks them or they do not ascend."""
    bounds: list[tuple[int, int]] = []
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        columns = [group.column(index) for index in range(group.num_columns)]
        statistics = next(column for column in columns if column.path_in_schema == "origin").statistics
        if statistics is None or not statistics.has_min_max or (bounds and statistics.min < bounds[-1][1]):
            return []
        bounds.append((statistics.min, statistics.max))
    return bounds


def check_columns(file: str, schema: pa.Schema) -> None:
    """Refuse a file that does not hold edges.

    Raises:
        UserError: if a column is missing or of a wrong type.
    """
    for name in COLUMNS:
        if name not in schema.names:
            raise UserError(f"{file} has no column {name}; it has {', '.join(schema.names)}. {REMEDY}")
        kind = schema.field(name).type
        if not (pa.types.is_integer(kind) or (name == "flow" and pa.types.is_floating(kind))):
            raise UserError(f"{file}: column {name} is of type {kind}, not {COLUMNS[name]}. {REMEDY}")


def whole_origins(span: Span, rows_per_piece: int = ROWS_PER_PIECE) -> Iterator[pa.RecordBatch]:
    """The edges of a span in pieces that never part an origin; columns origin, destination, flow, without nulls.

    Raises:
        UserError: if the file cannot be read, is not sorted by origin, or holds nulls.
    """
    held: list[pa.RecordBatch] = []  # the last origin seen: it may run on in the next batch
    for batch in _batches(span, rows_per_piece):
        origin = batch["origin"].to_numpy()
        start = int(np.searchsorted(origin, origin[-1], side="left"))
        if held:
            open_origin = held[0]["origin"][0].as_py()
            ended = int(np.searchsorted(origin, open_origin, side="right"))
            if ended == len(origin):
                held.append(batch)
                continue
            # A small piece for the origin that ends here: the rest is passed on as it is, without a copy.
            yield pa.concat_batches([*held, batch.slice(0, ended)])
            batch, start = batch.slice(ended), start - ended
        if start:
            yield batch.slice(0, start)
        held = [batch.slice(start)]
    if held:
        yield pa.concat_batches(held)


def _batches(span: Span, rows: int) -> Iterator[pa.RecordBatch]:
    """The span's edges as they are in the file, without those of its neighbours; none empty."""
    groups = range(span.first, span.last)
    batches = open_parquet(span.file).iter_batches(rows, groups, list(COLUMNS), use_threads=False)
    before = None
    while (batch := _next(batches, span.file)) is not None:
        if not batch.num_rows:
            continue
        origin = batch["origin"].to_numpy()
        if (origin[1:] < origin[:-1]).any() or (before is not None and origin[0] < before):
            raise UserError(f"{span.file} is not sorted by origin. {REMEDY}")
        before = origin[-1]
        first = 0 if span.after is None else int(np.searchsorted(origin, span.after, side="right"))
        end = len(origin) if span.through is None else int(np.searchsorted(origin, span.through, side="right"))
        if end > first:
            yield batch.slice(first, end - first)


def _next(batches: Iterator[pa.RecordBatch], file: str) -> pa.RecordBatch | None:
    """The next batch with the types of `COLUMNS`, or None after the last."""
    try:
        batch = next(batches, None)
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{file} cannot be read ({error}). Is it whole? Make it again.") from None
    if batch is None:
        return None
    columns = []
    for name, kind in COLUMNS.items():
        try:
            columns.append(batch[name].cast(kind))
        except pa.ArrowInvalid as error:
            raise UserError(f"{file}: column {name} does not fit into {kind} ({error}). {REMEDY}") from None
        if columns[-1].null_count:
            raise UserError(f"{file} has edges without {name}. {REMEDY}")
    flow = columns[-1].to_numpy()
    if not (np.isfinite(flow) & (flow > 0)).all():
        raise UserError(f"{file} has flows that are not positive and finite. {REMEDY}")
    return pa.record_batch(columns, names=list(COLUMNS))
