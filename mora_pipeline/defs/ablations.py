"""Ablations: the embeddings trained with one thing changed at a time, and judged as the benchmark judges.

Source: `edges`, `graph`, `line_vectors`, features, `cells` and the labels that region.yaml names. One MLflow run a
variant. No part of the main job: `mora ablate`, or the job `ablate_region`. Vectors and predictions are kept under
$MORA_HOME/cache: a run that was stopped goes on.
"""

from typing import TYPE_CHECKING, Any

import dagster as dg
import pyarrow as pa

from mora_pipeline import schemas
from mora_pipeline.defs.benchmark import inputs_of, log_scores, scored_trials
from mora_pipeline.defs.checks import by_name, result
from mora_pipeline.defs.metadata import column_schema
from mora_pipeline.defs.partitions import regions
from mora_pipeline.defs.resources import LakeResource, Tracking
from mora_pipeline.defs.step import Step, blocking, step
from mora_pipeline.errors import UserError
from mora_pipeline.evaluation.ablation_parameters import AblationParameters

if TYPE_CHECKING:
    from mora_pipeline.evaluation.methods import Inputs
    from mora_pipeline.evaluation.tasks import Task
    from mora_pipeline.evaluation.variants import Variant


class AblationConfig(AblationParameters, dg.Config):
    """Ablations as Dagster's run config."""


@dg.asset(
    partitions_def=regions,
    deps=["edges", "graph", "cells", "line_vectors", "text_features", "image_features", "table_features"],
    group_name="evaluation",
    kinds={"pytorch", "lightgbm", "mlflow"},
    pool="gpu",
    description=__doc__,
    metadata=column_schema(schemas.ABLATIONS),
    check_specs=blocking("ablations", "every_variant_scored"),
)
def ablations(
    context: dg.AssetExecutionContext, config: AblationConfig, lake: LakeResource, tracking: Tracking
) -> dg.MaterializeResult:
    from mora_pipeline.evaluation.ablations import variants
    from mora_pipeline.evaluation.judging import checked_tasks
    from mora_pipeline.evaluation.parameters import BenchmarkParameters
    from mora_pipeline.evaluation.report.ablation_part import ablation_markdown

    with step(context, lake) as work:
        if not work.config.tasks:
            raise UserError(
                f"region.yaml of '{work.region}' has no tasks, so nothing can be ablated: add some under 'tasks'."
            )
        inputs = inputs_of(work, BenchmarkParameters().raw_components)
        tasks = checked_tasks(inputs, config.benchmark())
        chosen = variants(inputs, config)
        tables = [_variant(work, inputs, tasks, variant, config, tracking) for variant in chosen]
        table = pa.concat_tables(tables)
        work.begin("ablations").write(table)
        kinds = {name: item.kind for name, item in work.config.modalities.items()}
        metadata = {"table": dg.MetadataValue.md(ablation_markdown(table, kinds)), "variants": len(chosen)}
        details = {"parameters": config.model_dump(mode="json"), "modalities": kinds}
        return work.finish(by_name(every_variant_scored(table)), metadata, details)


def _variant(
    work: Step,
    inputs: "Inputs",
    tasks: "list[Task]",
    variant: "Variant",
    config: AblationParameters,
    tracking: Tracking,
) -> pa.Table:
    """Train and judge one variant, as an MLflow run; its rows of `schemas.ABLATIONS`."""
    from mora_pipeline.evaluation.kept_scores import KeptArrays
    from mora_pipeline.evaluation.protocol import run_benchmark, scores_table
    from mora_pipeline.evaluation.variants import train_variant

    told: dict[str, Any] = {"variant": variant.name, "family": variant.family, **config.model_dump()}
    with tracking.run(work, told) as run:
        found = train_variant(inputs, variant, config.alignment(), config.line())
        kept = KeptArrays(work.home / "cache" / "scores")
        scores = scores_table(run_benchmark({"mora": found.vectors}, tasks, config.benchmark(), kept=kept))
        log_scores(run, scores)
        run.metrics({"seconds": found.seconds})
    work.context.log.info(f"{variant.name}: {found.seconds:.1f} s")
    columns = {"family": [variant.family] * len(scores), "variant": [variant.name] * len(scores)}
    rest = {name: scores[name] for name in schemas.ABLATIONS.names if name in scores.column_names}
    return pa.table({**columns, **rest}, schema=schemas.ABLATIONS)


def every_variant_scored(table: pa.Table) -> dg.AssetCheckResult:
    """All variants have a score for the same trials, of which there is one at least."""
    scored = scored_trials(table, "variant")
    alike = len({frozenset(trials) for trials in scored.values()}) == 1
    trials = max((len(each) for each in scored.values()), default=0)
    return result("every_variant_scored", alike and trials > 0, variants=len(scored), trials=trials)
