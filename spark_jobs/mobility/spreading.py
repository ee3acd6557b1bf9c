"""Moves between places that lie in several cells, divided among all pairs of their cells.

A move from A to B becomes one from each cell of A to each of B, with the product of their shares. Division is exact
(`fixed_point.divided`): sums are conserved, and it does not matter whether moves are added up before or after.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.cells import Spread, resolutions_of, to_resolution
from mora_pipeline.raw.places import Places
from spark_jobs.mobility.fixed_point import PARTS, divided, in_units

Numbers = npt.NDArray[np.int64]
PAIRS_AT_ONCE = 1 << 17  # what a processor's cache holds
MOST_PAIRS = 100_000_000  # of cells, of one pair of places
Spreading = Callable[[pa.Table], Iterator[pa.Table]]


@dataclass(frozen=True)
class OfPlaces:
    """Moves between the numbers of places."""

    places: Places

    def __call__(self, moves: pa.Table) -> Iterator[pa.Table]:
        yield from spread_moves(moves, self.places.spread)


@dataclass(frozen=True)
class OfCells:
    """Moves between cells, of which some may be coarser than a resolution."""

    resolution: int

    def __call__(self, moves: pa.Table) -> Iterator[pa.Table]:
        ends = [resolutions_of(moves[end].to_numpy()) for end in ("origin", "destination")]
        fine = np.logical_and.reduce([each == self.resolution for each in ends])
        if fine.all():
            yield moves
            return
        if fine.any():
            yield moves.filter(pa.array(fine))
        yield from spread_moves(moves.filter(pa.array(~fine)), self._children)

    def _children(self, cells: Numbers) -> Spread:
        return to_resolution(cells, self.resolution)


def spread_moves(moves: pa.Table, spreading: Callable[[Numbers], Spread]) -> Iterator[pa.Table]:
    """Moves between ends that have several cells, as moves between cells.

    Args:
        moves: as of `move_tables`, without users; their amounts are `fixed_point.rounded`.
        spreading: of distinct ends, the number of each, its cells and their shares, by number.

    Raises:
        UserError: if a pair of ends has more than `MOST_PAIRS` pairs of cells.
    """
    ends, code = np.unique(
        np.concatenate([moves["origin"].to_numpy(), moves["destination"].to_numpy()]), return_inverse=True
    )
    of, cells, shares = spreading(ends)
    units = in_units(of, shares)
    starts = np.searchsorted(of, np.arange(len(ends) + 1))
    first, second = code[: moves.num_rows], code[moves.num_rows :]
    lengths = np.diff(starts)
    pairs = lengths[first] * lengths[second]
    if len(pairs) and pairs.max() > MOST_PAIRS:
        raise UserError(
            f"a flow between two places of {int(lengths.max()):,} cells would become {int(pairs.max()):,} edges. "
            "Use smaller places, points in place of polygons, or a coarser resolution for the region."
        )
    before = np.concatenate([[0], np.cumsum(pairs)])
    start = 0
    while start < len(pairs):
        end = max(int(np.searchsorted(before, before[start] + PAIRS_AT_ONCE, "right")) - 1, start + 1)
        part, own = moves.slice(start, end - start), pairs[start:end]
        row = np.repeat(np.arange(end - start), own)
        within = np.arange(len(row)) - np.repeat(np.cumsum(own) - own, own)
        wide = lengths[second[start:end]][row]
        origin = starts[first[start:end]][row] + within // wide
        destination = starts[second[start:end]][row] + within % wide
        amounts = {name: part[name].to_numpy()[row] for name in part.column_names if name in PARTS}
        divided_amounts = divided(amounts, units[origin], units[destination])
        table = {"slot": part["slot"].to_numpy()[row]} if "slot" in part.column_names else {}
        table |= {"origin": cells[origin], "destination": cells[destination], **divided_amounts}
        left = np.logical_or.reduce([amount != 0 for amount in divided_amounts.values()])
        moved = pa.table(table)
        yield moved if left.all() else moved.filter(pa.array(left))
        start = end
