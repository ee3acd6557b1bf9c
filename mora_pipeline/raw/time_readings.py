"""What a sample of a column of times may be: the format that reads it, or those between which only its owner knows."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mora_pipeline.raw.times import as_moments

MOST = 5000  # values of the sample that are looked at
ENOUGH = 0.5  # of the values must be read by a format that is offered
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DATES = (
    "%d{0}%m{0}%Y", "%m{0}%d{0}%Y", "%d{0}%m{0}%y", "%m{0}%d{0}%y", "%y{0}%m{0}%d", "%d{0}%b{0}%Y", "%d{0}%b{0}%y",
    "%b{0}%d{0}%Y", "%Y{0}%b{0}%d",
)  # fmt: skip
OTHER_DATES = ("%b %d, %Y", "%d. %b %Y", "%a, %d %b %Y", "%a %d %b %Y", "%a %b %d %Y", "%Y%j", "%Y-%j")
CLOCKS = ("%H:%M", "%H:%M:%S", "%H:%M:%S.%f", "%I:%M %p", "%I:%M:%S %p", "%I:%M%p", "%I:%M:%S%p", "%H.%M", "%H.%M.%S",
          "%I %p", "%H")  # fmt: skip
COMPACT = ("%d%m%Y", "%m%d%Y", "%y%m%d", "%d%m%y", "%m%d%y")
COMPACT_CLOCKS = ("", "%H%M", "%H%M%S")
ZONES = ("", "%z", " %z", " %Z")


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
    if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        array = pa.array([each for each in array.to_pylist() if each.strip()], pa.string())
    if not len(array):
        return TimeReadings(None, {})
    plain = _read(array, None)
    first = str(array[0].as_py())
    if _share(plain) > ENOUGH:
        return TimeReadings("", {}, first, _share(plain))
    found = {form: read for form in _forms(array) if _share(read := _read(array, form)) > ENOUGH}
    if not found:
        return TimeReadings(None, {}, first)
    return _judged(array, found)


def _judged(array: pa.Array, found: dict[str, npt.NDArray[np.int64]]) -> TimeReadings:
    """The readings of formats of which each reads most values."""
    best = max(found.values(), key=_share)
    reads_all = [form for form, read in found.items() if not (_known(best) & ~_known(read)).any()]
    distinct = {found[form].tobytes(): form for form in reversed(reads_all)}  # formats that agree are one
    overall = np.logical_or.reduce([_known(read) for read in found.values()])
    certain = len(distinct) == 1 and bool((_known(best) == overall).all())
    forms = sorted(distinct.values(), key=list(found).index) if len(distinct) > 1 or certain else list(found)
    differing = np.flatnonzero(np.any([found[form] != found[forms[0]] for form in forms], axis=0) & _known(best))
    place = int(differing[0]) if len(differing) else int(np.flatnonzero(_known(best))[0])
    readings = {form: _written(int(found[form][place])) for form in forms if _known(found[form])[place]}
    return TimeReadings(forms[0] if certain else None, readings, str(array[place].as_py()), _share(best))


def _forms(array: pa.Array) -> list[str]:
    """The formats that may read the values: those of the first few, by the marks between their digits."""
    if not pa.types.is_string(array.type):
        return ["excel_days", "epoch_days", *COMPACT]
    forms: dict[str, None] = {}
    for text in array[:20].to_pylist():
        forms |= dict.fromkeys(_forms_like(text.strip()))
    return list(forms)


def _forms_like(text: str) -> list[str]:
    if re.fullmatch(r"[\d.]+", text) and text.count(".") < 2:
        return ["excel_days", "epoch_days", *map("".join, product(COMPACT, COMPACT_CLOCKS)), "%Y%j"]
    separators = [each for each in ("/", ".", "-", " ", "") if each in text]
    dates = [date.format(separator) for separator in separators for date in DATES] + list(OTHER_DATES)
    glues = [each for each in (", ", " ", "T") if each in text] or [" "]
    times = ["", *(glue + clock + zone for glue, clock, zone in product(glues, CLOCKS, ZONES))] if ":" in text else [""]
    if ":" not in text:
        times += [glue + clock for glue, clock in product(glues, ("%H.%M", "%H.%M.%S", "%I %p", "%H"))]
    return [form for form in map("".join, product(dates, times)) if not (form.endswith("%H") and text[-1:].isalpha())]


def _read(array: pa.Array, form: str | None) -> npt.NDArray[np.int64]:
    """Moments, microseconds; the smallest number where there is none, or none that is plausible."""
    moments = as_moments(array, form, "UTC")[0]
    read = moments.fill_null(np.iinfo(np.int64).min).to_numpy(zero_copy_only=False).copy()
    if form in ("excel_days", "epoch_days"):
        now = (datetime.now(UTC) + timedelta(days=2) - EPOCH) // timedelta(microseconds=1)
        read[(read < 631_152_000_000_000) | (read > now)] = np.iinfo(np.int64).min
    return read


def _known(read: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    return read != np.iinfo(np.int64).min


def _share(read: npt.NDArray[np.int64]) -> float:
    return float(_known(read).mean())


def _written(moment: int) -> str:
    return (EPOCH + timedelta(microseconds=moment)).replace(tzinfo=None).isoformat(" ")
