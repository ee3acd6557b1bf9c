"""Arrow values of any type as texts: ids and names, the same whatever a file stores them as."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc


def as_texts(values: pa.Array, null: Sequence[str] = ()) -> pa.Array:
    """Values as trimmed text, string [n]; null where there is none, or where it is empty or one of `null`.

    Whole numbers have no decimal point, so that 7, 7.0 and '7' are one id; leading zeros of texts are kept.
    """
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_floating(values.type):
        values = _of_floats(values.cast(pa.float64()))
    elif pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type):
        values = values.cast(pa.string(), safe=False)
    elif pa.types.is_nested(values.type):
        return pa.nulls(len(values), pa.string())
    trimmed = pc.utf8_trim_whitespace(values.cast(pa.string()))
    absent = pc.equal(trimmed, "")
    if null:
        absent = pc.or_(absent, pc.is_in(trimmed, pa.array(list(null), pa.string())))
    return pc.if_else(absent, None, trimmed)


def _of_floats(values: pa.Array) -> pa.Array:
    known = pc.if_else(pc.is_nan(values), None, values)
    small = pc.less(pc.abs(known), 2.0**63)
    whole = pc.and_(small, pc.equal(known, pc.floor(known)))
    as_whole = pc.if_else(whole, known, 0.0).cast(pa.int64()).cast(pa.string())
    return pc.if_else(whole, as_whole, known.cast(pa.string()))


def is_text(kind: pa.DataType) -> bool:
    """Whether a column of this type holds text, encoded as a dictionary or not."""
    if pa.types.is_dictionary(kind):
        return is_text(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))
