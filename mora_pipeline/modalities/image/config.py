"""What region.yaml says of a modality of images."""

from typing import Literal, Self

from pydantic import Field, model_validator

from mora_pipeline.region.kinds import ModalityConfig
from mora_pipeline.region.sections import Name, problem

LITE0 = "efficientnet-lite0"
DEFAULT_SPECS = {"default", LITE0}
# Windows of 16 pixels tell no more at the 224 of its training, which take over ten times as long (docs/us_east.md).
LITE0_SIZE = 64
TEMPERATURE = 0.2  # of the alignment loss (MoRA, released training core; method.md, "Alignment")


class ImageModality(ModalityConfig):
    """Imagery that covers the region: XYZ tiles or GeoTIFFs."""

    kind: Literal["image"]
    source: Literal["xyz", "geotiff"] = Field(description="how the imagery is cut: xyz or geotiff")
    path: Name = Field(description="xyz: template with {z}, {x}, {y}; geotiff: file, folder or glob")
    zoom: int | None = Field(default=None, ge=0, le=24, description="zoom level of the tiles (xyz only)")
    encoder: Name = Field(default="default", description="image encoder; default:224 has an input of 224 pixels")
    temperature: float = Field(default=TEMPERATURE, gt=0, description="temperature of its alignment loss")

    @property
    def backbone(self) -> str:
        """The encoder; the default by its own name, with the size of its input: features differ by either."""
        name, _, pixels = self.encoder.partition(":")
        return f"{LITE0}:{pixels or LITE0_SIZE}" if name in DEFAULT_SPECS else self.encoder

    @model_validator(mode="after")
    def _tiles_have_a_zoom(self) -> Self:
        if self.source == "geotiff" and self.zoom is not None:
            raise problem("has a zoom, but GeoTIFFs carry their own resolution. Remove zoom")
        if self.source == "xyz" and self.zoom is None:
            raise problem("has source xyz but no zoom. Add zoom, the level of the tiles to read")
        missing = [part for part in ("{z}", "{x}", "{y}") if part not in self.path]
        if self.source == "xyz" and missing:
            lacks = f"has path '{self.path}' without {', '.join(missing)}"
            raise problem(lacks + "; write it like tiles/{z}/{x}/{y}.png")
        return self
