"""What is looked at of a sample of a table, to say what is allowed and yet seldom meant."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mora_pipeline.raw.places import Places
from mora_pipeline.raw.source import NUMBER
from mora_pipeline.raw.suspicions import known_otherwise, sentinel, totals

MOST_UNKNOWN = 10_000  # ids without a place that are looked at


class Suspects:
    """The numbers and the unknown ids of a sample.

    Args:
        columns, kinds: of the roles.
        points: roles of coordinates, which are no amounts.
        places: roles of ids, and the columns of their cells.
        histograms: roles that are shares of one whole, group by group.
    """

    def __init__(
        self,
        columns: Mapping[str, str],
        kinds: Mapping[str, str],
        points: Sequence[tuple[str, str]],
        places: Mapping[str, str],
        histograms: Sequence[Sequence[str]],
    ) -> None:
        self.columns, self.places, self.histograms = columns, places, histograms
        axes = {axis for point in points for axis in point}
        self.numbers: dict[str, list[npt.NDArray[np.float64]]] = {
            role: [] for role, kind in kinds.items() if kind == NUMBER and role in columns.keys() - axes
        }
        self.unknown: dict[str, None] = {}

    def add(self, rows: pa.RecordBatch, good: pa.RecordBatch) -> None:
        """Look at rows, and at those of them that are good."""
        for role, parts in self.numbers.items():
            parts.append(good[role].to_numpy(zero_copy_only=False))
        for role, cell in self.places.items():
            if cell in rows.schema.names and len(self.unknown) < MOST_UNKNOWN:
                lost = rows[role].filter(pc.and_(rows[cell].is_null(), rows[role].is_valid()))
                self.unknown |= dict.fromkeys(lost.unique().cast(pa.string()).to_pylist())

    def found(self, places: Places | None) -> tuple[str, ...]:
        """Sentences, each of a column or of the ids."""
        numbers = {role: np.concatenate(parts) for role, parts in self.numbers.items() if parts}
        said = {role: sentinel(values) for role, values in numbers.items()}
        sentences = [f"'{self.columns[role]}': {sentence}" for role, sentence in said.items() if sentence]
        for histogram in self.histograms:
            sentences.append(totals({self.columns[role]: numbers[role] for role in histogram if role in numbers}))
        if self.unknown and places is not None:
            sentences.append(known_otherwise(list(self.unknown), places.ids.to_pylist()))
        return tuple(filter(None, sentences))
