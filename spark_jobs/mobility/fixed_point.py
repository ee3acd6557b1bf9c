"""Amounts in fixed point: their sums are exact, so that no order of rows, files or tasks changes a byte.

An amount is ``whole + upper · 2⁻⁴⁰ + lower · 2⁻⁸⁰``, three whole numbers. A float64 of 2⁻²⁸ or more is kept to its last
bit, a smaller one to within 2⁻⁸¹; what is kept is added up exactly.
"""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from mora_pipeline.contract.errors import UserError

Numbers = npt.NDArray[np.int64]
Amounts = dict[str, Numbers]  # whole, and upper and lower where any amount has a fraction
WHOLE, UPPER, LOWER = PARTS = ("whole", "upper", "lower")
DIGIT = 2.0**40  # what a place value counts up to
UNITS = 1 << 22  # that a share is divided into
COARSEST = 2.0**36  # of an amount that is to be divided: with two shares, that makes the 80 bits
LIMB = (1 << 20) - 1
LONGEST_RUN = 1 << 22  # of fractions that are added up before they are carried


def to_fixed_point(values: npt.NDArray[np.float64]) -> Amounts:
    """Amounts [n] from 0 to `LARGEST` in fixed point, int64 [n] a part; without fractions, `whole` alone."""
    floor = np.floor(values)
    amounts = {WHOLE: floor.astype(np.int64)}
    fraction = values - floor
    if fraction.any():
        scaled = fraction * DIGIT
        upper = np.floor(scaled)
        amounts[UPPER] = upper.astype(np.int64)
        amounts[LOWER] = np.rint((scaled - upper) * DIGIT).astype(np.int64)
    return amounts


def to_float(amounts: Mapping[str, Numbers]) -> npt.NDArray[np.float64]:
    """The float64 [n] nearest each amount, as good as: one that depends on the amount alone."""
    parts = carried(amounts)
    whole = parts[WHOLE].astype(np.float64)
    return whole + (parts[UPPER] + parts[LOWER] / DIGIT) / DIGIT if UPPER in parts else whole


def summed(amounts: Mapping[str, Numbers], order: npt.NDArray[np.int64], starts: npt.NDArray[np.int64]) -> Amounts:
    """Sums of runs of rows.

    Args:
        amounts: parts, [n] each; `upper` and `lower` at most 2⁴⁰ (as `to_fixed_point` and `summed` give them).
        order: [n], in which the rows are taken.
        starts: where each run begins, in that order.

    Raises:
        UserError: if the sums leave 63 bits.
    """
    check_sum(float(amounts[WHOLE].sum(dtype=np.float64)))
    rows = len(order)
    if UPPER in amounts and int(np.diff(starts, append=rows).max()) > LONGEST_RUN:
        pieces = np.union1d(starts, np.arange(0, rows, LONGEST_RUN))
        parts = summed(amounts, order, pieces)
        return summed(parts, np.arange(len(pieces)), np.searchsorted(pieces, starts))
    return carried({name: np.add.reduceat(part[order], starts) for name, part in amounts.items()})


def check_sum(whole: float) -> None:
    """Refuse sums that 63 bits might not hold.

    Raises:
        UserError: if the whole part is 2⁶² or more.
    """
    if whole >= 2.0**62:
        raise UserError(
            "The flows (mobility.columns.flow or count) add up to more than 4.6e18. Give them in a larger unit."
        )


def carried(amounts: Mapping[str, Numbers]) -> Amounts:
    """The same amounts with `upper` and `lower` below 2⁴⁰: one form for each amount."""
    if UPPER not in amounts:
        return dict(amounts)
    bits = int(np.log2(DIGIT))
    upper = amounts[UPPER] + (amounts[LOWER] >> bits)
    lowest = (1 << bits) - 1
    return {WHOLE: amounts[WHOLE] + (upper >> bits), UPPER: upper & lowest, LOWER: amounts[LOWER] & lowest}


def rounded(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Amounts [n] to the nearest multiple of 2⁻³⁶ above 0: what `divided` divides exactly."""
    return np.maximum(np.rint(values * COARSEST), 1) / COARSEST


def divided(amounts: Mapping[str, Numbers], *units: Numbers) -> Amounts:
    """Parts of amounts: of each, ``units[0] · units[1] / UNITS²``, exactly.

    So whoever adds up amounts before or after they are divided gets the same bits.

    Args:
        amounts: of `rounded` values, or sums of these, [n] a part.
        units: two of [n] each, from 0 to `UNITS`.
    """
    whole = amounts[WHOLE]
    upper = amounts.get(UPPER, np.zeros_like(whole))
    largest = int(whole.max(initial=0))
    digits = [upper & LIMB, upper >> 20, *((whole >> bits) & LIMB for bits in range(0, largest.bit_length(), 20))]
    for factor in units:  # in base 2²⁰
        carry: Numbers | int = 0
        for place, digit in enumerate(digits):
            product = digit * factor + carry
            digits[place], carry = product & LIMB, product >> 20
        digits += [np.asarray(carry) & LIMB, np.asarray(carry) >> 20]
    # 40 bits of the fraction and 44 of the units: the lowest four are zeros.
    digits = [(low >> 4) | ((high & 15) << 16) for low, high in pairwise([*digits, np.zeros_like(whole)])]
    wholes = np.zeros_like(whole)
    for bits, digit in zip(range(0, 64, 20), digits[4:], strict=False):
        wholes |= digit << bits
    return {WHOLE: wholes, UPPER: digits[2] | (digits[3] << 20), LOWER: digits[0] | (digits[1] << 20)}


def in_units(rows: Numbers, shares: npt.NDArray[np.float64]) -> Numbers:
    """Shares in whole `UNITS`, [m]: those of a row add up to all of them.

    Args:
        rows: that shares belong to, ascending; those of a row sum to 1.
    """
    exact = shares * UNITS
    units = np.floor(exact).astype(np.int64)
    lacking = UNITS - np.bincount(rows, units).astype(np.int64)  # fewer than the row has shares
    order = np.lexsort((-(exact - units), rows))
    starts = np.searchsorted(rows, np.arange(len(lacking)))
    rank = np.arange(len(rows)) - starts[rows]
    units[order[rank < lacking[rows]]] += 1
    return units
