"""The three kinds of modalities a region.yaml may describe: texts, imagery, tables."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mora_pipeline.contract.constants import TEMPERATURES
from mora_pipeline.region.parts import BadShare, Name, Part, point_or_place, problem


class TextColumns(Part):
    """Columns of a text modality."""

    latitude: Name | None = Field(default=None, description="column of the latitude, degrees")
    longitude: Name | None = Field(default=None, description="column of the longitude, degrees")
    place: Name | None = Field(default=None, description="column of the place's id, in place of coordinates")
    name: Name | None = Field(default=None, description="column of the name")
    category: Name | None = Field(default=None, description="column of the category")
    count: Name | None = Field(default=None, description="column of how many things the row stands for (default 1)")

    @model_validator(mode="after")
    def _says_where_and_what(self) -> Self:
        point_or_place(self)
        if self.name is None and self.category is None:
            raise problem("needs name or category (or both): the text is made from them")
        return self


class TextModality(Part):
    """Named or categorised things at points, such as POIs."""

    kind: Literal["text"]
    path: Name = Field(description="file, folder or glob of the texts")
    columns: TextColumns = Field(description="the texts' columns")
    encoder: Name = Field(default="default", description="text encoder: default, a hub id or a folder")
    temperature: float = Field(default=TEMPERATURES["text"], gt=0, description="temperature of its alignment loss")
    maximum_bad_share: BadShare


class ImageModality(Part):
    """Imagery that covers the region: XYZ tiles or GeoTIFFs."""

    kind: Literal["image"]
    source: Literal["xyz", "geotiff"] = Field(description="how the imagery is cut: xyz or geotiff")
    path: Name = Field(description="xyz: template with {z}, {x}, {y}; geotiff: file, folder or glob")
    zoom: int | None = Field(default=None, ge=0, le=24, description="zoom level of the tiles (xyz only)")
    encoder: Name = Field(default="default", description="image encoder")
    temperature: float = Field(default=TEMPERATURES["image"], gt=0, description="temperature of its alignment loss")

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


class PointColumns(Part):
    """Columns of a point."""

    latitude: Name = Field(description="column of the latitude, degrees")
    longitude: Name = Field(description="column of the longitude, degrees")


class TableModality(Part):
    """Histograms of places, such as ages: each group of columns sums to 1 within a cell."""

    kind: Literal["table"]
    path: Name = Field(description="file, folder or glob of the table")
    place: Name | None = Field(default=None, description="column of the place's id")
    columns: PointColumns | None = Field(default=None, description="the coordinates' columns, in place of place")
    weight: Name | None = Field(default=None, description="column that weights the places of a cell (default 1 each)")
    groups: dict[Name, Name] = Field(min_length=1, description="group: columns, as globs joined by |")
    temperature: float = Field(default=TEMPERATURES["table"], gt=0, description="temperature of its alignment loss")
    maximum_bad_share: BadShare

    @model_validator(mode="after")
    def _says_where(self) -> Self:
        if (self.place is None) == (self.columns is None):
            found = "neither" if self.place is None else "both"
            raise problem(f"must say where its rows lie: either place, or columns with coordinates (it has {found})")
        return self


Modality = Annotated[TextModality | ImageModality | TableModality, Field(discriminator="kind")]
