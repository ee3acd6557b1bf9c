"""What a sample of a column of times may be: the format that reads it, or those between which only its owner knows."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mora_pipeline.raw.times import as_moments

MOST = 5000  # values of the sample that are looked at
LIKE = 20  # of them, those whose marks say which formats are tried
ENOUGH = 0.5  # of the values must be read by a format that is offered
NEARLY_ALL = 0.9  # are read without a format: the others are mistakes
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NEVER = np.iinfo(np.int64).min
FIRST = 631_152_000_000_000  # 1990, microseconds
DATES = (
    "%d{0}%m{0}%Y", "%m{0}%d{0}%Y", "%d{0}%m{0}%y", "%m{0}%d{0}%y", "%y{0}%m{0}%d", "%d{0}%b{0}%Y", "%d{0}%b{0}%y",
    "%b{0}%d{0}%Y", "%Y{0}%b{0}%d", "%Y{0}%j",
)  # fmt: skip
OTHER_DATES = ("%b %d, %Y", "%d. %b %Y", "%d. %m. %Y", "%a, %d %b %Y", "%a %d %b %Y", "%a %b %d %Y", "%a, %b %d, %Y")
DIGITS = ("%d%m%Y", "%m%d%Y", "%y%m%d", "%d%m%y", "%m%d%y", "%Y%j")
CLOCK = re.compile(
    r"""(?P<glue>,?\s+|T)(?P<hour>\d{1,2})
    (?:(?P<mark>[:.h])\d{2}(?:(?P<seconds>(?P=mark)\d{2})(?:(?P<point>[.,])\d+)?)?)?
    (?P<half>\s?[AaPp]\.?[Mm]\.?)?
    (?P<zone>\s?(?:(?:UTC|GMT)?[+-]\d{2}:?\d{2}|Z|UTC|GMT|[A-Za-z]+/[A-Za-z_/]+))?$""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class TimeReadings:
    """What a column of times is.

    Attributes:
        certain: the ``time_format`` to declare; "" if none is needed; None if no one is certain.
        readings: each format that reads the sample, with the time (ISO) that it makes of ``example``.
        example: a value that the formats read differently, or the first.
        share: of the values, how many the best format reads, 0 to 1.
    """

    certain: str | None
    readings: dict[str, str]
    example: str = ""
    share: float = 0.0

    def describe(self) -> str:
        """The readings side by side: ``'01/02/2020' is 2020-02-01 00:00:00 by %d/%m/%Y, or …``."""
        if self.certain == "":
            return f"'{self.example}' needs no time_format"
        if not self.readings:
            return f"'{self.example}' is no time in any format that is known"
        return f"'{self.example}' is " + ", or ".join(f"{time} by {form}" for form, time in self.readings.items())


def readings_of(values: Sequence[str] | pa.Array) -> TimeReadings:
    """What a sample of a column may be.

    A format is certain if it reads every value that any other reads, and one of these shows that the others are wrong
    (31/12/2019 proves that the day comes first) or there is no other.
    """
    array = values if isinstance(values, pa.Array) else pa.array(values, pa.string())
    array = array.dictionary_decode() if isinstance(array, pa.DictionaryArray) else array
    array = array.drop_null()[:MOST]
    if pa.types.is_large_string(array.type) or pa.types.is_string(array.type) or pa.types.is_string_view(array.type):
        array = pa.array([each for each in array.to_pylist() if each.strip()], pa.string())
    if not len(array):
        return TimeReadings(None, {})
    plain, first = _read(array, None), str(array[0].as_py())
    if _share(plain) > NEARLY_ALL:
        return TimeReadings("", {}, first, _share(plain))
    found = {form: read for form in ["", *_forms(array)] if _share(read := _read(array, form or None)) > ENOUGH}
    return _judged(array, found) if found else TimeReadings(None, {}, first)


def _judged(array: pa.Array, found: dict[str, npt.NDArray[np.int64]]) -> TimeReadings:
    """The readings of formats of which each reads most values."""
    best = max(found.values(), key=_share)
    reads_all = [form for form, read in found.items() if not (_known(best) & ~_known(read)).any()]
    distinct = {found[form].tobytes(): form for form in reversed(reads_all)}  # formats that agree are one
    overall = np.logical_or.reduce([_known(read) for read in found.values()])
    certain = len(distinct) == 1 and bool((_known(best) == overall).all())
    forms = sorted(distinct.values(), key=list(found).index) if len(distinct) > 1 or certain else list(found)
    differ = np.any([found[form] != found[forms[0]] for form in forms], axis=0)
    by_all = np.all([_known(found[form]) for form in forms], axis=0)
    place = int(np.argmax(2 * (differ & by_all) + _known(best)))
    readings = {form: _written(int(found[form][place])) for form in forms if _known(found[form])[place]}
    return TimeReadings(forms[0] if certain else None, readings, str(array[place].as_py()), _share(best))


def _forms(array: pa.Array) -> list[str]:
    """The formats that may read the values: those of the first few, by the marks between their digits."""
    if not pa.types.is_string(array.type):
        return [
            "excel_days",
            "epoch_days",
            *DIGITS,
            *(f"{date}%H%M{seconds}" for date in DIGITS for seconds in ("", "%S")),
        ]
    return list(dict.fromkeys(form for text in array[:LIKE].to_pylist() for form in _forms_like(text.strip())))


def _forms_like(text: str) -> list[str]:
    if re.fullmatch(r"\d+(\.\d+)?", text):
        clock = {12: "%H%M", 14: "%H%M%S"}.get(len(text), "")
        return ["excel_days", "epoch_days", *(date + clock for date in DIGITS)]
    found = CLOCK.search(text)
    time = _clock_of(found) if found else ""
    date = text[: found.start()] if found else text
    marks = [mark for mark in ("/", ".", "-", " ") if mark in date] or [""]
    return [form + time for form in (*(each.format(mark) for mark in marks for each in DATES), *OTHER_DATES)]


def _clock_of(found: re.Match[str]) -> str:
    """The format of a time of day and its zone."""
    half, zone = found["half"] or "", (found["zone"] or "")
    form = found["glue"].replace("%", "") + ("%I" if half else "%H")
    if found["mark"]:
        form += found["mark"] + "%M" + (found["mark"] + "%S" if found["seconds"] else "")
    form += found["point"] + "%f" if found["point"] else ""
    form += " " * half[:1].isspace() + "%p" if half else ""
    return form + (" " * zone[:1].isspace() + ("%Z" if "/" in zone else "%z") if zone else "")


def _read(array: pa.Array, form: str | None) -> npt.NDArray[np.int64]:
    """Moments, microseconds; NEVER where there is none, or none that is plausible where the year is not written out."""
    read = as_moments(array, form, "UTC")[0].fill_null(NEVER).to_numpy(zero_copy_only=False).copy()
    if form and ("%Y" not in form or not pa.types.is_string(array.type)):
        now = (datetime.now(UTC) + timedelta(days=2) - EPOCH) // timedelta(microseconds=1)
        read[(read < FIRST) | (read > now)] = NEVER
    return read


def _known(read: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    return read != NEVER


def _share(read: npt.NDArray[np.int64]) -> float:
    return float(_known(read).mean())


def _written(moment: int) -> str:
    return (EPOCH + timedelta(microseconds=moment)).replace(tzinfo=None).isoformat(" ")
