"""Arithmetic of expressions: whole numbers stay whole, and what runs over or is no number is null."""

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mora_pipeline.raw.language import kinds
from mora_pipeline.raw.language.kinds import WHOLE, Values, empty

LIMIT = 1 << 63  # from which on there are no whole numbers


def number_type(types: Sequence[pa.DataType]) -> pa.DataType:
    """Whole numbers stay whole."""
    return WHOLE if all(each in (WHOLE, pa.bool_()) for each in types) else pa.float64()


def checked(name: str, plain: Callable[[int, int], int]) -> Callable[[Values, Values], Values]:
    """Addition and its like by Arrow's name: whole numbers that run over are null, as are fractions that do."""
    exact, loose = getattr(pc, f"{name}_checked"), getattr(pc, name)

    def work(left: Values, right: Values) -> Values:
        if left.type != WHOLE or right.type != WHOLE:
            return kinds.finite(loose(as_float(left), as_float(right)))
        try:
            return exact(left, right)
        except pa.ArrowInvalid:  # rare enough for Python, whose numbers do not run over
            rows = zip(*(each.to_pylist() for each in _arrays(left, right)), strict=True)
            found = [None if one is None or other is None else plain(one, other) for one, other in rows]
            return pa.array([each if each is not None and -LIMIT <= each < LIMIT else None for each in found], WHOLE)

    return work


def magnitude(values: Values) -> Values:
    """Numbers without their sign; that of the smallest whole number is too large."""
    if values.type != WHOLE:
        return pc.abs(values)
    return pc.abs(pc.if_else(pc.equal(values, -LIMIT), empty(WHOLE), values))


def _arrays(left: Values, right: Values) -> list[pa.Array]:
    """Both sides as arrays; one of them is."""
    rows = max(len(each) for each in (left, right) if isinstance(each, pa.Array))
    return [kinds.as_array(each, rows) for each in (left, right)]


def as_float(values: Values) -> Values:
    return values.cast(pa.float64(), safe=False)


def _not_zero(values: Values) -> Values:
    return pc.if_else(pc.equal(values, pa.scalar(0, values.type)), empty(values.type), values)


def divide(left: Values, right: Values) -> Values:
    return kinds.finite(pc.divide(as_float(left), _not_zero(as_float(right))))


def remainder(left: Values, right: Values) -> Values:
    """What is left of a division, with the sign of the left side, as in SQL."""
    if left.type != right.type:
        left, right = as_float(left), as_float(right)
    above, below = _arrays(left, _not_zero(right))
    null = pc.or_(above.is_null(), below.is_null())
    filled = [each.fill_null(1).to_numpy(zero_copy_only=False) for each in (above, below)]
    return kinds.finite(pc.if_else(null, empty(left.type), pa.array(np.fmod(*filled), left.type)))


def chosen(name: str) -> Callable[..., Values]:
    def work(*values: Values) -> Values:
        target = number_type([each.type for each in values])
        return getattr(pc, name)(*(each.cast(target, safe=False) for each in values), skip_nulls=True)

    return work


def whole(numbers: Values) -> Values:
    """Whole numbers, cut towards zero."""
    if numbers.type == WHOLE:
        return numbers
    cut = pc.trunc(numbers)
    return pc.if_else(pc.less(pc.abs(cut), 2.0**63), cut, empty(pa.float64())).cast(WHOLE)


def rounded(values: Values, digits: int = 0) -> Values:
    if values.type == WHOLE and digits >= 0:
        return values
    return kinds.finite(pc.round(as_float(values), digits, round_mode="half_towards_infinity"))
