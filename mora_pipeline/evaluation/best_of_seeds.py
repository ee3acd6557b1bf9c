"""An optimistic row beside reported scores: the region's preset from several seeds, and each task's best of them.

Papers on the regions of a city choose the epoch of each task on the labels that they test. This row grants our preset
the same: it says how far such a choice carries, and is compared with nothing else.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from mora_pipeline.evaluation.cache import ArrayCache, cached_or_train
from mora_pipeline.evaluation.labels.tasks import Task
from mora_pipeline.evaluation.methods.interface import Floats, MethodContext
from mora_pipeline.evaluation.protocol.metrics import R2
from mora_pipeline.evaluation.protocol.parameters import BenchmarkParameters
from mora_pipeline.evaluation.protocol.run import Progress, run_benchmark
from mora_pipeline.evaluation.protocol.trials import REGION_PAPERS
from mora_pipeline.presets import Preset
from mora_pipeline.presets.registry import presets

FORMAT = 1  # of the cached vectors: another number trains them anew
MOST_CELLS = 2000  # of a region that is trained again for each seed


@dataclass(frozen=True)
class BestOfSeeds:
    """The best R² a task of several trainings, by task, and whose they are."""

    preset: str
    seeds: int
    scores: Mapping[str, float]

    def facts(self) -> dict[str, Any]:
        """The same as JSON."""
        return {"preset": self.preset, "seeds": self.seeds, "scores": dict(self.scores)}


def best_of_seeds(
    context: MethodContext,
    tasks: Sequence[Task],
    parameters: BenchmarkParameters,
    progress: Progress | None = None,
    cache: ArrayCache | None = None,
) -> BestOfSeeds | None:
    """Train the preset of the region's embeddings at its defaults from seeds 0, 1, …; score each by `region_papers`.

    Args:
        context: the region's; vectors are cached there.
        progress, cache: see `run_benchmark`.

    Returns:
        None if region.yaml reports no scores, no seeds are asked for, the region has more than `MOST_CELLS` cells,
        another region's encoder made its embeddings, or its preset has no seed or is not installed.
    """
    config, seeds = context.reader.config, parameters.best_of_seeds
    if not (config.published and seeds and len(context.cells) <= MOST_CELLS):
        return None
    made = context.reader.read("embeddings")
    preset = presets().get(made.details.get("preset", ""))
    is_own = made.details.get("encoder_region", config.region) == config.region
    if preset is None or not is_own or "seed" not in preset.settings.model_fields:
        return None
    vectors = {f"{preset.name}, seed {seed}": trained(context, preset, {"seed": seed}) for seed in range(seeds)}
    papers = parameters.model_copy(update={"protocols": [REGION_PAPERS]})
    scores: dict[str, float] = {}
    for record in run_benchmark(vectors, tasks, papers, progress, cache):
        score = None if record.trial.skipped else R2.score(record.trial.truth, record.predicted)
        if score is not None:
            scores[record.trial.task.name] = max(score, scores.get(record.trial.task.name, -np.inf))
    return BestOfSeeds(preset.name, seeds, scores) if scores else None


def trained(context: MethodContext, preset: Preset[Any], settings: Mapping[str, Any]) -> Floats:
    """Vectors float32 [N, d] of a preset that is trained with these settings, else its defaults; cached.

    They are named by the settings, by the content of what the region's embeddings were made from, and by those
    embeddings, which a change of the preset's code changes as well.
    """
    from mora_pipeline.devices import best_device
    from mora_pipeline.presets.untracked import train_untracked

    reader = context.reader
    made = reader.read("embeddings")
    chosen = preset.settings(**settings)
    content = {name: _content(context, name) for name in made.inputs if reader.lake.has(name, reader.region)}
    facts = {"format": FORMAT, "preset": preset.name, "settings": chosen.model_dump(mode="json"), "inputs": content}
    arrays = {"embeddings": context.dataset("embeddings").vectors}
    return cached_or_train(context.cache, arrays, facts, lambda: train_untracked(preset, reader, chosen), best_device())


def _content(context: MethodContext, dataset: str) -> str:
    """SHA-256 of a dataset's rows, whichever version holds them."""
    table = context.reader.lake.read(dataset, context.reader.region).table().combine_chunks()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema.remove_metadata()) as stream:
        stream.write_table(table.replace_schema_metadata(None))
    return hashlib.sha256(sink.getvalue()).hexdigest()
