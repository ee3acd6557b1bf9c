"""Each row is validated: good, or bad for one named reason, or apart (of no use here, and no fault)."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mora_pipeline.raw.numbers import amounts
from mora_pipeline.raw.reader import SourceReader
from mora_pipeline.raw.rules import Rule, broken_rules
from mora_pipeline.raw.tallies import GOOD, Count, Tally

LARGEST_AMOUNT = 2.0**40  # of one row; what claims more is no amount
Derive = Callable[[pa.RecordBatch], pa.RecordBatch]


@dataclass(frozen=True)
class Validator:
    """The rules of a source.

    Attributes:
        rules: the first that holds of a row gives the reason why it is bad or apart.
        derive: adds the columns that they or the kernels need beside those that are read.
        amount: the role that says how much a row carries; None: each row is one.
    """

    rules: tuple[Rule, ...]
    derive: Derive | None = None
    amount: str | None = None

    def broken(self, rows: pa.RecordBatch) -> tuple[pa.RecordBatch, npt.NDArray[np.int16]]:
        """Rows with what is derived, and the first rule that each breaks, int16 [n] (as `broken_rules`)."""
        derived = self.derive(rows) if self.derive else rows
        return derived, broken_rules(derived, self.rules)

    def validated(
        self, reader: SourceReader, rows: pa.RecordBatch, raw: pa.RecordBatch, tally: Tally
    ) -> tuple[pa.RecordBatch, npt.NDArray[np.int16]]:
        """As `broken`, with all rows counted."""
        derived, broken = self.broken(rows)
        file = rows["source"].dictionary[0].as_py()
        carried = None
        if self.amount:
            carried = np.array(rows[self.amount].to_numpy(zero_copy_only=False), dtype=np.float64)
        held = np.bincount(broken, minlength=len(self.rules) + 1)
        for number in np.flatnonzero(held):
            own = broken == number if held[number] < len(broken) else slice(None)
            values = None if carried is None else carried[own]
            if values is not None and number < len(self.rules):
                values = _estimated(values, reader, str(self.amount), raw, own, file)
            reason = self.rules[number].reason if number < len(self.rules) else GOOD
            tally.add(file, reason, Count.of(int(held[number]), values))
        return derived, broken

    def bad_reasons(self) -> list[str]:
        return list(dict.fromkeys(rule.reason for rule in self.rules if not rule.apart))

    def apart_reasons(self) -> list[str]:
        return list(dict.fromkeys(rule.reason for rule in self.rules if rule.apart))


def _estimated(
    values: npt.NDArray[np.float64],
    reader: SourceReader,
    role: str,
    raw: pa.RecordBatch,
    own: npt.NDArray[np.bool_] | slice,
    file: str,
) -> npt.NDArray[np.float64]:
    """What bad rows carry, float64 [n]: what was read, else what their texts say with goodwill, else NaN."""
    usable = (values >= 0) & (values <= LARGEST_AMOUNT)  # false for NaN
    if not usable.all():
        texts = reader.raw_values(role, raw, file)
        texts = texts.filter(pa.array(own)) if isinstance(own, np.ndarray) else texts
        read = np.array(amounts(texts).to_numpy(zero_copy_only=False), dtype=np.float64)
        values = np.where(usable, values, np.where((read >= 0) & (read <= LARGEST_AMOUNT), read, np.nan))
    return values
