"""Ablations: the embeddings trained with one thing changed at a time, and judged as the benchmark judges.

Source: `edges`, `graph`, `line_vectors`, features, `cells` and the labels that region.yaml names. One MLflow run a
variant. No part of the main job: `mora ablate`, or the job `ablate_region`. Vectors and predictions are kept under
$MORA_HOME/cache: a run that was stopped goes on.
"""

from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from mora_pipeline.contract import schemas
from mora_pipeline.contract.errors import UserError
from mora_pipeline.evaluation.ablation.parameters import AblationParameters
from mora_pipeline.steps.benchmark import inputs_of, log_scores, scored_trials
from mora_pipeline.steps.features import features_names
from mora_pipeline.steps.interface import Progress, RegionRun, Step, Tracker
from mora_pipeline.steps.results import Check, Markdown, StepResult

if TYPE_CHECKING:
    from mora_pipeline.evaluation.ablation.variants import Variant
    from mora_pipeline.evaluation.methods import Inputs
    from mora_pipeline.evaluation.protocol.run import Record
    from mora_pipeline.evaluation.protocol.trials import Trial


def run(region: RegionRun, settings: AblationParameters, progress: Progress, tracker: Tracker) -> StepResult:
    """Train and judge every variant of the region's embeddings."""
    from mora_pipeline.evaluation.ablation.families import variants
    from mora_pipeline.evaluation.protocol.parameters import BenchmarkParameters
    from mora_pipeline.evaluation.report.ablation_part import ablation_markdown

    if not region.config.tasks:
        raise UserError(
            f"region.yaml of '{region.region}' has no tasks, so nothing can be ablated: add some under 'tasks'."
        )
    if all(task.leaks == "allowed" for task in region.config.tasks.values()):
        raise UserError(
            f"Every task of '{region.region}' may leak from the inputs (leaks: allowed in region.yaml), so no "
            "ablation can be judged: add a task whose label is no input."
        )
    inputs = inputs_of(region, BenchmarkParameters().raw_components)
    chosen = variants(inputs, settings)
    table = _judged(region, inputs, chosen, settings, progress, tracker)
    region.begin("ablations").write(table)
    kinds = {name: item.kind for name, item in region.config.modalities.items()}
    metadata = {"table": Markdown(ablation_markdown(table, kinds)), "variants": len(chosen)}
    details = {"parameters": settings.model_dump(mode="json"), "modalities": kinds}
    return region.finish([every_variant_scored(table)], metadata, details)


def _judged(
    region: RegionRun,
    inputs: "Inputs",
    chosen: "list[Variant]",
    settings: AblationParameters,
    progress: Progress,
    tracker: Tracker,
) -> pa.Table:
    """`schemas.ABLATIONS` of all variants, with how sure each one's difference to the base is."""
    from mora_pipeline.evaluation.ablation.families import base_graph
    from mora_pipeline.evaluation.ablation.intervals import replicates, with_differences
    from mora_pipeline.evaluation.benchmark import checked_tasks
    from mora_pipeline.evaluation.protocol.intervals import Resamples
    from mora_pipeline.evaluation.protocol.trials import make_trials
    from mora_pipeline.evaluation.report.ablation_part import GRAPH

    told = settings.benchmark()
    trials = [make_trials(task, told) for task in checked_tasks(inputs, told) if not task.leaks_allowed]
    drawn = Resamples([trial for each in trials for trial in each], told.resamples)
    tables, resampled = [], {}
    for number, variant in enumerate(chosen, 1):
        region.log.info(f"{variant.name}: variant {number} of {len(chosen)}")
        rows, records = _variant(region, inputs, trials, variant, settings, progress, tracker)
        tables.append(rows)
        resampled[variant.name] = replicates(records, drawn)  # small, unlike the predictions of all variants
    found = with_differences(pa.concat_tables(tables), resampled)
    return found.replace_schema_metadata({GRAPH: base_graph(inputs)})


def _variant(
    region: RegionRun,
    inputs: "Inputs",
    trials: "list[list[Trial]]",
    variant: "Variant",
    settings: AblationParameters,
    progress: Progress,
    tracker: Tracker,
) -> "tuple[pa.Table, list[Record]]":
    """Train and judge one variant, as an MLflow run; its rows of `schemas.ABLATIONS`, and what it predicted."""
    from mora_pipeline.evaluation.ablation.variants import train_variant
    from mora_pipeline.evaluation.protocol.run import run_trials, scores_table
    from mora_pipeline.evaluation.protocol.scores_cache import KeptArrays

    def tell(what: str, done: int, total: int, loss: float) -> None:
        progress(f"{variant.name}, {what}", done, total, loss)

    told: dict[str, Any] = {"variant": variant.name, "family": variant.family, **settings.model_dump()}
    with tracker.run(told) as tracked:
        found = train_variant(inputs, variant, settings.alignment(), settings.line(), tell)
        kept = KeptArrays(region.home / "cache" / "scores")
        records = run_trials(
            {"mora": found.vectors}, trials, settings.benchmark(), partial(progress, f"{variant.name}, fits"), kept
        )
        scores = scores_table(records)
        log_scores(tracked, scores)
        tracked.metrics({"seconds": found.seconds})
    region.log.info(f"{variant.name}: {found.seconds:.1f} s")
    return _rows(variant, scores), records


def _rows(variant: "Variant", scores: pa.Table) -> pa.Table:
    """`schemas.ABLATIONS` of one variant, less the differences."""
    columns = {"family": [variant.family] * len(scores), "variant": [variant.name] * len(scores)}
    rest = {
        field.name: scores[field.name] if field.name in scores.column_names else pa.nulls(len(scores), field.type)
        for field in schemas.ABLATIONS
        if field.name not in columns
    }
    return pa.table({**columns, **rest}, schema=schemas.ABLATIONS)


def every_variant_scored(table: pa.Table) -> Check:
    """All variants have a score for the same trials, of which there is one at least."""
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
