"""A preset as another package would write it: features projected at random. Its encoder is the seed."""

import numpy as np
from pydantic import Field

from mora_pipeline.lake.reading import RegionReader
from mora_pipeline.parameters import Parameters
from mora_pipeline.presets import EncodedRegion, Preset, Training


class ToyParameters(Parameters):
    dimension: int = Field(128, ge=1, description="Length of a vector.")
    seed: int = Field(0, ge=0, description="Seed of the projection.")


class ToyPreset(Preset[ToyParameters]):
    name = "toy"
    description = "features projected at random"
    settings = ToyParameters
    transferable = True

    def train(self, region: RegionReader, settings: ToyParameters, training: Training) -> EncodedRegion:
        with training.tracker.run({"preset": self.name, **settings.model_dump()}) as run:
            encoded = self.project(region, settings)
            run.metrics({"largest": float(encoded.vectors.max())})
        return EncodedRegion(encoded.table, encoded.vectors, settings.model_dump(), link=run.link())

    def embed_with(self, region: RegionReader, encoder: str) -> EncodedRegion:
        details = region.lake.read("embeddings", encoder).details
        return self.project(region, ToyParameters(dimension=details["dimension"], seed=details["seed"]))

    def project(self, region: RegionReader, settings: ToyParameters) -> EncodedRegion:
        table = region.read("cells").table()
        cells = table["cell"].to_numpy()
        random = np.random.default_rng(settings.seed)
        projected = np.zeros((len(cells), settings.dimension), np.float32)
        for name in sorted(region.config.modalities):
            vectors, present = region.features(name).on(cells)
            matrix = random.normal(size=(vectors.shape[1], settings.dimension)).astype(np.float32)
            projected[present] += vectors[present] @ matrix
        return EncodedRegion(table, projected, settings.model_dump())


PRESET = ToyPreset()
