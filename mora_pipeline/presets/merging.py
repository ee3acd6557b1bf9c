"""A + Aᵀ of a stream of edges as one CSR matrix, without ever holding the edges beside it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from mora_pipeline.contract.errors import UserError

Rows = npt.NDArray[np.integer]
Flows = npt.NDArray[np.floating]
EdgeBatch = tuple[Rows, Rows, Flows]

ENTRIES_AT_A_TIME = 1 << 21  # what is sorted or scaled at once; temporaries take about 50 bytes an entry


@dataclass(frozen=True)
class Csr:
    """A square matrix in three arrays that nothing else refers to: where rows start, columns, float64 values."""

    indptr: Rows
    indices: Rows
    values: npt.NDArray[np.float64]

    def to_scipy(self) -> sparse.csr_array:
        """The same as float64 [N, N], sharing the arrays."""
        size = len(self.indptr) - 1
        return sparse.csr_array((self.values, self.indices, self.indptr), shape=(size, size))


def merge_both_directions(read: Callable[[], Iterable[EdgeBatch]], num_cells: int) -> Csr:
    """Add up all edges and their reverses; moves inside one cell are left out.

    The first pass counts each row's entries, the second puts them there; then every row is sorted and its repeated
    pairs are added up, in place. Peak memory is 24 bytes an edge (an int32 and a float64, both ways) and one batch.

    Args:
        read: gives the edges from the beginning each time it is called: origin rows, destination rows and flows, in
            batches; the order of the edges and where batches end change nothing.
        num_cells: N; every row must be below it.

    Returns:
        A [N, N] in float64, bitwise symmetric, indices sorted.

    Raises:
        UserError: if the second pass gives other edges than the first.
    """
    counts = np.zeros(num_cells, np.int64)
    for batch in read():
        rows, _, _ = _both_ways(batch)
        counts += np.bincount(rows, minlength=num_cells)
    starts = np.concatenate([[0], np.cumsum(counts)])
    indices, flow = np.empty(starts[-1], np.int32), np.empty(starts[-1], np.float64)
    free, ends = starts[:-1].copy(), starts[1:]
    for batch in read():
        _put(batch, free, ends, indices, flow)
    if not np.array_equal(free, ends):
        raise _changed()
    return _merged(starts, indices, flow)


def row_blocks(starts: npt.NDArray[np.integer]) -> Iterator[tuple[int, int]]:
    """Consecutive rows, of starts [N + 1], with about ENTRIES_AT_A_TIME entries: first and one past the last."""
    first, num_rows = 0, len(starts) - 1
    while first < num_rows:
        last = int(np.searchsorted(starts, int(starts[first]) + ENTRIES_AT_A_TIME, side="right")) - 1
        last = min(max(last, first + 1), num_rows)
        yield first, last
        first = last


def _both_ways(batch: EdgeBatch) -> EdgeBatch:
    """The edges of a batch [b] between two cells, and their reverses after them: [2b] at most."""
    origin, destination, flow = batch
    between = origin != destination
    origin, destination, flow = origin[between], destination[between], flow[between]
    return np.concatenate([origin, destination]), np.concatenate([destination, origin]), np.concatenate([flow, flow])


def _changed() -> UserError:
    return UserError("The graph changed while it was read. Run it again.")


def _put(
    batch: EdgeBatch,
    free: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    indices: npt.NDArray[np.int32],
    flow: Flows,
) -> None:
    """Write a batch [b] where its rows have their next free places [N], and move those on, up to the rows' ends [N]."""
    rows, columns, values = _both_ways(batch)
    order = np.argsort(rows, kind="stable")
    rows = rows[order]
    counts = np.bincount(rows, minlength=len(free))
    if np.any(free + counts > ends):
        raise _changed()
    before = np.cumsum(counts) - counts  # entries of earlier rows in this batch
    places = np.arange(len(rows)) + (free - before)[rows]
    indices[places], flow[places] = columns[order], values[order]
    free += counts


def _merged(starts: npt.NDArray[np.int64], indices: npt.NDArray[np.int32], flow: npt.NDArray[np.float64]) -> Csr:
    """Sort each row of entries [m] and add up repeated columns; the result takes the front of the arrays' memory."""
    num_cells, end = len(starts) - 1, 0
    lengths = np.zeros(num_cells, np.int64)
    for first, last in row_blocks(starts):
        block = slice(starts[first], starts[last])
        rows = np.repeat(np.arange(last - first), np.diff(starts[first : last + 1]))
        added = _added_up(rows, indices[block], flow[block], num_cells)
        lengths[first:last] = np.bincount(added[0], minlength=last - first)
        target = slice(end, end + len(added[0]))
        indices[target], flow[target] = added[1:]
        end = target.stop
    indices.resize(end, refcheck=False)  # shrinks in place
    flow.resize(end, refcheck=False)
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    fits = end <= np.iinfo(np.int32).max
    return Csr(indptr.astype(np.int32), indices, flow) if fits else Csr(indptr, indices.astype(np.int64), flow)


def _added_up(rows: Rows, columns: Rows, flow: Flows, num_cells: int) -> tuple[Rows, Rows, Flows]:
    """One entry a pair of entries [m], sorted; the sum of its flows, which their order does not change."""
    pairs = rows.astype(np.int64) * num_cells + columns
    order = np.argsort(pairs)
    pairs, flow = pairs[order], flow[order]
    firsts = np.flatnonzero(np.concatenate([[True], pairs[1:] != pairs[:-1]])) if len(pairs) else np.empty(0, np.int64)
    # Two numbers add up alike either way, three do not.
    if len(firsts) and np.diff(firsts, append=len(pairs)).max() > 2:
        flow = flow[np.lexsort((flow, pairs))]
    unique = pairs[firsts]
    return unique // num_cells, unique % num_cells, np.add.reduceat(flow, firsts) if len(firsts) else flow
