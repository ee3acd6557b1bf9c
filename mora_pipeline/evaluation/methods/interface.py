"""The one interface of all methods: what they may look at, and what they give."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mora_pipeline.contract.schemas import Edges
from mora_pipeline.lake.reading import Amounts, RegionReader, edge_rows

Floats = npt.NDArray[np.floating]


@dataclass(frozen=True)
class MethodVectors:
    """What a method knows of each cell.

    Attributes:
        vectors: [N, d] in the order of `cells`.
        space: names what the numbers mean. Methods of two regions with the same space can be fitted in one and tested
            in the other; None where a region's vectors mean something in that region alone.
    """

    vectors: Floats
    space: str | None = None


class MethodContext:
    """What a method may look at, read when asked for: cells, flows, features and amounts of a region, never a label."""

    def __init__(self, reader: RegionReader, raw_components: int, cache: Path) -> None:
        """
        Args:
            reader: of the region; what is read is recorded there.
            raw_components: width that a wide modality is reduced to; 0 keeps it.
            cache: folder for vectors that take long to train.
        """
        self.reader, self.raw_components, self.cache = reader, raw_components, cache

    @cached_property
    def table(self) -> pa.Table:
        """`schemas.CELLS`."""
        return self.reader.read("cells").table()

    @property
    def cells(self) -> npt.NDArray[np.int64]:
        """int64 [N], ascending."""
        return np.asarray(self.table["cell"].to_numpy(), dtype=np.int64)

    @property
    def coordinates(self) -> npt.NDArray[np.float64]:
        """Latitude and longitude of the cells' centres, float64 [N, 2], degrees."""
        return np.stack([self.table["latitude"].to_numpy(), self.table["longitude"].to_numpy()], axis=1)

    @cached_property
    def edges(self) -> Edges:
        """All flows between cells, not only the sampled ones."""
        return edge_rows(self.reader.read("edges"), self.cells)

    def features(self, modality: str) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
        """A modality's frozen vectors, float32 [N, d], and which cells have one, bool [N]."""
        return self.reader.features(modality).on(self.cells)

    def amounts(self, modality: str) -> Amounts:
        """Names of a modality's amounts, ln(1 + amount), float32 [N, a], 0 where unknown; and who knows them, bool [N].

        Without amounts a is 0.
        """
        return self.reader.amounts(modality, self.cells)

    def dataset(self, name: str) -> MethodVectors:
        """Vectors of the lake, float32 [N, d]; their space is the inductive encoder that made them, if there is one."""
        vectors = self.reader.vectors(name, self.cells)
        details = self.reader.lineage[name].details
        encoder = details.get("encoder_version")
        return MethodVectors(vectors, f"encoder of {details['encoder_region']} {encoder}" if encoder else None)


SharedMethod = Callable[[MethodContext, MethodContext], tuple[Floats, Floats, str]]
"""Gives vectors of this region [N, d] and of the one that is fitted [M, d], and which part of them stays behind."""
Method = Callable[[MethodContext, str], Mapping[str, MethodVectors]]
"""Gives vectors by the name to show; the text is what follows the colon of the method's name, or empty."""
