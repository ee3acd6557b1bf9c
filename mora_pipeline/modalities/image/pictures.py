"""Bytes of a tile as pixels, whatever its name says of its format."""

import io
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import PIL.Image

from mora_pipeline.contract.errors import UserError
from mora_pipeline.modalities.encoder import Image
from mora_pipeline.modalities.image.tiles import vector_tiles

if TYPE_CHECKING:
    from collections.abc import Iterator

JPEG = b"\xff\xd8\xff"
VECTOR_STARTS = (b"\x1f\x8b", b"\x1a")  # zipped, or a first layer of Mapbox vector tiles: no picture begins so
FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "GIF", "TIFF", "BMP")
DAMAGED = (OSError, SyntaxError, ValueError, PIL.Image.DecompressionBombError)


def is_opaque(start: bytes) -> bool:
    """Whether a picture that starts so has no transparent pixels, by its format alone."""
    return start.startswith(JPEG)


def size_of(data: bytes, name: str) -> int:
    """Width and height of a square tile, from its header.

    Raises:
        UserError: if it is no picture, or not square; `name` is what the message calls it.
    """
    with _opened(data, name) as image:
        width, height = image.size
    if width != height:
        raise UserError(f"{name} has {width} × {height} pixels, but tiles are square. Fetch it again.")
    return int(width)


def decoded(data: bytes, name: str) -> tuple[Image, npt.NDArray[np.bool_] | None]:
    """A picture's colours, uint8 [height, width, 3], and where it is not transparent (None: everywhere).

    Raises:
        UserError: if it is damaged or no picture; `name` is what the message calls it.
    """
    with _opened(data, name) as image:
        if image.mode.startswith(("I", "F")):
            raise ValueError("it has more than 8 bits a colour")
        has_alpha = "A" in image.getbands() or "transparency" in image.info
        values = np.asarray(image.convert("RGBA" if has_alpha else "RGB"))
    opaque = not has_alpha or bool((values[..., 3] > 0).all())
    return np.ascontiguousarray(values[..., :3]), None if opaque else values[..., 3] > 0


@contextmanager
def _opened(data: bytes, name: str) -> "Iterator[PIL.Image.Image]":
    if data.startswith(VECTOR_STARTS):
        raise vector_tiles(name)
    try:
        with PIL.Image.open(io.BytesIO(data), formats=FORMATS) as image:
            yield image
    except DAMAGED as error:
        begins = f"it starts with {data[:12]!r}" if data else "it is empty"
        reason = begins if isinstance(error, PIL.UnidentifiedImageError) else str(error)
        raise UserError(
            f"{name} cannot be read as an image ({reason}). Fetch the tile again, or remove it: its cells are then "
            "treated as cells without imagery."
        ) from error
