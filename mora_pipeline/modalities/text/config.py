"""What region.yaml says of a modality of texts."""

from typing import Literal, Self

from pydantic import Field, model_validator

from mora_pipeline.region.kinds import ModalityConfig
from mora_pipeline.region.sections import BadShare, Located, Name, RawTable, checked_location, problem

TEMPERATURE = 0.5  # of the alignment loss (MoRA, released training core; method.md, "Alignment")


class TextColumns(Located):
    """Columns of a text modality."""

    place: Name | None = Field(default=None, description="column of the place's id, in place of coordinates")
    name: Name | None = Field(default=None, description="column of the name")
    category: Name | None = Field(default=None, description="column of the category")
    count: Name | None = Field(default=None, description="column of how many things the row stands for (default 1)")

    @model_validator(mode="after")
    def _says_where_and_what(self) -> Self:
        checked_location(self)
        if self.name is None and self.category is None:
            raise problem("needs name or category (or both): the text is made from them")
        return self


class TextModality(RawTable, ModalityConfig):
    """Named or categorised things at points, such as POIs."""

    kind: Literal["text"]
    columns: TextColumns = Field(description="the texts' columns")
    encoder: Name = Field(default="default", description="text encoder: default, a hub id or a folder")
    temperature: float = Field(default=TEMPERATURE, gt=0, description="temperature of its alignment loss")
    maximum_bad_share: BadShare

    def place_keys(self) -> list[str]:
        return ["columns.place"] if self.columns.place else []
