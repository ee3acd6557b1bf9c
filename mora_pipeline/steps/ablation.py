"""Ablations: the preset `paper` trained with one thing changed at a time, and scored as the benchmark scores.

Source: `edges`, `graph`, `line_vectors`, features, `cells` and the labels that region.yaml names. One MLflow run a
variant. No part of the main job: `mora ablate`, or the job `ablate_region`. Vectors and predictions are cached under
$MORA_HOME/cache: a run that was stopped goes on.
"""

import pyarrow as pa

from mora_pipeline.contract import schemas
from mora_pipeline.contract.errors import UserError
from mora_pipeline.evaluation.ablation.parameters import AblationParameters
from mora_pipeline.region import NO_MOBILITY
from mora_pipeline.steps.features import features_names
from mora_pipeline.steps.interface import Progress, RegionRun, Step, Tracker
from mora_pipeline.steps.results import Check, Markdown, StepResult


def run(region: RegionRun, settings: AblationParameters, progress: Progress, tracker: Tracker) -> StepResult:
    """Train and score every variant of the region's embeddings."""
    from mora_pipeline.evaluation.ablation.families import variants
    from mora_pipeline.evaluation.ablation.run import Ablation
    from mora_pipeline.evaluation.cache import ArrayCache
    from mora_pipeline.evaluation.methods.interface import MethodContext
    from mora_pipeline.evaluation.protocol.parameters import BenchmarkParameters
    from mora_pipeline.evaluation.protocol.scores import metrics_by_name
    from mora_pipeline.evaluation.report.ablations import ablation_markdown

    if region.config.mobility is None:
        raise UserError(
            f"{NO_MOBILITY} ('{region.region}'), and ablations train embeddings on it: ablate the region of the "
            "encoder."
        )
    if not region.config.tasks:
        raise UserError(
            f"region.yaml of '{region.region}' has no tasks, so nothing can be ablated: add some under 'tasks'."
        )
    if all(task.leaks == "allowed" for task in region.config.tasks.values()):
        raise UserError(
            f"Every task of '{region.region}' may leak from the inputs (leaks: allowed in region.yaml), so no "
            "ablation can be scored: add a task whose label is no input."
        )
    caches = region.home / "cache"
    context = MethodContext(region, BenchmarkParameters().raw_components, caches / "vectors" / region.region)
    chosen = variants(context, settings)
    ablation = Ablation(context, settings, ArrayCache(caches / "scores" / region.region))
    for number, variant in enumerate(chosen, 1):
        region.log.info(f"{variant.name}: variant {number} of {len(chosen)}")
        parameters = {"variant": variant.name, "family": variant.family, **settings.model_dump()}
        with tracker.run(parameters) as tracked:
            scores, seconds = ablation.score(variant, progress)
            tracked.metrics({**metrics_by_name(scores), "seconds": seconds})
        region.log.info(f"{variant.name}: {seconds:.1f} s")
    table = ablation.table()
    region.begin("ablations").write(table)
    kinds = {name: item.kind for name, item in region.config.modalities.items()}
    metadata = {"table": Markdown(ablation_markdown(table, kinds)), "variants": len(chosen)}
    details = {"parameters": settings.model_dump(mode="json"), "modalities": kinds}
    return region.finish([every_variant_scored(table)], metadata, details)


def every_variant_scored(table: pa.Table) -> Check:
    """All variants have a score for the same trials, of which there is one at least."""
    from mora_pipeline.evaluation.protocol.scores import scored_trials

    scored = scored_trials(table, "variant")
    alike = len({frozenset(trials) for trials in scored.values()}) == 1
    trials = max((len(each) for each in scored.values()), default=0)
    return Check("every_variant_scored", alike and trials > 0, {"variants": len(scored), "trials": trials})


def ablations_step() -> Step:
    """The step `ablations`, which reads the features of every kind of modality."""
    return Step(
        "ablations",
        run,
        __doc__,
        inputs=("edges", "graph", "cells", "line_vectors", *features_names()),
        group="evaluation",
        kinds=frozenset({"pytorch", "lightgbm", "mlflow"}),
        settings=AblationParameters,
        columns=schemas.ABLATIONS,
        checks=("every_variant_scored",),
        pool="gpu",
        in_chain=False,
    )
