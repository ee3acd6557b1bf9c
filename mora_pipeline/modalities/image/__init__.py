"""Imagery that covers the region: map tiles or GeoTIFFs."""

import logging
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mora_pipeline.contract.schemas import IMAGE_CELLS, CellVectors
from mora_pipeline.lake.reading import RegionReader
from mora_pipeline.modalities.encoder import Progress
from mora_pipeline.modalities.image.checks import check_rasters, check_tiles
from mora_pipeline.modalities.image.config import DEFAULT_SPECS, LITE0_SIZE, ImageModality
from mora_pipeline.modalities.interface import ModalityKind
from mora_pipeline.region.columns import Checker

logger = logging.getLogger(__name__)
FINE_WINDOW = 2 * LITE0_SIZE  # pixels across; of larger windows the default's input loses more than it keeps


class ImageKind(ModalityKind[ImageModality]):
    """The window of each of the region's cells in the mosaic; its picture is encoded."""

    name = "image"
    config = ImageModality
    cells_schema = IMAGE_CELLS
    cells_about = """Where each cell is in the imagery: its pixel window in every image modality's mosaic.

    Source: `cells` and the image files themselves (tiles or GeoTIFF). Cells without imagery have no row.
    """
    features_about = """Image vectors of the cells that have imagery, from the window of each cell.

    Source: `image_cells/*` and the mosaics themselves; the encoder is the modality's in region.yaml.
    """
    tags = frozenset({"pytorch"})
    uses_gpu = True

    def check_files(self, checker: Checker, key: str, config: ImageModality) -> None:
        (check_tiles if config.source == "xyz" else check_rasters)(checker, f"{key}.path", config)

    def covers(
        self, config: ImageModality, base: Path, latitude: npt.NDArray[np.float64], longitude: npt.NDArray[np.float64]
    ) -> tuple[npt.NDArray[np.bool_], tuple[str, ...]]:
        from mora_pipeline.modalities.image.coverage import covers
        from mora_pipeline.modalities.image.windows import open_mosaic

        return covers(open_mosaic(config, base), latitude, longitude)

    def grid(self, reader: RegionReader, name: str, config: ImageModality) -> pa.Table:
        from mora_pipeline.modalities.image.coverage import refuse_uncovered
        from mora_pipeline.modalities.image.windows import cell_windows, open_mosaic

        cells, mosaic = reader.cells(), open_mosaic(config, reader.config.base_of(config))
        windows = cell_windows(cells, mosaic)
        if not windows.num_rows and len(cells):
            refuse_uncovered(cells, mosaic, f"{reader.config.file.name}: modalities.{name}")
        return windows

    def encode(self, reader: RegionReader, name: str, config: ImageModality, progress: Progress) -> CellVectors:
        from mora_pipeline.modalities.image.encoder import make_image_encoder
        from mora_pipeline.modalities.image.windows import encode_windows, open_mosaic, usual_side

        windows, mosaic = reader.read(f"image_cells/{name}").table(), open_mosaic(config, reader.config.base_of(config))
        encoder = make_image_encoder(config.encoder, reader.config.base_of(config))
        if config.encoder in DEFAULT_SPECS and (side := usual_side(windows)) > FINE_WINDOW:
            logger.warning(
                "modalities.%s: a cell has %.0f pixels across, of which %d reach the encoder. `encoder: default:224` "
                "sees more of them and takes over ten times as long.", name, side, LITE0_SIZE,
            )  # fmt: skip
        return encode_windows(windows, mosaic, encoder, progress)


KIND = ImageKind()
