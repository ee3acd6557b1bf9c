"""Sums of moves with a change added: what came since they were made, and what left.

Sums are exact (`fixed_point`), and so is taking away: what remains is what adding up the rest would give.
"""

import numpy as np
import pyarrow as pa

from spark_jobs.mobility.fixed_point import PARTS, WHOLE, Numbers, carried, check_sum
from spark_jobs.mobility.move_tables import added_up, joined

AMOUNTS = (*PARTS, "users")


def negated(moves: pa.Table) -> pa.Table:
    """Moves that take away what these add."""
    for number, name in enumerate(moves.column_names):
        if name in AMOUNTS:
            moves = moves.set_column(number, name, pa.array(-moves[name].to_numpy()))
    return moves


def with_change(sums: pa.Table | None, change: pa.Table | None) -> pa.Table | None:
    """Sums and a change of them, both sorted by origin and destination; pairs of which nothing is left are dropped.

    The change is looked up in the sums, which are not sorted again: it is small where a run adds a day to a year.

    Raises:
        ArithmeticError: if more is taken away than there is.
        UserError: if the flows are too large to add up.
    """
    if change is None:
        return sums
    if sums is None or "user" in change.column_names:  # only adding up separates a user's rows
        return _what_is_left(added_up(joined([table for table in (sums, change) if table is not None])))
    both = joined([sums, change])
    amounts = [name for name in AMOUNTS if name in both.column_names]
    old, new = (
        {name: part[name].to_numpy() for name in ("origin", "destination", *amounts)}
        for part in (both.slice(0, sums.num_rows), both.slice(sums.num_rows))
    )
    place = _places(old, new)
    inside = np.minimum(place, sums.num_rows - 1)
    known = (old["origin"][inside] == new["origin"]) & (old["destination"][inside] == new["destination"])
    merged = {}
    for name in both.column_names:
        values = old[name]
        if name in amounts:
            check_sum(float(np.abs(values).max()) + float(np.abs(new[name]).max()))
            values = values.copy()
            values[place[known]] += new[name][known]
        merged[name] = np.insert(values, place[~known], new[name][~known])
    return _what_is_left(pa.table({**merged, **carried({name: merged[name] for name in PARTS if name in merged})}))


def _places(old: dict[str, Numbers], new: dict[str, Numbers]) -> Numbers:
    """The place of each new pair among the old ones, or where it would be: binary searches, all at once."""
    low = np.searchsorted(old["origin"], new["origin"], "left")
    high = np.searchsorted(old["origin"], new["origin"], "right")
    while len(searching := np.flatnonzero(low < high)):
        middle = (low[searching] + high[searching]) // 2
        later = old["destination"][middle] < new["destination"][searching]
        low[searching] = np.where(later, middle + 1, low[searching])
        high[searching] = np.where(later, high[searching], middle)
    return low


def _what_is_left(sums: pa.Table) -> pa.Table | None:
    amounts = [sums[name].to_numpy() for name in PARTS if name in sums.column_names]
    counted = [sums[name].to_numpy() for name in (WHOLE, "users") if name in sums.column_names]
    # The other parts are positive in the form of `carried`.
    if sums.num_rows and any(amount.min() < 0 for amount in counted):
        raise ArithmeticError("more is taken away than was added")
    left = np.logical_or.reduce([amount != 0 for amount in amounts])
    kept = sums if left.all() else sums.filter(pa.array(left))
    return kept if kept.num_rows else None
