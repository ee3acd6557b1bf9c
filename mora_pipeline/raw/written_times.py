"""Texts read as moments, whole columns at once.

Most texts of a column differ in their digits alone: they have few shapes (a shape is a text with each digit 0).
Whether a form fits, and where its parts stand, is asked once a shape; then the digits of all its texts are read.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mora_pipeline.contract.time_zones import to_instants

Numbers = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
SECOND, DAY = 1_000_000, 86_400_000_000  # microseconds
COMMON = 16  # shapes that are looked for one after the other
LONGEST = 100  # bytes of a text that is a time
MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
OFFSET = r"(?P<zs>[+-])(?P<zh>\d{1,2})(?::?(?P<zm>\d{2}))?"
PLACE = r"[A-Za-z]+(?:/[A-Za-z0-9_+-]+)+"
_ZONE = rf"(?:(?P<zn>[Zz]|(?i:utc|gmt)|{PLACE})|(?i:utc|gmt)?{OFFSET}(?:\[{PLACE}\])?)?"
_FRACTION = r"(?:[.,](?P<f>\d+))?"
_CLOCK = rf"(?P<H>\d{{1,2}})(?::(?P<M>\d{{1,2}})(?::(?P<S>\d{{1,2}}){_FRACTION})?)?"
_TIGHT = rf"(?P<H>\d{{2}})(?::?(?P<M>\d{{2}})(?::?(?P<S>\d{{2}}){_FRACTION})?)?"
_DATE = r"(?P<Y>\d{4})(?P<mark>[-/.])(?P<m>\d{1,2})(?P=mark)(?P<d>\d{1,2})"


@dataclass(frozen=True)
class Form:
    """How times are written: a regular expression with a group a part (``Y``, ``m``, …, named as for strptime; ``zs``,
    ``zh``, ``zm``: the sign, hours and minutes of an offset; ``zn``: the name of a zone).

    ``width``: the digits of a form that is digits alone, else 0.
    """

    pattern: str
    width: int = 0

    @cached_property
    def compiled(self) -> re.Pattern[bytes]:
        return re.compile(self.pattern.encode())


ISO = Form(rf"{_DATE}(?:[Tt\s]\s*{_CLOCK}\s*{_ZONE})?")
BASIC = Form(rf"(?P<Y>\d{{4}})(?P<m>\d{{2}})(?P<d>\d{{2}})[Tt]{_TIGHT}\s*{_ZONE}")


@dataclass(frozen=True)
class Read:
    """Texts read, all [n]: ``moments``, microseconds since 1970, UTC where ``zoned`` and as written elsewhere;
    ``valid``, whether it was read."""

    moments: Numbers
    valid: Mask
    zoned: Mask

    @classmethod
    def nothing(cls, rows: int) -> "Read":
        return cls(np.zeros(rows, dtype=np.int64), np.zeros(rows, dtype=bool), np.zeros(rows, dtype=bool))


def read(texts: pa.Array, forms: Sequence[Form]) -> Read:
    """Texts (string) as the first form that fits each has them; spaces around them do not count."""
    found = Read.nothing(len(texts))
    for rows, characters in _by_length(texts):
        for place, same in _by_shape(characters):
            parts = _fitting(place.tobytes(), forms)
            if parts is not None:
                moments, valid, zoned = _moments(_Parts(parts, characters[same]))
                where = rows[same]
                found.moments[where], found.valid[where], found.zoned[where] = moments, valid, zoned & valid
    return found


def _by_length(texts: pa.Array) -> Iterator[tuple[Numbers, Bytes]]:
    """The places of the texts of each length, int64 [k], and their bytes, [k, length]."""
    _, offsets, content = texts.buffers()
    if content is None:
        return
    ends = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1].astype(np.int64)
    data = np.frombuffer(content, np.uint8)
    lengths = np.diff(ends)
    lengths[texts.is_null().to_numpy(zero_copy_only=False)] = 0
    for length in np.unique(lengths[(lengths > 0) & (lengths <= LONGEST)]).tolist():
        rows = np.flatnonzero(lengths == length)
        if len(rows) == len(texts):
            yield rows, data[ends[0] : ends[-1]].reshape(-1, length)
        else:
            yield rows, data[ends[rows][:, None] + np.arange(length)]


def _by_shape(characters: Bytes) -> Iterator[tuple[Bytes, Numbers | slice]]:
    """Each shape among texts of one length, and which have it: the common ones first."""
    shapes = np.where((characters >= 48) & (characters <= 57), np.uint8(48), characters)
    if (shapes == shapes[0]).all():
        yield shapes[0], slice(None)
        return
    rest = np.arange(len(shapes))
    for _ in range(COMMON):
        if not len(rest):
            return
        same = (shapes[rest] == shapes[rest[0]]).all(axis=1)
        yield shapes[rest[0]], rest[same]
        rest = rest[~same]
    if len(rest):
        whole = np.ascontiguousarray(shapes[rest]).view(f"V{shapes.shape[1]}").ravel()
        _, first, member = np.unique(whole, return_index=True, return_inverse=True)
        order = np.argsort(member, kind="stable")
        for place, rows in zip(first, np.split(order, np.cumsum(np.bincount(member))[:-1]), strict=True):
            yield shapes[rest[place]], rest[rows]


@lru_cache(1 << 12)
def _fitting(shape: bytes, forms: Sequence[Form]) -> re.Match[bytes] | None:
    """How the first form that fits a shape does, if one does."""
    start, end = len(shape) - len(shape.lstrip()), len(shape.rstrip())
    return next((found for form in forms if (found := form.compiled.fullmatch(shape, start, end))), None)


@dataclass(frozen=True)
class _Parts:
    """The parts of texts of one shape: those that they lack are 0."""

    found: re.Match[bytes]
    characters: Bytes
    named: dict[str, bytes | None] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "named", self.found.groupdict())

    def text(self, name: str) -> str:
        """What is the same in all."""
        return (self.named.get(name) or b"").decode()

    def number(self, name: str) -> Numbers:
        return self._digits(*self.found.span(name)) if self.named.get(name) else self._zeros()

    def fraction(self) -> Numbers:
        """Microseconds; what is finer is cut off."""
        if not self.named.get("f"):
            return self._zeros()
        start, end = self.found.span("f")
        end = min(end, start + 6)
        return self._digits(start, end) * 10 ** (6 - end + start)

    def _zeros(self) -> Numbers:
        return np.zeros(len(self.characters), dtype=np.int64)

    def _digits(self, start: int, end: int) -> Numbers:
        number = self._zeros()
        for place in range(start, end):
            number = number * 10 + (self.characters[:, place] - 48)
        return number


def _moments(parts: _Parts) -> tuple[Numbers, Mask, bool]:
    """Moments of texts of one shape, whether there are such times, and whether they have a zone."""
    days, valid = _days(parts)
    hours, minutes, seconds = parts.number("H"), parts.number("M"), parts.number("S")
    if parts.text("I"):
        hours = parts.number("I")
        valid = valid & (hours >= 1) & (hours <= 12)
        hours = hours % 12 + (12 if parts.text("p").lower() == "p" else 0)
    valid = valid & (hours < 24) & (minutes < 60) & (seconds < 60)
    moments = days * DAY + ((hours * 60 + minutes) * 60 + seconds) * SECOND + parts.fraction()
    sign, zone = parts.text("zs"), parts.text("zn")
    if sign:
        hours, minutes = parts.number("zh"), parts.number("zm")
        east = (hours * 60 + minutes) * 60 * SECOND * (-1 if sign == "-" else 1)
        return moments - east, valid & (hours < 24) & (minutes < 60), True
    if "/" in zone:
        return _in_place(moments, valid, parts)
    return moments, valid, bool(zone)


def _in_place(moments: Numbers, valid: Mask, parts: _Parts) -> tuple[Numbers, Mask, bool]:
    """Local times of a zone named by a place, which may have digits (Etc/GMT+5)."""
    start, end = parts.found.span("zn")
    letters = np.ascontiguousarray(parts.characters[:, start:end])
    if not any(map(str.isdigit, parts.text("zn"))):
        letters = letters[:1]
    names, which = np.unique(letters, axis=0, return_inverse=True)
    valid, moments = valid.copy(), moments.copy()
    for number, name in enumerate(each.tobytes().decode() for each in names):
        here = which.ravel() == number if len(letters) > 1 else slice(None)
        if _is_zone(name):
            moments[here] = to_instants(moments[here], name)
        else:
            valid[here] = False
    return moments, valid, True


@lru_cache(1024)
def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        return False
    return True


def _days(parts: _Parts) -> tuple[Numbers, Mask]:
    """Days since 1970, and whether the date is one of the calendar."""
    year = parts.number("Y")
    if parts.text("y"):
        year = parts.number("y")
        year = year + np.where(year < 69, 2000, 1900)  # as strptime has it
    if parts.text("j"):
        first, there = civil(year, np.ones_like(year), np.ones_like(year))
        day = parts.number("j")
        leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
        return first + day - 1, there & (day >= 1) & (day <= 365 + leap)
    month = parts.number("m")
    if parts.text("b"):
        month = np.full_like(year, MONTHS.index(parts.text("b")[:3].lower()) + 1)
    return civil(year, month, parts.number("d"))


def civil(year: Numbers, month: Numbers, day: Numbers) -> tuple[Numbers, Mask]:
    """Days since 1970 of dates of the calendar, and whether there are such dates (of the years 1 to 9999)."""
    there = (year >= 1) & (year <= 9999) & (month >= 1) & (month <= 12)
    months = (np.where(there, year, 1970) - 1970) * 12 + np.where(there, month, 1) - 1
    first = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    after = (months + 1).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    return first + day - 1, there & (day >= 1) & (day <= after - first)
