"""The preset `inductive`: an encoder of cells' evidence, trained on the region or taken from another one.

An encoder that is trained is committed as the dataset `encoder` beside the embeddings: `encoder.safetensors`, and
`encoder.json` with what it asks of a region.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mora_pipeline.lake.reading import RegionReader
from mora_pipeline.presets.encoders import DATASET, SETTINGS
from mora_pipeline.presets.inductive.parameters import InductiveParameters
from mora_pipeline.presets.inductive.transfer import EncoderPreset
from mora_pipeline.presets.interface import EncodedRegion, Training

if TYPE_CHECKING:
    from mora_pipeline.presets.inductive.encoder import RegionEncoder


class InductivePreset(EncoderPreset[InductiveParameters]):
    """A function of a cell's features, flows and surroundings: the same one for every region."""

    name = "inductive"
    description = "an encoder of features, flows and surroundings, which can embed other regions too"
    settings = InductiveParameters

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
        details: dict[str, Any] = {
            "mlflow_run": run.run_id,
            "encoder_region": region.region,
            "encoder_version": target.version,
        }
        details["transferable_numbers"] = settings.dimension
        return EncodedRegion(
            table, result.encoded.vectors, details, metadata, link=run.link(),
            familiarity=result.encoded.familiarity, states=result.encoded.states,
        )  # fmt: skip

    def load(self, folder: Path) -> "RegionEncoder":
        """See `EncoderPreset.load`."""
        from mora_pipeline.presets.inductive.encoder import load_encoder

        return load_encoder(folder)


PRESET = InductivePreset()
