"""What a sample shows that is allowed and yet seldom meant: numbers for no value, ids written in two ways, totals."""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

_FEW = 2  # rows with one value, from which it is suspicious
_BEYOND = 10  # times the largest other number, from which a row of nines is suspicious
_MOST_IDS = 100_000
_CLEAR = 0.05  # of the unknown ids, that must be known in another way
_NINES = re.compile(r"9{2,}")
_WAYS: Mapping[str, Callable[[str], str]] = {
    "zeros before it": lambda text: text.lstrip("0"),
    "capital and small letters": str.casefold,
    "the '.0' behind it": lambda text: text.removesuffix(".0"),
    "thousands separators": lambda text: re.sub(r"(?<=\d)[,' \u00a0\u202f](?=\d{3})", "", text),
    "how letters with marks are composed": lambda text: unicodedata.normalize("NFKC", text),
    "signs and spaces in it": lambda text: re.sub(r"[\W_]+", "", text),
    "the 'US' and what stands before it": lambda text: text.rpartition("US")[2],
}


def sentinel(numbers: npt.NDArray[np.float64]) -> str:
    """A sentence where one value looks as if it meant that there is none; else an empty text.

    That is -1 or nines with a minus (-99, -9999) below numbers that are all zero or above, or nines (999, 99999) far
    above all others; several times.
    """
    values, counts = np.unique(numbers[np.isfinite(numbers)], return_counts=True)
    if len(values) < 3:
        return ""
    least, most = float(values[0]), float(values[-1])
    if counts[0] >= _FEW and values[1] >= 0 and (least == -1 or (least < 0 and _is_nines(-least))):
        suspect, times, others = least, counts[0], values[1:]
    elif counts[-1] >= _FEW and _is_nines(most) and most >= 999 and most > _BEYOND * abs(values[-2]):
        suspect, times, others = most, counts[-1], values[:-1]
    else:
        return ""
    return (
        f"{times:,} of {counts.sum():,} values are {suspect:.15g}, all others from {others[0]:.15g} to "
        f"{others[-1]:.15g}. If it means that there is no value, say null: [{suspect:.15g}]."
    )


def _is_nines(number: float) -> bool:
    return bool(_NINES.fullmatch(f"{number:.15g}"))


def known_otherwise(unknown: Sequence[str], known: Sequence[str]) -> str:
    """A sentence where ids that are unknown would be known but for how they are written; else an empty text."""
    if not unknown or len(known) > _MOST_IDS:
        return ""
    for what, way in _WAYS.items():
        by_form = _by_form(tuple(known), what)
        found = [(text, by_form[way(text)]) for text in dict.fromkeys(unknown) if way(text) in by_form]
        if len(found) > _CLEAR * len(unknown):
            text, other = found[0]
            return (
                f"{len(found):,} of its {len(unknown):,} unknown ids would be known but for {what}, such as '{text}', "
                f"which the table of places has as '{other}'. Write both in one way, by an expression for example."
            )
    return ""


@lru_cache(maxsize=16)
def _by_form(known: tuple[str, ...], what: str) -> dict[str, str]:
    return {form: text for text in reversed(known) if (form := _WAYS[what](text))}


def totals(bins: Mapping[str, npt.NDArray[np.float64]]) -> str:
    """A sentence where a column of a histogram is the sum of its others; else an empty text."""
    if len(bins) < 3:
        return ""
    names, table = list(bins), np.column_stack(list(bins.values()))
    table = table[np.isfinite(table).all(axis=1)]
    whole = table.sum(axis=1)
    if len(table) < 3 or not whole.any():
        return ""
    for number, name in enumerate(names):
        if np.allclose(2 * table[:, number], whole, rtol=1e-6, atol=0):
            return f"'{name}' is the sum of the other {len(names) - 1} columns. Leave it out, or it counts twice."
    return ""
