"""From a mosaic to one image vector a cell: windows, crops in an order that reads little, vectors."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from mora_pipeline.contract.schemas import IMAGE_CELLS, CellVectors
from mora_pipeline.modalities.encoder import ImageEncoder, IntArray, Progress
from mora_pipeline.modalities.image.boundaries import cell_boundaries
from mora_pipeline.modalities.image.geotiff import GeoTiffMosaic
from mora_pipeline.modalities.image.mosaic import Mosaic
from mora_pipeline.modalities.image.rasters import picture_files
from mora_pipeline.modalities.image.stores import tile_path
from mora_pipeline.modalities.image.xyz import XyzMosaic

if TYPE_CHECKING:
    from mora_pipeline.modalities.image.config import ImageModality

# A cell whose window has less imagery than this is left out: what remains says more about the mosaic's edge.
MINIMUM_COVERAGE = 0.5
CELLS_AT_ONCE = 20_000  # whose boundaries are held in memory
CHUNK = 1024  # crops between two reports of progress


def open_mosaic(modality: "ImageModality", base: Path, where: str = "region.yaml: an imagery's path ") -> Mosaic:
    """The imagery that region.yaml describes.

    Args:
        base: the folder that relative paths start from.
        where: start of the message if it names no file.

    Raises:
        UserError: if it is not there, or not what region.yaml says.
    """
    if modality.source == "xyz":
        assert modality.zoom is not None, "RegionConfig requires a zoom for xyz"
        return XyzMosaic(tile_path(base, modality.path, where), modality.zoom)
    return GeoTiffMosaic(picture_files(base, modality, where), modality.band_numbers, modality.limits)


def cell_windows(cells: IntArray, mosaic: Mosaic, minimum_coverage: float = MINIMUM_COVERAGE) -> pa.Table:
    """The pixel window of each cell: the bounding window of its H3 boundary on the mosaic's grid.

    Cells with less than `minimum_coverage` (a share of the window's pixels, or any at all if 0) are left out, and so
    are cells that hold a pole. A cell smaller than a pixel gets the pixel; one across the antimeridian is whole.

    Returns:
        schemas.IMAGE_CELLS, ascending by cell.

    Source: method.md, "Where the sources are silent", 5; the threshold is ours.
    """
    cells, tables = np.unique(cells), []
    for start in range(0, len(cells), CELLS_AT_ONCE):
        part = cells[start : start + CELLS_AT_ONCE]
        windows, there = mosaic.windows(cell_boundaries(part))
        coverage = np.zeros(len(part))
        order = np.flatnonzero(there)[reading_order(windows[there], mosaic.block)]
        coverage[order] = mosaic.coverage(windows[order])
        kept = (coverage >= minimum_coverage) & (coverage > 0.0)
        columns = [part[kept], *windows[kept].T, coverage[kept]]
        tables.append(pa.table([pa.array(column) for column in columns], schema=IMAGE_CELLS))
    return pa.concat_tables(tables).combine_chunks() if tables else IMAGE_CELLS.empty_table()


def usual_side(windows: pa.Table) -> float:
    """Median width of the windows (schemas.IMAGE_CELLS), in pixels; 0 without any."""
    widths = windows["right"].to_numpy() - windows["left"].to_numpy()
    return float(np.median(widths)) if len(widths) else 0.0


def encode_windows(
    windows: pa.Table, mosaic: Mosaic, encoder: ImageEncoder, progress: Progress | None = None
) -> CellVectors:
    """The vector of each cell's crop. Pixels without imagery take the mean colour of the others.

    Args:
        windows: schemas.IMAGE_CELLS, in any order of rows.

    Returns:
        Float32 [n, dimension], one row a cell, ascending.

    Raises:
        UserError: if a file of the mosaic is damaged.
    """
    cells = windows["cell"].to_numpy()
    edges = np.stack([windows[name].to_numpy() for name in ("left", "top", "right", "bottom")], axis=1)
    rank = np.argsort(np.argsort(cells, kind="stable"), kind="stable")
    order = reading_order(edges, mosaic.block)
    vectors = np.empty((len(cells), encoder.dimension), dtype=np.float32)
    for start in range(0, len(order), CHUNK):
        chunk = order[start : start + CHUNK]
        crops = (mosaic.read((left, top, right, bottom)).filled() for left, top, right, bottom in edges[chunk].tolist())
        vectors[rank[chunk]] = encoder.encode(crops)
        if progress:
            progress(start + len(chunk), len(order))
    return CellVectors(np.sort(cells), vectors)


def reading_order(windows: IntArray, block: tuple[int, int]) -> IntArray:
    """An order in which neighbours are read one after the other: along a Z-curve over the mosaic's blocks."""
    columns, rows = (windows[:, :2] // np.array(block)).T
    return np.lexsort((windows[:, 0], windows[:, 1], _interleaved(columns) | (_interleaved(rows) << 1)))


def _interleaved(values: IntArray) -> IntArray:
    """Each of the 31 lowest bits moved to twice its place (Morton code), blocks west and north of the grid at 0."""
    spread = np.maximum(values, 0) & 0x7FFFFFFF
    for shift, mask in (
        (16, 0x0000FFFF0000FFFF),
        (8, 0x00FF00FF00FF00FF),
        (4, 0x0F0F0F0F0F0F0F0F),
        (2, 0x3333333333333333),
        (1, 0x5555555555555555),
    ):
        spread = (spread | (spread << shift)) & mask
    return spread
