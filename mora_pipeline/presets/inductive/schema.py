"""What an encoder asks of a region, and whether a region has it; without torch, so that a command may ask first."""

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mora_pipeline.contract.errors import UserError
from mora_pipeline.lake import Lake, Version
from mora_pipeline.presets.encoders import DATASET, SETTINGS, damaged
from mora_pipeline.region import RegionConfig

FORMAT = "mora inductive encoder 2"


@dataclass(frozen=True)
class Input:
    """What the encoder takes of one modality.

    Attributes:
        backbone: the frozen encoder of the vectors, as region.yaml names it; None for a kind without one.
        columns: what each number stands for, for kinds that say so (`ModalityKind.input_columns`).
        amounts: the names of its amounts.
    """

    name: str
    kind: str
    dimension: int
    backbone: str | None = None
    columns: tuple[str, ...] = ()
    amounts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Schema:
    """What a region must have so that the encoder can embed it.

    Attributes:
        region: the one it was trained on.
        resolution: of its cells.
        neighbours: nearest cells that make a cell's surroundings.
        modalities: sorted by name.
        flow_features: what flows are described by.
        flow_level: what flows out of its middle cell (`flow_level`); 0 if that is not known.
    """

    region: str
    resolution: int
    neighbours: int
    modalities: tuple[Input, ...]
    flow_features: tuple[str, ...]
    flow_level: float = 0.0

    @property
    def names(self) -> list[str]:
        return [one.name for one in self.modalities]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Schema":
        """The inverse of `as_json`; a `KeyError` or `TypeError` says that the data are no schema."""
        modalities = tuple(
            Input(**{**one, "columns": tuple(one["columns"]), "amounts": tuple(one["amounts"])})
            for one in data["modalities"]
        )
        return cls(**{**data, "modalities": modalities, "flow_features": tuple(data["flow_features"])})


def encoder_version(lake: Lake, region: str) -> Version:
    """The current encoder of a region.

    Raises:
        UserError: if there is none.
    """
    if lake.has(DATASET, region):
        return lake.read(DATASET, region)
    maker = lake.read("embeddings", region).details.get("encoder_region") if lake.has("embeddings", region) else None
    if maker:
        raise UserError(
            f"Region '{region}' has no encoder of its own: that of '{maker}' embedded it. Use --encoder {maker}."
        )
    raise UserError(
        f"Region '{region}' has no encoder yet. Train one: mora materialize {region} --set embeddings.preset=mora"
    )


def read_settings(folder: Path, preset: str) -> dict[str, Any]:
    """The JSON of an encoder, its schema under `schema`.

    Raises:
        UserError: if it is missing, describes no encoder, or one of another preset.
    """
    try:
        settings = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
        if settings["format"] != FORMAT:
            raise ValueError(f"its format is '{settings['format']}', not '{FORMAT}'")
        schema, own = Schema.from_json(settings["schema"]), str(settings["preset"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise damaged(folder, error) from error
    if own != preset:
        raise UserError(
            f"The encoder of '{schema.region}' is of preset {own}, but preset {preset} is asked for. Write "
            f"embeddings: {{preset: {own}, encoder: {schema.region}}}, or train one of preset {preset}."
        )
    return {**settings, "schema": schema}


def check_declared(schema: Schema, config: RegionConfig) -> None:
    """Refuse a region whose region.yaml already says that its vectors would not be in the encoder's space.

    Cells of another resolution are refused too: flows, texts and histograms of cells of another size are other
    quantities, and nothing would show it in the result. Modalities that the encoder does not know are left out.

    Raises:
        UserError: naming both sides and the remedy.
    """
    whose = f"The encoder of '{schema.region}'"
    if schema.resolution != config.resolution:
        raise UserError(
            f"{whose} is for cells of resolution {schema.resolution}, but {config.file} has resolution "
            f"{config.resolution}: cells of another size have other flows. Write resolution: {schema.resolution}, or "
            f"train an encoder on a region of resolution {config.resolution}."
        )
    if config.mobility is None and not schema.modalities:
        raise UserError(
            f"{whose} takes mobility alone, but {config.file} has none. Train an encoder on a region with a modality "
            "that this one has too, or add mobility."
        )
    for wanted in schema.modalities:
        key, own = f"modalities.{wanted.name}", config.modalities.get(wanted.name)
        if own is None:
            raise UserError(
                f"{whose} takes {listed(schema.names)}, but {config.file} has {listed(config.modalities)}. Add {key} "
                f"(kind: {wanted.kind}), or train an encoder on a region without it."
            )
        if wanted.kind != own.kind:
            raise UserError(
                f"{whose} takes {key} of kind {wanted.kind}, but in {config.file} it is of kind {own.kind}. Give one "
                "of the two another name."
            )
        if wanted.backbone != own.backbone:
            raise UserError(
                f"{whose} takes {key} by the {wanted.kind} encoder '{wanted.backbone}', but {config.file} says "
                f"'{own.backbone}'. Write {key}.encoder: {wanted.backbone} and make {wanted.kind}_features again."
            )


def check_features(schema: Schema, present: Schema, file: Path) -> None:
    """Refuse features that are not what the encoder was trained on.

    Args:
        schema: what the encoder asks for.
        present: what the region has, of the same modalities.
        file: its region.yaml, for the messages.

    Raises:
        UserError: naming both sides and the remedy.
    """
    whose = f"The encoder of '{schema.region}'"
    if schema.flow_features != present.flow_features:
        raise UserError(
            f"{whose} comes from another version of this program, which described flows differently. Train it again: "
            f"mora materialize {schema.region} --select embeddings"
        )
    for wanted, own in zip(schema.modalities, present.modalities, strict=True):
        key = f"modalities.{wanted.name}"
        if wanted.columns != own.columns:
            raise UserError(
                f"{whose} takes {key} with the columns {listed(wanted.columns)}; that of '{present.region}' "
                f"{_difference(wanted.columns, own.columns)}. Name the same columns in the same order in {key}.groups "
                f"of {file}."
            )
        if wanted.dimension != own.dimension:
            raise UserError(
                f"{whose} takes {key} as {wanted.dimension} numbers, but '{present.region}' has {own.dimension}: "
                f"another model is behind the {wanted.kind} encoder '{wanted.backbone}'. Use the same one."
            )


def _difference(wanted: Collection[str], present: Collection[str]) -> str:
    missing = [name for name in wanted if name not in present]
    extra = [name for name in present if name not in wanted]
    if not missing and not extra:
        return "has them in another order"
    return f"lacks {listed(missing)} and has besides {listed(extra)}"


def listed(names: Collection[str], most: int = 6) -> str:
    """Names with commas, the first few of many."""
    shown = ", ".join(list(names)[:most])
    return (f"{shown} and {len(names) - most} more" if len(names) > most else shown) or "none"
