"""Texts read as moments by a form: a regular expression of RE2 with a group a part (``Y``, ``m``, ``d``, …), which
Arrow applies to whole columns.
"""

from dataclasses import dataclass
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mora_pipeline.contract.time_zones import to_instants

Numbers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
SECOND, DAY = 1_000_000, 86_400_000_000  # microseconds
MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
OFFSET = r"(?P<zs>[+-])(?P<zh>\d{1,2})(?::?(?P<zm>\d{2}))?"
PLACE = r"[A-Za-z]+(?:/[A-Za-z0-9_+-]+)+"
_ZONE = rf"(?:(?P<zn>[Zz]|(?i:utc|gmt)|{PLACE})|(?i:utc|gmt)?{OFFSET}(?:\[{PLACE}\])?)?"
_FRACTION = r"(?:[.,](?P<f>\d+))?"
_CLOCK = rf"(?P<H>\d{{1,2}})(?::(?P<M>\d{{1,2}})(?::(?P<S>\d{{1,2}}){_FRACTION})?)?"
_TIGHT = rf"(?P<H>\d{{2}})(?::?(?P<M>\d{{2}})(?::?(?P<S>\d{{2}}){_FRACTION})?)?"
_DATE = r"(?P<Y>\d{4})(?P<one>[-/.])(?P<m>\d{1,2})(?P<two>[-/.])(?P<d>\d{1,2})"


@dataclass(frozen=True)
class Form:
    """``pattern``: of RE2; ``width``: the digits of a form that is digits alone, else 0."""

    pattern: str
    width: int = 0


ISO = Form(rf"^\s*{_DATE}(?:[Tt ]\s*{_CLOCK}\s*{_ZONE})?\s*$")
BASIC = Form(rf"^\s*(?P<Y>\d{{4}})(?P<m>\d{{2}})(?P<d>\d{{2}})[Tt]{_TIGHT}\s*{_ZONE}\s*$")


@dataclass(frozen=True)
class Read:
    """Texts read: ``moments``, microseconds since 1970, UTC where ``zoned`` and as written elsewhere; ``valid``; all
    [n]."""

    moments: Numbers
    valid: Mask
    zoned: Mask


def read(texts: pa.Array, form: Form) -> Read:
    """Texts (string) as a form has them."""
    found = pc.extract_regex(texts, form.pattern)
    valid = found.is_valid().to_numpy(zero_copy_only=False)
    parts = _Parts(found)
    days, known = _days(parts)
    hours, minutes, seconds = parts.number("H"), parts.number("M"), parts.number("S")
    if parts.has("I"):
        hours = parts.number("I")
        known &= (hours >= 1) & (hours <= 12)
        hours = hours % 12 + 12 * parts.is_one_of("p", "pP")
    known &= (hours < 24) & (minutes < 60) & (seconds < 60)
    if parts.has("one"):
        known &= _mask(pc.equal(parts.text("one"), parts.text("two")))
    moments = days * DAY + ((hours * 60 + minutes) * 60 + seconds) * SECOND + parts.fraction()
    return _zoned(parts, moments, valid & known)


def _zoned(parts: "_Parts", moments: Numbers, valid: Mask) -> Read:
    zoned = np.zeros(len(moments), dtype=bool)
    if parts.has("zs"):
        zoned |= ~_mask(pc.equal(parts.text("zs"), ""))
        hours, minutes = parts.number("zh"), parts.number("zm")
        valid = valid & (hours <= 18) & (minutes < 60)
        moments = moments - np.where(parts.is_one_of("zs", "-"), -1, 1) * (hours * 60 + minutes) * 60 * SECOND
    if parts.has("zn"):
        names = parts.text("zn").dictionary_encode()
        for code, name in enumerate(names.dictionary.to_pylist()):
            if not name:
                continue
            here = _mask(pc.equal(names.indices, code)) & valid
            zoned |= here
            if "/" in name and _is_zone(name):
                moments[here] = to_instants(moments[here], name)
            elif "/" in name:
                valid = valid & ~here
    return Read(moments, valid, zoned & valid)


@lru_cache(1024)
def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        return False
    return True


class _Parts:
    """The parts of texts that a form found: those that a text lacks are 0."""

    def __init__(self, found: pa.StructArray) -> None:
        self.found, self.names = found, {field.name for field in found.type}

    def has(self, name: str) -> bool:
        return name in self.names

    def text(self, name: str) -> pa.Array:
        return pc.fill_null(pc.struct_field(self.found, name), "")

    def number(self, name: str) -> Numbers:
        if name not in self.names:
            return np.zeros(len(self.found), dtype=np.int64)
        return _numbers(self.text(name))

    def is_one_of(self, name: str, letters: str) -> Mask:
        return _mask(pc.is_in(self.text(name), pa.array(list(letters))))

    def fraction(self) -> Numbers:
        """Microseconds; what is finer is cut off."""
        if "f" not in self.names:
            return np.zeros(len(self.found), dtype=np.int64)
        return _numbers(pc.utf8_slice_codeunits(pc.utf8_rpad(self.text("f"), 6, "0"), 0, 6))


def _numbers(texts: pa.Array) -> Numbers:
    texts = pc.if_else(pc.equal(texts, ""), "0", texts)
    return texts.cast(pa.int64()).to_numpy(zero_copy_only=False)


def _mask(values: pa.Array) -> Mask:
    return values.to_numpy(zero_copy_only=False).astype(bool)


def _days(parts: _Parts) -> tuple[Numbers, Mask]:
    """Days since 1970, and whether the date is one of the calendar."""
    year = parts.number("Y")
    if parts.has("y"):
        year = parts.number("y")
        year = year + np.where(year < 69, 2000, 1900)  # as strptime has it
    if parts.has("j"):
        first, _ = civil(year, np.ones_like(year), np.ones_like(year))
        day = parts.number("j")
        leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
        return first + day - 1, (day >= 1) & (day <= 365 + leap) & (year >= 1)
    month = parts.number("m")
    if parts.has("b"):
        short = pc.utf8_lower(pc.utf8_slice_codeunits(parts.text("b"), 0, 3))
        month = (
            pc.fill_null(pc.index_in(short, pa.array(MONTHS)), -1).to_numpy(zero_copy_only=False).astype(np.int64) + 1
        )
    return civil(year, month, parts.number("d"))


def civil(year: Numbers, month: Numbers, day: Numbers) -> tuple[Numbers, Mask]:
    """Days since 1970 of dates of the calendar, and whether there are such dates (of the years 1 to 9999)."""
    there = (year >= 1) & (year <= 9999) & (month >= 1) & (month <= 12)
    months = (np.where(there, year, 1970) - 1970) * 12 + np.where(there, month, 1) - 1
    first = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    after = (months + 1).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    return first + day - 1, there & (day >= 1) & (day <= after - first)
