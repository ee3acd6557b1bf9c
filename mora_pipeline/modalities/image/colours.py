"""How the numbers of a GeoTIFF become red, green and blue: as they are, by its colour table, or by a scale."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from rasterio.enums import ColorInterp

from mora_pipeline.contract.errors import UserError
from mora_pipeline.modalities.encoder import Image
from mora_pipeline.modalities.sampling import sampled

Mask = npt.NDArray[np.bool_]
NO_COLOURS = {ColorInterp.cyan: "CMYK", ColorInterp.hue: "HSL", ColorInterp.Y: "YCbCr"}
NAMES = (("red", "b04", "b4"), ("green", "b03", "b3"), ("blue", "b02", "b2"))  # of bands, Sentinel-2's and Landsat 8's
DARKEST, BRIGHTEST = 2, 98  # percentiles that a suggested scale leaves out beyond


@dataclass(frozen=True)
class Colours:
    """How the values of one picture's bands become colours.

    Attributes:
        table: uint8 [n, 4], red, green, blue and opacity of each value; None if values are brightness.
        scale: the values that become 0 and 255; None if they are 8-bit already.
        partial: whether a value may have no colour.
    """

    table: Image | None = None
    scale: tuple[float, float] | None = None
    partial: bool = False

    def of(self, values: npt.NDArray[Any], valid: Mask) -> tuple[Image, Mask]:
        """Colours, uint8 [height, width, 3], and where there are any.

        Args:
            values: [1 or 3, height, width]: grey or an index, or red, green and blue.
            valid: bool [height, width], false where there is no data.
        """
        if self.table is not None:
            found = self.table[values[0]]
            return found[..., :3], valid & (found[..., 3] > 0)
        if self.scale is not None:
            finite = np.isfinite(values).all(axis=0)
            low, high = self.scale
            share = (np.nan_to_num(values.astype(np.float64)) - low) / (high - low)
            values, valid = (np.clip(share, 0.0, 1.0) * 255.0).round().astype(np.uint8), valid & finite
        return np.moveaxis(np.broadcast_to(values, (3, *values.shape[1:])), 0, 2), valid


def bands_of(source: Any, wanted: Sequence[int] | None, name: str) -> tuple[int, ...]:
    """The bands of an open file that make its colours: those wanted, else red, green and blue by name, the first three,
    or the first alone.

    Raises:
        UserError: if it lacks one; `name` begins the message.
    """
    if wanted is not None:
        if max(wanted) > source.count:
            has = "1 band" if source.count == 1 else f"{source.count} bands"
            raise UserError(f"{name} has {has}, but bands names {max(wanted)}. Bands are counted from 1.")
        return tuple(wanted)
    colours = list(source.colorinterp)
    named = [ColorInterp.red, ColorInterp.green, ColorInterp.blue]
    if all(colour in colours for colour in named):
        return tuple(colours.index(colour) + 1 for colour in named)
    return (1, 2, 3) if source.count >= 3 else (1,)


def colours_of(source: Any, bands: Sequence[int], scale: tuple[float, float] | None, name: str) -> Colours:
    """How the bands of an open file become colours.

    Args:
        bands: of `bands_of`; of a picture in three files, those of one of them.
        scale: what region.yaml says.
        name: begins the message.

    Raises:
        UserError: if they are not 8-bit and there is no scale, or if there is one beside a colour table.
    """
    kinds = {source.dtypes[band - 1] for band in bands}
    if len(bands) == 1 and source.colorinterp[bands[0] - 1] == ColorInterp.palette:
        if scale is not None:
            raise UserError(f"{name} has a colour table, so it has colours already. Remove scale.")
        table = _table(source, bands[0], name)
        return Colours(table=table, partial=bool((table[:, 3] == 0).any()))
    if model := next((NO_COLOURS[colour] for colour in source.colorinterp if colour in NO_COLOURS), None):
        raise UserError(f"{name} has the colours of {model}, but they must be RGB. Convert it: rio or gdal_translate.")
    if any(kind.startswith(("complex", "cint", "cfloat")) for kind in kinds):
        raise UserError(f"{name} holds complex numbers, which have no brightness. Write their amplitude.")
    few = {source.tags(band, ns="IMAGE_STRUCTURE").get("NBITS", "8") for band in bands} - {"8"}
    if scale is None and (kinds != {"uint8"} or few):
        raise UserError(_unscaled(source, bands, ", ".join(f"{bits}-bit" for bits in few) or " and ".join(kinds), name))
    return Colours(scale=scale, partial=any(kind.startswith("float") for kind in kinds))


def _table(source: Any, band: int, name: str) -> Image:
    if source.dtypes[band - 1] not in {"uint8", "uint16"}:
        raise UserError(f"{name} has a colour table of {source.dtypes[band - 1]}. Write its indices as 8-bit.")
    entries = source.colormap(band)
    # What the table leaves out has no colour, and so no imagery.
    table = np.zeros((np.iinfo(source.dtypes[band - 1]).max + 1, 4), dtype=np.uint8)
    table[list(entries)] = list(entries.values())
    return table


def _unscaled(source: Any, bands: Sequence[int], kind: str, name: str) -> str:
    """The message about a file whose numbers need a scale, with a scale that fits a sample of them."""
    number = "1 band" if source.count == 1 else f"{source.count} bands"
    values = sampled(source, bands)
    if not len(values):
        return (
            f"{name} holds {kind} in {number}, and no value in a sample. Say what is black and full: scale: [0, 3000]."
        )
    low, high = (_short(value) for value in np.percentile(values, [DARKEST, BRIGHTEST]))
    low, high = (low, high) if low < high else (low, low + 1)
    found = f"{_short(values.min()):g} to {_short(values.max()):g} in a sample"
    which = ""
    if source.count >= 3 and ColorInterp.red not in source.colorinterp and len(bands) == 3:
        which = f", and which bands are red, green and blue, such as bands: {_likely(source)}"
    return (
        f"{name} holds {kind} in {number} ({found}), but colours are 8-bit. Say which values are black and full "
        f"brightness, such as scale: [{low:g}, {high:g}]{which}."
    )


def _likely(source: Any) -> list[int]:
    """Red, green and blue by the bands' descriptions; else the order of Sentinel-2's and Landsat's files."""
    said = [str(text or "").lower() for text in source.descriptions]
    found = [next((band for band, text in enumerate(said, 1) if text in names), 0) for names in NAMES]
    return found if all(found) else [3, 2, 1]


def _short(value: float) -> float:
    """A number to three digits."""
    return float(f"{value:.3g}")
