"""Whether the rasters that region.yaml names are there, can be read, and lie where the region lies."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mora_pipeline.contract.errors import UserError
from mora_pipeline.modalities.raster.config import NEEDS, RasterModality
from mora_pipeline.modalities.raster.grids import Grid, column_files
from mora_pipeline.region.columns import Checker, InputFile


def check_rasters(checker: Checker, key: str, config: RasterModality) -> None:
    """Open each GeoTIFF, and look for numbers that mean no data; `key` is that of the path.

    Raises:
        UserError: for the first thing that is wrong.
    """
    where = f"{checker.name}: {key} "
    if find_spec("exactextract") is None:
        raise UserError(f"{checker.name}: {key.removesuffix('.path')} of {NEEDS}")
    seen = set()
    for files, band in column_files(checker.base, config, where).values():
        for file in files:
            grid = Grid(file, band, config, f"{where}names {file.name}, which")
            try:
                if config.nodata is None:
                    grid.check_nodata()
            finally:
                grid.close()
            if file not in seen:
                checker.others.append(InputFile(key, file, "geotiff", {}, None, file.stat().st_size))
            seen.add(file)


def covers(
    config: RasterModality, base: Path, latitude: npt.NDArray[np.float64], longitude: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.bool_], tuple[str, ...]]:
    """Which points, float64 [n] in degrees, have data in every column, and where there is some if none has."""
    found, somewhere = np.ones(len(latitude), dtype=bool), None
    for files, band in column_files(base, config, "region.yaml: a raster's path ").values():
        own = np.zeros(len(latitude), dtype=bool)
        for file in files:
            grid = Grid(file, band, config)
            left = np.flatnonzero(~own)
            own[left] = grid.has_points(latitude[left], longitude[left])
            somewhere = somewhere or grid.middle()
            grid.close()
        found &= own
    if found.any() or not len(found) or somewhere is None:
        return found, ()
    return found, (f"The raster lies elsewhere: the middle of its first file is at {somewhere}.",)
