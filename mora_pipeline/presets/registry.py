"""Which presets there are, which one a run takes, and what can be set of each."""

from dataclasses import dataclass
from typing import Any, Literal, cast

from pydantic import Field, create_model

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.names import did_you_mean
from mora_pipeline.lake import Lake
from mora_pipeline.parameters import Parameters
from mora_pipeline.presets.encoders import DATASET, SETTINGS, preset_in
from mora_pipeline.presets.interface import Preset
from mora_pipeline.region import RegionConfig
from mora_pipeline.region.embeddings import PRESETS

DEFAULT = "mora"
DECLARED = "declared"  # the choice is region.yaml's


def register(preset: Preset[Any]) -> None:
    """Add a preset for this process; an entry point adds it for all.

    Raises:
        ValueError: if there is a preset of that name.
    """
    PRESETS.register(preset.name, preset)


def unregister(name: str) -> None:
    """Take back what `register` added."""
    PRESETS.unregister(name)


def presets() -> dict[str, Preset[Any]]:
    """All presets by name, the built-in ones first."""
    return {name: cast(Preset[Any], preset) for name, preset in PRESETS.all().items()}


def preset_of(name: str) -> Preset[Any]:
    """The preset of that name.

    Raises:
        UserError: if there is none.
    """
    known = PRESETS.names()
    if name not in known:
        raise UserError(f"embeddings.preset is '{name}', but there are {', '.join(known)}.{did_you_mean(name, known)}")
    return cast(Preset[Any], PRESETS[name])


@dataclass(frozen=True)
class Choice:
    """What makes the vectors: a preset, the region of an encoder if it is another's, and who said so."""

    preset: Preset[Any]
    encoder: str | None
    why: str

    def __str__(self) -> str:
        return f"preset {self.preset.name}{f', encoder of {self.encoder}' if self.encoder else ''}: {self.why}"


def choose(preset: str, encoder: str | None, region: RegionConfig, lake: Lake | None = None) -> Choice:
    """What a run config and a region.yaml come to; the run config wins, as a whole.

    Args:
        preset: the name of one, or `DECLARED`.
        encoder: the region whose encoder embeds this one; None for none.
        lake: says which preset the encoder is of, where nobody else does.

    Raises:
        UserError: if there is no such preset, it has no encoder that another region could use, or a region without
            mobility is to be trained.
    """
    wanted, why = None if preset == DECLARED else preset, "the run config says so"
    if wanted is None and encoder is None:
        wanted, encoder = region.embeddings.preset, region.embeddings.encoder
        is_declared = wanted or encoder
        why = f"{region.file} says so" if is_declared else f"neither the run config nor {region.file} says otherwise"
    chosen = preset_of(wanted or (encoder and lake and _preset_of_encoder(encoder, lake)) or DEFAULT)
    if encoder and not chosen.transferable:
        others = " or ".join(name for name, other in presets().items() if other.transferable)
        raise UserError(
            f"embeddings.preset is '{chosen.name}' and embeddings.encoder is '{encoder}', but an encoder is of preset "
            f"{others}. Set one of the two."
        )
    if region.mobility is None and encoder in (None, region.region):
        raise UserError(
            f"embeddings.preset is '{chosen.name}', but {region.file} has no mobility to train it on. Add mobility, or "
            "let another region's encoder embed this one: --encoder REGION, or embeddings.encoder."
        )
    return Choice(chosen, encoder, why)


def _preset_of_encoder(region: str, lake: Lake) -> str | None:
    """The preset that a region's encoder is of: by its own record, else by that of the embeddings it came with."""
    folder = lake.read(DATASET, region).path if lake.has(DATASET, region) else None
    if folder and (folder / SETTINGS).is_file():
        return preset_in(folder)
    name = lake.read("embeddings", region).details.get("preset") if lake.has("embeddings", region) else None
    return name if name in PRESETS.names() and preset_of(name).transferable else None


class EmbeddingsSettings(Parameters):
    """How cells are embedded: what all runs may choose, whatever presets there are."""

    preset: str = Field(
        DECLARED, description=f"A preset; {DECLARED}: as `embeddings` of region.yaml says, else {DEFAULT}."
    )
    encoder: str | None = Field(
        None,
        description="Region whose encoder embeds this one, in its vector space; the embeddings are not trained then.",
    )


def embeddings_settings() -> type[EmbeddingsSettings]:
    """The settings of the step `embeddings`: the choice, those of the default preset, and a key for each other one.

    Raises:
        ValueError: if a preset has the name of another key.
    """
    default, *others = presets().values()
    taken = {*EmbeddingsSettings.model_fields, *default.settings.model_fields}
    fields: dict[str, Any] = {}
    for one in others:
        if one.name in taken:
            raise ValueError(f"embeddings.{one.name} is a setting already: the preset of that name needs another one")
        fields[one.name] = (one.settings, Field(one.settings(), description=f"Preset {one.name}: {one.description}."))
    choices = Literal[(DECLARED, *PRESETS.names())]  # type: ignore[valid-type]
    fields["preset"] = (choices, EmbeddingsSettings.model_fields["preset"])
    about = f"How cells are embedded; the keys that are no other preset's belong to {DEFAULT}: {default.description}."
    bases: Any = (EmbeddingsSettings, default.settings)
    return create_model(EmbeddingsSettings.__name__, __base__=bases, __doc__=about, **fields)


def settings_of(preset: Preset[Any], settings: EmbeddingsSettings) -> Parameters:
    """A preset's own part of what `embeddings_settings` gives."""
    if preset.name == DEFAULT:
        return preset.settings(**settings.model_dump(include=set(preset.settings.model_fields)))
    own: Parameters = getattr(settings, preset.name)
    return own
