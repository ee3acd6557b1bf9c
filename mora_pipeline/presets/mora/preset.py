"""The preset `mora`: an encoder's numbers first, then numbers that belong to the region.

The encoder is committed as the dataset `encoder` beside the embeddings: `encoder.safetensors`, and `encoder.json` with
what it asks of a region. `transferable_numbers` in the record of the embeddings says where its numbers end.
"""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mora_pipeline.lake.reading import RegionReader
from mora_pipeline.presets.encoders import DATASET, SETTINGS
from mora_pipeline.presets.inductive.transfer import EncoderPreset
from mora_pipeline.presets.interface import EncodedRegion, Training
from mora_pipeline.presets.mora.parameters import MoraParameters

if TYPE_CHECKING:
    from mora_pipeline.presets.inductive.encoder import RegionEncoder


class MoraPreset(EncoderPreset[MoraParameters]):
    """What is alike in all evidence, plain numbers, surroundings, and who goes where, in one vector."""

    name = "mora"
    description = "what is alike in all evidence, plain numbers, surroundings, and who goes where, in one vector"
    settings = MoraParameters

    def train(self, region: RegionReader, settings: MoraParameters, training: Training) -> EncodedRegion:
        """See `Preset.train`."""
        from mora_pipeline.lake.reading import edge_rows
        from mora_pipeline.presets.inductive.encoder import save_encoder
        from mora_pipeline.presets.inductive.region import read_evidence, schema_of
        from mora_pipeline.presets.inductive.train import with_student
        from mora_pipeline.presets.mora.aligned import aligned_vectors
        from mora_pipeline.presets.mora.train import region_part, train_encoder

        started, names = time.perf_counter(), list(region.config.modalities)
        schema = schema_of(region, names, settings.neighbours)
        table, evidence = read_evidence(region, names, settings.neighbours)
        edges = edge_rows(region.read("edges"), table["cell"].to_numpy())
        target = training.begin(DATASET)
        with training.tracker.run({"preset": self.name, **settings.model_dump()}) as run:
            result = train_encoder(evidence, schema, settings)
            network, student_scores = with_student(result.encoder, evidence, result.encoded.vectors)
            scores = {**result.scores, **student_scores}
            save_encoder(network, target.path)
            aligned = None
            if settings.aligned_numbers:
                aligned = aligned_vectors(edges, table.num_rows, evidence.modalities, settings.alignment(), run.epoch)
            run.metrics(scores)
            run.weights(DATASET, network.tensors())
            run.file(target.path / SETTINGS)
        own = region_part(edges, aligned, table.num_rows, settings)
        vectors = np.concatenate([result.encoded.vectors, own], axis=1)
        numbers = settings.transferable_numbers
        details = {
            "mlflow_run": run.run_id, "encoder_region": region.region, "encoder_version": target.version,
            "transferable_numbers": numbers,
        }  # fmt: skip
        metadata = {
            **scores, "training_seconds": time.perf_counter() - started, "encoder": target.version,
            "numbers": f"{numbers} that its encoder gives other regions too, {own.shape[1]} of its own",
        }  # fmt: skip
        return EncodedRegion(
            table, vectors, details, metadata, link=run.link(),
            familiarity=result.encoded.familiarity, states=result.encoded.states,
        )  # fmt: skip

    def load(self, folder: Path) -> "RegionEncoder":
        """See `EncoderPreset.load`."""
        from mora_pipeline.presets.mora.encoder import load_encoder

        return load_encoder(folder)


PRESET = MoraPreset()
