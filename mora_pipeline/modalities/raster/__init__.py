"""Numbers on a grid, such as people, lights or heights."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.schemas import CellVectors, raster_cells
from mora_pipeline.lake.reading import RegionReader
from mora_pipeline.modalities.blocks import Block, standardised
from mora_pipeline.modalities.encoder import Progress
from mora_pipeline.modalities.interface import ModalityKind, Vectors
from mora_pipeline.modalities.raster.config import RasterModality
from mora_pipeline.region.columns import Checker

if TYPE_CHECKING:
    from torch import nn

    from mora_pipeline.modalities.raster.zonal import CellNumbers

HIDDEN = 64  # width of the head's hidden layer: that of a table
PARTLY = 0.99  # a share of a cell with data below which something is missing


class RasterKind(ModalityKind[RasterModality]):
    """Added up or averaged over each of the region's cells; the logarithms are the vector."""

    name = "raster"
    config = RasterModality
    cells_schema = raster_cells([])
    cells_about = """What rasters have in each cell: the sum or mean of the pixels in it, a column a band.

    Source: `cells` and the GeoTIFFs themselves. Pixels at a cell's border count by the share that lies in it. Cells
    without data in one of the columns have no row.
    """
    features_about = """Raster vectors: ln(1 + |value|) of each column, with the value's sign.

    Source: `raster_cells/*`.
    """

    def check_files(self, checker: Checker, key: str, config: RasterModality) -> None:
        from mora_pipeline.modalities.raster.checks import check_rasters

        check_rasters(checker, f"{key}.path", config)

    def covers(
        self, config: RasterModality, base: Path, latitude: npt.NDArray[np.float64], longitude: npt.NDArray[np.float64]
    ) -> tuple[npt.NDArray[np.bool_], tuple[str, ...]]:
        from mora_pipeline.modalities.raster.checks import covers

        return covers(config, base, latitude, longitude)

    def grid(self, reader: RegionReader, name: str, config: RasterModality) -> pa.Table:
        cells, where = reader.cells(), f"{reader.config.file.name}: modalities.{name}"
        found = self._numbers(reader, name, config, cells)
        there = np.logical_and.reduce([np.isfinite(numbers.values) for numbers in found.values()])
        if not there.any() and len(cells):
            raise UserError(
                f"{where} has data in none of the region's {len(cells):,} cells. Name rasters of the same area."
            )
        covered = np.minimum.reduce([numbers.covered for numbers in found.values()])
        columns = [cells[there], *(numbers.values[there] for numbers in found.values()), covered[there]]
        return pa.table([pa.array(column) for column in columns], schema=raster_cells(list(found)))

    def population(
        self, reader: RegionReader, name: str, config: RasterModality, cells: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float64] | None:
        return self._numbers(reader, name, config, cells)[config.statistic].values if config.population else None

    def figures(self, table: pa.Table, config: RasterModality) -> dict[str, Any]:
        columns = {name: table[name].to_numpy() for name in config.columns}
        total = {
            name: float(column.sum() if config.statistic == "sum" else column.mean())
            for name, column in columns.items()
        }
        return {config.statistic: total, "cells_partly_covered": int((table["coverage"].to_numpy() < PARTLY).sum())}

    def _numbers(
        self, reader: RegionReader, name: str, config: RasterModality, cells: npt.NDArray[np.int64]
    ) -> "dict[str, CellNumbers]":
        from mora_pipeline.modalities.raster.grids import column_files
        from mora_pipeline.modalities.raster.zonal import cell_numbers

        where = f"{reader.config.file.name}: modalities.{name}.path "
        files = column_files(reader.config.base_of(config), config, where)
        return {column: cell_numbers(cells, *item, config) for column, item in files.items()}

    def encode(self, reader: RegionReader, name: str, config: RasterModality, progress: Progress) -> CellVectors:
        table = reader.read(f"raster_cells/{name}").table()
        columns = np.stack([table[column].to_numpy() for column in _columns(table.schema)], axis=1)
        logarithms = np.sign(columns) * np.log1p(np.abs(columns))
        return CellVectors(table["cell"].to_numpy(), logarithms.astype(np.float32))

    def input_columns(self, reader: RegionReader, name: str) -> list[str]:
        return _columns(reader.read(f"raster_cells/{name}").schema)

    def head(self, input_dimension: int, dimension: int) -> "nn.Module":
        from torch import nn

        return nn.Sequential(nn.Linear(input_dimension, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, dimension))

    def fit_block(self, vectors: Vectors, components: int) -> Block:
        return standardised(vectors)


def _columns(schema: Any) -> list[str]:
    return [name for name in schema.names if name not in ("cell", "coverage")]


KIND = RasterKind()
