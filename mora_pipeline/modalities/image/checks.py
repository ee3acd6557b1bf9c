"""Whether the imagery that region.yaml names is there, and can be read."""

from pathlib import Path

from mora_pipeline.contract.errors import UserError
from mora_pipeline.modalities.image.config import ImageModality
from mora_pipeline.raw.folders import find_files
from mora_pipeline.raw.formats import IMAGE_FORMATS
from mora_pipeline.raw.globs import expand
from mora_pipeline.region.columns import Checker, InputFile


def check_tiles(checker: Checker, key: str, config: ImageModality) -> None:
    """Find a first tile of the zoom; `key` is that of the path.

    Raises:
        UserError: if there is none.
    """

    def first(zoom: str) -> Path | None:
        pattern = config.path.replace("{z}", zoom).replace("{x}", "*").replace("{y}", "*")
        return next(map(Path, expand(checker.base, pattern)), None)

    tile = first(str(config.zoom))
    if tile is None:
        other = first("*")
        fix = f"There is {other}, of another zoom or name." if other else "Fix the path or the root."
        raise UserError(
            f"{checker.name}: {key} is '{config.path}', but there is no tile of zoom {config.zoom} under "
            f"{checker.base}. {fix}"
        )
    checker.others.append(InputFile(key, tile.absolute(), "xyz", {}, None, tile.stat().st_size))


def check_rasters(checker: Checker, key: str, config: ImageModality) -> None:
    """Open each GeoTIFF; `key` is that of the path.

    Raises:
        UserError: if there is none, or one cannot be read or has no coordinate system.
    """
    import rasterio

    where = f"{checker.name}: {key} "
    for path in find_files(checker.base, config.path, where, IMAGE_FORMATS).files:
        try:
            with rasterio.open(path) as raster:
                crs = raster.crs
        except rasterio.errors.RasterioError as error:
            raise UserError(f"{where}names {path}, which is not a readable GeoTIFF: {error}. Copy it again.") from None
        if crs is None:
            raise UserError(f"{where}names {path.name}, which has no coordinate system. Write it with one.")
        checker.others.append(InputFile(key, path, "geotiff", {}, None, path.stat().st_size))
