"""How region.yaml says that a region is embedded, for every run whose config does not say otherwise."""

from typing import Protocol, Self

from pydantic import Field, model_validator

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.names import checked_region_name
from mora_pipeline.contract.plugins import Plugins
from mora_pipeline.region.sections import Section, problem


class DeclaredPreset(Protocol):
    """What region.yaml asks of a preset; `mora_pipeline.presets.Preset` is the whole of it."""

    @property
    def transferable(self) -> bool: ...


BUILT_IN = {name: f"mora_pipeline.presets.{name}.preset:PRESET" for name in ("mora", "paper", "inductive")}
PRESETS = Plugins[DeclaredPreset]("preset", "mora_pipeline.presets", BUILT_IN)


class EmbeddingDefaults(Section):
    """What makes a region's vectors, so that a nightly run keeps them in the space that its users chose."""

    preset: str | None = Field(default=None, description="a preset; by default mora, or the one of the encoder")
    encoder: str | None = Field(default=None, description="region whose encoder embeds this one")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.preset is not None and self.preset not in PRESETS.names():
            known = PRESETS.names()
            raise problem(f"has preset {self.preset}, but there are {', '.join(known)}", self.preset, known)
        if self.encoder is None:
            return self
        try:
            checked_region_name(self.encoder)
        except UserError as error:
            raise problem(f"has an encoder that cannot be a region's: {error}".rstrip(".")) from None
        if self.preset is not None and not PRESETS[self.preset].transferable:
            others = " or ".join(name for name, preset in PRESETS.all().items() if preset.transferable)
            raise problem(
                f"has preset {self.preset} and encoder {self.encoder}, but an encoder is of preset {others}. Keep one "
                "of the two"
            )
        return self
