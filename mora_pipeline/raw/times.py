"""Values of any Arrow type as moments: microseconds since 1970, UTC.

Without a declared format a value is read where it has one plausible reading: ISO 8601, seconds (or milli-, micro-,
nanoseconds) since 1970, or digits such as 20240131 and 20240131080000, between 1990 and tomorrow.
"""

import time

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mora_pipeline.contract.time_zones import to_instants
from mora_pipeline.raw.time_formats import UNITS, checked_time_format, form_of
from mora_pipeline.raw.written_times import BASIC, DAY, ISO, SECOND, Mask, Numbers, Read, civil, read

__all__ = ["as_moments", "checked_time_format"]
FEW = 64  # values that say whether it is worth trying all
YEAR_ONE = -62_135_596_800 * SECOND
FIRST = 631_152_000 * SECOND  # 1990
EXCEL_EPOCH = 25_569  # 1970-01-01 as a spreadsheet counts days
LARGEST_EXCEL = 2_958_466
# Of a compact time with so many digits, by what the date in it is multiplied.
COMPACT = {8: 1, 10: 100, 12: 10_000, 14: 1_000_000, 17: 1_000_000_000}
WHOLE = r"^(\d{1,18}|1\d{18})$"
FRACTION = r"^\d+(\.\d*)?([eE]\+?\d+)?$"


def as_moments(
    values: pa.Array, time_format: str | None = None, time_zone: str | None = None
) -> tuple[pa.Array, npt.NDArray[np.bool_]]:
    """Values as moments.

    Args:
        values: timestamps (those without a zone, and dates, are wall clock), numbers or texts.
        time_format: how texts and numbers are written: as strptime has it, epoch_s, epoch_ms, epoch_us, epoch_ns,
            epoch_days or excel_days; None: as the module says.
        time_zone: of what has none: a name that zoneinfo knows; None: UTC.

    Returns:
        int64 [n], microseconds since 1970, null where a value is missing or cannot be read with certainty; and whether
        a value that is read lacks a zone and none is declared, bool [n].

    Raises:
        UserError: if the format is none.
    """
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if pa.types.is_dictionary(values.type):
        known, zoneless = as_moments(values.dictionary, time_format, time_zone)
        moments = known.take(values.indices)
        places = values.indices.fill_null(0).to_numpy(zero_copy_only=False)
        lacking = zoneless[places] if len(zoneless) else np.zeros(len(values), dtype=bool)
        return moments, lacking & moments.is_valid().to_numpy(zero_copy_only=False)
    found = _read(values, time_format)
    moments = found.moments
    local = found.valid & ~found.zoned
    if time_zone not in (None, "UTC") and local.any():
        moments = moments.copy()
        moments[local] = to_instants(moments[local], str(time_zone))
    lacking = local if time_zone is None else np.zeros(len(local), dtype=bool)
    return pa.array(moments, pa.int64(), mask=~found.valid), lacking


def _read(values: pa.Array, time_format: str | None) -> Read:
    kind = values.type
    if pa.types.is_timestamp(kind):
        return _timestamps(values)
    if pa.types.is_date(kind):
        return _timestamps(values.cast(pa.timestamp("ms")))
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        values = values.cast(pa.string())
    if pa.types.is_string(values.type):
        values = pc.if_else(pc.equal(values, ""), pa.scalar(None, pa.string()), values)
        return _declared(values, time_format) if time_format else _texts(values)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _declared(values, time_format) if time_format else _numbers(values)
    return Read.nothing(len(values))


def _timestamps(values: pa.Array) -> Read:
    valid = values.is_valid().to_numpy(zero_copy_only=False)
    moments = values.cast(pa.int64()).fill_null(0).to_numpy()
    if values.type.unit == "ns":
        moments = moments // 1000
    elif values.type.unit != "us":
        scale = SECOND if values.type.unit == "s" else 1000
        there = np.abs(moments) <= np.iinfo(np.int64).max // scale
        moments, valid = np.where(there, moments, 0) * scale, valid & there
    return Read(moments, valid, np.full(len(values), values.type.tz is not None))


def _texts(values: pa.Array) -> Read:
    """Texts without a declared format; those of one plain form, as most columns are, by Arrow's own parser."""
    kinds = [pa.timestamp("us"), pa.timestamp("us", "UTC")]
    if pc.all(pc.ascii_is_decimal(values)).as_py() is not False:
        kinds = [pa.int64()]
    for kind in kinds:
        if _cast(values[:FEW], kind) is not None:
            cast = _cast(values, kind)
            if cast is not None:
                found = _read(cast, None)
                return Read(found.moments, found.valid & (found.moments >= YEAR_ONE), found.zoned)
    found = read(values, (ISO, BASIC))
    rest = np.flatnonzero(~found.valid & values.is_valid().to_numpy(zero_copy_only=False))
    if len(rest):
        other = _digits(values.take(pa.array(rest)))
        found.moments[rest], found.valid[rest], found.zoned[rest] = other.moments, other.valid, other.zoned
    return found


def _cast(values: pa.Array, kind: pa.DataType) -> pa.Array | None:
    """Values as a type if all are of it. A value that is not costs a hundred times what one that is does."""
    try:
        return values.cast(kind)
    except pa.ArrowInvalid:
        return None


def _digits(texts: pa.Array) -> Read:
    """Texts that are numbers without a sign; no others are read."""
    none = pa.scalar(None, pa.string())
    trimmed = pc.utf8_trim_whitespace(texts)
    whole = pc.match_substring_regex(trimmed, WHOLE)
    found = _numbers(pc.if_else(whole, trimmed, none).cast(pa.int64()))
    if pc.all(whole).as_py() is not False:
        return found
    fraction = pc.match_substring_regex(trimmed, FRACTION)
    other = _numbers(pc.if_else(pc.and_not(fraction, whole), trimmed, none).cast(pa.float64()))
    moments = np.where(found.valid, found.moments, other.moments)
    return Read(moments, found.valid | other.valid, found.zoned | other.zoned)


def _numbers(values: pa.Array) -> Read:
    """Numbers as the one plausible thing that they are: since 1970 in one of the units, or compact digits."""
    valid = values.is_valid().to_numpy(zero_copy_only=False)
    if pa.types.is_integer(values.type):
        numbers = values.cast(pa.int64(), safe=False).fill_null(0).to_numpy(zero_copy_only=False)
        return _plausible(numbers, valid)
    fractions = values.cast(pa.float64()).fill_null(0).to_numpy(zero_copy_only=False)
    valid = valid & np.isfinite(fractions) & (np.abs(fractions) < 2.0**63)
    fractions = np.where(valid, fractions, 0.0)
    return _plausible(fractions.astype(np.int64), valid, fractions)


def _plausible(whole: Numbers, valid: Mask, fractions: npt.NDArray[np.float64] | None = None) -> Read:
    last = time.time_ns() // 1000 + 2 * DAY  # the end of tomorrow wherever
    moments, readings, zoned = (
        np.zeros_like(whole),
        np.zeros(len(whole), dtype=np.int8),
        np.zeros(len(whole), dtype=bool),
    )
    largest = int(whole.max(initial=0))
    for scale in (SECOND, 1000, 1, 0.001):
        if largest < FIRST / scale:
            break
        here = valid & (whole >= int(FIRST / scale)) & (whole <= int(last / scale))
        if here.any():
            moments[here] = _scaled(whole[here], scale) if fractions is None else np.rint(fractions[here] * scale)
            readings += here
            zoned |= here
    entire = valid if fractions is None else valid & (fractions == whole)
    for digits, scale in COMPACT.items():
        if largest < 10 ** (digits - 1):
            break
        places = np.flatnonzero(entire & (whole >= 10 ** (digits - 1)) & (whole < 10**digits))
        if len(places):
            times, there = _compact(whole[places], scale)
            there &= (times >= FIRST) & (times <= last)
            moments[places[there]] = times[there]
            readings[places[there]] += 1
            zoned[places[there]] = False
    return Read(moments, readings == 1, zoned & (readings == 1))


def _scaled(numbers: Numbers, scale: float) -> Numbers:
    return numbers // round(1 / scale) if scale < 1 else numbers * int(scale)


def _compact(numbers: Numbers, scale: int) -> tuple[Numbers, Mask]:
    """Digits as year, month, day and what follows: microseconds, and whether there is such a time."""
    date, rest = np.divmod(numbers, scale)
    days, there = civil(date // 10_000, date // 100 % 100, date % 100)
    milliseconds = rest * (1_000_000_000 // scale)
    hour, minute, second = (milliseconds // 10**power % 100 for power in (7, 5, 3))
    there &= (hour < 24) & (minute < 60) & (second < 60)
    return days * DAY + ((hour * 60 + minute) * 60 + second) * SECOND + milliseconds % 1000 * 1000, there


def _declared(values: pa.Array, time_format: str) -> Read:
    """Texts or numbers as a format has them."""
    if time_format in UNITS or time_format == "excel_days":
        return _counted(values, time_format)
    form = form_of(time_format)
    if not pa.types.is_string(values.type):
        values = _as_digits(values)
        if form.width:  # a number has lost its leading zeros
            values = pc.utf8_lpad(values, form.width, "0")
    return read(values, (form,))


def _as_digits(values: pa.Array) -> pa.Array:
    """Whole numbers as text; others are null."""
    if not pa.types.is_integer(values.type):
        values = values.cast(pa.float64())
        whole = pc.and_(pc.equal(pc.floor(values), values), pc.less(pc.abs(values), 2.0**53))
        values = pc.if_else(whole, values, pa.scalar(None, pa.float64())).cast(pa.int64())
    return values.cast(pa.string())


def _counted(values: pa.Array, unit: str) -> Read:
    """Numbers, or texts of numbers, as so many units since 1970 (spreadsheets: since 1900)."""
    if pa.types.is_string(values.type):
        if pc.all(pc.match_substring_regex(values, WHOLE)).as_py() is not False:
            values = values.cast(pa.int64())
        else:
            from mora_pipeline.raw.numbers import as_numbers

            values = as_numbers(values)
    valid = values.is_valid().to_numpy(zero_copy_only=False)
    zoned = np.full(len(values), not unit.endswith("days"))
    if pa.types.is_integer(values.type) and unit != "excel_days":
        numbers = values.cast(pa.int64(), safe=False).fill_null(0).to_numpy(zero_copy_only=False)
        scale = UNITS[unit]
        there = valid & (np.abs(numbers) <= int(np.iinfo(np.int64).max // max(scale, 1)))
        return Read(_scaled(np.where(there, numbers, 0), scale), there, zoned & there)
    numbers = values.cast(pa.float64(), safe=False).fill_null(0).to_numpy(zero_copy_only=False)
    if unit == "excel_days":  # kept to the millisecond
        valid = valid & (numbers >= 1) & (numbers < LARGEST_EXCEL)
        moments = np.rint((np.where(valid, numbers, 0) - EXCEL_EPOCH) * 86_400_000) * 1000
    else:
        valid = valid & (np.abs(numbers) < 2.0**62 / UNITS[unit])
        moments = np.rint(np.where(valid, numbers, 0) * UNITS[unit])
    return Read(moments.astype(np.int64), valid, zoned & valid)
