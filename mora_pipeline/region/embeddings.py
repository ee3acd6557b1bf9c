"""How region.yaml says that a region is embedded, for every run whose config does not say otherwise."""

from typing import Literal, Self

from pydantic import Field, model_validator

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.names import checked_region_name
from mora_pipeline.region.sections import Section, problem

Preset = Literal["paper", "inductive"]


class EmbeddingDefaults(Section):
    """What makes a region's vectors, so that a nightly run keeps them in the space that its users chose."""

    preset: Preset | None = Field(default=None, description="paper or inductive; by default paper, without an encoder")
    encoder: str | None = Field(default=None, description="region whose inductive encoder embeds this one")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.encoder is None:
            return self
        try:
            checked_region_name(self.encoder)
        except UserError as error:
            raise problem(f"has an encoder that cannot be a region's: {error}".rstrip(".")) from None
        if self.preset == "paper":
            raise problem(
                f"has preset paper and encoder {self.encoder}, but an encoder is of preset inductive. Keep one "
                "of the two"
            )
        return self
