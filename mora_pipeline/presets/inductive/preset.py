"""The preset `inductive`: an encoder of cells' evidence, trained on the region or taken from another one.

An encoder that is trained is committed as the dataset `encoder` beside the embeddings: `encoder.safetensors`, and
`encoder.json` with what it asks of a region.
"""

from typing import Any

from mora_pipeline.lake import Lake
from mora_pipeline.lake.reading import RegionReader
from mora_pipeline.presets.inductive.parameters import InductiveParameters
from mora_pipeline.presets.inductive.schema import DATASET, SETTINGS, check_declared, encoder_version, read_settings
from mora_pipeline.presets.interface import EncodedRegion, Preset, Training
from mora_pipeline.region import NO_MOBILITY, RegionConfig

FAR_CELLS_WARNING_SHARE = 0.5  # of the cells: so many that no unit answers are worth a warning


class InductivePreset(Preset[InductiveParameters]):
    """A function of a cell's features, flows and surroundings: the same one for every region."""

    name = "inductive"
    description = "an encoder of features, flows and surroundings, which can embed other regions too"
    settings = InductiveParameters
    inputs = ("cells", "edges")
    transferable = True

    def train(self, region: RegionReader, settings: InductiveParameters, training: Training) -> EncodedRegion:
        """See `Preset.train`."""
        from mora_pipeline.presets.inductive.encoder import save_encoder
        from mora_pipeline.presets.inductive.region import read_evidence, schema_of
        from mora_pipeline.presets.inductive.train import train_inductive, with_student

        names = list(region.config.modalities)
        schema = schema_of(region, names, settings.neighbours)
        table, evidence = read_evidence(region, names, settings.neighbours)
        target = training.begin(DATASET)
        with training.tracker.run({"preset": self.name, **settings.model_dump()}) as run:
            result = train_inductive(evidence, schema, settings)
            network, student_scores = with_student(result.encoder, evidence, result.embeddings)
            scores = {**result.scores, **student_scores}
            save_encoder(network, target.path)
            run.metrics(scores)
            run.weights(DATASET, network.tensors())
            run.file(target.path / SETTINGS)
        metadata = {**scores, "training_seconds": result.seconds, "encoder": target.version}
        details = {"mlflow_run": run.run_id, "encoder_region": region.region, "encoder_version": target.version}
        return EncodedRegion(table, result.embeddings, details, metadata, link=run.link())

    def embed_with(self, region: RegionReader, encoder: str) -> EncodedRegion:
        """See `Preset.embed_with`."""
        from mora_pipeline.presets.inductive.encoder import load_encoder
        from mora_pipeline.presets.inductive.region import embed_with

        version = encoder_version(region.lake, encoder)
        region.lineage[f"encoder of {encoder}"] = version
        network = load_encoder(version.path)
        table, encoded = embed_with(region, network)
        by_student = region.config.mobility is None
        warnings = []
        if encoded.share_far > FAR_CELLS_WARNING_SHARE:
            warnings.append(
                f"{encoded.share_far:.0%} of the cells of '{region.region}' are unlike all that the encoder of "
                f"'{encoder}' has seen (no unit answers): their vectors are nearly one and the same. Train an encoder "
                "on a region like this."
            )
        lake = region.lake
        theirs = lake.read("embeddings", encoder).details if lake.has("embeddings", encoder) else {}
        is_shared = theirs.get("encoder_version") == version.version
        if not is_shared:
            warnings.append(
                f"The embeddings of '{encoder}' are not those of its encoder any more: the vectors of "
                f"'{region.region}' will not be in their space. Write embeddings: {{preset: inductive}} into the "
                f"region.yaml of '{encoder}', so that every rebuild makes both, and materialise it first."
            )
        left_out = [name for name in region.config.modalities if name not in network.schema.names]
        if left_out:
            warnings.append(f"The encoder of '{encoder}' does not know {', '.join(left_out)}: not used.")
        metadata = {
            "encoder_region": encoder,
            "encoder": version.version,
            "made_by": f"the student: {NO_MOBILITY}" if by_student else "the encoder",
            "share_far": encoded.share_far,
            f"same space as the embeddings of {encoder}": is_shared,
            "modalities_left_out": left_out or "none",
        }
        details: dict[str, Any] = {"encoder_region": encoder, "encoder_version": version.version}
        if by_student:
            details["student"] = True
        return EncodedRegion(table, encoded.vectors, details, metadata, warnings=warnings)

    def check_declared(self, config: RegionConfig, encoder: str, lake: Lake) -> None:
        """See `Preset.check_declared`."""
        check_declared(read_settings(encoder_version(lake, encoder).path)["schema"], config)


PRESET = InductivePreset()
