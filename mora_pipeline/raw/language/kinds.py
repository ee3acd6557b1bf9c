"""Arrow's many types as the few kinds that expressions tell apart, and values turned from one kind into another."""

from collections.abc import Callable
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.time_zones import to_wall_clock
from mora_pipeline.raw.dialect import Dialect
from mora_pipeline.raw.numbers import as_numbers
from mora_pipeline.raw.times import as_moments

NUMBER, TEXT, BOOLEAN, MOMENT, LIST, STRUCT, MAP, NULL, OTHER = (
    "number", "text", "true or false", "time", "list", "struct", "map", "nothing", "other",
)  # fmt: skip
ARTICLES = {
    NUMBER: "a number", TEXT: "a text", BOOLEAN: "true or false", MOMENT: "a time", LIST: "a list", STRUCT: "a struct",
    MAP: "a map", NULL: "nothing", OTHER: "of another type",
}  # fmt: skip
MICROSECONDS = pa.timestamp("us")
WHOLE = pa.int64()
Values: TypeAlias = "pa.Array | pa.Scalar"
TRUE_TEXTS, FALSE_TEXTS = ("true", "t", "yes", "y", "1"), ("false", "f", "no", "n", "0")
WHOLE_TEXT = r"^-?\d{1,18}$"
TEXT_TYPES = (pa.string(), pa.large_string(), pa.string_view())
LIST_CHECKS = (
    pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list, pa.types.is_list_view,
    pa.types.is_large_list_view,
)  # fmt: skip


def unified_type(kind: pa.DataType) -> pa.DataType:
    """The type that values of a type are given: int64, float64, string, bool, …; the nested ones keep theirs."""
    if isinstance(kind, pa.BaseExtensionType):
        return unified_type(kind.storage_type)
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return unified_type(kind.value_type)
    if kind in TEXT_TYPES:
        return pa.string()
    if pa.types.is_integer(kind):
        return WHOLE
    return pa.float64() if pa.types.is_floating(kind) or pa.types.is_decimal(kind) else kind


def kind_of(kind: pa.DataType) -> str:
    """The kind of values of a type."""
    kind = unified_type(kind)
    if kind in (WHOLE, pa.float64()):
        return NUMBER
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return MOMENT
    if any(check(kind) for check in LIST_CHECKS):
        return LIST
    known = {pa.string(): TEXT, pa.bool_(): BOOLEAN, pa.null(): NULL}
    return known.get(kind) or (STRUCT if pa.types.is_struct(kind) else MAP if pa.types.is_map(kind) else OTHER)


def unified(values: Values) -> Values:
    """Values in their `unified_type`; what is no number is null."""
    if isinstance(values, pa.Scalar):
        return unified(pa.array([values.as_py()], values.type))[0]
    if isinstance(values, pa.ExtensionArray):
        return unified(values.storage)
    if isinstance(values, pa.DictionaryArray):
        return unified(values.dictionary_decode())
    if pa.types.is_run_end_encoded(values.type):
        return unified(pc.run_end_decode(values))
    target = unified_type(values.type)
    if values.type == pa.uint64() and values.null_count < len(values) and pc.max(values).as_py() >= 1 << 63:
        raise UserError("A column holds whole numbers of 2^63 and more: expressions take smaller ones.")
    if pa.types.is_floating(values.type):
        values = values.cast(target)
        return finite(values)
    return values if values.type == target else values.cast(target)


def finite(values: Values) -> Values:
    """Numbers; null where they are infinite or none."""
    finite = pc.is_finite(values)
    if isinstance(values, pa.Scalar):
        return values if finite.as_py() is not False else pa.scalar(None, values.type)
    if pc.all(finite).as_py() is not False:
        return values
    return pc.if_else(finite, values, pa.scalar(None, values.type))


def empty(kind: pa.DataType) -> pa.Scalar:
    return pa.scalar(None, kind)


def as_number(values: Values, written: Dialect | None = None, exact: bool = False) -> Values:
    """Values as int64 or float64; texts by the rules of plain decimal numbers, to float64.

    Args:
        written: how texts write numbers; None: with a decimal point.
        exact: texts to int64, cut towards zero: a fraction holds only the first 16 digits of a long one.
    """
    kind = kind_of(values.type)
    if kind == NULL:
        return empty(pa.float64())
    if kind == BOOLEAN:
        return values.cast(WHOLE)
    if kind == TEXT:
        return _each(lambda texts: _number_of_text(texts, written, exact), values)
    return values


def _number_of_text(texts: pa.Array, written: Dialect | None, exact: bool) -> pa.Array:
    numbers = as_numbers(texts, written)
    if not exact:
        return numbers
    trimmed = pc.utf8_trim_whitespace(texts)
    digits = pc.match_substring_regex(trimmed, WHOLE_TEXT)
    whole = pc.if_else(digits, trimmed, empty(pa.string())).cast(WHOLE)
    cut = pc.trunc(numbers)
    other = pc.if_else(pc.less(pc.abs(cut), 2.0**63), cut, empty(pa.float64())).cast(WHOLE)
    return pc.coalesce(whole, other)


def as_text(values: Values) -> Values:
    """Values as text: whole numbers without a decimal point, times in ISO form."""
    kind = kind_of(values.type)
    if kind == TEXT:
        return values
    if values.type == pa.float64():
        return _each(_text_of_floats, values)
    if pa.types.is_timestamp(values.type):
        whole = values.cast(pa.timestamp("us", values.type.tz), safe=False)
        return pc.replace_substring_regex(whole.cast(pa.string()), r"\.0+(Z|[+-]\d+)?$", r"\1")
    return values.cast(pa.string())


def _text_of_floats(values: pa.Array) -> pa.Array:
    whole = pc.and_(pc.equal(pc.floor(values), values), pc.less(pc.abs(values), 2.0**63))
    if pc.all(whole).as_py() is not False:
        return values.cast(WHOLE, safe=False).cast(pa.string())
    numbers = pc.if_else(whole, values, 0.0).cast(WHOLE, safe=False).cast(pa.string())
    return pc.if_else(whole, numbers, values.cast(pa.string()))


def as_boolean(values: Values) -> Values:
    """Values as booleans: texts such as true, t, yes, y or 1 of any case; null where they are neither."""
    if kind_of(values.type) != TEXT:
        return values.cast(pa.bool_())
    lower = pc.utf8_lower(pc.utf8_trim_whitespace(values))
    true, false = (pc.is_in(lower, pa.array(texts)) for texts in (TRUE_TEXTS, FALSE_TEXTS))
    return pc.if_else(pc.or_(true, false), true, empty(pa.bool_()))


def as_moment(values: Values) -> Values:
    """Values as timestamp[us] without a zone: instants in UTC, others as they are written."""
    return _each(lambda array: as_moments(array, None, "UTC")[0].cast(MICROSECONDS), values)


def as_wall_clock(values: Values) -> Values:
    """Values as timestamp[us] without a zone: of a column with a zone, the time of day there."""
    zone = values.type.tz if pa.types.is_timestamp(values.type) else None
    if zone in (None, "UTC"):
        return as_moment(values)
    if "/" not in zone:  # an offset
        return pc.local_timestamp(values).cast(MICROSECONDS, safe=False)
    return _each(lambda instants: _there(as_moment(instants), zone), values)


def _there(instants: pa.Array, zone: str) -> pa.Array:
    local = to_wall_clock(instants.cast(WHOLE).fill_null(0).to_numpy(), zone)
    return pa.array(local, WHOLE, mask=instants.is_null().to_numpy(zero_copy_only=False)).cast(MICROSECONDS)


def _each(function: Callable[[pa.Array], pa.Array], values: Values) -> Values:
    """A function of arrays, of a constant too."""
    if isinstance(values, pa.Scalar):
        return function(pa.array([values.as_py()], values.type))[0]
    return function(values)


def as_array(values: Values, rows: int) -> pa.Array:
    """Values as an array of `rows`: a constant is repeated."""
    if isinstance(values, pa.Scalar):
        return pa.repeat(values, rows) if values.is_valid else pa.nulls(rows, values.type)
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
