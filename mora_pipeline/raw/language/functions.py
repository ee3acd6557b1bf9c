"""The operators and functions of expressions: what each takes, gives and does, all over Arrow arrays."""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from mora_pipeline.raw.dialect import Dialect
from mora_pipeline.raw.language import kinds
from mora_pipeline.raw.language.arithmetic import (
    as_float,
    checked,
    chosen,
    divide,
    magnitude,
    number_type,
    remainder,
    rounded,
    whole,
)  # fmt: skip
from mora_pipeline.raw.language.kinds import BOOLEAN, LIST, MOMENT, NULL, NUMBER, TEXT, WHOLE, Values, empty
from mora_pipeline.raw.language.lists import contains, element, joined, sizes
from mora_pipeline.raw.language.patterns import extract, fault

# What an argument is turned into, beside the kinds: a time of day; nothing, but it must be a value; digits; a list or a
# value; nothing at all. And what must be written out: a text, a whole number, either.
CLOCK, VALUE, DIGITS, SEARCHED, ANYTHING = "clock", "value", "digits", "searched", "anything"
WORDING, COUNT, CONSTANT = "a 'text'", "a whole number", "a 'text' or a number"
NOTHING = pa.null()
_NUMBERS = {NUMBER, TEXT, BOOLEAN, NULL}
_VALUES = {*_NUMBERS, MOMENT}
ACCEPTED = {
    NUMBER: _NUMBERS, DIGITS: _NUMBERS, TEXT: _VALUES, VALUE: _VALUES, CLOCK: {MOMENT, TEXT, NUMBER, NULL},
    BOOLEAN: {BOOLEAN, NULL}, LIST: {LIST}, SEARCHED: {LIST, TEXT, NUMBER, NULL},
}  # fmt: skip
Types = Sequence[pa.DataType]


@dataclass(frozen=True)
class Function:
    """``takes``: the kind that each argument is turned into, the last for all that follow; ``least`` and ``most``: how
    many there are (most 0: any number); ``gives``: the type of the result by the types of the arguments."""

    takes: tuple[str, ...]
    gives: Callable[[Types], pa.DataType]
    work: Callable[..., Values]
    least: int = 1
    most: int = 1

    def takes_at(self, place: int) -> str:
        return self.takes[min(place, len(self.takes) - 1)]


def _always(kind: pa.DataType) -> Callable[[Types], pa.DataType]:
    return lambda _: kind


def common_kind(types: Types) -> str | None:
    """What values of these types are compared as, or None: beside a number a text is read as a number."""
    found = {kinds.kind_of(each) for each in types} - {kinds.NULL}
    if len(found) == 2 and TEXT in found:
        found -= {TEXT}
    if found == {NUMBER, BOOLEAN}:
        return NUMBER
    kind = found.pop() if found else TEXT
    return None if found or kind not in (NUMBER, TEXT, MOMENT, BOOLEAN) else kind


def common_type(types: Types) -> pa.DataType | None:
    """The type of one of several values, or None if they do not go together: beside a text, a number is text."""
    types = [each for each in types if each != NOTHING]
    found = {kinds.kind_of(each) for each in types}
    if len(set(types)) <= 1:
        return types[0] if types else NOTHING
    if found == {NUMBER}:
        return number_type(types)
    if found == {MOMENT}:
        zoned = {pa.types.is_timestamp(each) and each.tz is not None for each in types}
        return None if len(zoned) > 1 else pa.timestamp("us", "UTC" if zoned.pop() else None)
    return pa.string() if found <= {NUMBER, TEXT, BOOLEAN, MOMENT} and TEXT in found else None


def converted(values: Values, takes: str, written: Dialect | None) -> Values:
    """An argument as a function takes it; numbers in texts are written as `written` says."""
    if takes in (NUMBER, DIGITS):
        return kinds.as_number(values, written, exact=takes == DIGITS)
    return CONVERT[takes](values) if takes in CONVERT else values


CONVERT: dict[str, Callable[[Values], Values]] = {
    TEXT: kinds.as_text, BOOLEAN: kinds.as_boolean, MOMENT: kinds.as_moment, CLOCK: kinds.as_wall_clock,
}  # fmt: skip


def into(values: Values, target: pa.DataType) -> Values:
    """Values as a `common_type`."""
    if values.type == target:
        return values
    return kinds.as_text(values) if target == pa.string() else values.cast(target, safe=False)


def _between(value: Values, low: Values, high: Values) -> Values:
    return pc.and_kleene(pc.greater_equal(value, low), pc.less_equal(value, high))


def _among(value: Values, *choices: Values) -> Values:
    """Whether a value is one of several: null if it is none and one of them is null, as in SQL."""
    if not all(isinstance(each, pa.Scalar) for each in choices):
        found = pc.equal(value, choices[0])
        for choice in choices[1:]:
            found = pc.or_kleene(found, pc.equal(value, choice))
        return found
    if value.type == WHOLE and any(each.type != WHOLE for each in choices):
        value = as_float(value)
    known = pa.array([each.as_py() for each in choices if each.is_valid], value.type)
    unknown = pc.is_null(value) if all(each.is_valid for each in choices) else pc.invert(pc.is_in(value, known))
    return pc.if_else(pc.or_(unknown, pc.is_null(value)), empty(pa.bool_()), pc.is_in(value, known))


def _coalesce(*values: Values) -> Values:
    target = common_type([each.type for each in values]) or NOTHING
    return pc.coalesce(*(into(each, target) for each in values))


def _if(condition: Values, one: Values, other: Values) -> Values:
    target = common_type([one.type, other.type]) or NOTHING
    return pc.if_else(pc.fill_null(condition, False), into(one, target), into(other, target))


def _substring(values: Values, start: int, length: int | None = None) -> Values:
    """Positions count from 1, or from the end if negative."""
    first = start - 1 if start > 0 else start
    if first < 0 and length is not None and first + length >= 0:
        length = None
    stop = None if length is None else first + length
    return pc.utf8_slice_codeunits(values, first, stop)


def _left(values: Values, count: int) -> Values:
    return pc.utf8_slice_codeunits(values, 0, count)


def _right(values: Values, count: int) -> Values:
    return pc.utf8_slice_codeunits(values, -count) if count else _left(values, 0)


def _part(name: str) -> Function:
    return Function((CLOCK,), _always(WHOLE), getattr(pc, name))


def _text_function(work: Callable[..., Values], *more: str, least: int | None = None, gives: Any = None) -> Function:
    most = 1 + len(more)
    return Function((TEXT, *more), _always(gives or pa.string()), work, most if least is None else least, most)


def _contains(values: Values, wording: Any) -> Values:
    if kinds.kind_of(values.type) == LIST:
        return contains(values, wording)
    return pc.match_substring(kinds.as_text(values), str(wording))


def _concat(*values: Values) -> Values:
    return pc.binary_join_element_wise(*values, "")


COMPARISONS = {
    "=": pc.equal, "<>": pc.not_equal, "<": pc.less, "<=": pc.less_equal, ">": pc.greater, ">=": pc.greater_equal,
}  # fmt: skip
TAKEN_FROM = checked("subtract", operator.sub)
TRUTH = _always(pa.bool_())
FLOAT = _always(pa.float64())
OPERATORS = {
    **{name: Function((VALUE,), TRUTH, work, 2, 2) for name, work in COMPARISONS.items()},
    "+": Function((NUMBER,), number_type, checked("add", operator.add), 2, 2),
    "-": Function((NUMBER,), number_type, TAKEN_FROM, 2, 2),
    "*": Function((NUMBER,), number_type, checked("multiply", operator.mul), 2, 2),
    "/": Function((NUMBER,), FLOAT, divide, 2, 2),
    "%": Function((NUMBER,), number_type, remainder, 2, 2),
    "minus": Function((NUMBER,), number_type, lambda value: TAKEN_FROM(pa.scalar(0), value)),
    "||": Function((TEXT,), _always(pa.string()), _concat, 2, 2),
    "and": Function((BOOLEAN,), TRUTH, pc.and_kleene, 2, 2),
    "or": Function((BOOLEAN,), TRUTH, pc.or_kleene, 2, 2),
    "not": Function((BOOLEAN,), TRUTH, pc.invert),
    "is null": Function((ANYTHING,), TRUTH, lambda value: pc.is_null(value)),
    "in": Function((VALUE,), TRUTH, _among, 2, 0),
    "between": Function((VALUE,), TRUTH, _between, 3, 3),
    "like": Function((TEXT, WORDING), TRUTH, pc.match_like, 2, 2),
}
FUNCTIONS = {
    "number": Function((NUMBER,), number_type, lambda value: value),
    "integer": Function((DIGITS,), _always(WHOLE), whole),
    "text": _text_function(lambda value: value),
    "lower": _text_function(pc.utf8_lower),
    "upper": _text_function(pc.utf8_upper),
    "trim": _text_function(pc.utf8_trim_whitespace),
    "length": _text_function(lambda value: pc.utf8_length(value).cast(WHOLE), gives=WHOLE),
    "substring": _text_function(_substring, COUNT, COUNT, least=2),
    "left": _text_function(_left, COUNT),
    "right": _text_function(_right, COUNT),
    "replace": _text_function(pc.replace_substring, WORDING, WORDING),
    "pad": _text_function(pc.utf8_lpad, COUNT, WORDING),
    "starts_with": _text_function(pc.starts_with, WORDING, gives=pa.bool_()),
    "ends_with": _text_function(pc.ends_with, WORDING, gives=pa.bool_()),
    "regexp_extract": _text_function(extract, WORDING, COUNT, least=2),
    "split": _text_function(pc.split_pattern, WORDING, gives=pa.list_(pa.string())),
    "concat": Function((TEXT,), _always(pa.string()), _concat, 1, 0),
    "coalesce": Function((VALUE,), lambda types: common_type(types) or NOTHING, _coalesce, 1, 0),
    "if": Function((BOOLEAN, VALUE), lambda types: common_type(types[1:]) or NOTHING, _if, 3, 3),
    "abs": Function((NUMBER,), number_type, magnitude),
    "floor": Function((NUMBER,), number_type, lambda value: value if value.type == WHOLE else pc.floor(value)),
    "round": Function((NUMBER, COUNT), lambda types: number_type(types[:1]), rounded, 1, 2),
    "least": Function((NUMBER,), number_type, chosen("min_element_wise"), 1, 0),
    "greatest": Function((NUMBER,), number_type, chosen("max_element_wise"), 1, 0),
    "contains": Function((SEARCHED, CONSTANT), TRUTH, _contains, 2, 2),
    "list_size": Function((LIST,), _always(WHOLE), sizes),
    "first": Function((LIST,), lambda types: kinds.unified_type(types[0].value_type), lambda value: element(value, 0)),
    "join": Function((LIST, WORDING), _always(pa.string()), joined, 2, 2),
    "year": _part("year"),
    "month": _part("month"),
    "day": _part("day"),
    "hour": _part("hour"),
    "date": Function((CLOCK,), _always(pa.date32()), lambda value: value.cast(pa.date32(), safe=False)),
}


def _at_least(least: int) -> Callable[[list[Any]], str | None]:
    return lambda numbers: None if all(number >= least for number in numbers) else f"a number of {least} or more"


def _not_empty(texts: list[Any]) -> str | None:
    return None if texts[0] else "a text that is not empty"


def _places(numbers: list[Any]) -> str | None:
    return None if numbers[0] and min(numbers[1:], default=0) >= 0 else "a start from 1 (or from the end, -1), a length"


def _padding(constants: list[Any]) -> str | None:
    return None if 0 <= constants[0] <= 1000 and len(constants[1]) == 1 else "a length up to 1000, and one character"


# What is wanted of the constants of a function, if they are not that.
WANTED: dict[str, Callable[[list[Any]], str | None]] = {
    "left": _at_least(0), "right": _at_least(0), "substring": _places, "pad": _padding, "split": _not_empty,
    "replace": _not_empty, "regexp_extract": lambda constants: fault(*constants),
}  # fmt: skip
