"""Whether the imagery that region.yaml names is there, and can be read."""

from pathlib import Path

from mora_pipeline.contract.errors import UserError
from mora_pipeline.modalities.image.config import ImageModality
from mora_pipeline.modalities.image.tiles import ARCHIVES
from mora_pipeline.raw.globs import expand
from mora_pipeline.region.columns import Checker, InputFile


def check_tiles(checker: Checker, key: str, config: ImageModality) -> None:
    """Find a first tile of the zoom, and its size; `key` is that of the path.

    Raises:
        UserError: if there is none, or it is no picture.
    """
    from mora_pipeline.modalities.image.pictures import size_of
    from mora_pipeline.modalities.image.stores import open_tiles, tile_path

    assert config.zoom is not None, "ImageModality requires a zoom for xyz"
    archive = Path(config.path).suffix.lower() in ARCHIVES
    path = tile_path(checker.base, config.path, f"{checker.name}: {key} ")
    said = f"{checker.name}: {key} is '{config.path}', "
    if archive and not Path(path).is_file():
        raise UserError(f"{said}but there is no {path}. Fix the path or the root.")
    try:
        tiles = open_tiles(path, config.zoom)
        first = tiles.first()
        if first is not None:
            size_of(tiles.data(*first) or b"", tiles.name(*first))
    except UserError as error:
        raise UserError(f"{said}but {str(error)[0].lower() if archive else str(error)[0]}{str(error)[1:]}") from None
    if first is None:
        zooms: list[int] = getattr(tiles, "zooms", list)()
        raise UserError(
            f"{said}but there is no tile of zoom {config.zoom} "
            + (f"in it. It has zooms {', '.join(map(str, zooms))}." if archive else _elsewhere(checker, config))
        )
    file = Path(path if archive else tiles.name(*first))
    checker.others.append(InputFile(key, file.absolute(), "xyz", {}, None, file.stat().st_size))


def _elsewhere(checker: Checker, config: ImageModality) -> str:
    """Where no tile is, and one of another zoom or name if there is one."""
    pattern = config.path
    for part in ("{z}", "{x}", "{y}", "{-y}", "{q}"):
        pattern = pattern.replace(part, "*")
    other = next(map(Path, expand(checker.base, pattern)), None)
    return f"under {checker.base}. " + (
        f"There is {other}, of another zoom or name." if other else "Fix the path or the root."
    )


def check_rasters(checker: Checker, key: str, config: ImageModality) -> None:
    """Open each GeoTIFF; `key` is that of the path.

    Raises:
        UserError: if there is none, or one cannot be read, has no coordinate system, or no colours.
    """
    from mora_pipeline.modalities.image.rasters import picture_colours, picture_files

    where = f"{checker.name}: {key} "
    for files in picture_files(checker.base, config, where):
        names = [f"{where}names {file.name}, which" for file in files]
        picture_colours(files, config.band_numbers, config.limits, names)
        for file in files:
            checker.others.append(InputFile(key, file, "geotiff", {}, None, file.stat().st_size))
