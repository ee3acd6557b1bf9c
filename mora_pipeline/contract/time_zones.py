"""Wall clock and UTC: offsets of a time zone for whole arrays of times.

The rules are zoneinfo's, which hold beyond 2037, where pyarrow knows no daylight saving time. They are asked once for
each hour, not once for each row.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

Times = npt.NDArray[np.int64]
SECOND, HOUR = 1_000_000, 3_600_000_000  # microseconds
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# What datetime knows, the years 1 to 9999, less a day: times beyond have the offset of the first or the last.
FIRST, LAST = -62_135_510_400 * SECOND, 253_402_214_399 * SECOND
HOURS_PER_BLOCK = 1 << 8  # whose offsets are looked up and remembered together


def to_wall_clock(instants: Times, zone: str) -> Times:
    """The local time of instants, both int64 [n], microseconds since 1970."""
    return instants + _offsets(instants, _Offsets.of(zone, wall_clock=False))


def to_instants(wall_clock: Times, zone: str) -> Times:
    """The instants of local times, both int64 [n], microseconds since 1970.

    A time that is there twice is the first of the two; one that is skipped is as much later as the clock is put forward
    (as Java and Spark have it).
    """
    return wall_clock - _offsets(wall_clock, _Offsets.of(zone, wall_clock=True))


class _Offsets:
    """The offsets of a zone, microseconds, of instants or of times on its wall clock."""

    def __init__(self, name: str, wall_clock: bool) -> None:
        self.rules, self.wall_clock = ZoneInfo(name), wall_clock
        self.of_block: Callable[[int], tuple[Times, Times]] = lru_cache(1 << 12)(self._of_block)

    @staticmethod
    @cache
    def of(name: str, wall_clock: bool) -> "_Offsets":
        return _Offsets(name, wall_clock)

    def at(self, second: int) -> int:
        """The offset at a second since 1970."""
        time = EPOCH + timedelta(seconds=second)
        local = time.replace(tzinfo=self.rules) if self.wall_clock else time.astimezone(self.rules)
        return int((local.utcoffset() or timedelta()).total_seconds()) * SECOND

    def _of_block(self, block: int) -> tuple[Times, Times]:
        """The offsets at the first and the last second of each hour of a block, int64 [HOURS_PER_BLOCK]."""
        lowest, highest = FIRST // SECOND, LAST // SECOND
        hours = range(block * HOURS_PER_BLOCK, (block + 1) * HOURS_PER_BLOCK)
        first, last = (
            np.array([self.at(min(max(3600 * hour + second, lowest), highest)) for hour in hours])
            for second in (0, 3599)
        )
        return first, last


def _offsets(times: Times, known: _Offsets) -> Times:
    """Offsets, int64 [n], microseconds: of the hour, or of the second where the clock changes within the hour."""
    if not len(times):
        return times
    times = np.clip(times, FIRST, LAST)
    hours = times // HOUR
    blocks, place = _distinct(hours // HOURS_PER_BLOCK)
    first, last = (np.concatenate(offsets) for offsets in zip(*map(known.of_block, blocks), strict=True))
    place = place * HOURS_PER_BLOCK + hours % HOURS_PER_BLOCK
    offsets = first[place]
    if (first != last).any():
        changing = (first != last)[place]
        seconds, place = np.unique(times[changing] // SECOND, return_inverse=True)
        offsets[changing] = np.array([known.at(second) for second in seconds.tolist()], dtype=np.int64)[place]
    return offsets


def _distinct(numbers: Times) -> tuple[list[int], Times]:
    """The distinct numbers of a narrow range, ascending, and the place of each among them, int64 [n]."""
    lowest = int(numbers.min())
    present = np.bincount(numbers - lowest) > 0
    return (np.flatnonzero(present) + lowest).tolist(), (np.cumsum(present) - 1)[numbers - lowest]
