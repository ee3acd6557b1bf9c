"""What region.yaml says of a modality of images."""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from mora_pipeline.modalities.image.tiles import ARCHIVES, missing_parts
from mora_pipeline.region.kinds import ModalityConfig
from mora_pipeline.region.sections import Name, problem

LITE0 = "efficientnet-lite0"
DEFAULT_SPECS = {"default", LITE0}
# Windows of 16 pixels tell no more at the 224 of its training, which take over ten times as long (docs/us_east.md).
LITE0_SIZE = 64
TEMPERATURE = 0.2  # of the alignment loss (MoRA, released training core; method.md, "Alignment")


class ImageModality(ModalityConfig):
    """Imagery that covers the region: map tiles or GeoTIFFs."""

    kind: Literal["image"]
    source: Literal["xyz", "geotiff"] = Field(description="how the imagery is cut: xyz or geotiff")
    path: Name = Field(
        description="xyz: template with {z}, {x}, {y} or {-y}, or .mbtiles, .pmtiles; geotiff: file, folder or glob"
    )
    zoom: int | None = Field(default=None, ge=0, le=24, description="zoom level of the tiles (xyz only)")
    bands: list[Any] | None = Field(
        default=None, description="red, green and blue: numbers of bands from 1, or a file or glob each (geotiff only)"
    )
    scale: list[float] | None = Field(
        default=None, description="the values that are black and full brightness, [low, high] (geotiff only)"
    )
    encoder: Name = Field(default="default", description="image encoder; default:224 has an input of 224 pixels")
    temperature: float = Field(default=TEMPERATURE, gt=0, description="temperature of its alignment loss")

    @property
    def backbone(self) -> str:
        """The encoder; the default by its own name, with the size of its input: features differ by either."""
        name, _, pixels = self.encoder.partition(":")
        return f"{LITE0}:{pixels or LITE0_SIZE}" if name in DEFAULT_SPECS else self.encoder

    @property
    def band_numbers(self) -> tuple[int, ...] | None:
        """The bands that make the colours, from 1; None if the file says so, or they are files."""
        return None if self.bands is None or self.band_files else tuple(self.bands)

    @property
    def band_files(self) -> tuple[str, ...]:
        """The file or glob of each band, below `path`; empty if a file holds all."""
        return tuple(self.bands) if self.bands and isinstance(self.bands[0], str) else ()

    @property
    def limits(self) -> tuple[float, float] | None:
        """The values that become 0 and 255."""
        return (self.scale[0], self.scale[1]) if self.scale else None

    @field_validator("bands")
    @classmethod
    def _bands_are_three_or_one(cls, bands: list[Any] | None) -> list[Any] | None:
        numbers = bands is not None and all(type(band) is int and band > 0 for band in bands)
        files = bands is not None and all(type(band) is str and band for band in bands)
        if bands is not None and (len(bands) not in (1, 3) or not (numbers or files)):
            raise problem(
                "must name the bands of red, green and blue, or one of grey: numbers from 1, such as [4, 3, 2], or a "
                "file or glob each, such as ['*_B04.tif', '*_B03.tif', '*_B02.tif']"
            )
        return bands

    @field_validator("scale")
    @classmethod
    def _scale_goes_up(cls, scale: list[float] | None) -> list[float] | None:
        # `not <` refuses NaN as well.
        if scale is not None and (len(scale) != 2 or not scale[0] < scale[1] or scale[1] - scale[0] == float("inf")):
            raise problem("must be two numbers, the smaller first: what is black, and what is brightest")
        return scale

    @model_validator(mode="after")
    def _fits_its_source(self) -> Self:
        if self.source == "geotiff" and self.zoom is not None:
            raise problem("has a zoom, but GeoTIFFs carry their own resolution. Remove zoom")
        if self.source == "geotiff":
            return self
        if self.zoom is None:
            raise problem("has source xyz but no zoom. Add zoom, the level of the tiles to read")
        if self.bands is not None or self.scale is not None:
            key = "bands" if self.bands is not None else "scale"
            raise problem(f"has {key}, but tiles are pictures already. Remove {key}")
        missing = [] if Path(self.path).suffix.lower() in ARCHIVES else missing_parts(self.path)
        if missing:
            lacks = f"has path '{self.path}' without {', '.join(missing)}"
            raise problem(lacks + "; write it like tiles/{z}/{x}/{y}.png")
        return self
