"""Imagery and rasters of a folder: folders of map tiles, GeoTIFFs in colour, and GeoTIFFs of numbers."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticCustomError, PydanticKnownError

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.globs import entries, is_hidden
from mora_pipeline.region.draft.evidence import Names
from mora_pipeline.region.draft.paths import path_of
from mora_pipeline.region.draft.resolution import spacing_km
from mora_pipeline.region.draft.yaml_text import Entry
from mora_pipeline.region.kinds import KINDS, modality_config

PICTURES = (".png", ".jpg", ".jpeg", ".webp")
DEEPEST = 4  # folders below the top in which tiles are looked for
PIXELS = 64  # of a cell's width, from which a zoom shows what is there
METRES_PER_PIXEL = 156_543.034  # of zoom 0 at the equator
COUNTED = re.compile(r"pop|count|people|persons|built|volume|inhab|einwohner", re.IGNORECASE)


@dataclass(frozen=True)
class TileFolder:
    """Map tiles: the template below the folder, and rows from the north of one column each of every zoom."""

    template: str
    zooms: dict[int, tuple[int, ...]]

    @property
    def tops(self) -> list[str]:
        """Names in the base folder that hold nothing but these tiles, as far as their place tells."""
        first, _, rest = self.template.partition("/")
        if first == "{z}":
            return [str(zoom) for zoom in self.zooms]
        return [first] if rest.startswith("{z}") else []


def tile_folders(base: Path) -> list[TileFolder]:
    """The folders ``z/x/y.png`` below `base`."""
    found: list[TileFolder] = []
    waiting = [("", 0)]
    while waiting:
        folder, depth = waiting.pop(0)
        names = [entry.name for entry in entries(str(base / folder)) if entry.is_dir() and not is_hidden(entry.name)]
        zooms = [name for name in names if name.isdecimal() and name.isascii() and int(name) <= 24]
        if zooms and (tiles := _tiles(base, folder, zooms)):
            found.append(tiles)
        elif depth < DEEPEST:
            waiting += [(str(PurePath(folder, name)), depth + 1) for name in names if name.isprintable()]
    return found


def _tiles(base: Path, folder: str, zooms: Sequence[str]) -> TileFolder | None:
    ending, rows = "", dict[int, tuple[int, ...]]()
    for zoom in zooms:
        above = base / folder / zoom
        columns = [entry for entry in entries(str(above)) if entry.is_dir() and entry.name.isdecimal()]
        names = [entry.name for entry in entries(columns[0].path)] if columns else []
        tiles = [
            name for name in names if re.fullmatch(r"\d+\.\w+", name, re.ASCII) and name.lower().endswith(PICTURES)
        ]
        if tiles and (not ending or tiles[0].endswith(ending)):
            ending = PurePath(tiles[0]).suffix
            rows[int(zoom)] = tuple(int(name.partition(".")[0]) for name in tiles)
    start = f"{folder}/" if folder else ""
    return TileFolder(f"{start}{{z}}/{{x}}/{{y}}{ending}", rows) if rows else None


def tile_entries(
    tiles: Iterable[TileFolder], resolution: int, latitudes: tuple[float, float] | None, names: Names
) -> list[Entry]:
    """An image modality for each folder of tiles.

    Args:
        latitudes: the southernmost and northernmost of the region; None if nobody knows.
    """
    made = []
    for each in tiles:
        middle = sum(latitudes) / 2 if latitudes else 0.0
        zoom = _zoom(each.zooms, resolution, middle)
        notes, template = [f"Map tiles of zoom {', '.join(map(str, sorted(each.zooms)))}."], each.template
        if latitudes and _from_south(each.zooms[zoom], zoom, latitudes):
            template = template.replace("{y}", "{-y}")
            notes.append("By where the region is, the tiles are counted from the south (TMS).")
        made.append(_modality(names.new("imagery", "imagery"), notes, "image", source="xyz", zoom=zoom, path=template))
    return made


def _zoom(zooms: Mapping[int, Any], resolution: int, latitude: float) -> int:
    """The coarsest zoom that shows a cell well, else the finest."""
    width = spacing_km(min(max(resolution, 5), 9)) * 1000
    metres = METRES_PER_PIXEL * math.cos(math.radians(min(abs(latitude), 80)))
    return next((zoom for zoom in sorted(zooms) if width / (metres / 2**zoom) >= PIXELS), max(zooms))


def _from_south(rows: Sequence[int], zoom: int, latitudes: tuple[float, float]) -> bool:
    """Whether tiles lie over the region only if their rows are counted from the south."""
    low, high = _row(latitudes[1], zoom), _row(latitudes[0], zoom)
    straight = any(low - 1 <= row <= high + 1 for row in rows)
    return not straight and any(low <= 2**zoom - 1 - row <= high for row in rows)


def _row(latitude: float, zoom: int) -> int:
    north = math.asinh(math.tan(math.radians(min(max(latitude, -85.05), 85.05))))
    return int((1 - north / math.pi) / 2 * 2**zoom)


def raster_entries(base: Path, images: Sequence[str], names: Names) -> tuple[list[Entry], list[str]]:
    """Modalities of GeoTIFFs, and remarks: colour is imagery, one band of numbers is a raster."""
    if not images:
        return [], []
    groups: dict[tuple[str, str, str], list[str]] = {}
    remarks = []
    for path in images:
        try:
            kind, form = _form(path)
        except UserError as error:
            remarks.append(str(error))
            continue
        groups.setdefault((str(PurePath(path).parent), kind, form), []).append(path)
    made = []
    for (_, kind, form), group in groups.items():
        pattern, kept = path_of(base, group, set(images), None, images=True)
        stem = "imagery" if kind == "image" else PurePath(group[0]).name.split(".")[0]
        note = f"{len(group):,} GeoTIFF{'s' if len(group) > 1 else ''} of {form}."
        if len(kept) < len(group):
            note += " No pattern names all: move them into a folder of their own."
        if kind == "image":
            made.append(_modality(names.new(stem, "imagery"), [note], "image", source="geotiff", path=pattern))
        else:
            statistic = "sum" if COUNTED.search(stem) else "mean"
            note += " Or statistic: " + (
                "mean, of what is no count" if statistic == "sum" else "sum, of what is counted"
            )
            made.append(_modality(names.new(stem, "raster"), [note], "raster", path=pattern, statistic=statistic))
    return made, remarks


def _form(path: str) -> tuple[str, str]:
    """``image`` or ``raster``, and its bands in words."""
    import rasterio

    try:
        with rasterio.open(path) as raster:
            count, kind, colours = raster.count, raster.dtypes[0], raster.colorinterp
    except rasterio.errors.RasterioError as error:
        raise UserError(f"Not read: {path}: {error}") from None
    palette = rasterio.enums.ColorInterp.palette in colours
    form = f"{count} band{'s' if count > 1 else ''} ({'a colour table' if palette else kind})"
    return ("image" if count >= 3 or palette else "raster"), form


def _modality(name: str, notes: Sequence[str], kind: str, **keys: Any) -> Entry:
    """A modality; a comment where this version does not take it."""
    described = {"kind": kind, **keys}
    try:
        if kind in KINDS.names():
            modality_config(described)
            return Entry(name, described, tuple(notes))
    except (ValidationError, PydanticCustomError, PydanticKnownError):
        pass
    return Entry(name, described, (*notes, "This version of mora cannot read it as it lies here."), off=True)
