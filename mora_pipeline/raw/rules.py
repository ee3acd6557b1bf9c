"""The rules for bad rows, stated once: a reason, the columns it looks at, and where it holds of them.

They run in the tasks on Arrow batches, whichever reader the rows came through.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mora_pipeline.raw.cells import resolutions_of

Mask = npt.NDArray[np.bool_]
Predicate = Callable[..., Mask]  # one Arrow array of n rows for each column → bool [n], true where the row is bad

LARGEST = 2.0**40  # flow of one row: 4 million of them add up within 63 bits
SMALLEST = 2.0**-40  # below, so few bits would be kept that a flow could become nothing
LATEST_AFTER = 86_400_000_000  # microseconds that a row's time may be after its file was written: clocks, zones differ
NO_COORDINATE = "coordinate missing or NaN"
NO_LATITUDE = "latitude beyond ±90"
NO_LONGITUDE = "longitude beyond ±180"
UNKNOWN_PLACE = "unknown place"
NO_GEOMETRY = "geometry missing, unreadable or beyond the globe"
NO_CELL = "no H3 cell"
COARSE_CELL = "H3 cell coarser than the region's resolution"
NULL_ISLAND = "point at 0, 0"
MALFORMED_ROW = "another number of fields than the header"
NO_ID = "id missing"
AMBIGUOUS_PLACE = "place listed at several points"
NO_USER = "user missing"
NO_TIME = "time unparsable"
NO_ZONE = "time without a zone (say mobility.time_zone)"
LATE_TIME = "time after the file was written"
NO_TEXT = "no text"


@dataclass(frozen=True)
class Rule:
    """Rows are bad for this reason where the predicate holds of these columns.

    ``apart``: they are no fault: of no use here, counted by themselves, and neither quarantined nor bounded.
    """

    reason: str
    columns: tuple[str, ...]
    holds: Predicate
    apart: bool = False


def broken_rules(rows: pa.RecordBatch, rules: Sequence[Rule]) -> npt.NDArray[np.int16]:
    """The number of the first rule that holds of each row, int16 [n]; ``len(rules)`` where none does."""
    broken = np.full(rows.num_rows, len(rules), dtype=np.int16)
    for number in reversed(range(len(rules))):
        holds = rules[number].holds(*(rows[name] for name in rules[number].columns))
        if holds.any():
            broken[holds] = number
    return broken


def coordinate_rules(latitude: str, longitude: str) -> list[Rule]:
    """A point must be on the globe; one at 0, 0 is what devices without a fix write."""
    return [
        Rule(NO_COORDINATE, (latitude, longitude), _not_numbers),
        Rule(NULL_ISLAND, (latitude, longitude), _all_zero, apart=True),
        Rule(NO_LATITUDE, (latitude,), partial(_beyond, limit=90)),
        Rule(NO_LONGITUDE, (longitude,), partial(_beyond, limit=180)),
    ]


def geometry_rules() -> list[Rule]:
    """A geometry must have a point on the globe, which stands for it."""
    return [
        Rule(NO_GEOMETRY, ("latitude", "longitude"), _not_numbers),
        Rule(NULL_ISLAND, ("latitude", "longitude"), _all_zero, apart=True),
    ]


def coarse_rule(cell: str, resolution: int) -> Rule:
    """Where a row must lie in one cell, that is none of a coarser resolution."""
    return Rule(COARSE_CELL, (cell,), partial(_coarser, resolution=resolution))


def positive_rules(name: str) -> list[Rule]:
    """A quantity must be a number above zero; a zero, as dense tables have them, says that there is nothing."""
    zero = Rule(f"{name} zero", (name,), _all_zero, apart=True)
    return [_number_rule(name, name), zero, Rule(f"{name} not positive", (name,), _negative)]


def share_rules(name: str, label: str) -> list[Rule]:
    """A weight or a bin must be a number, zero or above."""
    return [_number_rule(name, label), Rule(f"{label} negative", (name,), _negative)]


def flow_rules(name: str) -> list[Rule]:
    """A flow must be a number above zero that can be added up exactly: from 2⁻⁴⁰ to 2⁴⁰."""
    return [
        *positive_rules(name),
        Rule(f"{name} below 2^-40", (name,), partial(_below, limit=SMALLEST)),
        Rule(f"{name} above 2^40", (name,), partial(_above, limit=LARGEST)),
    ]


def users_rules(name: str) -> list[Rule]:
    """A number of users must be a whole flow above zero: a flow that nobody makes contradicts itself."""
    nobody = Rule(f"{name} not positive", (name,), _all_zero)
    return [nobody, *flow_rules(name), Rule(f"{name} not a whole number", (name,), _not_whole)]


def late_rule(latest: Mapping[str, int]) -> Rule:
    """A time must not be after the last one that its file may have (microseconds since 1970, by file)."""
    return Rule(LATE_TIME, ("time", "source"), partial(_later, latest=latest))


def missing(*values: pa.Array) -> Mask:
    """True where any of the columns is null."""
    return np.asarray(np.logical_or.reduce([array.is_null().to_numpy(zero_copy_only=False) for array in values]))


def all_missing(*values: pa.Array) -> Mask:
    """True where all of the columns are null."""
    return np.asarray(np.logical_and.reduce([array.is_null().to_numpy(zero_copy_only=False) for array in values]))


def is_true(values: pa.Array) -> Mask:
    return np.asarray(values.to_numpy(zero_copy_only=False), dtype=bool)


def is_among(values: pa.Array, listed: pa.Array) -> Mask:
    return np.asarray(pc.is_in(values, listed).to_numpy(zero_copy_only=False))


def _number_rule(name: str, label: str) -> Rule:
    return Rule(f"{label} missing or not a number", (name,), _not_numbers)


def _numbers(values: pa.Array) -> npt.NDArray[np.float64]:
    """float64 [n]; a null is NaN, and NaN is not below, above or equal to anything."""
    return np.asarray(values.to_numpy(zero_copy_only=False))


def _not_numbers(*values: pa.Array) -> Mask:
    return np.asarray(np.logical_or.reduce([np.isnan(_numbers(array)) for array in values]))


def _beyond(values: pa.Array, limit: float) -> Mask:
    return np.asarray(np.abs(_numbers(values)) > limit)


def _all_zero(*values: pa.Array) -> Mask:
    return np.asarray(np.logical_and.reduce([_numbers(array) == 0 for array in values]))


def _negative(values: pa.Array) -> Mask:
    return np.asarray(_numbers(values) < 0)


def _below(values: pa.Array, limit: float) -> Mask:
    return np.asarray(_numbers(values) < limit)


def _above(values: pa.Array, limit: float) -> Mask:
    return np.asarray(_numbers(values) > limit)


def _coarser(cells: pa.Array, resolution: int) -> Mask:
    return np.asarray(resolutions_of(cells.fill_null(0).to_numpy()) < resolution)


def _not_whole(values: pa.Array) -> Mask:
    number = _numbers(values)
    return np.asarray(number != np.floor(number))


def _later(time: pa.Array, source: pa.Array, latest: Mapping[str, int]) -> Mask:
    coded = source if pa.types.is_dictionary(source.type) else source.dictionary_encode()
    limits = np.array([latest[file] for file in coded.dictionary.to_pylist()], dtype=np.int64)
    return np.asarray(time.fill_null(0).to_numpy() > limits[coded.indices.to_numpy()])
