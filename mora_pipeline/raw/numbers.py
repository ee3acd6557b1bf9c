"""Values of any Arrow type as numbers: plain decimal numbers only, so that no letter is read as a digit's company."""

import re
from collections.abc import Sequence
from contextlib import suppress

import pyarrow as pa
import pyarrow.compute as pc

from mora_pipeline.raw.dialect import Dialect
from mora_pipeline.raw.number_format import APOSTROPHES, PLAIN, SPACES, kin, number_pattern

_NUMBER_IN_TEXT = re.compile(r"[+-]?[0-9][0-9.,'\u2019 \u00a0\u2007\u2009\u202f]*(?:[eE][+-]?[0-9]+)?|[+-]?\.[0-9]+")


def as_numbers(values: pa.Array, dialect: Dialect | None = None, null: Sequence[str] = ()) -> pa.Array:
    """Float64; null where a value is missing, a text of `null`, not finite or not a plain decimal number.

    A plain decimal number is an optional sign, digits with a decimal mark and thousands as the dialect has them, and
    an optional exponent; spaces around it do not count. Booleans, times and nested values are no numbers.

    Args:
        dialect: of texts: its decimal mark, thousands and null texts; None: a decimal point and no thousands.
        null: texts that mean no value, beside the dialect's; those that are numbers hold for numbers too.
    """
    kind = values.type
    nulls = tuple(dict.fromkeys(text.strip() for text in (*null, *(dialect.null if dialect else ())) if text.strip()))
    if pa.types.is_dictionary(kind):
        return as_numbers(values.dictionary, dialect, null).take(values.indices)
    if pa.types.is_run_end_encoded(kind):
        return as_numbers(pc.run_end_decode(values), dialect, null)
    if _is_text(kind):
        numbers = _from_text(values.cast(pa.string()), dialect, nulls)
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        numbers = values.cast(pa.float64(), safe=False)
    else:
        return pa.nulls(len(values), pa.float64())
    return _without_sentinels(_finite(numbers), nulls)


def is_null_text(values: pa.Array, null: Sequence[str]) -> pa.Array:
    """Where a text, trimmed, is one of `null` (or missing): booleans."""
    if pa.types.is_dictionary(values.type):
        return pc.fill_null(is_null_text(values.dictionary, null).take(values.indices), True)
    if not _is_text(values.type):
        return pc.or_(
            pc.is_null(values), pc.and_(pc.is_valid(as_numbers(values)), pc.is_null(as_numbers(values, None, null)))
        )
    known = pa.array([text.strip() for text in null], pa.string())
    trimmed = pc.utf8_trim_whitespace(values.cast(pa.string()))
    return pc.or_(pc.is_null(values), pc.fill_null(pc.is_in(trimmed, known), False))


def amounts(values: pa.Array) -> pa.Array:
    """Float64: what a bad value probably carries ("48,210", "250,000+", "$75", "12d"); null where it has no digits.

    An estimate for the share that bad rows carry, never a value of the data.
    """
    if pa.types.is_dictionary(values.type):
        return amounts(values.dictionary).take(values.indices)
    if not _is_text(values.type):
        return as_numbers(values)
    coded = values.cast(pa.string()).dictionary_encode()
    guesses = pa.array([_guess(text) for text in coded.dictionary.to_pylist()], pa.float64())
    return guesses.take(coded.indices)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _from_text(values: pa.Array, dialect: Dialect | None, nulls: Sequence[str]) -> pa.Array:
    decimal, thousands = (dialect.decimal, dialect.thousands) if dialect else (".", "")
    if decimal == "." and not thousands:
        with suppress(pa.ArrowInvalid):
            return values.cast(pa.float64())
        with suppress(pa.ArrowInvalid):  # texts without a value are all that is in the way
            return pc.if_else(pc.is_in(values, pa.array(["", *nulls])), None, values).cast(pa.float64())
    elif not thousands and not pc.any(pc.match_substring(values, "."), min_count=0).as_py():
        with suppress(pa.ArrowInvalid):
            return pc.replace_substring(values, decimal, ".").cast(pa.float64())
    trimmed = pc.utf8_trim_whitespace(values)
    plain = pc.match_substring_regex(trimmed, number_pattern(decimal, thousands))
    trimmed = pc.if_else(plain, trimmed, None)
    for mark in kin(thousands):
        trimmed = pc.replace_substring(trimmed, mark, "")
    if decimal != ".":
        trimmed = pc.replace_substring(trimmed, decimal, ".")
    return trimmed.cast(pa.float64())


def _finite(numbers: pa.Array) -> pa.Array:
    finite = pc.is_finite(numbers)
    return numbers if pc.all(finite, min_count=0).as_py() else pc.if_else(finite, numbers, None)


def _without_sentinels(numbers: pa.Array, nulls: Sequence[str]) -> pa.Array:
    sentinels = [float(text) for text in nulls if PLAIN.fullmatch(text)]
    if not sentinels:
        return numbers
    smallest, largest = pc.min_max(numbers).values()
    if not smallest.is_valid or not any(smallest.as_py() <= one <= largest.as_py() for one in sentinels):
        return numbers
    return pc.if_else(pc.is_in(numbers, pa.array(sentinels, pa.float64())), None, numbers)


def _guess(text: str | None) -> float | None:
    found = _NUMBER_IN_TEXT.search(text or "")
    if not found:
        return None
    digits = re.sub(f"[{SPACES}{APOSTROPHES}]", "", found.group())
    marks = [mark for mark in ",." if mark in digits]
    if len(marks) == 2:
        last = max(marks, key=digits.rindex)
        digits = digits.replace("," if last == "." else ".", "").replace(",", ".")
    elif marks and (digits.count(marks[0]) > 1 or (marks[0] == "," and re.search(r",[0-9]{3}(?![0-9])", digits))):
        digits = digits.replace(marks[0], "")
    digits = digits.replace(",", ".").rstrip(".")
    try:
        return float(digits)
    except ValueError:
        return float(re.sub("[^0-9]", "", digits) or 0)
