"""Raw rows counted on the way: by file and by what became of them, with the amount that they carry."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields

import numpy as np
import numpy.typing as npt

GOOD = ""  # in place of a reason
Numbers = npt.NDArray[np.float64]


@dataclass
class Count:
    """Rows of one fate.

    Attributes:
        amount: what those carry together of which it is known or can be read with goodwill.
        unknown: how many rows carry nobody knows what.
        smallest, largest: of the known amounts.
    """

    rows: int = 0
    amount: float = 0.0
    unknown: int = 0
    smallest: float = np.inf
    largest: float = -np.inf

    @classmethod
    def of(cls, rows: int, amounts: Numbers | None) -> "Count":
        """Count rows; their amounts float64 [rows], NaN where unknown, or None: one each."""
        if amounts is None:
            return cls(rows, float(rows), 0, 1.0, 1.0)
        known = amounts[np.isfinite(amounts)]
        if not len(known):
            return cls(rows, 0.0, rows)
        return cls(rows, float(known.sum()), rows - len(known), float(known.min()), float(known.max()))

    def __add__(self, other: "Count") -> "Count":
        return Count(
            self.rows + other.rows,
            self.amount + other.amount,
            self.unknown + other.unknown,
            min(self.smallest, other.smallest),
            max(self.largest, other.largest),
        )


@dataclass
class Tally:
    """Counts by file and reason (`GOOD` for good rows)."""

    counts: dict[tuple[str, str], Count] = field(default_factory=dict)

    def add(self, file: str, reason: str, count: Count) -> None:
        self.counts[file, reason] = self.counts.get((file, reason), Count()) + count

    def merge(self, other: "Tally") -> None:
        for (file, reason), count in other.counts.items():
            self.add(file, reason, count)

    def by_reason(self) -> dict[str, Count]:
        """Counts by reason, of all files."""
        return total_of(self.by_file().values())

    def by_file(self) -> dict[str, dict[str, Count]]:
        """Counts by reason, of each file that has rows."""
        files: dict[str, dict[str, Count]] = {}
        for (file, reason), count in sorted(self.counts.items()):
            files.setdefault(file, {})[reason] = count
        return files


def merged(tallies: Iterable[Tally]) -> Tally:
    total = Tally()
    for tally in tallies:
        total.merge(tally)
    return total


def total_of(counts: Iterable[Mapping[str, Count]]) -> dict[str, Count]:
    """Counts by reason, added up."""
    total: dict[str, Count] = {}
    for each in counts:
        for reason, count in each.items():
            total[reason] = total.get(reason, Count()) + count
    return total


def rows_by_reason(counts: Mapping[str, Count], reasons: Iterable[str]) -> dict[str, int]:
    """The rows of some reasons, without those that have none."""
    return {reason: counts[reason].rows for reason in dict.fromkeys(reasons) if reason in counts}


def as_record(count: Count) -> list[float]:
    """A count as JSON keeps it."""
    return [value if np.isfinite(value) else 0.0 for value in (getattr(count, each.name) for each in fields(Count))]


def of_record(values: list[float]) -> Count:
    rows, amount, unknown, smallest, largest = values
    return Count(int(rows), amount, int(unknown), smallest, largest)
