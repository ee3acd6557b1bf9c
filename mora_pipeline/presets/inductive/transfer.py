"""What all presets share whose encoder, trained on one region, can embed another."""

from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mora_pipeline.lake import Lake
from mora_pipeline.lake.reading import RegionReader
from mora_pipeline.presets.inductive.schema import check_declared, encoder_version, read_settings
from mora_pipeline.presets.interface import EncodedRegion, Preset, Settings
from mora_pipeline.region import NO_MOBILITY, RegionConfig

if TYPE_CHECKING:
    from mora_pipeline.presets.inductive.encoder import RegionEncoder


class EncoderPreset(Preset[Settings]):
    """A function of a cell's features, flows and surroundings: the same one for every region."""

    inputs = ("cells", "edges")
    transferable = True

    @abstractmethod
    def load(self, folder: Path) -> "RegionEncoder":
        """The encoder that the preset has written into a folder.

        Raises:
            UserError: if there is no whole one, or it is of another preset.
        """

    def embed_with(self, region: RegionReader, encoder: str) -> EncodedRegion:
        """See `Preset.embed_with`; all numbers of the vectors mean what they mean in the encoder's region."""
        from mora_pipeline.presets.inductive.region import embed_with

        version = encoder_version(region.lake, encoder)
        region.lineage[f"encoder of {encoder}"] = version
        network = self.load(version.path)
        table, encoded = embed_with(region, network)
        warnings, by_student = list(encoded.warnings), region.config.mobility is None
        lake = region.lake
        theirs = lake.read("embeddings", encoder).details if lake.has("embeddings", encoder) else {}
        is_shared = theirs.get("encoder_version") == version.version
        if not is_shared:
            warnings.append(
                f"The embeddings of '{encoder}' are not those of its encoder any more: the vectors of "
                f"'{region.region}' will not be in their space. Write embeddings: {{preset: {self.name}}} into the "
                f"region.yaml of '{encoder}', so that every rebuild makes both, and materialise it first."
            )
        left_out = [name for name in region.config.modalities if name not in network.schema.names]
        if left_out:
            warnings.append(f"The encoder of '{encoder}' does not know {', '.join(left_out)}: not used.")
        transferable = encoded.vectors.shape[1]
        meaning = f", which mean what the first {transferable} of {encoder} mean" if is_shared else ""
        metadata = {
            "encoder_region": encoder,
            "encoder": version.version,
            "made_by": f"the student: {NO_MOBILITY}" if by_student else "the encoder",
            f"same space as the embeddings of {encoder}": is_shared,
            "modalities_left_out": left_out or "none",
            "numbers": f"{transferable}{meaning}",
        }
        details: dict[str, Any] = {"encoder_region": encoder, "encoder_version": version.version}
        details |= {"transferable_numbers": transferable} | ({"student": True} if by_student else {})
        return EncodedRegion(
            table, encoded.vectors, details, metadata, warnings=warnings,
            familiarity=encoded.familiarity, states=encoded.states,
        )  # fmt: skip

    def check_declared(self, config: RegionConfig, encoder: str, lake: Lake) -> None:
        """See `Preset.check_declared`."""
        check_declared(read_settings(encoder_version(lake, encoder).path, self.name)["schema"], config)
