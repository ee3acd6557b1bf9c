"""Flows in wide form, a row an origin and a column a destination, made long: a row a flow."""

import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.csv_files import MALFORMED
from mora_pipeline.raw.numbers import is_null_text
from mora_pipeline.raw.values import is_text

DESTINATION, FLOW = "(destination)", "(flow)"  # the columns of the long form


def destinations(pattern: str, columns: Iterable[str], file: str) -> dict[str, str]:
    """The columns that a pattern names, and the destination of each: what its ``*`` stands for.

    Raises:
        UserError: if the pattern has not one ``*``, or matches no column.
    """
    if pattern.count("*") != 1:
        raise UserError(
            f"destinations is '{pattern}': write one *, which stands for the destination's id, such as to_*."
        )
    before, after = map(re.escape, pattern.split("*"))
    found = {name: match[1] for name in columns if (match := re.fullmatch(f"{before}(.+){after}", name, re.DOTALL))}
    if not found:
        raise UserError(f"{file} has no column like '{pattern}'; it has {', '.join(list(columns)[:12])}.")
    return found


def long_type(kinds: Sequence[pa.DataType]) -> pa.DataType:
    """The type of all flows: text if any column holds text, else float64."""
    return pa.string() if any(map(is_text, kinds)) else pa.float64()


def lengthened(
    batch: pa.RecordBatch, wide: Mapping[str, str], kind: pa.DataType, null: Sequence[str]
) -> pa.RecordBatch:
    """A row for each value of the wide columns that is there; a malformed record stays one row.

    Args:
        wide: destinations by column.
        kind: of the flows.
        null: texts that mean that there is no value.
    """
    rows, count = batch.num_rows, len(wide)
    whole = np.ones(rows, dtype=bool)
    if MALFORMED in batch.schema.names:
        whole = batch[MALFORMED].is_null().to_numpy(zero_copy_only=False)
    good = np.flatnonzero(whole)
    flow = (
        pa.concat_arrays([batch[name].take(pa.array(good)).cast(kind) for name in wide]) if count else pa.nulls(0, kind)
    )
    row, column = np.tile(good, count), np.repeat(np.arange(count), len(good))
    there = flow.is_valid()
    if is_text(kind):
        there = pc.and_(there, pc.invert(is_null_text(flow, ["", *null])))
    kept = np.flatnonzero(there.to_numpy(zero_copy_only=False))
    order = np.lexsort((column[kept], row[kept]))  # as they stand in the file
    kept = kept[order]
    bad = np.flatnonzero(~whole)
    taken = pa.array(np.concatenate([row[kept], bad]))
    ids = pa.array(list(wide.values()), pa.string()).take(pa.array(column[kept]))
    added = {DESTINATION: (ids, pa.string()), FLOW: (flow.take(pa.array(kept)), kind)}
    arrays = {name: batch[name].take(taken) for name in batch.schema.names if name not in wide}
    for name, (values, own) in added.items():
        arrays[name] = pa.concat_arrays([values, pa.nulls(len(bad), own)])
    return pa.record_batch(arrays)
