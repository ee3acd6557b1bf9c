"""From a path in region.yaml to the store of its tiles, by the path's ending."""

from pathlib import Path

from mora_pipeline.contract.errors import UserError
from mora_pipeline.modalities.image.folder import FolderTiles
from mora_pipeline.modalities.image.mbtiles import MbTiles
from mora_pipeline.modalities.image.pmtiles import PmTiles
from mora_pipeline.modalities.image.tiles import ARCHIVES, MBTILES, Tiles
from mora_pipeline.raw.roots import checked_path


def tile_path(base: Path, path: str, where: str) -> str:
    """The absolute template or archive of tiles that region.yaml names.

    Args:
        base: the folder that relative paths start from.
        where: start of the messages, such as ``region.yaml: modalities.sky.path ``.

    Raises:
        UserError: if it leads out of the region's roots.
    """
    checked_path(base, path.partition("{")[0] or ".", where)
    return str(base / Path(path))


def open_tiles(path: str, zoom: int) -> Tiles:
    """The tiles of a template with {z}, {x} and {y}, {-y} or {q}, or of an archive, by the path's ending.

    Raises:
        UserError: if an archive is missing, damaged, or holds vector tiles.
    """
    ending = Path(path).suffix.lower()
    if ending not in ARCHIVES:
        return FolderTiles(path, zoom)
    if not Path(path).is_file():
        raise UserError(f"There is no {path}. Fix the path or the root.")
    return MbTiles(Path(path), zoom) if ending == MBTILES else PmTiles(Path(path), zoom)
