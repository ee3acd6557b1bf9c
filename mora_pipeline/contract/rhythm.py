"""The hours of the week that mobility is counted by: few bins, so that a cell of few moves says something in each.

A bin is a part of the day on Monday to Friday or at the weekend, in local time, from its first hour to before its last.
"""

import numpy as np
import numpy.typing as npt

DAYS = ("weekday", "weekend")
DAY_PARTS = ((0, 6), (6, 10), (10, 16), (16, 20), (20, 24))  # night, morning, midday, afternoon, evening
BINS = tuple(f"{day}_{start:02d}_{end:02d}" for day in DAYS for start, end in DAY_PARTS)
DIRECTIONS = ("arrivals", "departures", "stays")
RHYTHM_COLUMNS = tuple(f"{direction}_{name}" for direction in DIRECTIONS for name in BINS)  # directions are blocks
FIRST_WEEKEND_DAY = 5  # counted from Monday


def bin_of_hours() -> npt.NDArray[np.int64]:
    """The bin of each hour of the week from Monday, 0 h, on: int64 [168]."""
    part_of_hour = np.repeat(np.arange(len(DAY_PARTS)), [end - start for start, end in DAY_PARTS])
    weekend = np.arange(7) >= FIRST_WEEKEND_DAY
    return (weekend[:, None] * len(DAY_PARTS) + part_of_hour).ravel().astype(np.int64)
