"""The preset `paper`: a table of node vectors, propagated over the mobility graph and aligned to the modalities."""

from typing import Any

from mora_pipeline.lake.reading import RegionReader
from mora_pipeline.presets.interface import EncodedRegion, Preset, Training
from mora_pipeline.presets.paper.parameters import AlignmentParameters


class PaperPreset(Preset[AlignmentParameters]):
    """MoRA's own recipe. A training that was killed goes on from its last state."""

    name = "paper"
    description = "MoRA's table of node vectors, trained by alignment"
    settings = AlignmentParameters
    inputs = ("cells", "graph", "line_vectors")

    def train(self, region: RegionReader, settings: AlignmentParameters, training: Training) -> EncodedRegion:
        """See `Preset.train`; the state of a training is removed once its embeddings are committed."""
        from mora_pipeline.modalities import LoadedModality
        from mora_pipeline.presets.paper.checkpoint import Checkpoint, alignment_key
        from mora_pipeline.presets.paper.graph import load_adjacency
        from mora_pipeline.presets.paper.trainer import train_alignment

        table = region.read("cells").table()
        cells = table["cell"].to_numpy()
        adjacency = load_adjacency(region.read("graph").batches, cells)
        line = region.vectors("line_vectors", cells)
        chosen = settings.chosen(list(region.config.modalities))
        modalities = [LoadedModality.read(region, name, cells) for name in region.config.modalities if name in chosen]
        checkpoint = Checkpoint(training.states, alignment_key(adjacency, line, modalities, settings))

        def record(epoch: dict[str, float]) -> None:
            run.epoch(epoch)
            training.log.info(", ".join(f"{name} {value:.6g}" for name, value in epoch.items()))

        parameters = {"preset": self.name, **settings.model_dump()}
        with training.tracker.run(parameters, checkpoint.notes.get("mlflow_run")) as run:
            checkpoint.notes["mlflow_run"] = run.run_id
            result = train_alignment(adjacency, line, modalities, settings, record, checkpoint)
            run.weights("alignment", result.weights)
        metadata: dict[str, Any] = {
            "epochs": len(result.history),
            "best_epoch": result.best_epoch,
            "training_seconds": result.seconds,
        }
        details = {"mlflow_run": run.run_id, "best_epoch": result.best_epoch}
        return EncodedRegion(
            table, result.embeddings, details, metadata, result.history, run.link(), on_commit=checkpoint.clear
        )


PRESET = PaperPreset()
