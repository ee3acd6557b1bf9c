"""The columns of every dataset: the contract between Spark, torch and DuckDB."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mora_pipeline.contract.cells import rows_of
from mora_pipeline.contract.rhythm import RHYTHM_COLUMNS

CELL = pa.field("cell", pa.int64(), nullable=False)
DIMENSION = 128  # MoRA section 4: every embedding has 128 dimensions
ANY_LENGTH = -1  # as Arrow says it


def vector_field(dimension: int) -> pa.Field:
    """A column of float32 vectors of one length, or of `ANY_LENGTH`."""
    return pa.field("vector", pa.list_(pa.float32(), dimension), nullable=False)


VECTORS = pa.schema([CELL, vector_field(ANY_LENGTH)])
CELLS = pa.schema(
    [
        CELL,
        pa.field("node", pa.int64(), nullable=False),
        pa.field("latitude", pa.float64(), nullable=False),
        pa.field("longitude", pa.float64(), nullable=False),
        pa.field("internal_flow", pa.float64(), nullable=False),
        pa.field("population", pa.float64()),
    ]
)
WEIGHTS = pa.schema([CELL, pa.field("weight", pa.float64(), nullable=False)])  # of the places in a cell
GRAPH = pa.schema(
    [
        pa.field("origin", pa.int64(), nullable=False),
        pa.field("destination", pa.int64(), nullable=False),
        pa.field("flow", pa.float64(), nullable=False),
    ]
)
EDGES = GRAPH.append(pa.field("users", pa.int64()))
SELF_FLOW = pa.schema([CELL, pa.field("internal_flow", pa.float64(), nullable=False)])
# How many moves arrive in a cell, leave it, and stay in it, by hour of the week (`contract.rhythm`).
RHYTHM = pa.schema([CELL, *(pa.field(name, pa.float64(), nullable=False) for name in RHYTHM_COLUMNS)])
TEXTS = pa.schema(
    [
        pa.field("text_id", pa.int64(), nullable=False),  # of a text and its category
        pa.field("text", pa.string(), nullable=False),
        pa.field("category", pa.string()),
    ]
)
TEXT_CELLS = pa.schema(
    [CELL, pa.field("text_id", pa.int64(), nullable=False), pa.field("count", pa.float64(), nullable=False)]
)
IMAGE_CELLS = pa.schema(
    [
        CELL,
        # Pixel window in the mosaic's own pixel grid (XYZ: global pixels at the zoom; GeoTIFF: columns and rows).
        pa.field("left", pa.int64(), nullable=False),
        pa.field("top", pa.int64(), nullable=False),
        pa.field("right", pa.int64(), nullable=False),
        pa.field("bottom", pa.int64(), nullable=False),
        pa.field("coverage", pa.float64(), nullable=False),
    ]
)
QUARANTINE = pa.schema(
    [
        pa.field("source", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("row", pa.string(), nullable=False),
    ]
)
BENCHMARK = pa.schema(
    [
        pa.field("method", pa.string(), nullable=False),
        pa.field("task", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("seed", pa.int64(), nullable=False),
        pa.field("model", pa.string(), nullable=False),
        pa.field("n", pa.int64(), nullable=False),
        pa.field("r2", pa.float64()),
        pa.field("rmse", pa.float64()),
    ]
)
INTERVALS = pa.schema(
    [
        pa.field("method", pa.string(), nullable=False),
        # "mean": over the tasks that every method has a score for and whose label may not leak.
        pa.field("task", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("model", pa.string(), nullable=False),
        pa.field("r2", pa.float64(), nullable=False),  # the mean over seeds, and 95 % of its resamples
        pa.field("low", pa.float64()),
        pa.field("high", pa.float64()),
        # Of the region's own vectors: how far above the best baseline.
        pa.field("baseline", pa.string()),
        pa.field("difference", pa.float64()),
        pa.field("difference_low", pa.float64()),
        pa.field("difference_high", pa.float64()),
        # Of all methods but `mora`: how far `mora` is above.
        pa.field("mora_ahead", pa.float64()),
        pa.field("mora_ahead_low", pa.float64()),
        pa.field("mora_ahead_high", pa.float64()),
        pa.field("by_cells", pa.bool_()),  # whether single cells were drawn, of a mean: in one of its tasks
    ]
)
PREDICTIONS = pa.schema(
    [
        pa.field("method", pa.string(), nullable=False),
        pa.field("task", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        CELL,  # of the label; for a group, the member cell nearest its middle
        pa.field("truth", pa.float32(), nullable=False),
        pa.field("predicted", pa.float32(), nullable=False),
    ]
)
ABLATIONS = pa.schema(
    [
        pa.field("family", pa.string(), nullable=False),
        pa.field("variant", pa.string(), nullable=False),
        *(BENCHMARK.field(name) for name in ("task", "split", "seed", "model", "n", "r2", "rmse")),
        # Of the variant's mean R² in this split and model, the same in all its rows: how far above the base's, and 95 %
        # of the resamples of that. Null for the base.
        *(INTERVALS.field(name) for name in ("difference", "difference_low", "difference_high")),
    ]
)


def table_cells(bins: list[str]) -> pa.Schema:
    """The columns of `table_cells/<modality>`: the cell, then one share a bin (shares of a group sum to 1)."""
    return _numbers_of_cells(bins)


def table_sums(names: list[str]) -> pa.Schema:
    """The columns of `table_sums/<modality>`: the cell, then one sum over its places each, none below 0."""
    return _numbers_of_cells(names)


def raster_cells(columns: list[str]) -> pa.Schema:
    """The columns of `raster_cells/<modality>`: the cell, a sum or mean a column, and the share of it with data."""
    return _numbers_of_cells([*columns, "coverage"])


def amounts(names: list[str]) -> pa.Schema:
    """The columns of `amounts/<modality>`: the cell, ascending, then ln(1 + amount) by the amount's name.

    A cell without a row has unknown amounts; one that has none of them has a row of zeros.
    """
    return _numbers_of_cells(names)


def _numbers_of_cells(names: list[str]) -> pa.Schema:
    return pa.schema([CELL, *(pa.field(name, pa.float64(), nullable=False) for name in names)])


def features(dimension: int) -> pa.Schema:
    """The columns of `features/<modality>` and `line_vectors`: cell and vector, sorted by cell."""
    return pa.schema([CELL, vector_field(dimension)])


def embeddings(dimension: int) -> pa.Schema:
    """The columns of `embeddings`: cell, its hex id and centre, the vector, and how familiar it is to the encoder.

    Rows are in the order of `cells`. ``familiarity`` is in [0, 1], and null for presets without an encoder.
    """
    return pa.schema(
        [
            CELL,
            pa.field("h3", pa.string(), nullable=False),
            pa.field("latitude", pa.float64(), nullable=False),
            pa.field("longitude", pa.float64(), nullable=False),
            vector_field(dimension),
            pa.field("familiarity", pa.float32()),
        ]
    )


@dataclass(frozen=True)
class Edges:
    """Flows between cells: rows of the cells, integer [m] each, and flow, float64 [m], > 0."""

    origin: npt.NDArray[np.integer]
    destination: npt.NDArray[np.integer]
    flow: npt.NDArray[np.float64]


@dataclass(frozen=True)
class CellVectors:
    """Vectors of cells: ``cells`` int64 [n], ascending, and ``vectors`` float32 [n, d]."""

    cells: npt.NDArray[np.int64]
    vectors: npt.NDArray[np.float32]

    def to_table(self) -> pa.Table:
        flat = pa.array(np.ascontiguousarray(self.vectors, dtype=np.float32).reshape(-1))
        column = pa.FixedSizeListArray.from_arrays(flat, self.vectors.shape[1])
        return pa.table([pa.array(self.cells), column], schema=features(self.vectors.shape[1]))

    @classmethod
    def from_table(cls, table: pa.Table) -> "CellVectors":
        """The rows of a table of `features`, int64 [n] and float32 [n, d], in their order."""
        dimension = table.schema.field("vector").type.list_size
        flat = table["vector"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
        return cls(table["cell"].to_numpy(), np.asarray(flat, dtype=np.float32).reshape(-1, dimension))

    def on(self, cells: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
        """Spread over the row order of `cells`.

        Returns:
            float32 [len(cells), d] with zero rows where a cell has no vector, and bool [len(cells)], true where it has.

        Raises:
            UserError: if a vector belongs to a cell that `cells` does not hold.
        """
        position = rows_of(cells, self.cells, "features")
        spread = np.zeros((len(cells), self.vectors.shape[1]), dtype=np.float32)
        present = np.zeros(len(cells), dtype=bool)
        spread[position], present[position] = self.vectors, True
        return spread, present
