"""A region's datasets as the arrays that training and evaluation take, and a record of what was read."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mora_pipeline.contract.cells import find_rows, rows_of
from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.schemas import CellVectors, Edges
from mora_pipeline.lake import Lake, Version
from mora_pipeline.region import ModalityConfig, RegionConfig

Cells = npt.NDArray[np.int64]
Amounts = tuple[tuple[str, ...], npt.NDArray[np.float32], npt.NDArray[np.bool_]]  # names, values, known


class RegionReader:
    """Reads the datasets of one region; ``lineage`` holds the versions read so far, by dataset."""

    def __init__(self, config: RegionConfig, lake: Lake) -> None:
        self.config, self.lake, self.region = config, lake, config.region
        self.lineage: dict[str, Version] = {}

    def modalities(self, kind: str) -> dict[str, ModalityConfig]:
        """The region's modalities of a kind, in the order of region.yaml."""
        return self.config.modalities_of(kind)

    def read(self, dataset: str) -> Version:
        """The current version of an input; what is begun from now on records it.

        Raises:
            UserError: if there is none, or a file of it is gone or of another size.
        """
        version = self.lake.read(dataset, self.region)
        version.check()
        self.lineage[dataset] = version
        return version

    def read_if_made(self, dataset: str) -> Version | None:
        """As `read`; None where no run has made it, such as one that is newer than the region's last run."""
        return self.read(dataset) if self.lake.has(dataset, self.region) else None

    def cells(self) -> Cells:
        """The region's cells, int64 [N], ascending; an input."""
        return np.asarray(self.read("cells").table(["cell"])["cell"].to_numpy(), dtype=np.int64)

    def in_region(self, dataset: str) -> pa.Table:
        """The rows of a dataset with a column ``cell`` that are in the region's cells; an input.

        Raw texts and tables may reach farther than the region.
        """
        table = self.read(dataset).table()
        _, known = find_rows(self.cells(), np.asarray(table["cell"].to_numpy(), dtype=np.int64))
        return table if known.all() else table.filter(pa.array(known))

    def vectors(self, dataset: str, cells: Cells) -> npt.NDArray[np.float32]:
        """A dataset with one vector a cell, float32 [N, d] in the order of `cells`; an input.

        Raises:
            UserError: if it was made for other cells.
        """
        stored = CellVectors.from_table(self.read(dataset).table(["cell", "vector"]))
        if not np.array_equal(stored.cells, cells):
            raise UserError(
                f"`{dataset}` of '{self.region}' was made for other cells than `cells` holds now. "
                f"Materialise it again: mora materialize {self.region} --select {dataset}+"
            )
        return stored.vectors

    def features(self, name: str) -> CellVectors:
        """A modality's vectors, float32 [n, d], of the cells that have it, int64 [n]; an input.

        Raises:
            UserError: if there are none, or they were made when region.yaml said something else of the modality.
        """
        modality, features = self.config.modalities[name], self.read(f"features/{name}")
        expected = {"kind": modality.kind, "encoder": modality.backbone}
        if any(features.details.get(key) != value for key, value in expected.items()):
            raise UserError(
                f"{self.config.file}: modalities.{name} has changed since its features were made ({features.details}). "
                f"Materialise {modality.kind}_features of '{self.region}' again."
            )
        return CellVectors.from_table(features.table())

    def amounts(self, name: str, cells: Cells) -> Amounts:
        """A modality's amounts on `cells`, int64 [N], ascending; an input.

        Returns:
            Their names; ln(1 + amount), float32 [N, a], 0 where unknown; and bool [N], true where known. What no cell
            knows is left out: a = 0.

        Raises:
            UserError: if its features were made before there were amounts.
        """
        if not self.lake.has(f"amounts/{name}", self.region):
            kind = self.config.modalities[name].kind
            raise UserError(
                f"`amounts/{name}` of region '{self.region}' has not been made yet; features of earlier versions had "
                f"none. Materialise both: mora materialize {self.region} --select {kind}_cells+"
            )
        table = self.read(f"amounts/{name}").table()
        names = tuple(column for column in table.column_names if column != "cell")
        columns = [table[column].to_numpy() for column in names]
        stored = np.stack(columns, axis=1) if names else np.empty((len(table), 0))
        own = CellVectors(np.asarray(table["cell"].to_numpy(), dtype=np.int64), stored.astype(np.float32))
        values, present = own.on(cells)
        return (names, values, present) if present.any() and names else ((), values[:, :0], np.zeros(len(cells), bool))


def edge_rows(edges: Version, cells: Cells) -> Edges:
    """Edges as rows of the cells, read as a stream.

    Args:
        edges: `schemas.EDGES` or `schemas.GRAPH`.
        cells: int64 [N], ascending.

    Returns:
        The rows are int32.

    Raises:
        UserError: if the edges name a cell that `cells` lacks, or a file of them is lost or damaged.
    """
    parts = []
    for batch in edges.batches(["origin", "destination", "flow"]):
        origin = rows_of(cells, batch["origin"].to_numpy(), edges.dataset).astype(np.int32)
        destination = rows_of(cells, batch["destination"].to_numpy(), edges.dataset).astype(np.int32)
        parts.append((origin, destination, batch["flow"].to_numpy()))
    if not parts:
        return Edges(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.float64))
    origins, destinations, flows = zip(*parts, strict=True)
    return Edges(np.concatenate(origins), np.concatenate(destinations), np.concatenate(flows))
