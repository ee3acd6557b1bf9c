"""Ablations: the embeddings trained with one thing changed at a time, and judged as the benchmark judges.

Source: `edges`, `graph`, `line_vectors`, features, `cells` and the labels that region.yaml names. One MLflow run a
variant. No part of the main job: `mora ablate`, or the job `ablate_region`. Vectors and predictions are kept under
$MORA_HOME/cache: a run that was stopped goes on.
"""

from typing import TYPE_CHECKING, Any

import dagster as dg
import pyarrow as pa

from mora_pipeline.contract import schemas
from mora_pipeline.contract.errors import UserError
from mora_pipeline.defs.benchmark import inputs_of, log_scores
from mora_pipeline.defs.checks import by_name, result
from mora_pipeline.defs.metadata import column_schema
from mora_pipeline.defs.partitions import regions
from mora_pipeline.defs.progress import log_progress
from mora_pipeline.defs.resources import LakeResource, Tracking
from mora_pipeline.defs.step import Step, blocking, step
from mora_pipeline.evaluation.ablation.parameters import AblationParameters

if TYPE_CHECKING:
    from mora_pipeline.evaluation.methods.interface import MethodContext
    from mora_pipeline.evaluation.methods.training import Variant
    from mora_pipeline.evaluation.protocol.run import Record
    from mora_pipeline.evaluation.protocol.trials import Trial


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
    from mora_pipeline.evaluation.ablation.families import variants
    from mora_pipeline.evaluation.protocol.parameters import BenchmarkParameters
    from mora_pipeline.evaluation.report.ablations import ablation_markdown

    with step(context, lake) as work:
        if not work.config.tasks:
            raise UserError(
                f"region.yaml of '{work.region}' has no tasks, so nothing can be ablated: add some under 'tasks'."
            )
        if all(task.leaks == "allowed" for task in work.config.tasks.values()):
            raise UserError(
                f"Every task of '{work.region}' may leak from the inputs (leaks: allowed in region.yaml), so no "
                "ablation can be judged: add a task whose label is no input."
            )
        inputs = inputs_of(work, BenchmarkParameters().raw_components)
        chosen = variants(inputs, config)
        table = _judged(work, inputs, chosen, config, tracking)
        work.begin("ablations").write(table)
        kinds = {name: item.kind for name, item in work.config.modalities.items()}
        metadata = {"table": dg.MetadataValue.md(ablation_markdown(table, kinds)), "variants": len(chosen)}
        details = {"parameters": config.model_dump(mode="json"), "modalities": kinds}
        return work.finish(by_name(every_variant_scored(table)), metadata, details)


def _judged(
    work: Step, inputs: "MethodContext", chosen: "list[Variant]", config: AblationParameters, tracking: Tracking
) -> pa.Table:
    """`schemas.ABLATIONS` of all variants, with how sure each one's difference to the base is."""
    from mora_pipeline.evaluation.ablation.families import base_graph
    from mora_pipeline.evaluation.ablation.intervals import GRAPH, replicates, with_differences
    from mora_pipeline.evaluation.benchmark import checked_tasks
    from mora_pipeline.evaluation.protocol.intervals import Resamples
    from mora_pipeline.evaluation.protocol.trials import make_trials

    told = config.benchmark()
    trials = [make_trials(task, told) for task in checked_tasks(inputs, told) if not task.leaks_allowed]
    drawn = Resamples([trial for each in trials for trial in each], told.resamples)
    tables, resampled = [], {}
    for number, variant in enumerate(chosen, 1):
        work.context.log.info(f"{variant.name}: variant {number} of {len(chosen)}")
        rows, records = _variant(work, inputs, trials, variant, config, tracking)
        tables.append(rows)
        resampled[variant.name] = replicates(records, drawn)  # small, unlike the predictions of all variants
    found = with_differences(pa.concat_tables(tables), resampled)
    return found.replace_schema_metadata({GRAPH: base_graph(inputs)})


def _variant(
    work: Step,
    inputs: "MethodContext",
    trials: "list[list[Trial]]",
    variant: "Variant",
    config: AblationParameters,
    tracking: Tracking,
) -> "tuple[pa.Table, list[Record]]":
    """Train and judge one variant, as an MLflow run; its rows of `schemas.ABLATIONS`, and what it predicted."""
    from mora_pipeline.evaluation.cache import ArrayCache
    from mora_pipeline.evaluation.methods.training import train_variant
    from mora_pipeline.evaluation.protocol.run import run_trials
    from mora_pipeline.evaluation.protocol.scores import scores_table

    logs = {what: log_progress(work.context, f"{variant.name}, {what}") for what in ("edges drawn", "epochs", "fits")}

    def tell(what: str, done: int, total: int, loss: float) -> None:
        logs[what](done, total, loss)

    told: dict[str, Any] = {"variant": variant.name, "family": variant.family, **config.model_dump()}
    with tracking.run(work, told) as run:
        found = train_variant(inputs, variant, config.alignment(), config.line(), tell)
        kept = ArrayCache(work.home / "cache" / "scores")
        records = run_trials({"mora": found.vectors}, trials, config.benchmark(), logs["fits"], kept)
        scores = scores_table(records)
        log_scores(run, scores)
        run.metrics({"seconds": found.seconds})
    work.context.log.info(f"{variant.name}: {found.seconds:.1f} s")
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


def every_variant_scored(table: pa.Table) -> dg.AssetCheckResult:
    """All variants have a score for the same trials, of which there is one at least."""
    from mora_pipeline.evaluation.protocol.scores import scored_trials

    scored = scored_trials(table, "variant")
    alike = len({frozenset(trials) for trials in scored.values()}) == 1
    trials = max((len(each) for each in scored.values()), default=0)
    return result("every_variant_scored", alike and trials > 0, variants=len(scored), trials=trials)
