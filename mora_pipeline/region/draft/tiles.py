"""Map tiles of a folder: as files in folders, or in an archive."""

import math
import re
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from mora_pipeline.raw.globs import entries, expand, is_hidden
from mora_pipeline.region.draft.evidence import Names
from mora_pipeline.region.draft.paths import below
from mora_pipeline.region.draft.rasters import modality_entry
from mora_pipeline.region.draft.resolution import spacing_km
from mora_pipeline.region.draft.yaml_text import Entry

ARCHIVES = (".mbtiles", ".pmtiles")
PICTURES = (".png", ".jpg", ".jpeg", ".webp")
DEEPEST = 4  # folders below the top in which tiles are looked for
PIXELS = 64  # of a cell's width, from which a zoom shows what is there
METRES_PER_PIXEL = 156_543.034  # of zoom 0 at the equator


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
        made.append(
            modality_entry(names.new("imagery", "imagery"), notes, "image", source="xyz", zoom=zoom, path=template)
        )
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


def tile_archives(base: Path) -> list[str]:
    """The archives of tiles below `base`, relative to it."""
    return [below(path, base) for ending in ARCHIVES for path in expand(base, f"**/*{ending}") if path.isprintable()]


def archive_entries(base: Path, archives: Sequence[str], resolution: int, latitude: float, names: Names) -> list[Entry]:
    """An image modality for each archive of tiles, MBTiles or PMTiles."""
    made = []
    for file in archives:
        if zooms := _archive_zooms(str(base / file)):
            note = f"An archive of map tiles of zoom {zooms[0]} to {zooms[-1]}."
            zoom = _zoom(dict.fromkeys(zooms), resolution, latitude)
            keys: dict[str, Any] = {"source": "xyz", "zoom": zoom, "path": file}
            made.append(modality_entry(names.new("imagery", "imagery"), [note], "image", **keys))
    return made


def _archive_zooms(file: str) -> list[int]:
    """The zooms of an archive; none if it is no such archive."""
    if file.endswith(".pmtiles"):
        with Path(file).open("rb") as opened:
            head = opened.read(102)
        return list(range(head[100], head[101] + 1)) if head.startswith(b"PMTiles\x03") and len(head) == 102 else []
    try:
        with closing(sqlite3.connect(f"{Path(file).as_uri()}?mode=ro", uri=True)) as tiles:
            found = tiles.execute("select distinct zoom_level from tiles order by 1 limit 30").fetchall()
    except sqlite3.Error:
        return []
    return [zoom for (zoom,) in found if isinstance(zoom, int)]
