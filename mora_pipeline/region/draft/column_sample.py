"""What the first rows of a column hold: numbers, ids, times, cells, geometries."""

import re
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mora_pipeline.raw.cells import as_cells, resolutions_of
from mora_pipeline.raw.time_readings import TimeReadings, readings_of
from mora_pipeline.raw.times import as_moments
from mora_pipeline.raw.values import is_text

MOST_TIMES = 500  # values of a column whose forms as times are tried
ENOUGH = 0.9  # of the values must be numbers, for a column to hold numbers
DAY = 86_400_000_000  # microseconds
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ColumnSample:
    """A column, or a part of a nested one, in the first rows.

    Attributes:
        name: as region.yaml names it: a column or an expression.
        texts: trimmed, null where there is none, [n].
        numbers: NaN where there is none, [n].
        unclear: why its numbers cannot be read without a word of their owner.
    """

    name: str
    type: pa.DataType
    texts: pa.Array
    numbers: Floats
    values: pa.Array = field(repr=False)
    unclear: str = ""

    @property
    def known(self) -> int:
        """How many values there are."""
        return len(self.texts) - self.texts.null_count

    @cached_property
    def distinct(self) -> frozenset[str]:
        return frozenset(pc.unique(self.texts.drop_null()).to_pylist())

    @cached_property
    def share_of_numbers(self) -> float:
        return float(np.isfinite(self.numbers).sum()) / max(self.known, 1)

    @property
    def is_number(self) -> bool:
        return self.known > 0 and self.share_of_numbers >= ENOUGH

    @cached_property
    def given(self) -> Floats:
        """The numbers that are there."""
        return self.numbers[np.isfinite(self.numbers)]

    @cached_property
    def is_whole(self) -> bool:
        return self.is_number and bool((self.given == np.floor(self.given)).all())

    @cached_property
    def is_fraction(self) -> bool:
        """Whether it holds numbers that name nothing: some have decimals."""
        return self.is_number and not self.is_whole

    @property
    def is_unique(self) -> bool:
        return self.known > 1 and len(self.distinct) == self.known == len(self.texts)

    @property
    def may_be_id(self) -> bool:
        """Whether its values may name things."""
        plain = is_text(self.type) or pa.types.is_integer(self.type) or pa.types.is_floating(self.type)
        return plain and self.known > 0 and not self.is_fraction

    @cached_property
    def has_codes(self) -> bool:
        """Whether its values are no plain numbers, so that having them in common is no chance."""
        return not self.is_number or any(len(text) > 1 and text[0] == "0" for text in self.distinct)

    @cached_property
    def is_geometry(self) -> bool:
        if pa.types.is_binary(self.type) or pa.types.is_large_binary(self.type):
            first = next((value for value in self.values[:100].to_pylist() if value), b"")
            return first[:1] in (b"\x00", b"\x01") and len(first) >= 21
        return is_text(self.type) and self.known > 0 and all(
            re.match(r"(SRID=\d+;)?(MULTI)?(POINT|POLYGON)\b", text, re.IGNORECASE)
            for text in self.texts.drop_null()[:20].to_pylist()
        )  # fmt: skip

    @cached_property
    def cell_resolution(self) -> int | None:
        """The resolution of the H3 cells that it holds, the finest; None if it holds others."""
        if not (is_text(self.type) or pa.types.is_integer(self.type)) or not self.known:
            return None
        cells = as_cells(self.texts if is_text(self.type) else self.values)
        if len(cells) - cells.null_count < ENOUGH * self.known:
            return None
        return int(resolutions_of(cells.drop_null().to_numpy()).max())

    @cached_property
    def times(self) -> TimeReadings | None:
        """What it is as times, if it may be one."""
        if pa.types.is_temporal(self.type):
            return readings_of(self.values[:MOST_TIMES])
        if not self.known or not (is_text(self.type) or self.is_whole):
            return None
        if is_text(self.type) and not all(
            re.search(r"\d{2}", text) for text in self.texts.drop_null()[:20].to_pylist()
        ):
            return None
        readings = readings_of((self.texts if is_text(self.type) else self.values)[:MOST_TIMES])
        return readings if readings.certain is not None or readings.readings else None

    @cached_property
    def is_zoned(self) -> bool:
        """Whether its times carry a zone, or need none."""
        form = (self.times.certain or next(iter(self.times.readings), None)) if self.times else None
        values = self.texts if is_text(self.type) else self.values
        return not as_moments(values[:MOST_TIMES], form, None)[1].any()

    @cached_property
    def has_clock(self) -> bool:
        """Whether its times are more than days."""
        form = (self.times.certain or next(iter(self.times.readings), None)) if self.times else None
        values = self.texts if is_text(self.type) else self.values
        moments = as_moments(values[:MOST_TIMES], form, "UTC")[0].drop_null()
        colons = pc.any(pc.match_substring(self.texts, ":"), min_count=0).as_py() and is_text(self.type)
        return bool(colons or (moments.to_numpy(zero_copy_only=False) % DAY != 0).any())
