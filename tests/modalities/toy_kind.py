"""A kind of modality from outside the package, as docs/contributing.md tells: numbers that a CSV counts by cell."""

from typing import Literal

import h3.api.basic_int as h3
import numpy as np
import pandas as pd
import pyarrow as pa
from pydantic import Field

from mora_pipeline.contract.schemas import CELL, CellVectors
from mora_pipeline.lake.reading import RegionReader
from mora_pipeline.modalities import ModalityKind
from mora_pipeline.modalities.encoder import Progress
from mora_pipeline.region.columns import Checker
from mora_pipeline.region.kinds import ModalityConfig
from mora_pipeline.region.sections import RawTable


class CounterModality(RawTable, ModalityConfig):
    """Numbers by cell: a CSV of hex ids and counts."""

    kind: Literal["counter"]
    cell: str = Field(default="cell", description="column of the cell's hex id")
    number: str = Field(default="number", description="column of the number")
    temperature: float = Field(default=0.4, gt=0, description="temperature of its alignment loss")


class CounterKind(ModalityKind[CounterModality]):
    """Summed by cell; the vector of a cell is its number and the number's logarithm."""

    name = "counter"
    config = CounterModality
    cells_schema = pa.schema([CELL, pa.field("number", pa.float64(), nullable=False)])
    cells_about = "The number of each cell."
    features_about = "The number of each cell, and its logarithm."

    def check_files(self, checker: Checker, key: str, config: CounterModality) -> None:
        for file in checker.columns(key, f"{key}.path", config, config.roles("cell")):
            checker.column(file, f"{key}.number", config.number, number=True)

    def grid(self, reader: RegionReader, name: str, config: CounterModality) -> pa.Table:
        rows = pd.concat([pd.read_csv(file) for file in reader.config.files(config.path)])
        numbers = rows[config.number].groupby(rows[config.cell].map(h3.str_to_int)).sum()
        numbers = numbers[numbers.index.isin(reader.cells())]
        columns = [pa.array(numbers.index.to_numpy()), pa.array(numbers.to_numpy(dtype=np.float64))]
        return pa.table(columns, schema=self.cells_schema)

    def encode(self, reader: RegionReader, name: str, config: CounterModality, progress: Progress) -> CellVectors:
        table = reader.read(f"counter_cells/{name}").table()
        number = table["number"].to_numpy()
        progress(len(number), len(number))
        return CellVectors(table["cell"].to_numpy(), np.stack([number, np.log1p(number)], axis=1).astype(np.float32))

    def input_columns(self, reader: RegionReader, name: str) -> list[str]:
        return ["number", "log1p(number)"]


KIND = CounterKind()
