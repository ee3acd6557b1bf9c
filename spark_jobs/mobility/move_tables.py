"""Moves between cells as Arrow tables, added up wherever they meet: in the task that reads them and after the shuffle.

A table of moves has ``origin`` and ``destination`` (int64 cells), the parts of the flow (`fixed_point`), and ``users``
(int64, to be added up), ``user`` (int64 or large_string, of which the distinct are counted) or neither. Moves that are
kept by file and day have a ``slot`` (int64) as well: moves of different slots are not added up.
"""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from spark_jobs.mobility.fixed_point import PARTS, WHOLE, summed, to_fixed_point

Cells = npt.NDArray[np.int64]
ROWS_AT_ONCE = 1 << 22  # added up at a time
ROWS_TRIED = 1 << 19  # added up first, to see what that saves
WORTH_ADDING = 0.8  # at most this share of them must be left for adding up before the shuffle to pay


def make_moves(origin: pa.Array, destination: pa.Array, flow: pa.Array, **users: pa.Array) -> pa.Table:
    """A table of moves; `flow` is positive, at most `fixed_point.LARGEST`, and without nulls."""
    amounts = to_fixed_point(flow.to_numpy(zero_copy_only=False).astype(np.float64))
    users = {name: large_texts(values) for name, values in users.items()}
    return pa.table({"origin": origin, "destination": destination, **amounts, **users})


def large_texts(values: pa.Array) -> pa.Array:
    """Strings with offsets of 64 bits: tables of users are joined to more than 2 GiB of text."""
    return values.cast(pa.large_string()) if pa.types.is_string(values.type) else values


def added_up(moves: pa.Table) -> pa.Table:
    """One row for each slot, origin, destination and user, of those that there are; sorted by the first three.

    Raises:
        UserError: if the flows are too large to add up.
    """
    if not moves.num_rows:
        return moves
    cells, ends = _ascending_codes(pa.chunked_array([*moves["origin"].chunks, *moves["destination"].chunks]))
    first, second = ends[: moves.num_rows], ends[moves.num_rows :]
    code, codes = first, len(cells)
    slots = users = None
    if "slot" in moves.column_names:
        slots, slot = _ascending_codes(moves["slot"])
        code, codes = _joint(slot, len(slots), code, codes)
    code, codes = _joint(code, codes, second, len(cells))
    if "user" in moves.column_names:
        named = moves["user"].dictionary_encode().combine_chunks()
        users = named.dictionary
        code, codes = _joint(code, codes, named.indices.to_numpy(), len(users))
    order, code = sorted_with_order(code)
    starts = np.flatnonzero(np.concatenate([[True], code[1:] != code[:-1]]))
    chosen = order[starts]
    numbers = {name: moves[name].to_numpy() for name in moves.column_names if name in PARTS}
    table = {} if slots is None else {"slot": slots[slot[chosen]]}
    table |= {"origin": cells[first[chosen]], "destination": cells[second[chosen]], **summed(numbers, order, starts)}
    if "users" in moves.column_names:
        table["users"] = np.add.reduceat(moves["users"].to_numpy()[order], starts)
    if users is not None:
        table["user"] = users.take(named.indices.take(pa.array(chosen)))
    return pa.table(table)


def sorted_with_order(code: Cells) -> tuple[Cells, Cells]:
    """The order that sorts codes from 0 up, int64 [n], and the codes in it, int64 [n].

    Code and place share one number where 63 bits hold both: numpy sorts numbers twice as fast as it sorts their places.
    """
    place_bits = len(code).bit_length()
    if not len(code) or int(code.max()).bit_length() + place_bits > 63:
        order = np.argsort(code, kind="stable")
        return order, code[order]
    joint = (code << place_bits) | np.arange(len(code))
    joint.sort()
    return joint & ((1 << place_bits) - 1), joint >> place_bits


def _ascending_codes(values: pa.ChunkedArray) -> tuple[Cells, Cells]:
    """The distinct numbers in ascending order, and the place of each value among them."""
    coded = values.dictionary_encode().combine_chunks()
    distinct = coded.dictionary.to_numpy()
    ascending = np.argsort(distinct)
    place = np.empty(len(distinct), dtype=np.int64)
    place[ascending] = np.arange(len(distinct))
    return distinct[ascending], place[coded.indices.to_numpy()]


def _joint(major: Cells, majors: int, minor: Cells, minors: int) -> tuple[Cells, int]:
    """One code for two, in the order of the first and then the second, and the bound of it.

    Where 63 bits do not hold every combination, ranks take the first one's place: there are no more than rows.
    """
    if majors * minors >= 2**63:
        major, majors = np.unique(major, return_inverse=True)[1], len(major)
    return major * minors + minor, majors * minors


def joined(tables: list[pa.Table]) -> pa.Table:
    """Tables of moves below each other; a flow without fractions has zeros where others have some."""
    names = {name for table in tables for name in table.column_names}
    lacking = [name for name in PARTS if name in names and name != WHOLE]
    filled = []
    for table in tables:
        for name in lacking:
            if name not in table.column_names:
                table = table.append_column(name, pa.array(np.zeros(table.num_rows, dtype=np.int64)))
        filled.append(table)
    order = [name for name in ("slot", "origin", "destination", *PARTS, "users", "user") if name in names]
    return pa.concat_tables([table.select(order) for table in filled])


class Adder:
    """Adds up moves as they come, by `added_up` or what does the same.

    What it holds is bounded by the pairs (of named users: pairs and users) it has seen.
    """

    def __init__(self, rows_at_once: int = ROWS_AT_ONCE, add: Callable[[pa.Table], pa.Table] = added_up) -> None:
        self.rows_at_once, self.add_up = rows_at_once, add
        self.sums: list[pa.Table] = []  # one table, or none yet
        self.coming: list[pa.Table] = []
        self.rows_coming = 0

    def add(self, moves: pa.Table) -> None:
        self.coming.append(moves)
        self.rows_coming += moves.num_rows
        # As many as are held already, so that each row is sorted again only a few times.
        if self.rows_coming >= max([self.rows_at_once, *(table.num_rows for table in self.sums)]):
            self._settle()

    def rest(self) -> Iterator[pa.Table]:
        """The sums of all that came; one table, or none."""
        if self.coming:
            self._settle()
        yield from self.sums
        self.sums = []

    def _settle(self) -> None:
        self.sums = [self.add_up(joined([*self.sums, *self.coming]))]
        self.coming, self.rows_coming = [], 0


def condensed(
    tables: Iterator[pa.Table], rows_tried: int = ROWS_TRIED, rows_at_once: int = ROWS_AT_ONCE
) -> Iterator[pa.Table]:
    """Moves, so many at a time, added up if that saved enough of the first rows to be worth it; else as they came.

    A year of the same few pairs shrinks before it is shuffled. Where almost every move is a pair of its own, adding up
    would cost a sort and save nothing: it is done once, behind the shuffle.
    """
    held: list[pa.Table] = []
    rows, wanted, tried, worth_it = 0, rows_tried, False, True
    for table in tables:
        held.append(table)
        rows += table.num_rows
        if rows < wanted:
            continue
        moves = joined(held)
        if worth_it:
            moves = added_up(moves)
            worth_it = tried or moves.num_rows <= WORTH_ADDING * rows
            tried = True
        held, rows, wanted = [moves], moves.num_rows, rows_at_once
        if not worth_it or rows > rows_at_once // 2:
            yield moves
            held, rows = [], 0
    if held:
        yield added_up(joined(held)) if worth_it else joined(held)
