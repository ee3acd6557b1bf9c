"""GeoTIFFs of a folder: in colour they are imagery, with one band of numbers a raster."""

import re
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticCustomError, PydanticKnownError

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.formats import GEOTIFF_DRIVER
from mora_pipeline.region.draft.evidence import Names
from mora_pipeline.region.draft.paths import below, path_of, without_digits
from mora_pipeline.region.draft.yaml_text import Entry
from mora_pipeline.region.kinds import KINDS, modality_config

COUNTED = re.compile(r"pop|count|people|persons|built|volume|inhab|einwohner", re.IGNORECASE)


def raster_entries(base: Path, images: Sequence[str], names: Names) -> tuple[list[Entry], list[str]]:
    """Modalities of GeoTIFFs, and remarks: colour is imagery, one band of numbers is a raster."""
    groups: dict[tuple[str, ...], list[str]] = {}
    remarks = []
    for path in images:
        try:
            kind, form = _form(path)
        except UserError as error:
            remarks.append(str(error))
            continue
        file = PurePath(path)
        apart = without_digits(file.name) if kind == "raster" else ""  # other names hold other numbers
        groups.setdefault((str(file.parent), kind, form, apart), []).append(path)
    made = []
    for (folder, kind, form, _), group in groups.items():
        note = f"{len(group):,} GeoTIFF{'s' if len(group) > 1 else ''} of {form}."
        if kind == "raster" and (bands := _colour_bands(group)):
            note += (
                " Bands 4, 3 and 2 are red, green and blue, as of Sentinel-2; scale says what is black and brightest."
            )
            keys: dict[str, Any] = {
                "source": "geotiff",
                "path": below(folder, base),
                "bands": bands,
                "scale": [0, 3000],
            }
            made.append(modality_entry(names.new("imagery", "imagery"), [note], "image", **keys))
            continue
        pattern, kept = path_of(base, group, set(images), images=True)
        if len(kept) < len(group):
            note += " No pattern names all: move them into a folder of their own."
        if kind == "image":
            made.append(
                modality_entry(names.new("imagery", "imagery"), [note], "image", source="geotiff", path=pattern)
            )
        else:
            stem = PurePath(group[0]).name.split(".")[0]
            statistic, other = ("sum", "mean") if COUNTED.search(stem) else ("mean", "sum")
            note += f" Sum is for what is counted, mean for the rest. Or statistic: {other}"
            name = names.new(re.sub(r"\d+", "", stem) or stem, "raster")
            made.append(modality_entry(name, [note], "raster", path=pattern, statistic=statistic))
    return made, remarks


def _colour_bands(group: Sequence[str]) -> list[str] | None:
    """Globs of red, green and blue, where files are named by their bands as Sentinel-2's are."""
    globs = []
    for band in ("4", "3", "2"):
        found = {
            match.group() for path in group if (match := re.search(rf"B0?{band}(?!\d)[^/]*$", PurePath(path).name))
        }
        if len(found) != 1:
            return None
        globs.append(f"*{found.pop()}")
    return globs


def _form(path: str) -> tuple[str, str]:
    """``image`` or ``raster``, and its bands in words."""
    import rasterio

    try:
        with rasterio.open(path, driver=GEOTIFF_DRIVER) as raster:
            count, kind, colours = raster.count, raster.dtypes[0], raster.colorinterp
    except rasterio.errors.RasterioError as error:
        raise UserError(f"Not read: {path}: {error}") from None
    palette = rasterio.enums.ColorInterp.palette in colours
    form = f"{count} band{'s' if count > 1 else ''} ({'a colour table' if palette else kind})"
    return ("image" if count >= 3 or palette else "raster"), form


def modality_entry(name: str, notes: Sequence[str], kind: str, **keys: Any) -> Entry:
    """A modality; a comment where this version does not take it."""
    described = {"kind": kind, **keys}
    try:
        if kind in KINDS.names():
            modality_config(described)
            return Entry(name, described, tuple(notes))
    except (ValidationError, PydanticCustomError, PydanticKnownError):
        pass
    return Entry(name, described, (*notes, "This version of mora cannot read it as it lies here."), off=True)
